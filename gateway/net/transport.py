"""A connected stream socket as a Twisted transport.

What is written is sent at once; what the socket does not take is queued, and sent when it does.
With more than `BUFFER` bytes queued the producer is paused, and resumed when all of it has gone.

Invariants: bytes go out in the order in which they were written; nothing is read while reading is
paused; the protocol hears of the connection's end exactly once, from the reactor and never from
within a call of its own.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProducer,
    IProtocol,
    IPushProducer,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .addresses import address_of

#: Bytes queued from which on the producer is paused.
BUFFER: Final = 64 * 1024

#: Bytes of one read, and of the one that follows a read which brought as much: what comes faster
#: than it is read is a long body, and larger reads make each of its bytes cheaper.  From 128 KiB on
#: the memory of each read would be asked of the system anew (mallopt(3), M_MMAP_THRESHOLD).
READ: Final = 64 * 1024
BULK: Final = 120 * 1024

#: Pieces given to the system in one call; Linux takes 1,024 (IOV_MAX).
_PIECES: Final = 256

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

#: One for all: nobody raises it, so nothing is ever added to it.
_ABORTED: Final = Failure(ConnectionAborted())


@implementer(ITCPTransport, IConsumer, IPushProducer, IReadWriteDescriptor, ISystemHandle)
class StreamTransport:
    """See the module's text.  `start` begins to read, once the protocol has its connection."""

    __slots__ = (
        "_aborting",
        "_begins",
        "_broken",
        "_fd",
        "_host",
        "_peer",
        "_queue",
        "_queued",
        "_reactor",
        "_reading",
        "_recv",
        "_room",
        "_send",
        "_socket",
        "_streaming",
        "connected",
        "disconnecting",
        "producer",
        "producer_paused",
        "protocol",
    )

    def __init__(
        self,
        sock: socket.socket,
        protocol: IProtocol,
        reactor: Any,
        host: IAddress | None,
        peer: IAddress,
    ) -> None:
        """`sock` is connected and does not block; `reactor` watches descriptors and tells time.

        `host` is this side's address; None where the socket has to be asked, should it matter.
        """
        self._socket: socket.socket | None = sock
        self._fd = sock.fileno()
        self._recv = sock.recv
        self._send = sock.send
        self._begins: Callable[[int], bool] | None = None  # asked before each read
        self._room = READ  # bytes that the next read takes at most
        self._reactor = reactor
        self._host = host
        self._peer = peer
        self._queue: list[bytes | memoryview] = []  # empty, a tenth of a deque
        self._queued = 0
        self._reading = False
        self._broken = False  # a send failed: the reactor is about to tell
        self._aborting = False
        self._streaming = False
        self.protocol = protocol
        self.connected = True
        self.disconnecting = False
        self.producer: IProducer | None = None
        self.producer_paused = False

    def start(self) -> None:
        """Tell the protocol that it is connected, and read."""
        self._reading = True
        self._reactor.addReader(self)
        self.protocol.makeConnection(self)

    def hand_over(self, protocol: IProtocol) -> None:
        """Give what is read, and word of the end, to `protocol` from now on.

        For what stands inside a wrapper that has done its work: Twisted's endpoints put one around
        each protocol, to be told when it is connected, and leave it there.
        """
        self.protocol = protocol

    def begins(self, begins: bool) -> None:
        """Whether what is read next begins something new, and can wait where the reactor is busy.

        See `GatewayReactor.may_begin`; other reactors never are.
        """
        self._begins = getattr(self._reactor, "may_begin", None) if begins else None

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor, -1 once it is closed."""
        return self._fd

    def logPrefix(self) -> str:
        """Nothing: log records name their request."""
        return "-"

    def doRead(self) -> Exception | None:  # type: ignore[override] # reactors take exceptions
        """Read once and hand it to the protocol."""
        if self._begins is not None and not self._begins(self._fd):
            return None  # the socket stays ready
        try:
            data = self._recv(self._room)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return ConnectionLost()
        if not data:
            return ConnectionDone()
        self._room = BULK if len(data) >= READ else READ
        self.protocol.dataReceived(data)
        return None

    def doWrite(self) -> Exception | None:  # type: ignore[override] # see doRead
        """Send what is queued; when all of it has gone, resume the producer or close."""
        if self._broken or (self._queue and not self._send_queued()):
            return ConnectionLost()
        if self._queue:
            return None
        self._reactor.removeWriter(self)
        producer = self.producer
        if producer is not None and (self.producer_paused or not self._streaming):
            self.producer_paused = False
            producer.resumeProducing()  # type: ignore[attr-defined]
        elif self.disconnecting:
            return ConnectionDone()
        return None

    def _send_queued(self) -> bool:
        """Send as much of the queue as the socket takes; False if it is broken."""
        queue = self._queue
        assert self._socket is not None
        try:
            sent = self._socket.sendmsg(queue[:_PIECES])
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        self._queued -= sent
        gone = 0
        while sent and sent >= len(queue[gone]):
            sent -= len(queue[gone])
            gone += 1
        del queue[:gone]
        if sent:
            queue[0] = memoryview(queue[0])[sent:]
        return True

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over: close the socket and tell the protocol, once.

        Nothing watches the descriptor any more: who calls has seen to that.
        """
        sock, self._socket = self._socket, None
        if sock is None:
            return
        self.connected = False
        self._reading = False
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self._queue.clear()
        self._queued = 0
        self._fd = -1
        try:
            if self._aborting:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            else:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was faster
        sock.close()
        del self._recv, self._send  # they hold the socket
        protocol = self.protocol
        del self.protocol  # it knows its transport, and that was a circle
        protocol.connectionLost(reason)

    # ITransport.

    def write(self, data: bytes) -> None:
        """Send `data`, now as far as the socket takes it."""
        if not data or not self.connected or self._broken or self._aborting:
            return
        if self.disconnecting and not self._queue:
            return  # the goodbye has been said
        if self._queue:
            self._queue.append(data)
            self._queued += len(data)
        else:
            try:
                sent = self._send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._broken = True
                self._reactor.addWriter(self)  # it will find the socket ready to fail
                return
            if sent == len(data):
                return
            self._reactor.addWriter(self)
            self._queue.append(data[sent:])  # a copy, so that what has gone is let go of
            self._queued = len(data) - sent
        if self._queued > BUFFER and self._streaming and not self.producer_paused:
            self._pause_producer()

    def _pause_producer(self) -> None:
        if self.producer is not None:
            self.producer_paused = True
            self.producer.pauseProducing()  # type: ignore[attr-defined]

    def writeSequence(self, data: Any) -> None:
        """Send all pieces of `data`."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close the connection behind what is queued and what its producer still has to say."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            if not self._aborting:
                # Reading finds out about a peer that goes while the last bytes wait for it.
                self.resumeProducing()
                self._reactor.addWriter(self)
                if not self._queue:
                    self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Send the FIN right behind what has been sent.

        In the reactor's next turn it would come late enough for a client to take the connection for
        one that stays, and to lose its next request on it.
        """
        assert self._socket is not None
        with contextlib.suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_WR)

    def abortConnection(self) -> None:
        """Reset the connection, in the reactor's next turn."""
        if not self.connected or self._aborting:
            return
        self._aborting = True
        self._reading = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._reactor.callLater(0, self.connectionLost, _ABORTED)

    def getPeer(self) -> Any:  # an IAddress; a Unix socket's is none of TCP's
        """The other side's address."""
        return self._peer

    def getHost(self) -> Any:
        """This side's address."""
        if self._host is None and self._socket is not None:
            self._host = address_of(self._socket.family, self._socket.getsockname())
        return self._host

    # IConsumer.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """`producer` is paused while more than `BUFFER` bytes are queued."""
        if self.producer is not None:
            raise RuntimeError(f"{producer!r} cannot register: {self.producer!r} is registered")
        if not self.connected:
            producer.stopProducing()
            return
        self.producer = producer
        self._streaming = streaming
        self.producer_paused = False
        if not streaming:
            producer.resumeProducing()  # type: ignore[attr-defined]

    def unregisterProducer(self) -> None:
        """The producer has nothing more to say."""
        self.producer = None
        self._streaming = False
        if self.connected and self.disconnecting and not self._aborting:
            self._reactor.addWriter(self)

    # IPushProducer: what is read.

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if self._reading:
            self._reading = False
            self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        """Read again."""
        if self.connected and not self._reading and not self._aborting:
            self._reading = True
            self._reactor.addReader(self)

    def stopProducing(self) -> None:
        """Nobody wants what is read."""
        self.loseConnection()

    # ITCPTransport, ISystemHandle.

    def getHandle(self) -> socket.socket | None:
        """The socket; None once it is closed."""
        return self._socket

    def loseWriteConnection(self) -> None:
        """A half-close, which this transport does not know: what ends here ends for both."""
        self.loseConnection()

    def getTcpNoDelay(self) -> bool:
        """Whether small pieces go out at once."""
        assert self._socket is not None
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Send small pieces at once; a Unix socket does so anyway."""
        if self._socket is not None and self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel looks after a silent peer."""
        assert self._socket is not None
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Have the kernel look after a silent peer."""
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)
