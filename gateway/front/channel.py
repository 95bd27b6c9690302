"""One client connection: strict HTTP/1.1 in, responses in order out.

It takes the place of Twisted's HTTPChannel, which accepts heads that two parsers can read in two
ways, and offers Requests the same methods, so that any Resource renders on it.

States, one after the other for each request: HEAD (waiting for or reading a head), BODY (reading a
body), BUSY (a request runs).  LINGER throws away the body of a refused request for a moment, so
that the refusal is not lost to a reset; CLOSING waits for the last bytes to be flushed.

A body that is passed on while it comes (`gateway.front.upload`) has its request running already in
BODY; if the response ends before the body does, the rest is thrown away in LINGER.

Invariants: at most one request runs, its answer goes out before the next head is parsed; while it
runs the socket is read all the same, into a bounded buffer, because otherwise a client's FIN would
not be seen; every state but BUSY has its deadline (`gateway.front.patience`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ..http1 import FramingKind, HeadBuffer, RemoteError, RequestHeads, request_framing
from ..http1.head import parse_request_line
from .answering import Answering
from .behind import Behind
from .intake import Intake
from .patience import Patience, Wait
from .request import Request
from .upload import Upload
from .verdict import Admission, Refusal

if TYPE_CHECKING:
    from .site import GatewaySite

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class State(Enum):
    """See the module's text."""

    HEAD = "head"
    BODY = "body"
    BUSY = "busy"
    LINGER = "linger"
    CLOSING = "closing"


class Channel(Answering):
    """The server's side of one connection."""

    def __init__(self, site: GatewaySite) -> None:
        super().__init__()
        self.site = site
        self.factory = site
        self._limits = site.limits
        self._patience = Patience(site.terms, site.clock, self)
        self._state = State.HEAD
        self._head = HeadBuffer(self._limits.head, parse_request_line, tolerate_blank_line=True)
        self._heads = RequestHeads(self._limits.head)
        self._head_begun = False
        self._known: object = None  # what the door found out about the last head
        self._request: Request | None = None
        self._intake: Intake | None = None  # its body, also when that is whole
        self._behind: Behind | None = None  # what was sent behind the request, if anything was
        self._winding_down = False
        self._one_more = True  # a further request is waited for
        self._flooding = False  # more came there than is kept

    # Twisted's protocol interface.

    def connectionMade(self) -> None:
        """A client has connected."""
        super().connectionMade()
        self._patience.wait_for(Wait.HEAD)
        self.site.channel_opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Parse, or keep for later, what the client sent."""
        if self._state in (State.LINGER, State.CLOSING):
            return
        if self._state is State.BUSY or self._waits_behind():
            if not self._keep(data) and self._state is State.BUSY:
                self._flooded()
            return
        try:
            while data:
                if self._state is State.BODY:
                    data = self._body_received(data)
                elif self._state is State.HEAD and not self._write_paused:
                    data = self._head_received(data)
                else:  # an answer is not written yet, or the client has not taken it
                    break
        except RemoteError as error:
            self._broken(error)
            return
        if data and self._state in (State.HEAD, State.BUSY):
            self._keep(data)

    def _waits_behind(self) -> bool:
        """Whether something was sent behind the request: what comes now comes after it."""
        return self._behind is not None and bool(self._behind.kept)

    def _keep(self, data: bytes) -> bool:
        """See `Behind.keep`."""
        if self._behind is None:
            self._behind = Behind(self._limits.pipelined, self.site.clock)
        return self._behind.keep(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: tell the request that was running or arriving, once."""
        self._patience.stop()
        self._state = State.CLOSING
        self._producer = None
        self._drop_behind()
        request = self._let_go_of_request()
        self.site.channel_closed(self)
        if request is not None and not request.finished:
            request.connectionLost(reason)

    # Parsing.

    def _head_received(self, data: bytes) -> bytes:
        if self in self.site.kept_alive:
            del self.site.kept_alive[self]
        block = self._head.feed(data)
        if block is None:
            if not self._head_begun and len(self._head):  # not only the forgiven empty line
                self._head_begun = True
                self._patience.wait_for(Wait.HEAD)
            return b""
        self._head_begun = True
        self.expect_request(False)
        rest = self._head.take_rest()
        head = self._heads.read(block)
        framing = request_framing(head)
        self.persistent = head.persistent and head.minor == 1 and not self._winding_down
        request = self._request = Request(self, head)
        if self._heads.repeated:
            request.context = self._known
        verdict = self.site.door.admit(request, framing)
        if not isinstance(verdict, Admission):
            self._send_refusal(verdict, unread=framing.kind is not FramingKind.NONE)
            return b""
        self._known = request.context
        self.site.channel_advanced()
        if framing.kind is FramingKind.NONE:
            self._start_request()
            return rest
        told = framing.length if framing.kind is FramingKind.LENGTH else None
        self._intake = Intake(
            request, framing, verdict, self.site.budget, lambda: self._pass_on(told)
        )
        self._state = State.BODY
        if told is None or len(rest) < told:
            self._patience.wait_for(Wait.BODY)
            if not rest and head.minor == 1 and b"100-continue" in head.fields.elements(b"expect"):
                self.write(_CONTINUE)
        if verdict.hold < (told or 1):
            self._pass_on(told)
        return rest

    def _pass_on(self, length: int | None) -> None:
        """Begin to pass the body on, with what was kept of it; the rest follows as it comes."""
        request = self._request
        assert request is not None
        request.upload = Upload(self, length)
        for piece in request.body:
            request.upload.received(piece)
        request.body = []
        request.process()

    def _body_received(self, data: bytes) -> bytes:
        request, intake = self._request, self._intake
        assert request is not None
        assert intake is not None
        self._patience.body_bytes += len(data)
        intake.received(data)
        if self._state is not State.BODY or not intake.decoder.done:
            return b""  # more is to come, or the response has ended and nobody wants it
        if request.upload is None:
            self._start_request()
        else:
            request.upload.resume()  # no more body, but the client's leaving has to be seen
            self._state = State.BUSY
            self._patience.wait_for(Wait.NOTHING)
            request.upload.ended()
        return intake.decoder.excess

    def _start_request(self) -> None:
        assert self._request is not None
        self._state = State.BUSY
        self._patience.wait_for(Wait.NOTHING)
        self._request.process()

    # What a Request calls.  The names are those of Twisted's HTTPChannel.

    def requestDone(self, request: Request) -> None:
        """The response is whole: go on with the next request, or close."""
        self.unregisterProducer()
        self._let_go_of_request()
        self._head_begun = False
        if self._state is State.BODY or self._flooding:
            self._linger()
            return
        if not self.persistent or not (self._one_more or self._waits_behind()):
            self.loseConnection()
            return
        self._state = State.HEAD
        self.expect_request(True)
        if not self._waits_behind():
            self.site.kept_alive[self] = None
            self.site.channel_advanced()
        self._patience.wait_for(Wait.LAST_REQUEST if self._winding_down else Wait.REQUEST)
        if self._write_paused:
            self.transport.pauseProducing()  # no further request before this response is taken
            return
        self._give_out_behind()

    def pause_body(self) -> None:
        """Read no more of the body that is being passed on, for now."""
        self._patience.body_paused(True)
        if self._state is State.BODY:
            self.transport.pauseProducing()

    def resume_body(self) -> None:
        """Read on."""
        self._patience.body_paused(False)
        if self._state is State.BODY:
            self.transport.resumeProducing()

    def release_body(self) -> None:
        """The running request's body is no longer held."""
        if self._intake is not None and self._intake.claimed:
            self._intake.release()
            if self._state is not State.BODY:
                self._intake = None  # the body is whole: its taking in is done

    def forget_head(self) -> None:
        """The last head need not be known again: its request becomes a stream, and may last."""
        self._heads.forget()
        self._known = None

    def hand_over_body(self) -> Callable[[], None] | None:
        """See `Request.hand_over_body`."""
        return None if self._intake is None else self._intake.hand_over()

    def _let_go_of_request(self) -> Request | None:
        """The request is over, whichever way: give back what it held, and return it."""
        request, self._request = self._request, None
        self.release_body()
        self._intake = None
        if request is not None:
            self.site.door.ended(request)
        return request

    def loseConnection(self) -> None:
        """Close once everything is flushed, or the client has had its time to read it."""
        self._state = State.CLOSING
        self.site.kept_alive.pop(self, None)
        self._patience.wait_for(Wait.FLUSH)
        self.close_when_flushed()

    def abort(self) -> None:
        """Reset the connection: nothing that was not yet sent will be."""
        self._state = State.CLOSING
        self.unregisterProducer()
        self.transport.abortConnection()

    def wind_down(self, *, wait: bool = False) -> None:
        """Serve what is running and what was sent behind it, then close; else close at once.

        With `wait` a connection whose client was not told of the end stays open for a moment: one
        request more may be on its way already.

        Where the running request's answer has not begun, it announces the end (RFC 9112, 9.6).
        Else the client was promised that the connection stays, and may have used it already.
        """
        self._winding_down = True
        self._one_more = wait
        if self._request is None or self._request.status_sent is None:
            self.persistent = False
        if self._state is not State.HEAD or self._head_begun or self._waits_behind():
            return
        if wait:
            self._patience.wait_for(Wait.LAST_REQUEST)
        else:
            self.loseConnection()

    def refuse_unfinished(self, message: str) -> None:
        """Answer a request that is not whole with a 503; one that runs answers itself."""
        arriving = self._request is None or self._request.upload is None
        if self._state in (State.HEAD, State.BODY) and arriving:
            self._refuse(503, message)

    def answer_taken(self) -> None:
        """Go on with what the client sent meanwhile."""
        if self._state is State.HEAD:
            self.transport.resumeProducing()
            self._give_out_behind()

    def _give_out_behind(self) -> None:
        if self._behind is not None:
            self._behind.give_out(self.dataReceived)

    def _drop_behind(self) -> None:
        if self._behind is not None:
            self._behind.drop()

    # Refusals and deadlines.

    def _refuse(self, status: int, message: str) -> None:
        refusal = self.site.door.refuse(self._request, status, message)
        self._send_refusal(refusal, unread=True)

    def _send_refusal(self, refusal: Refusal, *, unread: bool) -> None:
        """Answer and close; read on for a moment if there is a body to come."""
        self.persistent = False
        request = self._let_go_of_request()
        bodiless = request is not None and request.head.method == b"HEAD"
        self.write(refusal.response(self.site.date(), bodiless=bodiless))
        if unread:
            self._linger()
        else:
            self.loseConnection()

    def _broken(self, error: RemoteError) -> None:
        """The client broke a rule: refuse, unless its request runs already and answers itself."""
        request = self._request
        if request is not None and request.upload is not None:
            request.broken(error.status, str(error))
        else:
            self._refuse(error.status, str(error))

    def _flooded(self) -> None:
        """More came behind the running request than is kept: end that, and throw away the rest."""
        assert self._request is not None
        self._drop_behind()
        self.persistent = False
        self._flooding = True
        kept = self._limits.pipelined
        self._request.broken(400, f"more than {kept} bytes were sent behind a running request")

    def _linger(self) -> None:
        """Throw away what still comes, so that the answer is not lost to a reset; then close."""
        was_body, self._state = self._state is State.BODY, State.LINGER
        self._patience.wait_for(Wait.LINGER)
        if was_body:
            self.transport.resumeProducing()  # it may have been paused

    def waited_too_long(self, what: Wait) -> None:
        """End what was not done in time."""
        if what in (Wait.LINGER, Wait.REQUEST, Wait.LAST_REQUEST):
            self.loseConnection()
        elif what is Wait.FLUSH:
            self.transport.abortConnection()
        elif what is Wait.HEAD and not self._head_begun:
            self.loseConnection()  # connected, and never said a word
        else:
            self._broken(RemoteError(f"{what.value} did not come in time", 408))
