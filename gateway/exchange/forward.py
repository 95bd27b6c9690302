"""What a proxy changes in a head, and nothing else (RFC 9110, 7.6).

Order, case and number of the fields stay as they came.  Towards the upstream: Host is its
authority, the body's framing is ours, identity coding is asked for, because a coded stream can be
neither read on the side nor spoken into, credentials go where they belong, and Via and the
X-Forwarded fields say who is on the way.  Towards the client: only the framing changes.
"""

from __future__ import annotations

from typing import Final

from ..config.model import Upstream
from ..credentials import withheld, without_key
from ..forwarded import Origin, via_value
from ..http1 import Fields, Framing, RequestHead, ResponseHead, request_bytes
from ..http1.framing import CHUNKED, UNKNOWN_LENGTH

Pairs = list[tuple[bytes, bytes]]

_UNDERSCORE: Final = ord("_")  # found in bytes several times as quickly as b"_"

_REFRAMED: Final = frozenset({b"host", b"content-length", b"expect", b"accept-encoding"})
NO_LENGTH: Final = frozenset({b"content-length"})

#: The head of an event stream that the gateway begins before the upstream has answered.  Without
#: X-Accel-Buffering nginx would collect what is meant to be heard at once.
OWN_STREAM_HEAD: Final[Pairs] = [
    (b"Content-Type", b"text/event-stream; charset=utf-8"),
    (b"Cache-Control", b"no-cache, no-transform"),
    (b"X-Accel-Buffering", b"no"),
]


class Outbound:
    """The heads of requests to one upstream; made once, at start."""

    def __init__(self, upstream: Upstream, own_name: bytes, *, clients_configured: bool) -> None:
        """`own_name` is what this instance calls itself in Via."""
        own_key = upstream.api_key
        kept_back = withheld(
            upstream.family,
            has_own_key=own_key is not None,
            clients_configured=clients_configured,
        )
        self.withholds_query_key = kept_back.query_key
        #: Whether requests are paid for with the gateway's key, whoever sent them.
        self.spends_own_key = own_key is not None
        self._host = (b"Host", upstream.url.authority.encode("ascii"))
        self._via = [(b"Via", via_value(own_name, minor)) for minor in (0, 1)]
        self._drop = _REFRAMED | kept_back.fields
        self._last: Pairs = [(b"Accept-Encoding", b"identity")]
        #: Names, in lower case, of the fields that nobody else may set: a credential of our own.
        self.own_fields: frozenset[bytes] = frozenset()
        if own_key is not None:
            credential = _credential(upstream.api_key_header, own_key.reveal())
            self._last.append(credential)
            self.own_fields = frozenset({credential[0].lower()})
            self._drop |= self.own_fields

    def forward(self, target: bytes, origin: Origin) -> Forward:
        """How a request for `target` (the upstream's, with its query) goes on."""
        return Forward(self, without_key(target) if self.withholds_query_key else target, origin)

    def changeable(self, head: RequestHead, origin: Origin) -> Pairs:
        """See `Forward.changeable`."""
        # A name with "_" is the same as one with "-" to servers that make variables of names.
        pairs = [
            pair
            for pair in head.fields.end_to_end(self._drop, origin.drop)
            if _UNDERSCORE not in pair[0]
        ]
        pairs.append(self._via[head.minor])
        pairs += origin.pairs
        return pairs

    def unframed(self, method: bytes, target: bytes, changeable: Pairs) -> bytes:
        """The lines of a head but for the field that frames the body, and the blank line."""
        head = request_bytes(method, target, [self._host, *changeable, *self._last])
        return head.removesuffix(b"\r\n")


class Forward:
    """How one request goes on to its upstream, and others whose head is the same.

    The same but for the length of the body, that is: so the upstream's head is made once.
    """

    __slots__ = ("_unframed", "origin", "outbound", "target")

    def __init__(self, outbound: Outbound, target: bytes, origin: Origin) -> None:
        self.outbound = outbound
        self.target = target
        self.origin = origin
        self._unframed: bytes | None = None

    def __repr__(self) -> str:
        # Without the query: it may carry a key.
        return f"<Forward {self.target.partition(b'?')[0].decode('latin-1')}>"

    def changeable(self, head: RequestHead) -> Pairs:
        """The fields for the upstream but for those that frame the message or are our own."""
        return self.outbound.changeable(head, self.origin)

    def head(self, head: RequestHead, body_size: int | None, changed: Pairs | None = None) -> bytes:
        """The head that asks the upstream.

        `body_size` is in bytes; None is a body of a length that is not known yet, sent in chunks.
        `changed` takes the place of `changeable`, if it is given.
        """
        unframed = self._unframed if changed is None else None
        if unframed is None:
            pairs = self.changeable(head) if changed is None else changed
            unframed = self.outbound.unframed(head.method, self.target, pairs)
            if changed is None:
                self._unframed = unframed
        if body_size is None:
            return unframed + b"Transfer-Encoding: chunked\r\n\r\n"
        if body_size or _announces_body(head.fields):
            return b"%bContent-Length: %d\r\n\r\n" % (unframed, body_size)
        return unframed + b"\r\n"


def _announces_body(fields: Fields) -> bool:
    return b"content-length" in fields or b"transfer-encoding" in fields


def _credential(template: str, key: str) -> tuple[bytes, bytes]:
    """``Authorization: Bearer`` and a key, or a bare field name and a key, as a field."""
    name, _, scheme = template.partition(":")
    value = f"{scheme.strip()} {key}".strip()
    return name.strip().encode("ascii"), value.encode("latin-1")


def response_pairs(
    head: ResponseHead, framing: Framing, *, is_stream: bool
) -> tuple[Pairs, Framing]:
    """The fields for the client, and the framing of its body.

    A stream is chunked even if the upstream told its length, because keepalives or an error may
    have to be added.
    """
    if is_stream:
        return head.fields.end_to_end(NO_LENGTH), CHUNKED
    if framing.kind in UNKNOWN_LENGTH or head.status == 204:
        return head.fields.end_to_end(NO_LENGTH), framing  # RFC 9110, 8.6: a 204 has none
    pairs = head.fields.end_to_end()
    length = head.fields.get(b"content-length")
    if length is not None and length[:1] == b"0":
        pairs = _with_length(pairs, int(length))
    return pairs, framing


def _with_length(pairs: Pairs, length: int) -> Pairs:
    """The fields with Content-Length in its one plain spelling: ``8``, not ``008``."""
    return [
        (name, b"%d" % length if name.lower() == b"content-length" else value)
        for name, value in pairs
    ]
