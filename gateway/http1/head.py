"""Heads, read strictly (RFC 9112, 2 to 5); `gateway.http1.buffer` cuts them out of a stream."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from . import grammar
from .errors import RemoteError
from .fields import Fields

_REQUEST_LINE: Final = re.compile(rb"([^ ]+) ([^ ]+) HTTP/([0-9])\.([0-9])")
_STATUS_LINE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t \x21-\x7e\x80-\xff]*))?"
)
#: Bytes of a method.  No registered one is half as long (RFC 9110, 16.1).
_LONGEST_METHOD: Final = 32


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How much of a head is read before it is refused."""

    total: int = 64 * 1024  #: bytes of the whole head
    line: int = 16 * 1024  #: bytes of the first line
    fields: int = 200  #: number of field lines
    name: int = 256  #: bytes of one field's name


class StatusLine(NamedTuple):
    """A response's first line."""

    status: int
    reason: bytes
    minor: int


class RequestHead(Struct, frozen=True):
    """A request's head.  `minor` is the x of HTTP/1.x."""

    method: bytes
    target: bytes
    minor: int
    fields: Fields

    @property
    def path(self) -> bytes:
        """The raw path: the target up to its query."""
        return self.target.partition(b"?")[0]

    @property
    def persistent(self) -> bool:
        """Whether the sender lets the connection stay open (RFC 9112, 9.3)."""
        return _persistent(self.minor, self.fields)


class ResponseHead(Struct, frozen=True):
    """A response's head.  `minor` is the x of HTTP/1.x."""

    status: int
    reason: bytes
    minor: int
    fields: Fields

    @property
    def persistent(self) -> bool:
        """Whether the sender lets the connection stay open (RFC 9112, 9.3)."""
        return _persistent(self.minor, self.fields)

    @property
    def media_type(self) -> bytes:
        """The media type without parameters, in lower case; empty if none was told."""
        return _media_type(self.fields.get(b"content-type") or b"")


@lru_cache(maxsize=64)
def _media_type(value: bytes) -> bytes:
    return value.partition(b";")[0].strip(b" \t").lower()


def _persistent(minor: int, fields: Fields) -> bool:
    if b"connection" not in fields.names:
        return minor == 1
    options = fields.elements(b"connection")
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def parse_request_line(line: bytes) -> tuple[bytes, bytes, int, bytes | None]:
    """Read a request's first line: method, target, the x of HTTP/1.x, authority.

    A target in absolute form is given in origin form and its authority, which else is None (RFC
    9112, 3.2.2).  Raises `RemoteError`: 400, 501 for a method that no gateway serves, or 505 for
    another HTTP version.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise RemoteError("the request line is not 'METHOD TARGET HTTP/1.1'")
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in (b"0", b"1"):
        raise RemoteError("the HTTP version must be 1.0 or 1.1", 505)
    if not grammar.is_token(method):
        raise RemoteError("the method is not a token")
    if method == b"CONNECT":
        raise RemoteError("CONNECT asks for a tunnel, and this is no proxy of that kind", 501)
    if len(method) > _LONGEST_METHOD:
        raise RemoteError(f"the method is longer than {_LONGEST_METHOD} bytes", 501)
    authority = None
    absolute = None if target[:1] == b"/" else grammar.ABSOLUTE_FORM.fullmatch(target)
    if absolute is not None:
        authority, rest = absolute.groups()
        _check_authority(authority, "the request target's host")
        target = rest if rest.startswith(b"/") else b"/" + rest
    if grammar.ORIGIN_FORM.fullmatch(target) is None and not (
        target == b"*" and method == b"OPTIONS"
    ):
        raise RemoteError("the request target is not a path with an optional query")
    return method, target, int(minor), authority


@lru_cache(maxsize=64)
def parse_status_line(line: bytes) -> StatusLine:
    """Read a response's first line, one of few.  Raises `RemoteError`."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise RemoteError("the status line is not 'HTTP/1.1 CODE REASON'")
    minor, status, reason = match.groups()
    return StatusLine(int(status), reason or b"", int(minor))


def parse_request(head: bytes, limits: HeadLimits) -> RequestHead:
    """Read a request's head, given without its blank line.

    Raises `RemoteError`: 414, 431, or what `parse_request_line` raises.
    """
    line, count = _first_line(head, limits)
    method, target, minor, authority = parse_request_line(line)
    fields = _parse_fields(head, len(line), count, limits)
    fields = _checked_host(fields, minor, authority)
    return RequestHead(method, target, minor, fields)


def parse_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    """Read a response's head, given without its blank line.  Raises `RemoteError`."""
    line, count = _first_line(head, limits)
    status, reason, minor = parse_status_line(line)
    return ResponseHead(status, reason, minor, _parse_fields(head, len(line), count, limits))


def _first_line(head: bytes, limits: HeadLimits) -> tuple[bytes, int]:
    """The first line, and how many lines follow it."""
    first = head.partition(b"\r\n")[0]
    if len(first) > limits.line:
        raise RemoteError(f"the first line is longer than {limits.line} bytes", 414)
    count = head.count(b"\r\n")
    if grammar.controls(head) != 2 * count:
        raise RemoteError("a control character stands in the head")
    return first, count


def _parse_fields(head: bytes, begin: int, count: int, limits: HeadLimits) -> Fields:
    """The `count` field lines of `head` that follow its first one, which ends at `begin`."""
    if count > limits.fields:
        raise RemoteError(f"there are more than {limits.fields} header fields", 431)
    pairs = grammar.FIELD_LINE.findall(head, begin)
    if len(pairs) != count:
        # Folded lines (RFC 9112, 5.2) and blanks before the colon (5.1) end here, too.
        raise RemoteError("a header line is not 'Name: value'")
    fields = Fields(pairs)
    if max(map(len, fields.names), default=0) > limits.name:
        raise RemoteError(f"a header's name is longer than {limits.name} bytes", 431)
    return fields


def _checked_host(fields: Fields, minor: int, authority: bytes | None) -> Fields:
    """Exactly one valid Host (RFC 9112, 3.2), the target's own if it has one.

    Only HTTP/1.0 may leave it out; what its target says is then put in its place.
    """
    values = fields.get_all(b"host")
    if not values and minor == 0:
        return fields if authority is None else Fields([(b"Host", authority), *fields])
    if len(values) != 1:
        raise RemoteError("there must be exactly one Host header")
    _check_authority(values[0], "the Host header")
    if authority is not None and authority.lower() != values[0].lower():
        raise RemoteError("the request target and the Host header name two hosts")
    return fields


@lru_cache(maxsize=64)
def _check_authority(value: bytes, what: str) -> None:
    """Raise `RemoteError` for what is no host; clients name few, again and again."""
    match = grammar.HOST.fullmatch(value)
    if match is None or int(match["port"] or 0) > 65535:
        raise RemoteError(f"{what} is not a name or an address with an optional port")
    try:
        if match["ipv6"] is not None:
            ipaddress.IPv6Address(match["ipv6"].decode("ascii"))
        elif match["name"].replace(b".", b"").isdigit():
            ipaddress.IPv4Address(match["name"].decode("ascii"))
    except ValueError:
        raise RemoteError(f"{what} is not an address that there is") from None
