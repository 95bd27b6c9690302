"""Which Host headers a listener answers to: the defence against DNS rebinding.

A web page can have its own name resolve to an address of its reader's network, or to loopback, and
its scripts then talk to whatever listens there as if it were the page's own server.  The one thing
that gives them away is the Host header, which still has the page's name.

What is compared is the host without its port, in lower case, without the dot that may end a name.
Called at a request's head, when it is known that there is at most one Host and that it is valid.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from .config.endpoint import parse_endpoint

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_ANY: Final = ("*",)


class AllowedHosts:
    """The hosts that requests may name.

    `hosts` are in the form of ``allowed_hosts``: names, addresses, IPv6 ones in brackets,
    ``*.example.org`` for all names below one, ``*`` for any.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        given = [host.encode("ascii") for host in hosts]
        self._any = b"*" in given
        self._exact = frozenset(given)
        self._below = tuple(host[1:] for host in given if host.startswith(b"*."))

    def permits(self, host: bytes | None) -> bool:
        """Whether a request with this Host header may go on.

        One without any is let through: HTTP/1.0 allows it, health checks are written so, and no
        browser leaves it out.
        """
        if self._any or host is None:
            return True
        bare = _without_port(host.lower())
        return bare in self._exact or bare.endswith(self._below)


#: For listeners that may be reached by any name.
ANY_HOST: Final = AllowedHosts(_ANY)


def hosts_for(listen: str, configured: Iterable[str] | None) -> AllowedHosts:
    """What the listener `listen` answers to: what is configured, or else what is right for it.

    On loopback that is ``localhost``, the usual addresses and the one that is listened on;
    elsewhere, where nobody can know by which names it is reached, any.
    """
    if configured is not None:
        return AllowedHosts(configured)
    interface = parse_endpoint(listen).loopback
    if interface is None:
        return ANY_HOST
    return AllowedHosts((*_LOOPBACK, f"[{interface}]" if ":" in interface else interface))


def _without_port(host: bytes) -> bytes:
    if not host.startswith(b"["):
        return host.partition(b":")[0].removesuffix(b".")
    literal = host[1 : host.index(b"]")].decode("ascii")
    try:
        return f"[{ipaddress.IPv6Address(literal)}]".encode("ascii")
    except ValueError:
        return host  # in no list
