"""A listening socket in the reactor: accepts connections and gives each its transport.

One connection is accepted each time that the socket is ready: of several processes that share it,
the one that wakes up first would otherwise have a whole burst of streams, for as long as they last.
Nothing is accepted for a moment where the system has no descriptor or no memory left, so that the
reactor does not turn round on a socket that stays ready.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IPushProducer,
    IReadDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .address import address_of
from .transport import StreamTransport

#: Seconds that nothing is accepted after the system had no descriptor or memory left for it.
_RESPITE: Final = 0.1

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = Logger(namespace="gateway.net")


@implementer(IListeningPort, IReadDescriptor, IPushProducer)
class StreamPort:
    """See the module's text."""

    def __init__(self, sock: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        """`sock` listens, and is this object's own: whoever shares it has another copy."""
        sock.setblocking(False)
        self._socket: socket.socket | None = sock
        self._fd = sock.fileno()
        self._factory = factory
        self._reactor = reactor
        name = sock.getsockname()
        self._host = address_of(sock.family, name)
        #: Every connection's own address is the listener's then, and need not be asked for.
        self._is_one_address = sock.family == socket.AF_UNIX or name[0] not in ("0.0.0.0", "::")
        self._paused = False
        self._resting: IDelayedCall | None = None

    def startListening(self) -> None:
        """Begin to accept."""
        self._factory.doStart()
        self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """Accept no more, and close this copy of the socket."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._reactor.removeReader(self)
            self._fd = -1
            if self._resting is not None:
                self._resting.cancel()
                self._resting = None
            sock.close()
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """The address that is listened on."""
        return self._host

    # IPushProducer: of connections.

    def pauseProducing(self) -> None:
        """Accept nothing for now; who connects waits in the kernel's queue."""
        self._paused = True
        self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        """Accept again."""
        self._paused = False
        if self._socket is not None and self._resting is None:
            self._reactor.addReader(self)

    def stopProducing(self) -> None:
        """Accept no more."""
        self.stopListening()

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor, -1 once it is closed."""
        return self._fd

    def logPrefix(self) -> str:
        """Nothing."""
        return "-"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor lets go of the socket."""
        self.stopListening()

    def doRead(self) -> None:
        """Accept a connection."""
        if self._socket is None:
            return
        try:
            sock, peer = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client has left again
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._rest(error)
            return
        try:
            self._accepted(sock, peer)
        except Exception:
            _log.failure("a connection could not be begun")
            sock.close()

    def _rest(self, error: OSError) -> None:
        _log.warn("no connections are accepted for a moment: {error}", error=error)
        self._reactor.removeReader(self)
        self._resting = self._reactor.callLater(_RESPITE, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        if not self._paused:
            self._reactor.addReader(self)

    def _accepted(self, sock: socket.socket, peer: Any) -> None:
        sock.setblocking(False)
        address = address_of(sock.family, peer)
        protocol = self._factory.buildProtocol(address)
        if protocol is None:
            sock.close()
            return
        host = self._host if self._is_one_address else address_of(sock.family, sock.getsockname())
        StreamTransport(sock, protocol, self._reactor, host, address).start()
