"""Whether a client takes what is written to it, however slowly.

A transport tells that its buffer is empty, and nothing before; and the kernel asks it for more only
when a good part of its own buffer is free, which can be megabytes.  A client that reads slowly but
steadily looks for minutes like one that does not read.  What it has acknowledged is known to TCP
alone, so TCP is asked.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import ISystemHandle
from twisted.protocols.policies import ProtocolWrapper

#: ``tcpi_bytes_acked`` in Linux's ``struct tcp_info`` (include/uapi/linux/tcp.h, since 4.1); the
#: counter is tcpEStatsAppHCThruOctetsAcked of RFC 4898.
_ACKED: Final = struct.Struct("=120xQ")


def below_tls(transport: Any) -> Any:
    """The connection's own transport, where TLS is wrapped around it."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


def acknowledged(transport: object) -> int | None:
    """How many bytes the peer's TCP has acknowledged so far.

    None where nobody can tell: on other systems than Linux, and for Unix sockets.
    """
    transport = below_tls(transport)
    if sys.platform != "linux" or not ISystemHandle.providedBy(transport):
        return None
    handle = transport.getHandle()
    if not isinstance(handle, socket.socket) or handle.family == socket.AF_UNIX:
        return None
    info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
    if len(info) < _ACKED.size:
        return None
    acked: int = _ACKED.unpack(info)[0]
    return acked


class Progress:
    """Looks again and again at a counter of bytes, None where it cannot be read."""

    def __init__(self, counter: Callable[[], int | None]) -> None:
        self._counter = counter
        self._seen: int | None = None

    def made(self) -> bool:
        """Whether there are more than at the last look; False where nobody can tell."""
        before, self._seen = self._seen, self._counter()
        return before is not None and self._seen is not None and self._seen > before

    def begin(self) -> None:
        """Count from here."""
        self._seen = self._counter()
