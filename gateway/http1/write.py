"""Heads and chunks as bytes.  What could split a message raises `LocalError` before it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from . import grammar
from .errors import LocalError

#: The end of a chunked body, without trailers.
LAST_CHUNK: Final = b"0\r\n\r\n"


def request_bytes(method: bytes, target: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A request's head.  Raises `LocalError` for parts that would not parse as what they are."""
    if not grammar.is_token(method) or grammar.ORIGIN_FORM.fullmatch(target) is None:
        raise LocalError("the method or the target cannot stand in a request line")
    return _head(b"%b %b HTTP/1.1" % (method, target), pairs)


def reason_phrase(status: int) -> bytes:
    """The usual words for a status (RFC 9110, 15); none for one that has no usual words."""
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def response_bytes(status: int, reason: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A response's head, always as HTTP/1.1 (RFC 9110, 2.5).  Raises `LocalError`."""
    return _head(b"HTTP/1.1 %d %b" % (status, reason), pairs)


def _head(line: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = [line, *map(b": ".join, pairs), b"", b""]
    head = b"\r\n".join(lines)
    # One look at the whole head: the CRs and LFs of its line ends, and no other control byte.
    if grammar.controls(head) != 2 * (len(lines) - 1):
        raise LocalError("a control character stands in a head that was to be sent")
    return head


def chunk(data: bytes) -> bytes:
    """`data` as one chunk (RFC 9112, 7.1); nothing for no data: an empty chunk ends a body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
