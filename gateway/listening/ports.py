"""Adopts listening sockets into the reactor.

Each port works on a copy of the listener's descriptor; to stop it closes that copy, and neither the
listener nor another process that shares the socket notices.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from ..config.endpoint import parse_endpoint
from ..net.port import StreamPort
from .sockets import Listener
from .tls import TLS_KINDS, connection_creator


def adopt(
    reactor: Any,
    listener: Listener,
    factory: IProtocolFactory,
    environ: Mapping[str, str] = os.environ,
) -> StreamPort:
    """Accept on the listener, with TLS where its endpoint string says so.

    Certificates and keys are read now, so that every start and every reload has the current ones;
    `environ` says where credentials are.  Raises `ListenError` if they cannot be used.
    """
    endpoint = parse_endpoint(listener.text)
    if endpoint.kind in TLS_KINDS:
        creator = connection_creator(listener.text, endpoint, environ)
        factory = TLSMemoryBIOFactory(creator, False, factory, clock=reactor)
    port = StreamPort(listener.socket.dup(), factory, reactor)
    port.startListening()
    return port
