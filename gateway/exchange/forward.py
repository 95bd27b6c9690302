"""What a proxy changes in a head, and nothing else (RFC 9110, 7.6).

Order, case and number of the fields stay as they came.  Towards the upstream: Host is its
authority, the body's framing is ours, and identity coding is asked for, because a coded stream can
be neither read on the side nor spoken into.  Towards the client: only the framing changes.
"""

from __future__ import annotations

from typing import Final

from ..config.model import Upstream
from ..http1 import Fields, Framing, FramingKind, RequestHead, ResponseHead, request_bytes
from ..http1.framing import CHUNKED

Pairs = list[tuple[bytes, bytes]]

_REFRAMED: Final = frozenset({b"host", b"content-length", b"expect", b"accept-encoding"})
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key"})
NO_LENGTH: Final = frozenset({b"content-length"})

#: The head of an event stream that the gateway begins before the upstream has answered.  Without
#: X-Accel-Buffering nginx would collect what is meant to be heard at once.
OWN_STREAM_HEAD: Final[Pairs] = [
    (b"Content-Type", b"text/event-stream; charset=utf-8"),
    (b"Cache-Control", b"no-cache, no-transform"),
    (b"X-Accel-Buffering", b"no"),
]


def request_head(
    head: RequestHead, target: bytes, upstream: Upstream, body_size: int | None
) -> bytes:
    """The head that asks `upstream` for `target`.

    `body_size` is in bytes; None is a body of a length that is not known yet, sent in chunks.
    """
    own = None
    drop = _REFRAMED
    if upstream.api_key is not None:
        own = _credential(upstream.api_key_header, upstream.api_key.reveal())
        drop = _REFRAMED | _CREDENTIALS | {own[0].lower()}
    pairs: Pairs = [(b"Host", upstream.url.authority.encode("ascii"))]
    # A name with "_" is the same as one with "-" to servers that make variables of names.
    pairs += [pair for pair in head.fields.end_to_end(drop) if b"_" not in pair[0]]
    pairs.append((b"Accept-Encoding", b"identity"))
    if own is not None:
        pairs.append(own)
    if body_size is None:
        pairs.append((b"Transfer-Encoding", b"chunked"))
    elif body_size or _announces_body(head.fields):
        pairs.append((b"Content-Length", b"%d" % body_size))
    return request_bytes(head.method, target, pairs)


def _announces_body(fields: Fields) -> bool:
    return b"content-length" in fields or b"transfer-encoding" in fields


def _credential(template: str, key: str) -> tuple[bytes, bytes]:
    """``Authorization: Bearer`` and a key, or a bare field name and a key, as a field."""
    name, _, scheme = template.partition(":")
    value = f"{scheme.strip()} {key}".strip()
    return name.strip().encode("ascii"), value.encode("latin-1")


def response_pairs(
    head: ResponseHead, framing: Framing, *, is_event_stream: bool
) -> tuple[Pairs, Framing]:
    """The fields for the client, and the framing of its body.

    An event stream is chunked even if the upstream told its length, because keepalives or an error
    event may have to be added.
    """
    if is_event_stream:
        return head.fields.end_to_end(NO_LENGTH), CHUNKED
    if framing.kind in (FramingKind.CHUNKED, FramingKind.UNTIL_CLOSE) or head.status == 204:
        return head.fields.end_to_end(NO_LENGTH), framing  # RFC 9110, 8.6: a 204 has none
    return _plain_length(head.fields.end_to_end()), framing


def _plain_length(pairs: Pairs) -> Pairs:
    """The fields with Content-Length in its one plain spelling: ``8``, not ``008``."""
    return [
        (name, b"%d" % int(value))
        if value[:1] == b"0" and name.lower() == b"content-length"
        else (name, value)
        for name, value in pairs
    ]
