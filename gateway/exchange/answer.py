"""What becomes of an upstream's answer, judged at its head: who takes the bytes of its body.

A stream that can be read and spoken into, any other body, or, where the gateway has begun an event
stream of its own and the answer is none, an answer that has to be told in an error event.
"""

from __future__ import annotations

from typing import Final

from ..config.model import Secret
from ..dialects.base import Dialect, Peek, StreamKind
from ..dialects.provider_error import from_body
from ..http1 import ResponseHead
from ..record import ErrorCode
from ..redact import SHORTEST
from .life import Kind, Signal
from .mask import KeyMask

_PLAIN: Final = frozenset({b"identity"})


def kind_of_stream(
    head: ResponseHead, method: bytes, dialect: Dialect, peek: Peek
) -> StreamKind | None:
    """The kind of stream that an answer is, None for any other; of one that is not coded."""
    streams = 200 <= head.status < 300 and head.status != 204 and method != b"HEAD"
    return dialect.stream_kind(head.media_type, peek) if streams else None


def is_coded(head: ResponseHead) -> bool:
    """Whether the body is compressed: it cannot be read, and nothing may be added to it."""
    fields = head.fields
    coding = b"content-encoding"
    return coding in fields.names and not _PLAIN.issuperset(fields.elements(coding))


def key_mask(own_key: Secret | None) -> KeyMask | None:
    """What hides the gateway's own key in an answer, not coded, that may tell it back."""
    if own_key is None:
        return None
    key = own_key.reveal().encode("latin-1")
    return KeyMask(key) if len(key) >= SHORTEST else None


def told(head: ResponseHead, kept: bytes) -> Signal:
    """What the upstream said after we had begun the stream, as a signal.

    `kept` is the beginning of its body.
    """
    error = from_body(kept)
    if head.status >= 400:
        detail = error.message or f"the upstream answered with status {head.status}"
        return Signal(
            Kind.PROVIDER_ERROR, ErrorCode.HTTP_ERROR, detail, head.status, error.kind, error.code
        )
    what = head.media_type.decode("latin-1") or "no media type"
    if is_coded(head):
        what += ", compressed,"
    detail = f"the upstream answered {head.status} with {what} instead of an event stream"
    return Signal(Kind.PROVIDER_ERROR, ErrorCode.NOT_SSE, detail)
