"""Addresses of sockets, as Twisted has them.  Used by the transport, the port and the attempts."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress


def address_of(family: int, name: Any) -> IAddress:
    """What the socket module calls an address, as Twisted has it."""
    if family == socket.AF_INET:
        return IPv4Address("TCP", name[0], name[1])
    if family == socket.AF_INET6:
        return IPv6Address("TCP", *name)
    return UNIXAddress(name or None)


@lru_cache(maxsize=64)
def destination(host: str, port: int) -> IPv4Address | IPv6Address:
    """What is connected to, by its IP address: one object for all connections to it."""
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
