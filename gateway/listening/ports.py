"""Adopts listening sockets into the reactor.

Each port works on a copy of the listener's descriptor; to stop it closes that copy, and neither the
listener nor another process that shares the socket notices.

TCP ports are what `IReactorSocket.adoptStreamPort` makes.  For a Unix socket that would
set its mode to 666, listen with a backlog of 50, and, to stop, shut it down and remove its file,
all of which is up to whoever made the socket; hence `_UnixPort`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet import unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port, _reservedFD
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from ..config.endpoint import parse_endpoint
from .sockets import Listener
from .tls import TLS_KINDS, connection_creator


def adopt(
    reactor: Any,
    listener: Listener,
    factory: IProtocolFactory,
    environ: Mapping[str, str] = os.environ,
) -> IListeningPort:
    """Accept on the listener, with TLS where its endpoint string says so.

    Certificates and keys are read now, so that every start and every reload has the current ones;
    `environ` says where credentials are.  Raises `ListenError` if they cannot be used.
    """
    endpoint = parse_endpoint(listener.text)
    if endpoint.kind in TLS_KINDS:
        creator = connection_creator(listener.text, endpoint, environ)
        factory = TLSMemoryBIOFactory(creator, False, factory, clock=reactor)
    if listener.family == socket.AF_UNIX:
        port = _UnixPort(listener.socket, factory, reactor)
        port.startListening()
        return port
    adopted: IListeningPort = _TcpPort._fromListeningDescriptor(  # type: ignore[no-untyped-call]
        reactor, listener.fileno(), listener.family, factory
    )
    adopted.startListening()
    return adopted


class _OneAtATime:
    """Accepts one connection each time that the socket is ready.

    Twisted takes all that wait, up to a hundred.  Of several processes that share the socket, the
    one that wakes up first would have a whole burst of streams, for as long as these last.
    """

    numberAccepts = property(lambda self: 1, lambda self, value: None)  # noqa: N815 - Twisted's


class _TcpPort(_OneAtATime, Port):
    """A port on a copy of a listening TCP socket."""


class _UnixPort(_OneAtATime, unix.Port):
    """A port on a copy of a listening Unix socket that somebody else made."""

    factory: Factory

    def __init__(self, sock: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        super().__init__(sock.getsockname(), factory, reactor=reactor)
        self._shared = sock.dup()
        self._shouldShutdown = False

    def startListening(self) -> None:
        """As Twisted's, without what changes the socket."""
        _reservedFD.reserve()  # what keeps accept(2) from spinning on EMFILE
        self.factory.doStart()
        self.connected = True
        self.socket = self._shared
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """Close the copy; the file stays."""
        Port.connectionLost(self, reason)
