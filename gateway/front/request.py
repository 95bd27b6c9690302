"""A request as a Resource sees it, and the only way in which a response reaches a client.

It is a ``twisted.web`` Request, so that any Resource can render it; Twisted's tables and lists are
made only when one asks for them, because a request lives as long as its stream.  The gateway's own
Resource uses the part below: the head as it was parsed, the body as the chunks in which it came
(never a file, never a form), and four verbs for the answer: `start`, `send`, `end` and `abort`, or
`respond` for a short one.

Invariants: a head is written once; nothing is written after the end or after the client has gone;
a body that could not be ended as announced is broken visibly (`abort`), never closed cleanly.  What
`start` keeps so that it goes out in one write with what follows, `flush`, `end` and `abort` write.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import Request as TwistedRequest

from ..http1 import (
    LAST_CHUNK,
    NO_FIELDS,
    Framing,
    FramingKind,
    RequestHead,
    chunk,
    reason_phrase,
    response_bytes,
)
from ..http1.framing import UNKNOWN_LENGTH

if TYPE_CHECKING:
    from .channel import Channel
    from .upload import Upload

Pairs = Iterable[tuple[bytes, bytes]]

#: A piece of a body below so many bytes is small; so many small ones in a row are made one.
SMALL = 1024
RUN = 64


def _as_table(request: Request) -> Headers:
    """The fields of a request as Twisted's table."""
    table = Headers()
    for name, value in request.head.fields:
        table.addRawHeader(name, value)
    return table


class Request(TwistedRequest):
    """One request on a `Channel`.  See the module's text."""

    defaultContentType = None
    channel: Channel | None = None  # type: ignore[assignment] # it stands in for HTTPChannel
    __hash__ = object.__hash__  # Twisted's says the same, in Python
    __slots__ = (
        "_bodiless", "_chunked_body", "_kept", "_small", "body", "body_size", "client", "context",
        "finished", "head", "host", "method", "on_broken", "on_gone", "producer", "site",
        "startedWriting", "status_sent", "streamingProducer", "transport", "upload", "uri",
    )  # fmt: skip

    # What Twisted's initialiser makes for every request, made when somebody asks for it.
    path: Any = cached_property(lambda request: request.head.path)
    clientproto: Any = cached_property(lambda request: b"HTTP/1.%d" % request.head.minor)
    requestHeaders: Any = cached_property(_as_table)
    responseHeaders: Any = cached_property(lambda _: Headers())
    received_cookies: Any = cached_property(lambda _: {})
    cookies: Any = cached_property(lambda _: [])
    notifications: Any = cached_property(lambda _: [])
    prepath: Any = cached_property(lambda _: [])
    postpath: Any = cached_property(lambda _: [])
    _adapterCache: Any = cached_property(lambda _: {})  # noqa: N815
    # And these are the same for all.
    queued = False
    _parsePOSTFormSubmission = False  # noqa: N815

    def __init__(self, channel: Channel, head: RequestHead) -> None:
        # Twisted's own is not called: see above.
        self.channel = channel
        self.client, self.host = channel.peer, channel.host
        self.transport = channel.transport
        self.site = channel.site
        # In slots with the rest, so that a stream's request needs no table of attributes: how large
        # one is depends on what else any request of the process was ever given.
        self.producer: Any = None
        self.finished = self.startedWriting = 0
        self.head = head
        self.method = head.method
        self.uri = head.target
        self.body: list[bytes] = []
        self.body_size = 0
        self._small = 0  # how many small pieces `body` ends with
        #: The body, where it is passed on while it comes; then `body` stays empty.
        self.upload: Upload | None = None
        self.status_sent: int | None = None
        #: What the door found out about the request's head, for the Resource; there already when it
        #: is asked, where it let in the same head on this connection before.
        self.context: object = None
        #: Called once, with the reason, if the client goes before the response has ended.
        self.on_gone: Callable[[Failure], None] | None = None
        #: Called once, with the status and text of a refusal, if the client breaks a rule of HTTP
        #: while the request runs: in its body, or behind it.  Who sets it ends the request.
        self.on_broken: Callable[[int, str], None] | None = None
        self._kept = b""  # from `start` with `more` on: written by `flush` or at the end
        self._chunked_body = False
        self._bodiless = head.method == b"HEAD"

    # What the channel calls.

    def body_received(self, data: bytes) -> None:
        """Keep a piece of the body.

        A piece costs some 40 bytes besides its own, so runs of small ones are joined: what is held
        stays within a few times `body_size`, however small the pieces come.
        """
        self.body.append(data)
        self.body_size += len(data)
        self._small = self._small + 1 if len(data) < SMALL else 0
        if self._small == RUN:
            self.body[-RUN:] = [b"".join(self.body[-RUN:])]
            self._small = 0

    def replace_body(self, body: list[bytes]) -> None:
        """Send another body on in place of the one that came."""
        self.body = body
        self.body_size = sum(map(len, body))

    def process(self) -> None:
        """Hand the request to the Site's Resource; a leaf at the root needs no traversal."""
        assert self.channel is not None
        resource: IResource = self.channel.site.resource
        if resource.isLeaf:
            try:
                self.render(resource)  # type: ignore[no-untyped-call]
            except Exception:
                self.processingFailed(Failure())  # type: ignore[no-untyped-call]
        else:
            self.content = io.BytesIO(b"".join(self.body))
            self.args = http.parse_qs(self.uri.partition(b"?")[2], True)
            super().process()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone before the response ended."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        on_gone, self.on_gone, self.on_broken = self.on_gone, None, None
        if on_gone is not None:
            on_gone(reason)

    def broken(self, status: int, message: str) -> None:
        """The client broke a rule; where nobody can say so, the connection is reset."""
        on_broken, self.on_broken = self.on_broken, None
        if on_broken is not None:
            on_broken(status, message)
        elif self.channel is not None:
            self.channel.abort()

    # What the gateway's Resource calls.

    @property
    def takes_chunks(self) -> bool:
        """Whether the client speaks HTTP/1.1: it understands chunks and interim responses."""
        return self.head.minor == 1

    @property
    def present(self) -> bool:
        """Whether the client is there, and its response has not ended."""
        return self.channel is not None

    def release_body(self) -> None:
        """The body is no longer held: it does not count among those that are."""
        if self.channel is not None:
            self.channel.release_body()

    def hand_over_body(self) -> Callable[[], None] | None:
        """Let the body be held, and count, even when this client has left.

        What is returned, if there was anything to count, is to be called once in place of
        `release_body`.
        """
        assert self.channel is not None
        return self.channel.hand_over_body()

    def let_go_of_fields(self) -> None:
        """The fields have been passed on; a stream lives longer than anybody wants them."""
        self.head = replace(self.head, fields=NO_FIELDS)
        if self.channel is not None:
            self.channel.forget_head()

    def taken(self) -> int | None:
        """A counter of the bytes that the client has taken; None where nobody can tell."""
        return None if self.channel is None else self.channel.taken()

    def send_interim(self, status: int, reason: bytes, pairs: Pairs) -> None:
        """Pass on an interim (1xx) response; never to HTTP/1.0 (RFC 9110, 15.2)."""
        if self.channel is not None and self.takes_chunks and self.status_sent is None:
            self.channel.write(response_bytes(status, reason, pairs))

    def start(
        self,
        status: int,
        reason: bytes,
        pairs: Pairs,
        framing: Framing,
        *,
        more: bool = False,
    ) -> None:
        """Write the response's head; with `more` in one write with what follows it.

        With `more`, `flush` or the response's end has to follow in the same turn of the reactor.

        `framing` says how the body will end.  Bodies of unknown length are chunked; to HTTP/1.0,
        which knows no chunks, they end with the connection.  `pairs` must not hold Connection,
        Transfer-Encoding or, unless the length is meant, Content-Length.
        """
        channel = self.channel
        if channel is None or self.status_sent is not None:
            return
        if self.upload is not None and not self.upload.done:
            channel.persistent = False  # what is still to come of the body will not be read
        fields = list(pairs)
        for name, _ in fields:
            if name.lower() == b"date":
                break
        else:
            fields.append((b"Date", channel.site.date()))
        if framing.kind in UNKNOWN_LENGTH and not self._bodiless:
            if self.takes_chunks:
                fields.append((b"Transfer-Encoding", b"chunked"))
                self._chunked_body = True
            else:
                channel.persistent = False
        if not channel.persistent:
            fields.append((b"Connection", b"close"))
        self.status_sent = status
        self.startedWriting = 1
        self._kept = response_bytes(status, reason, fields)
        if not more:
            self.flush()

    def flush(self) -> None:
        """Write what has been kept since `start`."""
        kept, self._kept = self._kept, b""
        if kept and self.channel is not None:
            self.channel.write(kept)

    def send(self, data: bytes) -> None:
        """Write a piece of the body in the framing of its head."""
        channel = self.channel
        if channel is not None and not self._bodiless:
            if self._chunked_body:
                data = chunk(data)
            if self._kept:
                self._kept += data
            else:
                channel.write(data)

    #: Write what is no part of the answer and only shows that somebody is there.
    send_beat = send

    def end(self, *, close: bool = False) -> None:
        """The body is whole.  `close` ends the connection as well, once everything is flushed."""
        channel = self.channel
        if channel is None or self.finished:
            return
        if close:
            channel.persistent = False
        last, self._kept = self._kept, b""  # let go of: the collector may come late for us
        if self._chunked_body:
            last += LAST_CHUNK
        if last:
            channel.write(last)
        self.finished = 1
        self.on_gone = self.on_broken = None
        self.channel = None
        channel.requestDone(self)

    def abort(self) -> None:
        """Break the response so that the client cannot take it for whole: reset the connection."""
        channel = self.channel
        if channel is None or self.finished:
            return
        self.flush()
        self.finished = 1
        self.on_gone = self.on_broken = None
        self.channel = None
        channel.abort()

    def respond(
        self, status: int, body: bytes, pairs: Pairs = (), content_type: bytes = b"application/json"
    ) -> None:
        """A whole short response, in one write."""
        fields = [(b"Content-Type", content_type), (b"Content-Length", b"%d" % len(body)), *pairs]
        reason = reason_phrase(status)
        self.start(status, reason, fields, Framing(FramingKind.LENGTH, len(body)), more=True)
        self.send(body)
        self.end()

    def __repr__(self) -> str:
        # Without the query: it can carry a key.
        return f"<Request {self.method.decode('latin-1')} {self.path[:500].decode('latin-1')}>"
