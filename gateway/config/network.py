"""What ``[gateway]`` says of the network around it: proxies that are believed, names it goes by.

Only the text is checked here; `gateway.forwarded` and `gateway.hosts` give it its meaning.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network

from .model import Proxy
from .problem import BadValue, shown
from .values import is_off

# Underscores are no part of a host name in RFC 952, but container networks use them.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


def proxies(text: str) -> tuple[Proxy, ...]:
    """Addresses, networks and the word ``unix`` with white space between; ``off`` is none."""
    return () if is_off(text) else tuple(_proxy(word) for word in text.split())


def _proxy(text: str) -> Proxy:
    if text == "unix":
        return "unix"
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadValue(
            f"{shown(text)} is not an address, write one such as 10.0.0.5, 10.0.0.0/8, "
            "fd00::/8 or unix"
        ) from None
    right = _as_met(network)
    # Whoever writes 10.0.0.5/8 may mean one machine, or sixteen million.
    if "/" in text and network.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise BadValue(f"{shown(text)} names a machine and a network, write {right} for the latter")
    if right != network:
        raise BadValue(f"{shown(text)} is an IPv4 address inside of IPv6, write {right}")
    return network


def _as_met(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """A network in the form in which its addresses are compared (RFC 4291, 2.5.5.2)."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def hosts(text: str) -> tuple[str, ...]:
    """Host names and addresses without ports, white space between; ``*`` alone is any.

    They come out in lower case, IPv6 addresses in brackets and in their usual form.
    """
    return tuple(_host(word) for word in text.split())


def _host(text: str) -> str:
    name = text.lower()
    if name == "*":
        return name
    address = _address(name)
    if address is not None:
        return address
    # A name whose last label is a number is an address, or nothing (WHATWG URL, 3.5).
    if len(name) > 253 or not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise BadValue(
            f"{shown(text)} is not a host, write a name or an address without a port, such as "
            "llm.example.org, *.example.org or [::1]"
        )
    return name


def _address(text: str) -> str | None:
    """An address as a Host header has it, or None if the text is none."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return text if bare == text else None
    # A zone is a matter of this machine and has no place in a Host header.
    return None if address.scope_id else f"[{address}]"
