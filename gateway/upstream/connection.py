"""One connection to an upstream: a request out, its response in, strictly parsed.

Invariants
- One exchange at a time, which hears what `gateway.upstream.receiver` says in the order that it
  says.  After `abort` it hears nothing.
- The connection goes back to its pool only if the response was whole, nothing came behind it, the
  request had been written out entirely and neither side asked for a close (RFC 9112, 9.3).
- The request's body is written as the socket takes it and let go of piece by piece.
- `pause` stops reading from the socket; the kernel and TCP then slow the upstream down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ..http1 import (
    FramingKind,
    HeadBuffer,
    HeadLimits,
    RemoteError,
    response_framing,
)
from ..http1.body import BodyDecoder, decoder_for
from ..http1.errors import Truncated
from ..http1.head import ResponseHead, parse_response, parse_status_line
from ..net.transport import StreamTransport
from ..record import ErrorCode
from .errors import UpstreamError, classify
from .receiver import Receiver, TakeBody

#: Interim responses that are taken before one final response.
MAX_INTERIM = 16


class State(Enum):
    """What the connection is doing."""

    CONNECTING = "connecting"
    IDLE = "idle"
    ACTIVE = "active"
    CLOSED = "closed"


@implementer(IHandshakeListener, IPushProducer)
class Connection(TwistedProtocol):
    """See the module's text.  `on_idle` and `on_closed` tell the pool."""

    __slots__ = (
        "_blocked", "_body", "_head_buffer", "_interim", "_limits", "_method", "_more",
        "_on_closed", "_on_idle", "_paused", "_persistent", "_receiver", "_sending",
        "_take_body", "_unsent", "ready", "state",
    )  # fmt: skip

    transport: Any

    def __init__(
        self,
        *,
        secure: bool,
        limits: HeadLimits,
        on_idle: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        #: Over TLS: fires when the connection can be sent on; cancelling it drops the connection.
        self.ready: Deferred[Connection] | None = None
        if secure:
            self.ready = Deferred(lambda _: self.abort())
        self.state = State.CONNECTING
        self._limits = limits
        self._on_idle = on_idle
        self._on_closed = on_closed
        self._receiver: Receiver | None = None
        self._method = b""
        self._unsent: deque[bytes] | None = None  # while `_sending`
        self._sending = False  # the request is not written out yet
        self._more = False  # more of its body will come
        self._blocked = False  # the socket takes no more of it for now
        self._paused = False  # we do not read the response for now
        self._head_buffer = HeadBuffer(limits, parse_status_line)
        self._interim = 0
        self._persistent = False
        self._body: BodyDecoder | None = None
        self._take_body: TakeBody | None = None  # with `_body`

    # The way there.

    def connectionMade(self) -> None:
        """TCP is there; over TLS the handshake is still to come."""
        transport = self.transport
        if isinstance(transport, StreamTransport):
            transport.hand_over(self)
        if self.ready is None:
            self.state = State.IDLE

    def handshakeCompleted(self) -> None:
        """TLS is there and the certificate was found to be the host's."""
        self.state = State.IDLE
        ready, self.ready = self.ready, None
        assert ready is not None
        ready.callback(self)

    def send(
        self,
        method: bytes,
        head: bytes,
        body: Sequence[bytes],
        receiver: Receiver,
        *,
        more: bool = False,
    ) -> None:
        """Begin an exchange: write the request and wait for its response.

        With `more`, the rest of the body follows by `send_more` and ends with `send_end`; the
        pieces are in the framing that `head` announces.
        """
        assert self.state is State.IDLE
        self.state = State.ACTIVE
        self._receiver = receiver
        self._method = method
        self._interim = 0
        first = head + body[0] if body else head
        if len(body) <= 1 and not more:
            # Nearly every request: one write, and no producer's bookkeeping.
            self.transport.write(first)
            receiver.request_written()
            return
        self._unsent = deque((first, *body[1:]))
        self._sending = True
        self._more = more
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def send_more(self, data: bytes) -> None:
        """Write the next piece of a body that is still coming."""
        if self._unsent is not None:
            self._unsent.append(data)
            self._write_body()

    def send_end(self) -> None:
        """All of the body has been given."""
        self._more = False
        self._write_body()

    # Twisted's producer interface: the request's body towards the socket.

    def resumeProducing(self) -> None:
        """The socket takes more of the request's body."""
        self._blocked = False
        self._write_body()
        if self._more and not self._blocked and self._receiver is not None:
            self._tell(self._receiver.upload_resumed)

    def _write_body(self) -> None:
        unsent = self._unsent
        while unsent and not self._blocked:
            self.transport.write(unsent.popleft())
        if self._sending and not (unsent or self._blocked or self._more):
            self.transport.unregisterProducer()
            self._request_written()

    def pauseProducing(self) -> None:
        """The socket does not take more for now."""
        self._blocked = True
        if self._more and self._receiver is not None:
            self._tell(self._receiver.upload_paused)

    def stopProducing(self) -> None:
        """The connection is going; `connectionLost` tells the receiver."""

    def _request_written(self) -> None:
        self._sending = False
        self._unsent = None
        if self._receiver is not None:
            self._tell(self._receiver.request_written)

    # The way back.

    def dataReceived(self, data: bytes) -> None:
        """Parse what the upstream sent."""
        receiver = self._receiver
        if receiver is None:
            # Nothing was asked: whatever this is, it must not answer the next request.
            self.abort()
            return
        headless = self._body is None
        try:
            if headless:
                data = self._heads_received(data)
            if self._body is None:
                return
            piece = self._body.feed(data)
            if piece and self._take_body is not None:
                self._take_body(piece)
            # The receiver may have let go of us just now.
            if self._body is not None and self._body.done:
                self._finish()
        except RemoteError as error:
            before, take_body = error.before, self._take_body
            if before and take_body is not None:
                self._tell(lambda: take_body(before), receiver)
            self._fail(UpstreamError(ErrorCode.MALFORMED, f"the upstream's response: {error}"))
        except Exception:
            self._found_bug(Failure())
        finally:
            # Without a body, the answer is over or was let go of in this read.
            if headless and self._body is not None:
                self._tell(receiver.body_follows, receiver)

    def _heads_received(self, data: bytes) -> bytes:
        """Take heads off `data`; what follows the final one, once it has come."""
        while True:
            block = self._head_buffer.feed(data)
            if block is None or self._receiver is None:
                return b""
            head = parse_response(block, self._limits)
            rest = self._head_buffer.take_rest()
            if head.status >= 200:
                break
            if head.status == 101:
                raise RemoteError("a switch of protocols that nobody asked for")
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise RemoteError(f"more than {MAX_INTERIM} interim responses")
            self._receiver.interim_received(head)
            data = rest
        framing = response_framing(head, self._method)
        self._persistent = (
            head.persistent
            and framing.kind is not FramingKind.UNTIL_CLOSE
            # Where a body was told that HTTP has not (HEAD, 204, 304), one may come all the same,
            # and be taken for the next answer.
            and not (framing.kind is FramingKind.NONE and _tells_of_a_body(head))
        )
        self._body = decoder_for(framing)
        self._take_body = self._receiver.head_received(head, framing)
        return rest

    def _finish(self) -> None:
        assert self._body is not None
        receiver, self._receiver = self._receiver, None
        excess, self._body, self._take_body = self._body.excess, None, None
        reusable = (
            self._persistent and not excess and not self._sending and self.state is State.ACTIVE
        )
        if reusable:
            if self._paused:
                self.resume()
            self.state = State.IDLE
            self._on_idle(self)
        else:
            self._close()
        if receiver is not None:
            self._tell(receiver.response_ended, receiver)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: an end for a body that ends so, a failure for everything else."""
        established = self.state is not State.CONNECTING
        was_idle = self.state is State.IDLE
        self.state = State.CLOSED
        if not established:
            ready, self.ready = self.ready, None
            if ready is not None and not ready.called:  # else it was cancelled
                ready.errback(Failure(classify(reason, established=False)))
            return
        if was_idle:
            self._on_closed(self)
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        body, self._body = self._body, None
        error = classify(reason, established=True)
        if body is not None and error.code is ErrorCode.RESET and reason.check(ConnectionDone):
            try:
                body.eof()
            except Truncated as truncated:
                error = UpstreamError(ErrorCode.TRUNCATED, str(truncated))
            else:
                self._tell(receiver.response_ended, receiver)
                return
        self._tell(lambda: receiver.upstream_failed(error), receiver)

    # Control.

    def pause(self) -> None:
        """Stop reading from the upstream."""
        if self.state is State.ACTIVE and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        if self.state is State.ACTIVE and self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def abort(self) -> None:
        """Drop the connection at once.  The receiver hears nothing more."""
        self._receiver = None
        self._close()

    def _close(self) -> None:
        was_idle = self.state is State.IDLE
        self._receiver = None
        self._body = self._take_body = None
        if self._unsent is not None:
            self._unsent.clear()  # it may be being written just now
            self._unsent = None
        if self.state is State.CONNECTING:
            self.transport.abortConnection()  # `connectionLost` fails `ready`
        elif self.state is not State.CLOSED:
            self.state = State.CLOSED
            # Not loseConnection: on a paused TLS transport it never completes.
            self.transport.abortConnection()
            if was_idle:
                self._on_closed(self)

    def _fail(self, error: UpstreamError) -> None:
        receiver = self._receiver
        self._close()
        if receiver is not None:
            self._tell(lambda: receiver.upstream_failed(error), receiver)

    def _found_bug(self, failure: Failure) -> None:
        receiver = self._receiver
        self._close()
        if receiver is not None:
            receiver.bug_found(failure)

    def _tell(self, call: Callable[[], None], receiver: Receiver | None = None) -> None:
        try:
            call()
        except Exception:
            receiver = receiver or self._receiver
            if receiver is not None:
                receiver.bug_found(Failure())


def _tells_of_a_body(head: ResponseHead) -> bool:
    length = head.fields.get(b"content-length") or b"0"
    return b"transfer-encoding" in head.fields or length.strip(b"0") != b""
