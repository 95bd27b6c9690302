"""Heads: cutting them out of a byte stream, and reading them strictly (RFC 9112, 2 to 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from . import grammar
from .errors import RemoteError
from .fields import Fields

_REQUEST_LINE: Final = re.compile(rb"([^ ]+) ([^ ]+) (HTTP/([0-9])\.([0-9]))")
_STATUS_LINE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t \x21-\x7e\x80-\xff]*))?"
)


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How much of a head is read before it is refused."""

    total: int = 64 * 1024  #: bytes of the whole head
    line: int = 16 * 1024  #: bytes of the first line
    fields: int = 200  #: number of field lines


@dataclass(frozen=True, slots=True)
class RequestHead:
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


@dataclass(frozen=True, slots=True)
class ResponseHead:
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
        value = self.fields.get(b"content-type") or b""
        return value.partition(b";")[0].strip(b" \t").lower()


def _persistent(minor: int, fields: Fields) -> bool:
    if b"connection" not in fields:
        return minor == 1
    options = fields.elements(b"connection")
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


class HeadBuffer:
    """Collects bytes until a whole head is there.

    At most `limits.total` bytes are kept.  A bare LF is refused as soon as it is seen, so that a
    sender of such lines is answered instead of being waited for.
    """

    __slots__ = ("_buffer", "_limits", "_tolerate_blank")

    def __init__(self, limits: HeadLimits, *, tolerate_blank_line: bool = False) -> None:
        self._limits = limits
        self._buffer = b""
        self._tolerate_blank = tolerate_blank_line

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> bytes | None:
        """Add `data`; the lines of the head without the blank one, once they are whole.

        Afterwards `take_rest` has what followed the head.  Raises `RemoteError` (400, 414 or 431).
        """
        data = self._buffer + data if self._buffer else data
        if self._tolerate_blank and data[:1] in (b"\r", b"\n"):
            # RFC 9112, 2.2: one empty line before a request line is forgiven.
            if data == b"\r":
                self._buffer = data
                return None
            if data[:2] != b"\r\n":
                raise RemoteError("a request line was expected")
            data = data[2:]
            self._tolerate_blank = False
        end = data.find(b"\r\n\r\n", 0, self._limits.total + 4)
        if end < 0:
            self._check_unfinished(data)
            self._buffer = data
            return None
        self._buffer = data[end + 4 :]
        return data[:end]

    def take_rest(self) -> bytes:
        """What came behind the head, given out once."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _check_unfinished(self, data: bytes) -> None:
        limits = self._limits
        if data.find(b"\n", 0, limits.line + 2) < 0 and len(data) > limits.line + 2:
            raise RemoteError(f"the first line is longer than {limits.line} bytes", 414)
        if len(data) > limits.total:
            raise RemoteError(f"the head is longer than {limits.total} bytes", 431)
        if grammar.BARE_LF.search(data):
            raise RemoteError("a line ends in LF without CR")


def parse_request(head: bytes, limits: HeadLimits) -> RequestHead:
    """Read a request's head, given without its blank line.

    Raises `RemoteError`: 400, 414, 431, or 505 for an HTTP version that is not 1.0 or 1.1.
    """
    line, fields = _parse_lines(head, limits)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise RemoteError("the request line is not 'METHOD TARGET HTTP/1.1'")
    method, target, _, major, minor = match.groups()
    if major != b"1" or minor not in b"01":
        raise RemoteError("the HTTP version must be 1.0 or 1.1", 505)
    if not grammar.is_token(method):
        raise RemoteError("the method is not a token")
    if grammar.ORIGIN_FORM.fullmatch(target) is None and not (
        target == b"*" and method == b"OPTIONS"
    ):
        raise RemoteError("the request target is not a path with an optional query")
    request = RequestHead(method, target, int(minor), fields)
    _check_host(request)
    return request


def parse_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    """Read a response's head, given without its blank line.  Raises `RemoteError`."""
    line, fields = _parse_lines(head, limits)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise RemoteError("the status line is not 'HTTP/1.1 CODE REASON'")
    minor, status, reason = match.groups()
    return ResponseHead(int(status), reason or b"", int(minor), fields)


def _parse_lines(head: bytes, limits: HeadLimits) -> tuple[bytes, Fields]:
    first, *lines = head.split(b"\r\n")
    if len(first) > limits.line:
        raise RemoteError(f"the first line is longer than {limits.line} bytes", 414)
    if len(lines) > limits.fields:
        raise RemoteError(f"there are more than {limits.fields} header fields", 431)
    if grammar.CONTROL.search(first) or any(map(grammar.CONTROL.search, lines)):
        raise RemoteError("a control character stands in the head")
    pairs = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not grammar.is_token(name):
            # Folded lines (RFC 9112, 5.2) and blanks before the colon (5.1) end here, too.
            raise RemoteError("a header line is not 'Name: value'")
        pairs.append((name, value.strip(b" \t")))
    return first, Fields(pairs)


def _check_host(request: RequestHead) -> None:
    """Exactly one valid Host (RFC 9112, 3.2); only HTTP/1.0 may leave it out."""
    values = request.fields.get_all(b"host")
    if not values and request.minor == 0:
        return
    if len(values) != 1:
        raise RemoteError("there must be exactly one Host header")
    match = grammar.HOST.fullmatch(values[0])
    if match is None or int(match["port"] or 0) > 65535:
        raise RemoteError("the Host header is not a host with an optional port")
