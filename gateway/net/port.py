"""A listening socket: accepts connections and gives each its transport."""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .transport import StreamTransport

#: Connections accepted in one turn of the reactor.  Few, so that processes that share the socket
#: share the connections, too, and streams do not wait for a crowd at the door.
_AT_ONCE: Final = 8

#: Seconds that nothing is accepted after the system had no descriptor or memory left for it.
_RESPITE: Final = 0.1

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = Logger(namespace="gateway.net")


@implementer(IListeningPort, IReadDescriptor)
class StreamPort:
    """See the module's text.  The socket is this object's own; others may share the listener."""

    def __init__(self, sock: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        sock.setblocking(False)
        self._socket: socket.socket | None = sock
        self._fd = sock.fileno()
        self._factory = factory
        self._reactor = reactor
        self._host = address_of(sock.family, sock.getsockname())

    def startListening(self) -> None:
        """Begin to accept."""
        self._factory.doStart()
        self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """Accept no more; other copies of the socket go on."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._reactor.removeReader(self)
            self._fd = -1
            sock.close()
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """The address that is listened on."""
        return self._host

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor, -1 once it is closed."""
        return self._fd

    def logPrefix(self) -> str:
        """Nothing."""
        return "-"

    def connectionLost(self, reason: Failure) -> None:
        """The socket is gone."""
        self.stopListening()

    def doRead(self) -> None:
        """Accept what waits, a few at a time."""
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                sock, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._rest(error)
                return
            self._accepted(sock, peer)

    def _rest(self, error: OSError) -> None:
        _log.warn("no connections are accepted for a moment: {error}", error=error)
        self._reactor.removeReader(self)
        self._reactor.callLater(_RESPITE, self._go_on)

    def _go_on(self) -> None:
        if self._socket is not None:
            self._reactor.addReader(self)

    def _accepted(self, sock: socket.socket, peer: Any) -> None:
        sock.setblocking(False)
        address = address_of(sock.family, peer)
        protocol = self._factory.buildProtocol(address)
        if protocol is None:
            sock.close()
            return
        StreamTransport(sock, protocol, self._reactor, self._host, address).start()


def address_of(family: int, name: Any) -> IAddress:
    """What the socket module calls an address, as Twisted has it."""
    if family == socket.AF_INET:
        return IPv4Address("TCP", name[0], name[1])
    if family == socket.AF_INET6:
        return IPv6Address("TCP", *name)
    return UNIXAddress(name or None)
