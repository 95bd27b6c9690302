"""What makes two requests the same: whose they are, where they go, and every word that counts.

The key is a digest of all that could change an answer.  Header fields count unless they stand on
the short list of those that are known not to: one that nobody here knows makes a request another
one.  A wrong "the same" would give an answer to whom it was not made for; a wrong "another" only
costs what it would have cost anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from ..http1 import Fields, RequestHead

#: Fields that say who asks, how often and on what way, or how the request is framed; and those that
#: the gateway writes anew towards the upstream.
_IGNORED: Final = frozenset(
    (
        b"user-agent",
        b"traceparent",
        b"tracestate",
        b"baggage",
        b"x-request-id",
        b"x-client-request-id",
        b"content-length",
        b"accept-encoding",
        b"expect",
        b"date",
        b"via",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
    )
)
#: What OpenAI's and Anthropic's SDKs tell of themselves, and how often they have tried.
_SDK_PREFIX: Final = b"x-stainless-"


def key_of(
    secret: bytes,
    *,
    tenant: str | None,
    credentials: Iterable[bytes],
    route: str,
    head: RequestHead,
    body: Sequence[bytes],
    variant: bytes = b"",
) -> bytes:
    """The digest of a request: 32 bytes, of which nobody without `secret` can tell what went in.

    `secret` is random, at most 64 bytes.  `variant` tells apart what the gateway makes of requests
    that are sent on in the same words.
    """
    digest = hashlib.blake2b(key=secret, digest_size=32)

    def add(kind: bytes, *parts: bytes) -> None:
        # With every length told, no part can pass for the end or beginning of another.
        digest.update(b"%b %d;" % (kind, len(parts)))
        for part in parts:
            digest.update(b"%d:" % len(part))
            digest.update(part)

    add(b"tenant", *(() if tenant is None else (tenant.encode(),)))
    add(b"credentials", *credentials)
    add(b"route", route.encode(), variant)
    add(b"request", head.method, head.target)
    for name, value in _counting(head.fields):
        add(b"field", name, value)
    add(b"body", b"%d" % sum(map(len, body)))
    for piece in body:
        digest.update(piece)
    return digest.digest()


def _counting(fields: Fields) -> list[tuple[bytes, bytes]]:
    """The fields that count.  Of several lines of one name the order matters, else it does not."""
    pairs = [(name.lower(), value) for name, value in fields.end_to_end(_IGNORED)]
    return sorted(
        (pair for pair in pairs if not pair[0].startswith(_SDK_PREFIX)), key=lambda pair: pair[0]
    )
