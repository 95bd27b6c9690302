"""Requests whose body's end could be told in two ways: transfer codings and lengths."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    GET,
    GOT_SECOND,
    HELLO,
    HOST,
    MUST,
    POLICY,
    POST,
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

_TE: Final = "RFC 9112, 6.1"
_END: Final = "RFC 9112, 6.3"
_LENGTH: Final = "RFC 9110, 8.6"
_NAME: Final = "RFC 9112, 5.1"
_FOLD: Final = "RFC 9112, 5.2"
_VALUE: Final = "RFC 9110, 5.5"
_LINE: Final = "RFC 9112, 2.2"
_CUT: Final = "RFC 9112, 8"


def _coded(line: bytes) -> bytes:
    """A chunked body under one spelling of Transfer-Encoding."""
    return POST + line + b"\r\n\r\n" + HELLO


def _both(line: bytes) -> bytes:
    """A body that is 5 bytes to one reader and coded to another."""
    return POST + b"Content-Length: 5\r\n" + line + b"\r\n\r\nhello"


def _hidden(line: bytes) -> bytes:
    """A body of 56 bytes whose reader in chunks finds it empty, and a request behind it."""
    return POST + b"Content-Length: 56\r\n" + line + b"\r\n\r\n0\r\n\r\n" + SMUGGLED


def _length(value: bytes, body: bytes = b"hello") -> bytes:
    """A body under one spelling of its length."""
    return POST + b"Content-Length: " + value + b"\r\n\r\n" + body


CODINGS: Final[list[Case]] = [
    refused(
        "A02", MUST, "chunked before a length that ends inside it", _END,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n33\r\n"
        + SMUGGLED + b"\r\n0\r\n\r\n",
    ),
    refused(
        "A03", SHOULD, "chunked and a length that agree", _TE,
        POST + b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO,
    ),
    refused(
        "X01", MUST, "a length before chunked that hides the next request's first byte", _END,
        POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    ),
    refused(
        "A07", SHOULD, "identity, chunked", _TE, _coded(b"Transfer-Encoding: identity, chunked"),
    ),
    refused("A08", MUST, "chunked twice", _TE, _coded(b"Transfer-Encoding: chunked, chunked")),
    refused("A10", SHOULD, "gzip, chunked", _TE, _coded(b"Transfer-Encoding: gzip, chunked")),
    refused(
        "A11", MUST, "gzip without chunked", _END,
        POST + b"Transfer-Encoding: gzip\r\n\r\n" + SMUGGLED,
    ),
    refused("A13", MUST, "chunked in quotes", _END, _both(b'Transfer-Encoding: "chunked"')),
    refused("A14", MUST, "chunked with a weight", _END, _both(b"Transfer-Encoding: chunked;q=1")),
    refused("A37", MUST, "chunk", _END, _both(b"Transfer-Encoding: chunk")),
    refused("X02", MUST, "xchunked", _END, _both(b"Transfer-Encoding: xchunked")),
    refused("A28", SHOULD, "an empty coding", _END, _both(b"Transfer-Encoding:")),
    refused("X03", MUST, "identity and a length", _END, _both(b"Transfer-Encoding: identity")),
    refused(
        "X04", SHOULD, "identity alone", _END,
        POST + b"Transfer-Encoding: identity\r\n\r\n" + SMUGGLED,
    ),
    refused(
        "X05", MUST, "chunked, identity", _END, _coded(b"Transfer-Encoding: chunked, identity"),
    ),
    refused(
        "A15", MUST, "a space before the colon", _NAME, _hidden(b"Transfer-Encoding : chunked"),
    ),
    refused("X06", MUST, "a tab before the colon", _NAME, _hidden(b"Transfer-Encoding\t: chunked")),
    refused("A36", MUST, "a NUL in the name", _NAME, _hidden(b"Transfer-Encoding\x00: chunked")),
    refused(
        "A19", MUST, "a NUL before chunked", _VALUE, _hidden(b"Transfer-Encoding: \x00chunked"),
    ),
    refused("X07", MUST, "a VT before chunked", _VALUE, _hidden(b"Transfer-Encoding: \x0bchunked")),
    refused("X08", MUST, "a FF behind chunked", _VALUE, _hidden(b"Transfer-Encoding: chunked\x0c")),
    refused(
        "A20", MUST, "a no-break space before chunked", _END,
        _hidden(b"Transfer-Encoding: \xa0chunked"),
    ),
    refused(
        "X09", MUST, "a next-line byte behind chunked", _END,
        _hidden(b"Transfer-Encoding: chunked\x85"),
    ),
    refused("A35", MUST, "a CR behind chunked", _LINE, _hidden(b"Transfer-Encoding: chunked\r")),
    refused(
        "A22", MUST, "chunked on a folded line", _FOLD, _hidden(b"Transfer-Encoding:\r\n chunked"),
    ),
    refused(
        "X10", MUST, "a folded line of tabs", _FOLD, _hidden(b"Transfer-Encoding:\r\n\tchunked"),
    ),
    refused(
        "X11", MUST, "a coding behind a bare LF", _LINE,
        _hidden(b"X: y\nTransfer-Encoding: chunked"),
    ),
    refused(
        "X12", MUST, "a coding behind a bare CR", _LINE,
        _hidden(b"X: y\rTransfer-Encoding: chunked"),
    ),
    refused(
        "A33", MUST, "two codings on two lines", _END,
        _both(b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "A34", MUST, "chunked and identity on two lines", _END,
        _coded(b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity"),
    ),
    refused(
        "X13", MUST, "chunked on two lines", _END,
        _coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "X14", MUST, "chunked in HTTP/1.0", _TE,
        b"POST /v1/files HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + HELLO,
    ),
    forwarded(
        "A25", MUST, "CHUNKED", "RFC 9112, 7",
        POST + b"Content-Type: application/json\r\nTransfer-Encoding: CHUNKED\r\n\r\n" + HELLO,
        arrives=(POSTED,),
    ),
    forwarded(
        "X15", MUST, "blanks and tabs around chunked", _VALUE,
        _coded(b"Transfer-Encoding:\t chunked \t"), arrives=(POSTED,),
    ),
    either(
        "A26", POLICY, "an underscore in the name", "RFC 9110, 5.1",
        _hidden(b"Transfer_Encoding: chunked"),
        ours=Expect.FORWARDED, absent=(b"transfer_encoding",),
    ),
    either(
        "A29", POLICY, "an empty element behind chunked", "RFC 9110, 5.6.1",
        _coded(b"Transfer-Encoding: chunked,"), ours=Expect.REFUSED,
    ),
    either(
        "X16", POLICY, "an empty element before chunked", "RFC 9110, 5.6.1",
        _coded(b"Transfer-Encoding: , chunked"), ours=Expect.REFUSED,
    ),
    either(
        "A31", MUST, "a Connection that names the coding", "RFC 9110, 7.6.1",
        _coded(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"),
    ),
]  # fmt: skip

LENGTHS: Final[list[Case]] = [
    *(
        refused(id, MUST, f"a length of {value!r}", _LENGTH, _length(value))
        for id, value in (
            ("B08", b"5 5"),
            ("B10", b"5a"),
            ("B14", b"5\x0b"),
            ("B15", b"5\x00"),
            ("B16", b"5.0"),
            ("B17", b"5;"),
            ("B18", b"\x0c5"),
            ("B19", b"'5'"),
            ("X17", b"-5"),
            ("X18", b"+5"),
            ("X19", b"0x5"),
            ("X20", b"5e0"),
            ("X21", b""),
            ("X22", b"5\t5"),
            ("X23", b"\xa05"),
            ("X24", b"\xef\xbc\x95"),
            ("X25", b"\xd9\xa5"),
            ("X26", b"5\r"),
            ("X27", b"18446744073709551621"),
            ("X28", b"5" * 5000),
        )
    ),
    refused("B11", MUST, "a length of b'5_0'", _LENGTH, _length(b"5_0", b"hello" + b"x" * 45)),
    refused(
        "B24", MUST, "a space before the colon", _NAME, POST + b"Content-Length : 5\r\n\r\nhello",
    ),
    refused("B25", SHOULD, "a folded length", _FOLD, POST + b"Content-Length:\r\n 5\r\n\r\nhello"),
    refused("B04", MUST, "two lengths in a list", _END, _length(b"5, 6", b"hello!")),
    refused(
        "B26", MUST, "two lengths on two lines", _END,
        POST + b"content-length: 5\r\nCONTENT-LENGTH: 6\r\n\r\nhello!",
    ),
    refused(
        "X29", MUST, "one length of three that differs", _END,
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    ),
    refused(
        "X30", MUST, "a length behind a bare CR", _LINE,
        POST + b"X: y\rContent-Length: 51\r\n\r\n" + SMUGGLED,
    ),
    either(
        "B02", POLICY, "a length told twice on two lines", _END,
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", ours=Expect.REFUSED,
    ),
    either(
        "B03", POLICY, "a length told twice in a list", _END, _length(b"5, 5"), ours=Expect.REFUSED,
    ),
    either(
        "X31", POLICY, "an empty element", "RFC 9110, 5.6.1", _length(b"5,"), ours=Expect.REFUSED,
    ),
    either(
        "X32", POLICY, "leading zeros", _LENGTH, _length(b"0005"), ours=Expect.FORWARDED,
        arrives=(POSTED,),
    ),
    forwarded(
        "X33", MUST, "blanks and tabs around the length", _VALUE, _length(b"\t 5 \t"),
        arrives=(POSTED,),
    ),
    forwarded(
        "X34", MUST, "a Connection that names the length", "RFC 9110, 7.6.1",
        POST + b"Connection: Content-Length\r\nContent-Length: 51\r\n\r\n" + SMUGGLED,
        arrives=(b"POST /v1/files " + SMUGGLED,),
    ),
    either(
        "X35", POLICY, "an underscore in the name", "RFC 9110, 5.1",
        POST + b"Content_Length: 44\r\nContent-Length: 5\r\n\r\nhello",
        ours=Expect.FORWARDED, absent=(b"content_length",),
    ),
    cut("B28", MUST, "a body that is shorter than told", _CUT, _length(b"100"), ends=True),
    either(
        "B31", MUST, "OPTIONS with a body", "RFC 9110, 9.3.7",
        b"OPTIONS /v1/models HTTP/1.1\r\n" + HOST + b"Content-Length: 51\r\n\r\n" + SMUGGLED,
    ),
    either(
        "B32", MUST, "HEAD with a body", "RFC 9110, 9.3.2",
        b"HEAD /v1/models HTTP/1.1\r\n" + HOST + b"Content-Length: 51\r\n\r\n" + SMUGGLED,
    ),
    either(
        "X36", MUST, "GET with a body", "RFC 9110, 9.3.1",
        GET + b"Content-Length: 51\r\n\r\n" + SMUGGLED,
    ),
    either(
        "B34", MUST, "a body behind a wrong credential", _END,
        POST + b"Authorization: Bearer wrong\r\nContent-Length: 51\r\n\r\n" + SMUGGLED,
    ),
    refused(
        "X37", MUST, "a body behind a path without a route", _END,
        b"POST /v1/../files HTTP/1.1\r\n" + HOST + b"Content-Length: 51\r\n\r\n" + SMUGGLED,
    ),
    refused(
        "X180", MUST, "a chunked body behind a path without a route", _END,
        b"POST /v1/../files HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + HELLO
        + SMUGGLED,
    ),
    refused("X38", MUST, "a body that is too long", _END, _length(b"99999999", SMUGGLED)),
    either(
        "B35", POLICY, "a POST without any length", _END, POST + b"\r\n" + SECOND,
        ours=Expect.FORWARDED, arrives=(b"POST /v1/files ", GOT_SECOND),
    ),
    either(
        "G20", POLICY, "a POST in HTTP/1.0 without any length", "RFC 1945, 8.3",
        b"POST /v1/files HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n" + SECOND,
        ours=Expect.FORWARDED, arrives=(b"POST /v1/files ",),
    ),
]  # fmt: skip

CASES: Final = [*CODINGS, *LENGTHS]
