"""Requests whose chunks or trailers could be read in two ways."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    CHUNKED,
    GOT_SECOND,
    HELLO,
    MUST,
    POLICY,
    POSTED,
    SECOND,
    SHOULD,
    SMUGGLED,
    Case,
    Expect,
    cut,
    either,
    forwarded,
    refused,
)

_CHUNK: Final = "RFC 9112, 7.1"
_EXTENSION: Final = "RFC 9112, 7.1.1"
_TRAILER: Final = "RFC 9112, 7.1.2"
_NAME: Final = "RFC 9112, 5.1"
_FOLD: Final = "RFC 9112, 5.2"
_LINE: Final = "RFC 9112, 2.2"
_CUT: Final = "RFC 9112, 8"


def _size(size: bytes, data: bytes = b"hello") -> bytes:
    """A chunk under one spelling of its size line."""
    return CHUNKED + size + b"\r\n" + data + b"\r\n0\r\n\r\n"


def _trailers(lines: bytes) -> bytes:
    """A chunked body with trailers."""
    return CHUNKED + b"5\r\nhello\r\n0\r\n" + lines + b"\r\n"


CHUNKS: Final[list[Case]] = [
    *(
        refused(id, MUST, f"a size of {size!r}", _CHUNK, _size(size))
        for id, size in (
            ("C06", b"0x5"),
            ("C07", b"+5"),
            ("C09", b" 5"),
            ("C10", b"5\xa0"),
            ("C12", b""),
            ("C15", b"5\r"),
            ("C16", b"5,"),
            ("C17", b"5.0"),
            ("C18", b"\xef\xbc\x95"),
            ("C21", b"10000000000000005"),
            ("X39", b"-5"),
            ("X40", b"\t5"),
            ("X41", b"g"),
            ("X42", b"5g"),
            ("X43", b"5 5"),
            ("X44", b"5\x00"),
            ("X45", b"5\x0b"),
            ("X46", b"\xd9\xa5"),
            ("X47", b"fffffffffffffffb"),
        )
    ),
    refused("C11", MUST, "a size of b'5_0'", _CHUNK, _size(b"5_0", b"hello" + b"x" * 75)),
    refused("C23", SHOULD, "a size of 20,000 digits", _CHUNK, _size(b"0" * 19_999 + b"5")),
    refused("C24", MUST, "a bare LF behind the size", _LINE, CHUNKED + b"5\nhello\r\n0\r\n\r\n"),
    refused("X48", MUST, "a bare CR behind the size", _LINE, CHUNKED + b"5\rhello\r\n0\r\n\r\n"),
    refused(
        "C27", MUST, "data followed by two other bytes", _CHUNK, CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
    ),
    refused("X49", MUST, "data followed by a bare LF", _CHUNK, CHUNKED + b"5\r\nhello\n0\r\n\r\n"),
    refused("X50", MUST, "data followed by a bare CR", _CHUNK, CHUNKED + b"5\r\nhello\r0\r\n\r\n"),
    refused("X51", MUST, "data longer than its size", _CHUNK, CHUNKED + b"4\r\nhello\r\n0\r\n\r\n"),
    refused(
        "X52", MUST, "data shorter than its size", _CHUNK, CHUNKED + b"6\r\nhello\r\n0\r\n\r\n",
    ),
    refused(
        "X53", MUST, "a last chunk ended by a bare LF", _CHUNK, CHUNKED + b"5\r\nhello\r\n0\n\n",
    ),
    refused("X54", MUST, "a last line of a bare LF", _CHUNK, CHUNKED + b"5\r\nhello\r\n0\r\n\n"),
    refused("X55", MUST, "a last chunk of 0x0", _CHUNK, CHUNKED + b"5\r\nhello\r\n0x0\r\n\r\n"),
    refused("C04", MUST, "a bare CR in an extension", _EXTENSION, _size(b"5;a\rb")),
    refused("X56", MUST, "a bare LF in an extension", _EXTENSION, _size(b"5;a\nb")),
    refused("X57", MUST, "a bare LF in a quoted extension", _EXTENSION, _size(b'5;a="x\ny"')),
    refused("X58", MUST, "a NUL in an extension", _EXTENSION, _size(b"5;a\x00b")),
    refused("X59", SHOULD, "a DEL in an extension", _EXTENSION, _size(b"5;a=b\x7f")),
    refused(
        "C48", SHOULD, "a quote in an extension that is not closed", _EXTENSION,
        CHUNKED + b'5;a="\r\nhello\r\n0\r\n\r\n"\r\nhello\r\n0\r\n\r\n',
    ),
    refused(
        "C40", SHOULD, "an extension of 20,000 bytes", _EXTENSION, _size(b"5;" + b"a" * 20_000),
    ),
    either("C42", POLICY, "an empty extension", _EXTENSION, _size(b"5;"), ours=Expect.REFUSED),
    either("C19", POLICY, "a blank behind the size", _EXTENSION, _size(b"5 "), ours=Expect.REFUSED),
    either("X60", POLICY, "a tab behind the size", _EXTENSION, _size(b"5\t"), ours=Expect.REFUSED),
    either(
        "X61", POLICY, "blanks around an extension's semicolon", _EXTENSION, _size(b"5 ; a=b"),
        ours=Expect.FORWARDED, arrives=(POSTED,),
    ),
    either(
        "C22", POLICY, "900 leading zeros", _CHUNK, _size(b"0" * 900 + b"5"), ours=Expect.REFUSED,
    ),
    forwarded(
        "X62", MUST, "a size of letters", _CHUNK, _size(b"A", b"hellohello"),
        arrives=(POSTED + b"hello",),
    ),
    forwarded("C01", MUST, "an extension", _EXTENSION, _size(b"5;a=b"), arrives=(POSTED,)),
    forwarded(
        "C02", MUST, "a quoted extension", _EXTENSION, _size(b'5;a="x;y"'), arrives=(POSTED,),
    ),
    forwarded(
        "C43", MUST, "a last chunk of many zeros", _CHUNK, CHUNKED + b"5\r\nhello\r\n00000\r\n\r\n",
        arrives=(POSTED,),
    ),
    forwarded(
        "X63", MUST, "an extension of the last chunk", _EXTENSION,
        CHUNKED + b"5\r\nhello\r\n0;a=b\r\n\r\n", arrives=(POSTED,),
    ),
    forwarded(
        "X64", MUST, "chunks of one byte, each byte on its own", _CHUNK,
        CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in b"hello") + b"0\r\n\r\n",
        arrives=(POSTED,),
    ),
    forwarded(
        "C46", MUST, "a request behind a chunked one", "RFC 9112, 9.3.2", CHUNKED + HELLO + SECOND,
        arrives=(POSTED, GOT_SECOND),
    ),
    either(
        "X65", MUST, "a stray CRLF behind the last chunk", _LINE,
        CHUNKED + HELLO + b"\r\n" + SECOND,
    ),
    cut("C31", MUST, "no last chunk", _CUT, CHUNKED + b"5\r\nhello\r\n", ends=True),
    cut("C32", MUST, "no end of the trailers", _CUT, CHUNKED + b"5\r\nhello\r\n0\r\n", ends=True),
    cut("X66", MUST, "half a chunk", _CUT, CHUNKED + b"33\r\n" + SMUGGLED[:-2], ends=True),
    forwarded("C33", MUST, "a trailer", _TRAILER, _trailers(b"X-Check: 1\r\n"), arrives=(POSTED,)),
    either(
        "C34", MUST, "trailers that would change the message", "RFC 9110, 6.5.1",
        _trailers(
            b"Content-Length: 44\r\nTransfer-Encoding: chunked\r\nHost: inner.test\r\n"
            b"Authorization: Bearer x\r\n"
        ),
        absent=(b"bearer x", b"inner.test", b"content-length: 44"),
    ),
    refused(
        "C35", MUST, "a request line among the trailers", _TRAILER,
        CHUNKED + b"5\r\nhello\r\n0\r\n" + SMUGGLED,
    ),
    refused("C36", MUST, "a bare LF among the trailers", _LINE, _trailers(b"A: b\nC: d\r\n")),
    refused("X67", MUST, "a bare CR in a trailer", _LINE, _trailers(b"A: b\rC: d\r\n")),
    refused("C39", MUST, "a NUL in a trailer's name", _TRAILER, _trailers(b"A\x00B: b\r\n")),
    refused("X68", MUST, "a NUL in a trailer's value", _TRAILER, _trailers(b"A: b\x00c\r\n")),
    refused("X69", MUST, "a space before a trailer's colon", _NAME, _trailers(b"A : b\r\n")),
    refused("X70", MUST, "a trailer without a name", _NAME, _trailers(b": b\r\n")),
    refused("X71", MUST, "a folded trailer", _FOLD, _trailers(b"A: b\r\n c\r\n")),
    refused("X72", SHOULD, "20,000 bytes of trailers", _TRAILER, _trailers(b"A: b\r\n" * 3334)),
]  # fmt: skip

CASES: Final = CHUNKS
