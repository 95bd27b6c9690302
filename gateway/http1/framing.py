"""Where a message body ends (RFC 9112, section 6.3)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

from .errors import RemoteError
from .fields import Fields
from .head import RequestHead, ResponseHead


class FramingKind(Enum):
    """The ways in which a body's end is told."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


class Framing(Struct, frozen=True):
    """How one body is framed; `length` is bytes, for `FramingKind.LENGTH` alone."""

    kind: FramingKind
    length: int = 0


NO_BODY = Framing(FramingKind.NONE)
CHUNKED = Framing(FramingKind.CHUNKED)
UNTIL_CLOSE = Framing(FramingKind.UNTIL_CLOSE)

#: The kinds of bodies whose length is known at their end alone.
UNKNOWN_LENGTH: Final = (FramingKind.CHUNKED, FramingKind.UNTIL_CLOSE)

#: No body is longer; the bound keeps a length of thousands of digits from being computed.
_MAX_LENGTH_DIGITS = 18


def request_framing(head: RequestHead) -> Framing:
    """The framing of a request's body.

    Raises `RemoteError`: 400 where the framing can be read in two ways, 501 for a transfer coding
    other than chunked.
    """
    if b"transfer-encoding" in head.fields.names:
        if head.minor == 0:
            raise RemoteError("Transfer-Encoding is not part of HTTP/1.0")
        return _transfer_encoding(head.fields)
    length = _content_length(head.fields)
    return Framing(FramingKind.LENGTH, length) if length else NO_BODY


def response_framing(head: ResponseHead, method: bytes) -> Framing:
    """The framing of the body of a response to a request with `method`.  Raises `RemoteError`."""
    bodiless = method == b"HEAD" or head.status in (204, 304) or head.status < 200
    if b"transfer-encoding" in head.fields.names:
        if head.minor == 0:
            raise RemoteError("Transfer-Encoding is not part of HTTP/1.0")
        framing = _transfer_encoding(head.fields)
        return NO_BODY if bodiless else framing
    length = _content_length(head.fields)
    if bodiless or length == 0:
        return NO_BODY
    return UNTIL_CLOSE if length is None else Framing(FramingKind.LENGTH, length)


def _transfer_encoding(fields: Fields) -> Framing:
    if b"content-length" in fields:
        raise RemoteError("Transfer-Encoding and Content-Length exclude each other")
    values = fields.get_all(b"transfer-encoding")
    if len(values) != 1:
        raise RemoteError("there must be one Transfer-Encoding header at the most")
    if values[0].lower() != b"chunked":
        raise RemoteError("the only transfer coding here is 'chunked'", 501)
    return CHUNKED


def _content_length(fields: Fields) -> int | None:
    value = fields.get(b"content-length")
    if value is None:
        return None
    if not fields.distinct and len(fields.get_all(b"content-length")) != 1:
        raise RemoteError("there must be one Content-Length header at the most")
    # bytes.isdigit knows ASCII digits alone: no sign, no blank, no underscore passes.
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise RemoteError("Content-Length is not a plain number")
    return int(value)
