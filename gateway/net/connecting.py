"""TCP connections to addresses, with the transport of this package.

`AddressEndpoint` connects to one IP address.  `TcpReactor` stands before a reactor and is given to
Twisted's endpoint for host names in its place: that resolves names and races addresses as ever, and
what it connects by is an `AddressEndpoint`.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final, NoReturn

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    NoProtocol,
    NotConnectingError,
    TimeoutError,
    getConnectError,
)
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IProtocol,
    IProtocolFactory,
    IReadWriteDescriptor,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .transport import StreamTransport

_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


@implementer(IStreamClientEndpoint)
class AddressEndpoint:
    """Connects to an IP address, with nothing between a protocol and its transport.

    An attempt lasts as long as the system tries: who waits for less cancels it.
    """

    def __init__(self, host: str, port: int, reactor: Any) -> None:
        self.peer: Final = (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
        self._reactor = reactor

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """The connected protocol; at once, where the address is this machine's own.

        Fails with `twisted.internet.error.ConnectError`.
        """
        attempt = _Attempt(self.peer, factory, self._reactor)
        connected = attempt.connected
        attempt.begin()
        return connected


@implementer(IReadWriteDescriptor)
class _Attempt:
    """An attempt to connect; the reactor calls it once something has come of it."""

    __slots__ = ("_factory", "_peer", "_reactor", "_socket", "connected")

    def __init__(
        self, peer: IPv4Address | IPv6Address, factory: IProtocolFactory, reactor: Any
    ) -> None:
        self.connected: Deferred[IProtocol] = Deferred(self._cancelled)
        self._peer = peer
        self._factory = factory
        self._reactor = reactor
        self._socket: socket.socket | None = None

    def begin(self) -> None:
        """Ask the system for the connection."""
        self._factory.doStart()
        try:
            problem = self._ask()
        except OSError as error:  # no socket is left, or the address has a scope that is nowhere
            problem = error.errno or errno.EIO
        if problem in _UNDER_WAY:
            self._reactor.addWriter(self)
        else:
            self._decided(problem)

    def _ask(self) -> int:
        """What the system says at once: 0, or an error's number."""
        peer = self._peer
        family = socket.AF_INET if type(peer) is IPv4Address else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        problem = sock.connect_ex((peer.host, peer.port))
        if problem == errno.EINPROGRESS:
            # On the loopback it is there by now, but connect(2) tells only who asks again.
            problem = sock.connect_ex((peer.host, peer.port))
            if problem == errno.EISCONN:  # what Linux calls 0 there, and the BSDs do not
                return 0
        return problem

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor, -1 if there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """Nothing."""
        return "-"

    def doRead(self) -> None:
        """Nothing is read here."""

    def doWrite(self) -> None:
        """The attempt has come to something."""
        if self._socket is not None:
            self._reactor.removeWriter(self)
            self._decided(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has seen an error, and knows not which; or it stops."""
        if self._socket is not None:
            problem = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._decided(problem or errno.ECONNABORTED)

    def _decided(self, problem: int) -> None:
        """Hand the connection over, or say what there is instead; `problem` is the system's."""
        sock, self._socket = self._socket, None
        if sock is None or problem:
            if sock is not None:
                sock.close()
            self._failed(_error(problem))
            return
        protocol = self._factory.buildProtocol(self._peer)
        if protocol is None:
            sock.close()
            self._failed(NoProtocol())
            return
        StreamTransport(sock, protocol, self._reactor, None, self._peer).start()
        self._factory.doStop()
        self._take_deferred().callback(protocol)

    def _failed(self, error: Exception) -> None:
        self._factory.doStop()
        self._take_deferred().errback(error)

    def _take_deferred(self) -> Deferred[IProtocol]:
        """What is to be told, which leads back to here: the attempt lets go of it."""
        connected = self.connected
        del self.connected
        return connected

    def _cancelled(self, connected: Deferred[IProtocol]) -> None:
        sock = self._socket
        if sock is not None:
            self._reactor.removeWriter(self)
            self._socket = None
            sock.close()
        self._failed(ConnectingCancelledError(self._peer))


class TcpReactor:
    """A reactor whose TCP connections are those of this module; in all else the one behind it."""

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
        """Connect to an address, as `twisted.internet.interfaces.IReactorTCP` says.

        `timeout` is in seconds; None is none, as for Twisted's own connectors.
        """
        assert bindAddress is None, "an attempt chooses no address of its own"
        endpoint = AddressEndpoint(host, port, self._reactor)
        connector = _Connector(endpoint, factory, timeout, self._reactor)
        connector.connect()
        return connector


@implementer(IConnector)
class _Connector:
    """An attempt whose outcome a client's factory is told."""

    def __init__(
        self, endpoint: AddressEndpoint, factory: Any, timeout: float | None, reactor: Any
    ) -> None:
        """`timeout` is in seconds, None for no end."""
        self._endpoint = endpoint
        self._factory = factory
        self._timeout = timeout
        self._reactor = reactor
        self._attempt: Deferred[Any] | None = None
        self._protocol: Any = None

    def connect(self) -> None:
        """Begin."""

        def timed_out(_: object, __: float) -> NoReturn:
            raise TimeoutError

        self._factory.startedConnecting(self)
        self._attempt = self._endpoint.connect(self._factory)
        if self._timeout is not None:
            self._attempt.addTimeout(self._timeout, self._reactor, onTimeoutCancel=timed_out)
        self._attempt.addCallbacks(self._made, self._failed)

    def stopConnecting(self) -> None:
        """Give it up."""
        if self._attempt is None or self._attempt.called:
            raise NotConnectingError("the attempt is over")
        self._attempt.cancel()

    def disconnect(self) -> None:
        """Give the attempt up, or close what came of it."""
        if self._protocol is not None:
            self._protocol.transport.loseConnection()
        elif self._attempt is not None and not self._attempt.called:
            self.stopConnecting()

    def getDestination(self) -> IAddress:
        """What is connected to."""
        return self._endpoint.peer

    def _made(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def _failed(self, why: Failure) -> None:
        self._factory.clientConnectionFailed(self, why)


def _error(number: int) -> Exception:
    error: Exception = getConnectError((number, os.strerror(number)))
    return error
