"""TCP connections to addresses, with the transport of this package.

`TcpReactor` stands before a reactor and is given to Twisted's endpoints in its place: they resolve
names and race addresses as ever, and what they connect by is here.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final

from twisted.internet.address import IPv6Address
from twisted.internet.error import (
    NotConnectingError,
    TimeoutError,
    UserError,
    getConnectError,
)
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IReadWriteDescriptor,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .address import destination
from .transport import StreamTransport

_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


class TcpReactor:
    """A reactor that connects TCP sockets by `Attempt`; in all else the one behind it."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float | None = 30,
        bindAddress: object = None,
    ) -> IConnector:
        """Connect to an address, as `twisted.internet.interfaces.IReactorTCP` says."""
        assert bindAddress is None, "an attempt chooses no address of its own"
        attempt = Attempt(host, port, factory, timeout, self._reactor)
        attempt.connect()
        return attempt


@implementer(IConnector, IReadWriteDescriptor)
class Attempt:
    """One attempt to connect to an IP address.  What comes of it, the factory is told."""

    def __init__(
        self, host: str, port: int, factory: Any, timeout: float | None, reactor: Any
    ) -> None:
        """`timeout` is in seconds; None: whoever asked gives the attempt up."""
        self._peer = destination(host, port)
        self._factory = factory
        self._timeout = timeout
        self._reactor = reactor
        self._socket: socket.socket | None = None
        self._under_way = False
        self._patience: IDelayedCall | None = None
        self._transport: StreamTransport | None = None

    def connect(self) -> None:
        """Begin."""
        self._factory.doStart()
        self._factory.startedConnecting(self)
        self._under_way = True
        if self._timeout is not None:
            self._patience = self._reactor.callLater(self._timeout, self._fail, TimeoutError())
        family = socket.AF_INET6 if isinstance(self._peer, IPv6Address) else socket.AF_INET
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            problem = self._socket.connect_ex((self._peer.host, self._peer.port))
        except OSError as error:
            problem = error.errno or errno.EIO
        if problem and problem not in _UNDER_WAY:
            self._reactor.callLater(0, self._fail, _error(problem))
            return
        # Both, because only who reads is shown that an attempt has failed: epoll(7) says no more
        # than that the socket is closed.
        self._reactor.addReader(self)
        self._reactor.addWriter(self)

    def stopConnecting(self) -> None:
        """Give it up."""
        if not self._under_way:
            raise NotConnectingError("the attempt is over")
        self._fail(UserError())

    def disconnect(self) -> None:
        """Give the attempt up, or close what came of it."""
        if self._transport is not None:
            self._transport.loseConnection()
        elif self._under_way:
            self.stopConnecting()

    def getDestination(self) -> IAddress:
        """What is connected to."""
        return self._peer

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor, -1 if there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """Nothing."""
        return "-"

    def doWrite(self) -> None:
        """The attempt has come to something."""
        sock = self._socket
        if sock is None or not self._under_way:
            return
        problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            self._fail(_error(problem))
            return
        self._stop_waiting()
        self._socket = None
        protocol = self._factory.buildProtocol(self._peer)
        self._factory.doStop()
        if protocol is None:
            sock.close()
            return
        self._transport = StreamTransport(sock, protocol, self._reactor, None, self._peer)
        self._transport.start()

    doRead = doWrite

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw an error before we did."""
        self.doWrite()

    def _fail(self, error: Exception) -> None:
        if not self._under_way:
            return
        self._stop_waiting()
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()
        self._factory.clientConnectionFailed(self, Failure(error))
        self._factory.doStop()

    def _stop_waiting(self) -> None:
        self._under_way = False
        patience, self._patience = self._patience, None
        if patience is not None and patience.active():
            patience.cancel()
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)


def _error(number: int) -> Exception:
    error: Exception = getConnectError((number, os.strerror(number)))
    return error
