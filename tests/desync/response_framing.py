"""Responses whose body's end could be told in two ways: lengths, transfer codings, chunks."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    BODY,
    MUST,
    OK,
    POLICY,
    SHOULD,
    Case,
    Expect,
    cut,
    either,
    failed,
    forwarded,
)

_TE: Final = "RFC 9112, 6.1"
_END: Final = "RFC 9112, 6.3"
_LENGTH: Final = "RFC 9110, 8.6"
_CHUNK: Final = "RFC 9112, 7.1"
_EXTENSION: Final = "RFC 9112, 7.1.1"
_TRAILER: Final = "RFC 9112, 7.1.2"
_CUT: Final = "RFC 9112, 8"
_NAME: Final = "RFC 9112, 5.1"
_CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_CHUNKS: Final = b"8\r\n" + BODY + b"\r\n0\r\n\r\n"
_WHOLE: Final = OK + b"Content-Length: 8\r\n\r\n" + BODY


def _length(value: bytes) -> bytes:
    return OK + b"Content-Length: " + value + b"\r\n\r\n" + BODY


def _coded(line: bytes) -> bytes:
    return OK + line + b"\r\n\r\n" + _CHUNKS


def _size(size: bytes) -> bytes:
    return _CHUNKED + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n"


FRAMES: Final[list[Case]] = [
    forwarded("R00", MUST, "nothing wrong", "", _WHOLE, arrives=(BODY,)),
    failed(
        "R01", SHOULD, "chunked and a length", _END,
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKS, ends=True,
    ),
    failed(
        "R02", MUST, "two lengths", _END,
        OK + b"Content-Length: 8\r\nContent-Length: 3\r\n\r\n" + BODY, ends=True,
    ),
    either(
        "R03", POLICY, "a length told twice on two lines", _END,
        OK + b"Content-Length: 8\r\nContent-Length: 8\r\n\r\n" + BODY, ends=True,
        ours=Expect.FAILED,
    ),
    either(
        "R04", POLICY, "a length told twice in a list", _END, _length(b"8, 8"), ends=True,
        ours=Expect.FAILED,
    ),
    *(
        failed(id, MUST, f"a length of {value!r}", _LENGTH, _length(value), ends=True)
        for id, value in (
            ("R05", b"+8"),
            ("R11", b"18446744073709551624"),
            ("R12", b"8 8"),
            ("Y01", b"-8"),
            ("Y02", b"0x8"),
            ("Y03", b"8_0"),
            ("Y04", b""),
            ("Y05", b"8, 3"),
            ("Y06", b"8."),
            ("Y07", b"8\x00"),
            ("Y08", b"8\x0b"),
            ("Y09", b"\xd9\xa8"),
            ("Y10", b"8" * 5000),
        )
    ),
    either(
        "Y100", POLICY, "leading zeros", _LENGTH, _length(b"008"), ours=Expect.FORWARDED,
        arrives=(BODY,),
    ),
    either(
        "Y11", POLICY, "an empty element", _LENGTH, _length(b"8,"), ends=True, ours=Expect.FAILED,
    ),
    failed(
        "R34", SHOULD, "a space before the coding's colon", _NAME,
        OK + b"Content-Length: 8\r\nTransfer-Encoding : chunked\r\n\r\n" + BODY, ends=True,
    ),
    failed(
        "R29", SHOULD, "gzip, chunked", _TE, _coded(b"Transfer-Encoding: gzip, chunked"), ends=True,
    ),
    *(
        failed(id, MUST, about, _TE, _coded(line), ends=True)
        for id, about, line in (
            (
                "R31", "chunked and identity on two lines",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            ),
            (
                "Y12", "chunked on two lines",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            ),
            ("Y13", "chunked twice", b"Transfer-Encoding: chunked, chunked"),
            ("Y14", "xchunked", b"Transfer-Encoding: xchunked"),
            ("Y15", "identity", b"Transfer-Encoding: identity"),
            ("Y16", "an empty coding", b"Transfer-Encoding:"),
            ("Y17", "a VT before chunked", b"Transfer-Encoding: \x0bchunked"),
            ("Y18", "chunked on a folded line", b"Transfer-Encoding:\r\n chunked"),
        )
    ),
    failed(
        "Y19", MUST, "chunked in HTTP/1.0", _TE,
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKS, ends=True,
    ),
    forwarded(
        "Y20", MUST, "CHUNKED", "RFC 9112, 7", _coded(b"transfer-encoding: \tCHUNKED "),
        arrives=(BODY,),
    ),
    forwarded(
        "Y21", MUST, "a Connection that names the framing", "RFC 9110, 7.6.1",
        OK + b"Connection: Content-Length\r\nContent-Length: 8\r\n\r\n" + BODY, arrives=(BODY,),
    ),
    forwarded(
        "Y22", MUST, "a Connection that names the coding", "RFC 9110, 7.6.1",
        _coded(b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked"), arrives=(BODY,),
    ),
    forwarded(
        "R78", MUST, "a body that ends with its connection", _END, OK + b"\r\n" + BODY, ends=True,
        arrives=(BODY,),
    ),
    forwarded(
        "Y23", MUST, "HTTP/1.0, and a body that ends with its connection", _END,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY, ends=True, arrives=(BODY,),
    ),
    cut("R15", MUST, "a body shorter than its length", _CUT, _length(b"100"), ends=True),
    cut("R16", MUST, "no last chunk", _CUT, _CHUNKED + b"8\r\n" + BODY + b"\r\n", ends=True),
    cut("R17", MUST, "half a chunk", _CUT, _CHUNKED + b"20\r\n" + BODY, ends=True),
    cut(
        "Y24", MUST, "no end of the trailers", _CUT, _CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\n",
        ends=True,
    ),
    cut("Y25", MUST, "a length and no body", _CUT, OK + b"Content-Length: 8\r\n\r\n", ends=True),
]  # fmt: skip

CHUNKS: Final[list[Case]] = [
    *(
        cut(id, MUST, f"a size of {size!r}", _CHUNK, _size(size), ends=True)
        for id, size in (
            ("R18", b"0x8"),
            ("R19", b"zz"),
            ("R24", b"-8"),
            ("Y26", b"+8"),
            ("Y27", b" 8"),
            ("Y28", b"8_0"),
            ("Y29", b""),
            ("Y30", b"8\r"),
            ("Y31", b"8\xa0"),
            ("Y32", b"10000000000000008"),
            ("Y33", b"8\x00"),
        )
    ),
    cut(
        "R20", MUST, "a bare LF behind the size", _CHUNK,
        _CHUNKED + b"8\n" + BODY + b"\r\n0\r\n\r\n", ends=True,
    ),
    cut("R22", MUST, "a bare LF in an extension", _EXTENSION, _size(b"8;a\nb"), ends=True),
    cut("Y34", MUST, "a bare CR in an extension", _EXTENSION, _size(b"8;a\rb"), ends=True),
    cut(
        "Y35", MUST, "data followed by other bytes", _CHUNK,
        _CHUNKED + b"8\r\n" + BODY + b"XX0\r\n\r\n", ends=True,
    ),
    cut(
        "Y36", MUST, "data followed by a bare LF", _CHUNK,
        _CHUNKED + b"8\r\n" + BODY + b"\n0\r\n\r\n", ends=True,
    ),
    cut(
        "Y37", MUST, "data longer than its size", _CHUNK,
        _CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\n\r\n", ends=True,
    ),
    cut(
        "Y38", MUST, "a last chunk ended by a bare LF", _CHUNK,
        _CHUNKED + b"8\r\n" + BODY + b"\r\n0\n\n", ends=True,
    ),
    cut(
        "Y39", SHOULD, "an extension of 20,000 bytes", _EXTENSION, _size(b"8;" + b"a" * 20_000),
        ends=True,
    ),
    cut(
        "Y40", MUST, "a trailer without a colon", _TRAILER,
        _CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\nNoColon\r\n\r\n", ends=True,
    ),
    cut(
        "Y41", MUST, "a bare LF among the trailers", _TRAILER,
        _CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\nA: b\nC: d\r\n\r\n", ends=True,
    ),
    cut(
        "Y42", SHOULD, "20,000 bytes of trailers", _TRAILER,
        _CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\n" + b"A: b\r\n" * 3334 + b"\r\n", ends=True,
    ),
    either(
        "Y43", POLICY, "a blank behind the size", _EXTENSION, _size(b"8 "), ends=True,
        ours=Expect.CUT,
    ),
    forwarded("Y44", MUST, "an extension", _EXTENSION, _size(b'8;a="x;y"'), arrives=(BODY,)),
    forwarded(
        "R27", MUST, "trailers that would change the message", "RFC 9110, 6.5.1",
        _CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\n",
        ends=True,
        arrives=(BODY,), absent=(b"set-cookie", b"content-length: 3"),
    ),
]  # fmt: skip

CASES: Final = [*FRAMES, *CHUNKS]
