"""What the readers are given to compare: HTTP messages as they are met, and slightly wrong ones.

An example begins as a plausible request or response: its parts are drawn from what clients, servers
and attackers send, the valid ones more often than the others.  Some of its bytes or lines are then
changed.  Most examples are a step or two away from a valid message, where parsers differ; random
bytes, which everybody refuses, are few.

Hypothesis draws one string of random bytes, which the choices are taken from one after the other.
That is many times faster than to draw each choice, and it shrinks as well: zeros choose what is
plainest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

#: Random bytes of an example; where they do not suffice, what is left to choose is plain.
_TAPE: Final = 144


@dataclass(frozen=True, slots=True)
class Example:
    """Bytes from a peer: a request, or the response to a request with the method `asked`."""

    data: bytes
    asked: bytes | None = None

    @property
    def head(self) -> bytes:
        """All up to the first blank line behind something; all if there is none."""
        return self._parts[0]

    @property
    def body(self) -> bytes:
        """All behind that blank line."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[bytes, bytes]:
        before = len(self.data) - len(self.data.lstrip(b"\r\n"))
        head, end, body = self.data[before:].partition(b"\r\n\r\n")
        return self.data[:before] + head + end, body


class _Tape:
    """Random bytes, and choices that use them up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        #: In how many of 64 places that can have something odd there is something odd.
        self._odd = self.pick((0, 2, 2, 6, 20))

    def below(self, limit: int) -> int:
        """A number from 0 to `limit`, which is not included and is 65,536 at the most."""
        number = int.from_bytes(self._data[self._at : self._at + 2], "big")
        self._at += 2
        return number % limit

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def mostly(self, usual: Sequence[T], odd: Sequence[T]) -> T:
        """One of the usual options, or now and then of the odd ones."""
        # Behind the tape's end this is 0: usual.
        return self.pick(odd if self.below(64) > 63 - self._odd else usual)


# Heads.

_METHODS: Final = (
    (b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH"),
    (
        b"get", b"FROB", b"M-SEARCH", b"CONNECT", b"PRI", b"SOURCE", b"G(T", b"", b"TRACE", b"Post",
        b"GET ", b"POST\t",
    ),
)  # fmt: skip
_TARGETS: Final = (
    (b"/", b"/v1/messages", b"/v1/chat/completions?beta=true&x=%20", b"/a;b=c/@:,~!$'()*+"),
    (
        b"*", b"http://a/", b"https://a:1/b?c", b"HTTP://A", b"a:443", b"//a/b", b"/a#b",
        b"/a b", b"/\xe4", b"/\\", b"/<>", b'/"', b"/{}|^`", b"/[]", b"/%zz", b"", b"a", b"?",
        b"/?", b"/\x7f", b"/??a?b", b"/../b", b"/%2e%2e/", b"/%00", b"http://u@a/", b"http://",
        b"ftp://a/", b"/" + b"a" * 1100, b"/ ", b"/\t",
    ),
)  # fmt: skip
_VERSIONS: Final = (
    (b"HTTP/1.1",) * 6 + (b"HTTP/1.0",),
    (
        b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/1.10",
        b"HTTP/01.1", b"HTTP/9.9", b"HTTP /1.1", b"HTTP/1 .1", b"ICE/1.0", b"RTSP/1.0", b"", b"X",
    ),
)  # fmt: skip
_HOSTS: Final = (
    (b"Host: a", b"host: example.org:8080", b"HOST:\t[::1]:80 ", b"Host: 127.0.0.1"),
    (
        b"", b"Host:", b"Host: a\r\nHost: a", b"Host: a, b", b"Host: a b", b"Host: u@a",
        b"Host: a/b", b"Host: a:99999", b"Host: a:", b"Host: \xe4", b"Host : a", b" Host: a",
        b"Host: a\r\n b", b"Host: [::1", b"Host: a:b", b"Host", b"Host: a#", b"Host: a\x00",
    ),
)  # fmt: skip
_PLAIN = (
    b"Accept: */*", b"content-type: application/json", b"X-Empty:", b"X-Empty:  ", b"A:\tb \t",
    b"User-Agent: x (y; z) \xe4\xf6", b"!#$%&'*+-.^_`|~: 1", b"Connection: keep-alive",
    b"Connection: close", b"Expect: 100-continue", b"TE: trailers", b"Cookie: a=b; c=d",
    b"Connection: close, X-A", b'ETag: W/"1"', b"Trailer: X-Check", b"X: " + b"y" * 300,
)  # fmt: skip
_ODD = (
    b"A : b", b": b", b"A", b" A: b", b"\tA: b", b"A: b\r\n c", b"A: b\r\n\tc", b"A: b\r\n ",
    b"A: b\x00", b"A: \x01", b"A: b\x7f", b"A: b\rc", b"A: b\nC: d", b"A: b\x0bc", b"A: b\x0c",
    b"A\xe4: b", b"A b: c", b"A\x00: b", b"Connection: upgrade\r\nUpgrade: h2c",
    b"Connection: Upgrade\r\nUpgrade: websocket", b"Proxy-Connection: close", b"Content_Length: 3",
    b"A(: b", b'"A": b', b"\r", b"\n", b"", b"\r\n".join([b"X-Many: 1"] * 24),
    b"X-Large: " + b"z" * 5000, b"A: b\r", b"Upgrade: h2c",
)  # fmt: skip

_NO_BODY = (b"", b"Content-Length: 0")
_LENGTHS = (
    b"Content-Length: %d", b"content-length:%d", b"Content-Length:\t%d ", b"CONTENT-LENGTH: %04d",
)  # fmt: skip
_CHUNKED = (
    b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked", b"TRANSFER-ENCODING: \tCHUNKED ",
)  # fmt: skip
_ODD_FRAMING = (
    b"Content-Length: +3", b"Content-Length: -3", b"Content-Length: 0x3", b"Content-Length: 3 3",
    b"Content-Length: 3, 3", b"Content-Length: 3, 4", b"Content-Length: 3\r\nContent-Length: 3",
    b"Content-Length: 3\r\ncontent-length: 4", b"Content-Length:", b"Content-Length: 3_0",
    b"Content-Length: \xb3", b"Content-Length: 3.0", b"Content-Length: 999999999999999999",
    b"Content-Length: 9223372036854775808", b"Content-Length: 18446744073709551619",
    b"Content-Length: 00000000000000000000003", b"Content-Length: " + b"9" * 600,
    b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Content-Length : 3",
    b"Content-Length: ,3", b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Content-Length: 3;", b"Content-Length: 3,",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity", b"Transfer-Encoding:",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked;q=1",
    b'Transfer-Encoding: "chunked"', b"Transfer-Encoding : chunked", b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked,", b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding:\r\n chunked", b" Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\x00", b"Transfer\xadEncoding: chunked", b"Content-Length: 3\r\n 4",
    b"X: y\rTransfer-Encoding: chunked", b"X: y\nContent-Length: 3", b"Transfer-Encoding: chunk",
)  # fmt: skip

_STATUSES: Final = (
    (b"200 OK", b"200 OK", b"201 ", b"404 Not Found", b"204 No Content", b"304 Not Modified",
     b"500 Internal Server Error", b"200", b"100 Continue", b"103 Early Hints", b"206 \xe4\t"),
    (b"101 Switching Protocols", b"99 X", b"099 X", b"000 X", b"600 X", b"999 X", b"1000 X",
     b"2x0 X", b"2_0 X", b"+20 X", b"20 X", b"", b"200  OK", b"200\tOK", b"200 O\x00K",
     b"200 O\rK", b" 200 OK", b"200 \x7f", b"200OK", b"-200 OK", b"200.0 OK",
     b"200 " + b"r" * 1100),
)  # fmt: skip

_BEFORE: Final = ((b"",), (b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\r\n "))

# Bodies.

_DATA = (
    b"abc", b"hello", b"x" * 16, b"\r\n", b"0\r\n\r\n", b"abc\r\n", b"{}\n", b"data: 1\n\n",
    b"\x00\xff", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n",
)  # fmt: skip
_SIZE_LINES: tuple[Callable[[int], bytes], ...] = (
    lambda size: b"%x" % size,
    lambda size: b"%X" % size,
    lambda size: b"%04x" % size,
    lambda size: b"%x;a" % size,
    lambda size: b"%x;a=b;c" % size,
    lambda size: b'%x;a="b;c\\""' % size,
)
_ODD_SIZE_LINES: tuple[Callable[[int], bytes], ...] = (
    lambda size: b"0x%x" % size,
    lambda size: b"+%x" % size,
    lambda size: b"-%x" % size,
    lambda size: b" %x" % size,
    lambda size: b"%x " % size,
    lambda size: b"%x\t" % size,
    lambda size: b"%x ;a" % size,
    lambda size: b"%x; a" % size,
    lambda size: b"%x;a = b" % size,
    lambda size: b'%x;a=" \t\xe4"' % size,
    lambda size: b'%x;a="' % size,
    lambda size: b"%x;" % size,
    lambda size: b"%x;;" % size,
    lambda size: b"%x;=" % size,
    lambda size: b"%x;a=" % size,
    lambda size: b"%x;a\x00" % size,
    lambda size: b"%x;a\rb" % size,
    lambda size: b"%x;a\nb" % size,
    lambda size: b"%x;\xe4" % size,
    lambda size: b"%x a" % size,
    lambda size: b"%xg" % size,
    lambda size: b"%x,%x" % (size, size),
    lambda size: b"%x" % (size + 1),
    lambda size: b"%x" % max(size - 1, 0),
    lambda size: b"%015x" % size,
    lambda size: b"%016x" % size,
    lambda size: b"%020x" % size,
    lambda size: b"%021x" % size,
    lambda size: b"ffffffffffffffff",
    lambda size: b"1%016x" % size,
    lambda size: b"",
    lambda size: b"%x;" % size + b"a" * 1100,
)
_LINE_ENDS: Final = ((b"\r\n",) * 8, (b"\n", b"\r", b"\r\r\n", b"", b"\r\n\r\n", b"\n\r", b" \r\n"))
_LAST: Final = ((b"0",) * 6 + (b"000", b"0;a=b"), (b"", b"0 ", b"00x", b"0;", b"-0", b"0\r", b" 0"))
_TRAILERS: Final = (
    (b"",) * 4 + (b"X-Check: 1\r\n", b"A:\r\nB: c\r\n"),
    (
        b"A: b\r\n c\r\n", b"A : b\r\n", b"A\r\n", b": b\r\n", b"A: b\n", b"A: \x00\r\n",
        b"A: \x01\r\n", b"\r", b"GET / HTTP/1.1\r\n", b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n", b"A: b\rc\r\n", b" A: b\r\n", b"\xe4: b\r\n",
        b"A: \xe4\x7f\r\n", b"A:" + b"b" * 17_000 + b"\r\n",
    ),
)  # fmt: skip
_BEHIND: Final = (
    (b"",) * 5 + (b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n",),
    (b"\r\n", b"x", b"\x00", b"\n"),
)


def _chunks(tape: _Tape) -> bytes:
    """A body in chunks."""
    pieces = []
    for _ in range(tape.below(4)):
        data = tape.pick(_DATA)
        size_line = tape.mostly(_SIZE_LINES, _ODD_SIZE_LINES)(len(data))
        pieces += [size_line, tape.mostly(*_LINE_ENDS), data, tape.mostly(*_LINE_ENDS)]
    pieces += [tape.mostly(*_LAST), tape.mostly(*_LINE_ENDS)]
    pieces += [tape.mostly(*_TRAILERS), tape.mostly(*_LINE_ENDS)]
    return b"".join(pieces)


def _framed(tape: _Tape) -> tuple[bytes, bytes]:
    """The line or lines that frame a body, and the body."""
    kind = tape.pick(("none", "none", "length", "chunks", "chunks", "chunks", "odd"))
    if kind == "none":
        line, body = tape.pick(_NO_BODY), b""
    elif kind == "length":
        body = tape.pick(_DATA)
        line = tape.pick(_LENGTHS) % len(body)
    elif kind == "chunks":
        line, body = tape.pick(_CHUNKED), _chunks(tape)
    else:
        line = tape.pick(_ODD_FRAMING)
        body = _chunks(tape) if tape.below(2) else tape.pick(_DATA)
    return line, body + tape.mostly(*_BEHIND)


# Changes.

_BITS = (
    b"\x00", b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\xff",
    b"\x7f", b":", b";", b",", b"=", b'"', b"\\", b"#", b"%", b"/", b"0", b"1", b"9", b"a", b"G",
    b"x", b"+", b"-", b"_", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"9" * 20,
    b"f" * 17, b"chunked", b", chunked", b"\r\nContent-Length: 3",
    b"\r\nTransfer-Encoding: chunked", b"\r\nHost: b", b"\r\n0\r\n\r\n",
)  # fmt: skip
_CHANGES = ("insert", "delete", "replace", "double", "swap", "drop", "case", "indent", "line end")


def _changed(data: bytes, change: str, position: int, bit: bytes) -> bytes:
    """`data` with one change at `position`, counted over again from the start behind the end."""
    if change in ("insert", "delete", "replace"):
        at = position % (len(data) + 1)
        behind = at if change == "insert" else at + 1
        return data[:at] + (b"" if change == "delete" else bit) + data[behind:]
    lines = data.split(b"\r\n")
    at = position % len(lines)
    if change == "double":
        lines.insert(at, lines[at])
    elif change == "swap":
        lines[at], lines[at - 1] = lines[at - 1], lines[at]
    elif change == "drop":
        del lines[at]
    elif change == "case":
        lines[at] = lines[at].swapcase()
    elif change == "indent":
        lines[at] = b" " + lines[at]
    else:
        lines[at : at + 2] = [bit.join(lines[at : at + 2])]
    return b"\r\n".join(lines)


def _example(data: bytes) -> Example:
    """The example that some random bytes choose."""
    tape = _Tape(data)
    asked = tape.pick((None, None, None, b"GET", b"POST", b"HEAD"))
    framing, body = _framed(tape)
    lines = [tape.mostly(_PLAIN, _ODD) for _ in range(tape.below(4))]
    lines.insert(tape.below(len(lines) + 1), framing)
    if asked is None:
        first = [tape.mostly(*_METHODS), tape.mostly(*_TARGETS), tape.mostly(*_VERSIONS)]
        lines.insert(0, tape.mostly(*_HOSTS))
    else:
        first = [tape.mostly(*_VERSIONS), tape.mostly(*_STATUSES)]
    # An empty line here is no line: the blank one that ends the head comes last.
    head = [tape.mostly(*_BEFORE) + b" ".join(first), *filter(None, lines), b"", b""]
    message = b"\r\n".join(head) + body
    for _ in range(tape.pick((0, 0, 0, 1, 1, 2, 3))):
        change, position = tape.pick(_CHANGES), tape.below(1 << 16)
        bit = tape.pick(_BITS) if tape.below(2) else bytes([tape.below(256)])
        message = _changed(message, change, position, bit)
    return Example(message, asked)


def examples() -> st.SearchStrategy[Example]:
    """Requests, and responses to requests."""
    return st.binary(min_size=_TAPE, max_size=_TAPE).map(_example)
