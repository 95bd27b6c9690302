"""Responses whose head is malformed, out of place, or not for the client."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    BODY,
    MUST,
    OK,
    POISONED,
    POLICY,
    SHOULD,
    Case,
    Expect,
    either,
    failed,
    forwarded,
)

_STATUS: Final = "RFC 9112, 4"
_INTERIM: Final = "RFC 9110, 15.2"
_NAME: Final = "RFC 9112, 5.1"
_VALUE: Final = "RFC 9110, 5.5"
_LIMIT: Final = "RFC 9110, 5.4"
_REST: Final = b"Content-Length: 8\r\n\r\n" + BODY
_WHOLE: Final = OK + _REST


def _line(line: bytes) -> bytes:
    return line + b"\r\n" + _REST


def _field(line: bytes) -> bytes:
    return OK + line + b"\r\n" + _REST


LINES: Final[list[Case]] = [
    *(
        failed(id, MUST, f"a status line of {line!r}", _STATUS, _line(line), ends=True)
        for id, line in (
            ("R35", b"HTTP/1.1 2_00 OK"),
            ("R36", b"HTTP/1.1 +200 OK"),
            ("R37", b"HTTP/1.1 20 OK"),
            ("R40", b"HTTP/1.1 000 OK"),
            ("R41", b"ICY 200 OK"),
            ("R42", b"HTTP/2.0 200 OK"),
            ("R44", b"http/1.1 200 OK"),
            ("R46", b"HTTP/1.1 200 OK\rX: y"),
            ("Y63", b"HTTP/1.1 2000 OK"),
            ("Y64", b"HTTP/1.1 099 OK"),
            ("Y65", b"HTTP/1.1 600 OK"),
            ("Y66", b"HTTP/1.1 999 OK"),
            ("Y67", b"HTTP/1.1  200 OK"),
            ("Y68", b"HTTP/1.1 200OK"),
            ("Y69", b"HTTP/1.1\t200 OK"),
            ("Y70", b" HTTP/1.1 200 OK"),
            ("Y71", b"HTTP/1.10 200 OK"),
            ("Y72", b"HTTP/1.1 OK"),
            ("Y73", b"HTTP/1.1 2\xb20 OK"),
            ("Y74", b"HTTP/1.1 200 O\x00K"),
            ("Y75", b"HTTP/1.1 200 O\x1bK"),
            ("Y76", b"HTTP/1.1 200 OK\nX: y"),
            ("Y77", b"\xef\xbb\xbfHTTP/1.1 200 OK"),
        )
    ),
    either(
        "Y78", POLICY, "a version of HTTP/1.2", "RFC 9112, 2.3", _line(b"HTTP/1.2 200 OK"),
        ends=True,
        ours=Expect.FAILED,
    ),
    forwarded("Y79", MUST, "no reason", _STATUS, _line(b"HTTP/1.1 200 "), arrives=(BODY,)),
    either(
        "Y80", POLICY, "no space behind the status", _STATUS, _line(b"HTTP/1.1 200"),
        ours=Expect.FORWARDED, arrives=(BODY,),
    ),
    failed(
        "R48", SHOULD, "a reason of 20,000 bytes", _STATUS, _line(b"HTTP/1.1 200 " + b"x" * 20_000),
        ends=True,
    ),
    failed(
        "R52", POLICY, "an empty line before", "RFC 9112, 2.2", b"\r\n\r\n" + _WHOLE, ends=True,
    ),
    either(
        "R72", POLICY, "a bare LF at the end of each line", "RFC 9112, 2.2",
        b"HTTP/1.1 200 OK\nContent-Length: 8\n\n" + BODY, ends=True, ours=Expect.FAILED,
    ),
    failed("Y81", MUST, "a body without a head", "RFC 9112, 2.3", b"<html>hello</html>", ends=True),
    failed(
        "Y82", MUST, "a request for an answer", _STATUS, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ends=True,
    ),
    failed("Y104", MUST, "an alert of TLS", _STATUS, b"\x15\x03\x01\x00\x02\x02\x0a", ends=True),
    failed("Y105", MUST, "an alert of TLS, and then silence", _STATUS, b"\x15\x03\x01\0\x02\x02F"),
    failed("Y106", MUST, "half a status line, and a NUL", _STATUS, b"HTTP/1.1 2\x00"),
    failed("Y83", MUST, "half a head", "RFC 9112, 8", b"HTTP/1.1 200 OK\r\nContent-Le", ends=True),
    failed("R90", MUST, "nothing", "RFC 9112, 8", b"", ends=True),
]  # fmt: skip

INTERIMS: Final[list[Case]] = [
    forwarded(
        "R54", MUST, "103 before the answer", _INTERIM,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + _WHOLE, ends=True, arrives=(BODY,),
    ),
    forwarded(
        "Y84", MUST, "100 before the answer", _INTERIM, b"HTTP/1.1 100 Continue\r\n\r\n" + _WHOLE,
        arrives=(BODY,),
    ),
    failed(
        "R55", SHOULD, "2,000 of them", _INTERIM,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 2000 + _WHOLE, ends=True,
    ),
    failed(
        "R56", MUST, "101 that nobody asked for", "RFC 9110, 7.8",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\n\r\nRAWBYTES",
        ends=True,
    ),
    failed("R58", MUST, "100 and no answer", _INTERIM, b"HTTP/1.1 100 Continue\r\n\r\n", ends=True),
    failed(
        "Y85", MUST, "103 with a body", "RFC 9112, 6.3",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 6\r\n\r\nPOISON" + _WHOLE, ends=True,
    ),
    failed(
        "Y86", MUST, "103 with a chunked body", "RFC 9112, 6.3",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n0\r\n\r\n"
        + _WHOLE,
        ends=True,
    ),
    forwarded(
        "Y87", MUST, "103 with fields that are not the client's", "RFC 9110, 7.6.1",
        b"HTTP/1.1 103 Early Hints\r\nConnection: x-secret\r\nX-Secret: 1\r\n"
        b"Content-Length: 3\r\n\r\n" + _WHOLE,
        arrives=(BODY,), absent=(b"x-secret", b"content-length: 3"),
    ),
    failed(
        "Y88", MUST, "103 with a malformed field", _NAME,
        b"HTTP/1.1 103 Early Hints\r\nFoo Bar: x\r\n\r\n" + _WHOLE,
        ends=True,
    ),
    forwarded(
        "Y89", MUST, "103 behind the answer", _INTERIM,
        _WHOLE + b"HTTP/1.1 103 Early Hints\r\n\r\n" + POISONED, arrives=(BODY,),
    ),
]  # fmt: skip

FIELDS: Final[list[Case]] = [
    *(
        failed(id, level, about, rule, _field(line), ends=True)
        for id, level, about, rule, line in (
            ("R62", SHOULD, "no colon", _NAME, b"NoColon"),
            ("R64", SHOULD, "a space in a name", _NAME, b"Foo Bar: x"),
            ("R69", SHOULD, "a high byte in a name", _NAME, b"F\xf6o: x"),
            ("Y90", SHOULD, "an empty name", _NAME, b": x"),
            ("Y91", SHOULD, "a NUL in a name", _NAME, b"F\x00oo: x"),
            ("Y92", MUST, "a NUL in a value", _VALUE, b"Foo: a\x00b"),
            ("Y93", MUST, "a bare CR in a value", _VALUE, b"Foo: a\rb"),
            ("Y94", MUST, "a bare LF in a value", _VALUE, b"Foo: a\nBar: b"),
            ("Y95", SHOULD, "an escape sequence in a value", _VALUE, b"Foo: a\x1b[2J"),
            ("Y96", SHOULD, "20,000 fields' worth of bytes", _LIMIT, b"A: " + b"b" * 100_000),
        )
    ),
    failed(
        "Y101", SHOULD, "a name of 10,000 bytes", _LIMIT, _field(b"A" * 10_000 + b": b"), ends=True,
    ),
    forwarded(
        "Y102", MUST, "204 with a length of 0", "RFC 9110, 8.6",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", status=204, arrives=(b"",),
        absent=(b"content-length",),
    ),
    failed(
        "Y103", SHOULD, "a greeting of another protocol, and nothing more", _STATUS,
        b"220 mail.example ESMTP\r\n",
    ),
    either(
        "R65", SHOULD, "a space before a colon", _NAME, _field(b"Foo : x"), ends=True,
        absent=(b"foo : x",),
    ),
    either(
        "R70", POLICY, "a folded value", "RFC 9112, 5.2", _field(b"X: a\r\n b"), ends=True,
        ours=Expect.FAILED,
    ),
    failed(
        "R71", MUST, "a space before the first field", "RFC 9112, 2.2",
        b"HTTP/1.1 200 OK\r\n X: y\r\n" + _REST, ends=True,
    ),
    failed(
        "R74", SHOULD, "10,000 fields", _LIMIT,
        _field(b"\r\n".join(b"X%d: y" % n for n in range(10_000))), ends=True,
    ),
    either(
        "Y97", POLICY, "bytes above 0x7f in a value", _VALUE, _field(b"Foo: \xe4\xf6\xfc"),
        ours=Expect.FORWARDED, arrives=(BODY,),
    ),
    forwarded(
        "R75", MUST, "a field that Connection names", "RFC 9110, 7.6.1",
        _field(b"Connection: x-secret\r\nX-Secret: 1"), ends=True, arrives=(BODY,),
        absent=(b"x-secret",),
    ),
    forwarded(
        "Y98", MUST, "a field that the second Connection names", "RFC 9110, 7.6.1",
        _field(b"Connection: x\r\nX-Secret: 1\r\nConnection: y,\tX-SECRET"), arrives=(BODY,),
        absent=(b"x-secret",),
    ),
    forwarded(
        "Y99", MUST, "fields of the connection alone", "RFC 9110, 7.6.1",
        _field(
            b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
            b"Trailer: x\r\nProxy-Authenticate: Basic realm=x\r\nTE: trailers"
        ),
        arrives=(BODY,),
        absent=(b"keep-alive", b"proxy-connection", b"upgrade", b"trailer", b"proxy-authenticate"),
    ),
    either(
        "R79", POLICY, "a coding that the body has not", "RFC 9110, 8.4",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnotgzip!", ends=True,
        ours=Expect.FORWARDED, arrives=(b"notgzip!",),
    ),
    either(
        "R86", MUST, "a redirection to an address inside", "RFC 9110, 15.4.3",
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
        ends=True,
        status=302, arrives=(b"",),
    ),
    failed(
        "R88", POLICY, "401", "RFC 9110, 15.5.2",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=up\r\n"
        b"Content-Length: 37\r\n\r\n"
        b'{"error":"Incorrect API key sk-ab**"}',
        ends=True, ours=Expect.FORWARDED, status=401,
        arrives=(b'{"error":"Incorrect API key sk-ab**"}',),
    ),
    forwarded(
        "R89", MUST, "a refusal that closes", "RFC 9112, 9.6",
        b"HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ends=True,
        status=413, arrives=(b"",),
    ),
]  # fmt: skip

CASES: Final = [*LINES, *INTERIMS, *FIELDS]
