"""Requests whose line could be read in two ways: method, target, version."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    GET,
    GOT,
    HOST,
    MUST,
    POLICY,
    SHOULD,
    Case,
    Expect,
    cut,
    either,
    forwarded,
    refused,
)

_LINE: Final = "RFC 9112, 3"
_METHOD: Final = "RFC 9112, 3.1"
_TARGET: Final = "RFC 9112, 3.2"
_ABSOLUTE: Final = "RFC 9112, 3.2.2"
_VERSION: Final = "RFC 9112, 2.3"
_EMPTY: Final = "RFC 9112, 2.2"
_PATH: Final = "RFC 3986, 3.3"

#: Bytes of every kind, in no order that means anything.
NOISE: Final = bytes((37 * n + 11) % 256 for n in range(4096))

#: The beginning of a TLS handshake: a client that took the port for HTTPS.
_CLIENT_HELLO: Final = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) * 6


def _ask(target: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def _line(line: bytes, end: bytes = b"\r\n") -> bytes:
    return line + end + HOST + b"\r\n"


LINES: Final[list[Case]] = [
    refused("D01", MUST, "a request line of HTTP/0.9", _VERSION, b"GET /smuggled-request\r\n"),
    refused(
        "X73", MUST, "a request line of HTTP/0.9, with fields", _VERSION,
        _line(b"GET /smuggled-request"),
    ),
    *(
        refused(id, MUST, about, _LINE, _line(line))
        for id, about, line in (
            ("D06", "a space at the end", b"GET /v1/models HTTP/1.1 "),
            ("D09", "a space at the beginning", b" GET /v1/models HTTP/1.1"),
            ("D10", "a fourth word", b"GET /v1/models HTTP/1.1 x"),
            ("D11", "a space in the target", b"GET /v1/mo dels HTTP/1.1"),
            ("D24", "a VT for a space", b"GET /v1/models\x0bHTTP/1.1"),
            ("D25", "a CR before the CRLF", b"GET /v1/models HTTP/1.1\r"),
            ("D29", "a byte order mark", b"\xef\xbb\xbfGET /v1/models HTTP/1.1"),
            ("X74", "two spaces", b"GET  /v1/models HTTP/1.1"),
            ("X75", "a tab for a space", b"GET\t/v1/models HTTP/1.1"),
            ("X76", "a bare CR in the middle", b"GET /v1/models\rHTTP/1.1"),
            ("X77", "no target", b"GET HTTP/1.1"),
            ("X78", "a bare LF in the middle", b"GET /v1/models HTTP/1.1\nX: y"),
        )
    ),
    *(
        refused(
            id, MUST, f"a version of {version.decode()}", _VERSION,
            _line(b"GET /v1/models " + version)
        )
        for id, version in (
            ("D27", b"HTTP/11"),
            ("D28", b"HTTPS/1.1"),
            ("X79", b"HTTP/2.0"),
            ("X80", b"HTTP/0.9"),
            ("X81", b"HTTP/1.10"),
            ("X82", b"HTTP/01.1"),
            ("X83", b"http/1.1"),
            ("X84", b"HTTP/1,1"),
            ("X85", b"HTTP/1"),
            ("X86", b"HTTP/+1.1"),
        )
    ),
    refused(
        "D48", MUST, "the preface of HTTP/2", "RFC 9113, 3.4",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ),
    either(
        "D02", POLICY, "a version of HTTP/1.2", _VERSION, _line(b"GET /v1/models HTTP/1.2"),
        ours=Expect.REFUSED,
    ),
    refused("D22", MUST, "a method that is no token", _METHOD, _ask(b"/v1/models", b"P(ST")),
    refused("D23", SHOULD, "TRACE", "RFC 9110, 9.3.8", _ask(b"/v1/models", b"TRACE")),
    refused("X87", MUST, "CONNECT", "RFC 9110, 9.3.6", _ask(b"localhost:443", b"CONNECT")),
    refused("X88", MUST, "CONNECT with a path", "RFC 9110, 9.3.6", _ask(b"/v1/models", b"CONNECT")),
    refused(
        "X89", SHOULD, "a method of 10,000 letters", _METHOD, _ask(b"/v1/models", b"G" * 10_000),
    ),
    either(
        "D47", POLICY, "a method in small letters", "RFC 9110, 9.1",
        b"post /v1/files HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
        ours=Expect.FORWARDED, arrives=(b"post /v1/files hello",),
    ),
    forwarded("D30", MUST, "an empty line before", _EMPTY, b"\r\n" + GET + b"\r\n", arrives=(GOT,)),
    either(
        "D31", POLICY, "50 empty lines before", _EMPTY, b"\r\n" * 50 + GET + b"\r\n",
        ours=Expect.REFUSED,
    ),
    either(
        "X90", POLICY, "a bare LF before", _EMPTY, b"\n" + GET + b"\r\n", ours=Expect.REFUSED,
    ),
    either(
        "X91", POLICY, "a bare LF at the end of each line", _EMPTY,
        b"GET /v1/models HTTP/1.1\nHost: localhost\n\n", ours=Expect.REFUSED,
    ),
    refused("X176", MUST, "a NUL before", _LINE, b"\x00" + GET + b"\r\n"),
    refused("X92", MUST, "a bare CR before", _EMPTY, b"\r" + GET + b"\r\n"),
    refused(
        "X93", MUST, "lines that end in CR", _EMPTY,
        b"GET /v1/models HTTP/1.1\rHost: localhost\r\r\n\r\n",
    ),
    cut("D50", MUST, "4 KiB of noise", _LINE, NOISE, ends=True),
    cut("D51", MUST, "4,000 bytes of empty lines", _EMPTY, b"\r\n" * 2000, ends=True),
    cut("X94", MUST, "the beginning of TLS", _LINE, _CLIENT_HELLO, ends=True),
    *(
        cut(id, MUST, f"{about}, and then silence", _LINE, data)
        for id, about, data in (
            ("X182", "the beginning of TLS", _CLIENT_HELLO),
            ("X183", "the beginning of TLS as SSL 2.0 has it", b"\x80\x2e\x01\x03\x01\x00\x15"),
            ("X184", "the greeting of SOCKS 5", b"\x05\x01\x00"),
            ("X185", "the greeting of SSH", b"SSH-2.0-client\r\n"),
            ("X186", "the greeting of SMTP", b"EHLO client\r\n"),
            ("X187", "a request line of HTTP/0.9", b"GET /smuggled-request\r\n"),
            ("X188", "a status line", b"HTTP/1.1 200 OK\r\n"),
            ("X189", "a line that ends in LF", b"GET /v1/models HTTP/1.1\n"),
            ("X190", "a NUL in a field", GET + b"X: \x00"),
        )
    ),
    refused(
        "X191", MUST, "a line of the PROXY protocol before", _LINE,
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GET + b"\r\n",
    ),
    cut("X95", MUST, "half a request line", _LINE, b"GET /smuggled-req", ends=True),
]  # fmt: skip

TARGETS: Final[list[Case]] = [
    *(
        refused(id, MUST, f"a target with {about}", _TARGET, _ask(target))
        for id, about, target in (
            ("D12", "a NUL", b"/v1/mo\x00dels"),
            ("D15", "0xff", b"/v1/mo\xffdels"),
            ("X96", "a DEL", b"/v1/mo\x7fdels"),
            ("X97", "0x80", b"/v1/mo\x80dels"),
            ("X98", "a tab", b"/v1/mo\tdels"),
            ("D17", "no slash", b"v1/models"),
            ("D18", "a user in its authority", b"http://u:p@localhost/v1/models"),
            ("D19", "an authority alone", b"localhost:80"),
            ("D53", "an @ first", b"@inner.test/smuggled-request"),
            ("X99", "an authority without a host", b"http:///v1/models"),
            ("X100", "a port that is none", b"http://localhost:x/v1/models"),
            ("X101", "a scheme that is not HTTP", b"ftp://localhost/v1/models"),
            ("X102", "a query first", b"?x=/v1/models"),
        )
    ),
    refused("D16", SHOULD, "a fragment", _TARGET, _ask(b"/v1/models#frag")),
    refused("D21", MUST, "an asterisk with POST", "RFC 9112, 3.2.4", _ask(b"*", b"POST")),
    either(
        "D38", POLICY, "an asterisk with OPTIONS", "RFC 9112, 3.2.4", _ask(b"*", b"OPTIONS"),
        ours=Expect.REFUSED,
    ),
    refused("X103", SHOULD, "a target of 20,000 bytes", _LINE, _ask(b"/" + b"a" * 20_000)),
    forwarded(
        "D35", MUST, "the absolute form", _ABSOLUTE, _ask(b"http://localhost/v1/models"),
        arrives=(GOT,),
    ),
    forwarded(
        "X104", MUST, "the absolute form, scheme and host in other letters", _ABSOLUTE,
        _ask(b"HTTP://LOCALHOST/v1/models"), arrives=(GOT,),
    ),
    forwarded(
        "X105", MUST, "the absolute form with a query and no path", _ABSOLUTE,
        _ask(b"http://localhost?x=1"), arrives=(b"GET /?x=1 ",),
    ),
    forwarded(
        "X192", MUST, "the absolute form with the other scheme", _ABSOLUTE,
        _ask(b"https://localhost/v1/models"), arrives=(GOT,),
    ),
    forwarded(
        "X193", MUST, "the absolute form in HTTP/1.0, without Host", _ABSOLUTE,
        b"GET http://localhost/v1/models HTTP/1.0\r\n\r\n", arrives=(GOT,),
    ),
    refused(
        "X194", SHOULD, "the absolute form of a host that is not the gateway's, in HTTP/1.0",
        _ABSOLUTE, b"GET http://evil.example/v1/models HTTP/1.0\r\n\r\n",
    ),
    refused(
        "X195", MUST, "the absolute form with a fragment", _ABSOLUTE,
        _ask(b"http://localhost/v1/models#x"),
    ),
    refused(
        "X196", MUST, "the absolute form with a backslash before an @", _ABSOLUTE,
        _ask(b"http://inner.test\\@localhost/v1/models"),
    ),
    either(
        "X197", POLICY, "the absolute form with a port that Host leaves out", _ABSOLUTE,
        _ask(b"http://localhost:80/v1/models"), ours=Expect.REFUSED,
    ),
    either(
        "X106", POLICY, "the absolute form of another host than Host's", _ABSOLUTE,
        _ask(b"http://127.0.0.1/v1/models"), ours=Expect.REFUSED,
    ),
    either(
        "D40", POLICY, "dot segments in escapes", _PATH, _ask(b"/v1/%2e%2e/admin/keys"),
        ours=Expect.REFUSED,
    ),
    either(
        "X107", POLICY, "dot segments", _PATH, _ask(b"/v1/../admin/keys"), ours=Expect.REFUSED,
    ),
    either(
        "X108", POLICY, "dot segments behind an escaped slash", _PATH, _ask(b"/v1%2f..%2fadmin"),
        ours=Expect.REFUSED,
    ),
    either("D41", POLICY, "backslashes", _TARGET, _ask(b"/v1\\..\\admin"), ours=Expect.REFUSED),
    either(
        "X109", POLICY, "an escaped line end", _PATH,
        _ask(b"/v1/models%20HTTP/1.1%0d%0aX:%20y"), ours=Expect.FORWARDED,
        arrives=(b"GET /v1/models%20HTTP/1.1%0d%0aX:%20y ",),
    ),
    either(
        "X177", POLICY, "dot segments escaped twice", _PATH, _ask(b"/v1/%252e%252e/admin"),
        ours=Expect.FORWARDED, arrives=(b"GET /v1/%252e%252e/admin ",),
    ),
    either(
        "X178", POLICY, "braces in the query", _TARGET, _ask(b"/v1/models?x={y}"),
        ours=Expect.REFUSED,
    ),
    either(
        "X179", POLICY, "brackets in the query", _TARGET, _ask(b"/v1/models?x[]=y"),
        ours=Expect.FORWARDED, arrives=(b"GET /v1/models?x[]=y ",),
    ),
    either(
        "X110", POLICY, "an escaped NUL", _PATH, _ask(b"/v1/models%00"), ours=Expect.FORWARDED,
        arrives=(b"GET /v1/models%00 ",),
    ),
    either(
        "X111", POLICY, "an escape that is none", _PATH, _ask(b"/v1/models%zz"),
        ours=Expect.FORWARDED,
        arrives=(b"GET /v1/models%zz ",),
    ),
    either(
        "D44", MUST, "two slashes first", _PATH, _ask(b"//inner.test/v1/models"),
        arrives=(b"GET //inner.test/v1/models ",),
    ),
    either(
        "D52", MUST, "an @ in the path", _PATH, _ask(b"/v1/models@inner.test:80/"),
        arrives=(b"GET /v1/models@inner.test:80/ ",),
    ),
]  # fmt: skip

CASES: Final = [*LINES, *TARGETS]
