"""The answering half of a client connection: what Requests write to, and how full it is.

It has the methods that Twisted's HTTPChannel offers to Requests, under the same names, and is the
transport's producer for as long as the connection lives, because that is how a transport tells that
its buffer is full: the producer that a request registered is paused then, and no further request is
begun.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol
from twisted.web.http_headers import Headers
from zope.interface import implementer

from ..http1 import response_bytes
from ..net.transport import StreamTransport
from .progress import acknowledged, below_tls


@implementer(IPushProducer)
class Answering(Protocol):
    """See the module's text.  `gateway.front.channel.Channel` is the other half."""

    transport: Any

    #: Writes bytes of a response: the transport's own method, because it is called for every event.
    write: Callable[[bytes], None]

    def __init__(self) -> None:
        self.persistent = True
        self._producer: IPushProducer | None = None
        self._write_paused = False

    def connectionMade(self) -> None:
        """Register as the transport's producer."""
        self.peer: IAddress = self.transport.getPeer()
        self.host: IAddress = self.transport.getHost()
        self._secure = ISSLTransport.providedBy(self.transport)
        self.write = self.transport.write
        below = below_tls(self.transport)
        self._line = below if isinstance(below, StreamTransport) else None
        self.expect_request(True)
        self.transport.registerProducer(self, True)

    def expect_request(self, expected: bool) -> None:
        """Whether what the client sends next begins a request; see `StreamTransport.begins`."""
        if self._line is not None:
            self._line.begins(expected)

    def writeSequence(self, iovec: list[bytes]) -> None:
        """Write several pieces of a response."""
        self.transport.write(b"".join(iovec))

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write a head that a Resource composed in Twisted's way."""
        pairs = [(name, value) for name, values in headers.getAllRawHeaders() for value in values]
        if not self.persistent:
            pairs.append((b"Connection", b"close"))
        self.write(response_bytes(int(code), reason, pairs))

    def close_when_flushed(self) -> None:
        """Close the connection behind what has been written."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        below = below_tls(self.transport)
        if below is not self.transport:
            # TLS has said its last word and would wait for the client's, which an idle client does
            # not give before it uses the connection again.  Nobody has to wait: RFC 8446, 6.1.
            below.loseConnection()

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """`producer` is paused while the client does not take what is written."""
        if not streaming or self._producer is not None:
            raise RuntimeError("a channel takes one push producer at a time")
        self._producer = producer
        if self._write_paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """The producer has nothing more to say."""
        self._producer = None

    def getPeer(self) -> IAddress:
        """The client's address."""
        return self.peer

    def getHost(self) -> IAddress:
        """The address that the client connected to."""
        return self.host

    def isSecure(self) -> bool:
        """Whether the connection is TLS."""
        return self._secure

    def taken(self) -> int | None:
        """A counter of the bytes that the client has taken; None where nobody can tell."""
        return acknowledged(self.transport)

    # Twisted's producer interface: the transport's write buffer is full, or empty again.

    def pauseProducing(self) -> None:
        """The client does not take what was written."""
        self._write_paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has taken everything."""
        self._write_paused = False
        if self._producer is not None:
            self._producer.resumeProducing()
        else:
            self.answer_taken()

    def answer_taken(self) -> None:
        """The client has taken all of the last answer."""

    def stopProducing(self) -> None:
        """The transport is going; `connectionLost` follows and tells the request."""
