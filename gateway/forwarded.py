"""Who is at the other end: X-Forwarded-For, -Proto and -Host, Forwarded, and Via.

Everybody can write these fields, so they are believed only where they come from a proxy that the
configuration names, and only as far as such proxies vouch for them.  X-Forwarded-For is read from
its right end, where the nearest proxy wrote what it saw: each address that is a trusted proxy's own
lets one more be believed.  The first that is none is the client's.  What stands left of it was
written by the client, or is no address: it ends here, and no upstream sees it.

The fields for the upstream are always made anew.  X-Forwarded-For (which the field's name defines
in practice; there is no standard) and Forwarded (RFC 7239) name the same addresses; a Forwarded
that comes in is not read.  Ports are left out, and IPv4 addresses inside of IPv6 are written as
IPv4.

Pure: the proxy calls `origin_of`, `is_loop` and `via_value` at a request's head.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from msgspec import Struct

from .config.model import Proxy
from .http1 import Fields
from .http1.grammar import HOST, is_token

Address = IPv4Address | IPv6Address

#: The record's client where there is no address: a Unix socket.
LOCAL: Final = "local"

#: How many proxies in a row are looked through; the one behind them counts as the client.
MOST_PROXIES: Final = 16

_REPLACED: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"}
)
#: What else servers take for a proxy's word.  A trusted one's goes on as it is.
_CLAIMS: Final = _REPLACED | {
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-server",
    b"x-real-ip",
}
_SCHEMES: Final = frozenset({b"http", b"https"})

#: An element of X-Forwarded-For; some proxies add the port.
_ELEMENT: Final = re.compile(
    rb"\[(?P<six>[0-9A-Fa-f:.]+)\](?::[0-9]+)?|(?P<four>[0-9.]+)(?::[0-9]+)?|(?P<bare>[0-9A-Fa-f:.]+)"
)


class TrustedProxies:
    """The peers that are believed (``trusted_proxies``)."""

    def __init__(self, proxies: Iterable[Proxy] = ()) -> None:
        self._unix = False
        networks: list[IPv4Network | IPv6Network] = []
        for proxy in proxies:
            if isinstance(proxy, str):
                self._unix = True
            else:
                networks.append(proxy)
        self._networks = tuple(networks)

    def __contains__(self, address: Address | None) -> bool:
        """Whether an address is a trusted proxy's; None is the other end of a Unix socket."""
        if address is None:
            return self._unix
        if not self._networks:
            return False  # nearly always: nobody is trusted
        return any(address in network for network in self._networks)


class Origin(Struct, frozen=True):
    """Where a request comes from, and how the upstream is told."""

    client: str  #: the address that is recorded, or `LOCAL`
    pairs: tuple[tuple[bytes, bytes], ...]  #: the fields that are added
    drop: frozenset[bytes]  #: the fields that do not go on, in lower case


@dataclass(frozen=True, slots=True)
class _Hop:
    """An address on the way, and how it is written."""

    address: Address
    text: str
    node: bytes  #: in Forwarded; IPv6 stands in brackets and quotes (RFC 7239, 6.1)


def origin_of(peer: str | None, fields: Fields, scheme: bytes, trusted: TrustedProxies) -> Origin:
    """The origin of a request with `fields` that came from `peer` over `scheme`.

    `peer` is the address of the connection's other end, None for a Unix socket; `scheme` is
    ``http`` or ``https``.  Raises ValueError if `peer` is not an address.
    """
    nearest = None if peer is None else _hop(peer)
    host = fields.get(b"host")
    if (None if nearest is None else nearest.address) not in trusted:
        return _origin_of_stranger(peer, scheme, host)
    chain = _vouched_for(fields, trusted) + ([] if nearest is None else [nearest])
    scheme = _claimed_scheme(fields) or scheme
    return _origin(chain, scheme, _claimed_host(fields) or host, _REPLACED)


@lru_cache(maxsize=128)
def _origin_of_stranger(peer: str | None, scheme: bytes, host: bytes | None) -> Origin:
    """The origin of what nobody vouches for: the same for all that a client asks for."""
    return _origin([] if peer is None else [_hop(peer)], scheme, host, _CLAIMS)


def _origin(chain: list[_Hop], scheme: bytes, host: bytes | None, drop: frozenset[bytes]) -> Origin:
    """The origin at the far end of `chain`, which asked for `host`."""
    pairs = []
    if chain:
        pairs.append((b"X-Forwarded-For", ", ".join(hop.text for hop in chain).encode("ascii")))
    pairs.append((b"X-Forwarded-Proto", scheme))
    if host:
        pairs.append((b"X-Forwarded-Host", host))
    pairs.append((b"Forwarded", _forwarded(chain, scheme, host)))
    return Origin(chain[0].text if chain else LOCAL, tuple(pairs), drop)


def _vouched_for(fields: Fields, trusted: TrustedProxies) -> list[_Hop]:
    """What X-Forwarded-For says, from the client on, as far as it counts."""
    found: list[_Hop] = []
    line = b",".join(fields.get_all(b"x-forwarded-for"))
    for element in reversed(line.rsplit(b",", MOST_PROXIES)[-MOST_PROXIES:]):
        text = element.strip(b" \t")
        if not text:  # lists may have empty elements (RFC 9110, 5.6.1.2)
            continue
        hop = _element(text)
        if hop is None:
            break
        found.append(hop)
        if hop.address not in trusted:
            break
    return found[::-1]


def _element(text: bytes) -> _Hop | None:
    match = _ELEMENT.fullmatch(text)
    if match is None or match.lastgroup is None:
        return None
    try:
        return _hop(match[match.lastgroup].decode("ascii"))
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _hop(text: str) -> _Hop:
    """An address without zone, and as IPv4 where it is one (RFC 4291, 2.5.5.2).

    Raises ValueError.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address.scope_id:
            address = IPv6Address(int(address))
    written = str(address)
    node = written if address.version == 4 else f'"[{written}]"'
    return _Hop(address, written, node.encode("ascii"))


def _claimed_scheme(fields: Fields) -> bytes | None:
    """X-Forwarded-Proto, if there is one and it is a scheme: of several, which is not known."""
    values = fields.get_all(b"x-forwarded-proto")
    value = values[0].lower() if len(values) == 1 else b""
    return value if value in _SCHEMES else None


def _claimed_host(fields: Fields) -> bytes | None:
    """X-Forwarded-Host, if there is one and it could be a Host header."""
    values = fields.get_all(b"x-forwarded-host")
    return values[0] if len(values) == 1 and HOST.fullmatch(values[0]) else None


def _forwarded(chain: list[_Hop], scheme: bytes, host: bytes | None) -> bytes:
    """Forwarded for the same addresses; the first proxy is the one that saw `scheme` and `host`."""
    nodes = [b"for=" + hop.node for hop in chain] or [b"for=unknown"]  # RFC 7239, 6.2
    if host:
        nodes[0] += b";host=" + (host if is_token(host) else b'"%s"' % host)
    nodes[0] += b";proto=" + scheme
    return b", ".join(nodes)


def pseudonym(key: bytes) -> bytes:
    """What an instance calls itself in Via, so that it knows a request that it has sent itself.

    `key` is the instance's own, kept in its state directory (at most 64 bytes): the name is the
    same from start to start, another's is another, and it tells nothing of the machine.
    """
    return b"txgateway-" + hashlib.blake2b(b"Via", key=key, digest_size=4).hexdigest().encode()


def via_value(own: bytes, minor: int) -> bytes:
    """The Via line that is added behind those which came (RFC 9110, 7.6.3).

    `own` is this instance's `pseudonym`; `minor` is the x of HTTP/1.x, as the request came.
    """
    return b"1.%d %s" % (minor, own)


def is_loop(fields: Fields, own: bytes) -> bool:
    """Whether a request has been here before: its Via has `own`, this instance's `pseudonym`."""
    return any(own in element.split()[1:2] for element in fields.elements(b"via"))
