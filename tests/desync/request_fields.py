"""Requests whose Host or other fields could be read in two ways, or are not the upstream's."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    GET,
    GOT,
    HOST,
    MUST,
    POLICY,
    POST,
    POSTED,
    SHOULD,
    SMUGGLED,
    Case,
    Expect,
    cut,
    either,
    forwarded,
    refused,
)

_EMPTY: Final = "RFC 9112, 2.2"
_HOST: Final = "RFC 9112, 3.2"
_NAME: Final = "RFC 9112, 5.1"
_FOLD: Final = "RFC 9112, 5.2"
_VALUE: Final = "RFC 9110, 5.5"
_LIMIT: Final = "RFC 9110, 5.4"


def _host(value: bytes) -> bytes:
    return b"GET /v1/models HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"


def _field(line: bytes) -> bytes:
    return GET + line + b"\r\n\r\n"


HOSTS: Final[list[Case]] = [
    *(
        refused(id, MUST, f"a Host of {value!r}", _HOST, _host(value))
        for id, value in (
            ("E04", b"local host"),
            ("E05", b"localhost:4000/#@attacker.example"),
            ("E06", b"user@localhost"),
            ("E09", b"[::1"),
            ("E13", b"localhost?x"),
            ("X112", b"localhost, 127.0.0.1"),
            ("X113", b"localhost\x00"),
            ("X114", b"localh\xf6st"),
            ("X115", b"localhost:8o"),
            ("X116", b"localhost:80:80"),
            ("X117", b"http://localhost"),
            ("X118", b"localhost\\x"),
            ("X119", b":80"),
            ("X120", b"[localhost]"),
            ("X121", b"[:::::]"),
            ("X122", b"::1"),
        )
    ),
    refused("E07", SHOULD, "a port above 65535", _HOST, _host(b"localhost:99999")),
    refused(
        "E15", MUST, "a space before Host's colon", _NAME,
        b"GET /v1/models HTTP/1.1\r\nHost : localhost\r\n\r\n",
    ),
    refused(
        "E18", MUST, "a space before Host", _EMPTY,
        b"GET /v1/models HTTP/1.1\r\n " + HOST + b"\r\n",
    ),
    refused(
        "E19", MUST, "Host on a folded line", _FOLD,
        b"GET /v1/models HTTP/1.1\r\nX: y\r\n " + HOST + b"\r\n",
    ),
    refused("X123", MUST, "no Host", _HOST, b"GET /v1/models HTTP/1.1\r\nX: y\r\n\r\n"),
    refused("X124", MUST, "no field at all", _HOST, b"GET /v1/models HTTP/1.1\r\n\r\n"),
    refused("X125", MUST, "two Hosts", _HOST, GET + b"Host: 127.0.0.1\r\n\r\n"),
    refused("X126", MUST, "Host twice", _HOST, GET + b"host: localhost\r\n\r\n"),
    either(
        "E14", POLICY, "an empty Host", _HOST, b"GET /v1/models HTTP/1.1\r\nHost:\r\n\r\n",
        ours=Expect.REFUSED,
    ),
    *(
        either(
            id, POLICY, f"a Host of {value!r}", "RFC 3986, 3.2.2", _host(value),
            ours=Expect.REFUSED
        )
        for id, value in (
            ("X171", b"localhost,127.0.0.1"),
            ("X172", b"localhost%00"),
            ("X173", b"localhost;x=y"),
            ("X174", b"localhost:"),
        )
    ),
    refused(
        "E17", POLICY, "a Host that is not one of the gateway's", "RFC 9110, 7.4",
        b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n",
    ),
    either(
        "X127", POLICY, "HTTP/1.0 without Host", _HOST, b"GET /v1/models HTTP/1.0\r\n\r\n",
        ours=Expect.FORWARDED, arrives=(GOT,),
    ),
    either(
        "X128", MUST, "a Connection that names Host", "RFC 9110, 7.6.1",
        _field(b"Connection: close, Host"),
        arrives=(GOT,),
    ),
]  # fmt: skip

FIELDS: Final[list[Case]] = [
    *(
        refused(id, MUST, about, rule, _field(line))
        for id, about, rule, line in (
            ("F02", "no colon", _NAME, b"NoColon"),
            ("F03", "an empty name", _NAME, b": x"),
            ("F04", "a space in a name", _NAME, b"Foo Bar: x"),
            ("F06", "a high byte in a name", _NAME, b"F\xf6o: x"),
            ("F12", "a semicolon in a name", _NAME, b"Foo;: x"),
            ("X129", "a tab in a name", _NAME, b"Foo\t: x"),
            ("X130", "a NUL in a name", _NAME, b"F\x00oo: x"),
            ("X131", "a quote in a name", _NAME, b'"Foo": x'),
            ("F07", "a NUL in a value", _VALUE, b"Foo: a\x00b"),
            ("F08", "a bare CR in a value", _VALUE, b"Foo: a\rb"),
            ("X132", "a bare LF in a value", _VALUE, b"Foo: a\nBar: b"),
            (
                "X133", "a line behind a bare LF that ends the head", _VALUE,
                b"Foo: a\n\r\n" + SMUGGLED,
            ),
            ("X134", "a folded value", _FOLD, b"Foo: a\r\n b"),
            ("X135", "a folded line of blanks", _FOLD, b"Foo: a\r\n \r\nBar: b"),
        )
    ),
    refused("F13", SHOULD, "0x01 in a value", _VALUE, _field(b"Foo: a\x01b")),
    refused("X136", SHOULD, "a DEL in a value", _VALUE, _field(b"Foo: a\x7fb")),
    refused("X137", SHOULD, "a VT around a value", _VALUE, _field(b"Foo: \x0bx")),
    either(
        "X138", POLICY, "bytes above 0x7f in a value", _VALUE, _field(b"Foo: \xe4\xf6\xfc"),
        ours=Expect.FORWARDED, arrives=(GOT,),
    ),
    either(
        "F31", SHOULD, "an escape sequence in a value", _VALUE,
        _field(b'User-Agent: x\x1b[2J%0a{"level":"admin"} " \' \xe2\x80\xae'),
    ),
    refused("F17", POLICY, "a field of 70,000 bytes", _LIMIT, _field(b"A: " + b"b" * 70_000)),
    refused("F19", POLICY, "a name of 10,000 bytes", _LIMIT, _field(b"A" * 10_000 + b": b")),
    refused(
        "X139", POLICY, "1,000 fields", _LIMIT,
        _field(b"\r\n".join(b"X%d: y" % n for n in range(1000))),
    ),
    forwarded(
        "X140", MUST, "a credential of 20,000 bytes", _LIMIT,
        _field(b"Authorization: Bearer " + b"k" * 20_000),
        arrives=(GOT,),
    ),
    cut("F20", MUST, "a head without an end", _EMPTY, GET + b"A: b\r\n", ends=True),
    cut("X141", MUST, "a head without its last LF", _EMPTY, GET + b"A: b\r\n\r", ends=True),
    either(
        "F22", MUST, "a Connection that names X-Forwarded-For", "RFC 9110, 7.6.1",
        _field(b"X-Forwarded-For: 1.2.3.4\r\nConnection: close, X-Forwarded-For"),
        absent=(b"1.2.3.4",),
    ),
    either(
        "F27", MUST, "forwarding fields that the client made up", "RFC 7239, 8.1",
        _field(b"X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1"),
    ),
    forwarded(
        "X175", SHOULD, "an address that the client made up", "RFC 7239, 8.1",
        _field(
            b"X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n"
            b"Forwarded: for=203.0.113.7\r\nX-Forwarded-Host: 203.0.113.7"
        ),
        arrives=(GOT,), absent=(b"203.0.113.7",),
    ),
    forwarded(
        "F28", MUST, "fields of the connection alone", "RFC 9110, 7.6.1",
        _field(
            b"TE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"
            b"Connection: TE, Keep-Alive"
        ),
        arrives=(GOT,), absent=(b"\r\nte:", b"keep-alive", b"proxy-connection"),
    ),
    forwarded(
        "X142", MUST, "a field that the second Connection names", "RFC 9110, 7.6.1",
        _field(b"X-Secret: 1\r\nConnection: x-other\r\nConnection: x,\tx-SECRET"),
        arrives=(GOT,), absent=(b"x-secret",),
    ),
    forwarded(
        "X143", MUST, "fields of the connection alone that nothing names", "RFC 9110, 7.6.1",
        _field(
            b"Te: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nProxy-Authorization: Basic eDp5\r\n"
            b"HTTP2-Settings: x"
        ),
        arrives=(GOT,),
        absent=(b"\r\nte:", b"trailer", b"upgrade", b"proxy-authorization", b"http2-settings"),
    ),
    either(
        "X144", SHOULD, "a Connection that names credentials", "RFC 9110, 7.6.1",
        _field(
            b"x-api-key: key-a\r\nAuthorization: Bearer key-b\r\n"
            b"Connection: x-api-key, Authorization"
        ),
        arrives=(GOT,),
    ),
    refused(
        "F24", POLICY, "two credentials in one field's name", "RFC 9110, 11.6.2",
        POST + b"Authorization: Bearer sk-a\r\nAuthorization: Bearer sk-b\r\n"
        b"Content-Length: 5\r\n\r\nhello",
    ),
    refused(
        "X145", POLICY, "two API keys", "RFC 9110, 5.3",
        POST + b"x-api-key: sk-a\r\nX-API-Key: sk-b\r\nContent-Length: 5\r\n\r\nhello",
    ),
    either(
        "F29", POLICY, "a method in a field", "RFC 9110, 9.1",
        POST + b"X-HTTP-Method-Override: DELETE\r\nContent-Length: 5\r\n\r\nhello",
        ours=Expect.FORWARDED, arrives=(POSTED,),
    ),
    either(
        "F30", MUST, "a compressed body that grows a thousandfold", "RFC 9110, 8.4",
        POST
        + b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
        + b"Content-Length: 1972\r\n\r\n"
        + bytes.fromhex("1f8b0800000000000203edc1010100000082") + b" \xff\xafnH@\x01"
        + bytes(1937) + bytes.fromhex("6f06411d5a4280841e00"),
    ),
    either(
        "X146", POLICY, "underscores in the names of forwarding fields", "RFC 9110, 5.1",
        _field(b"X_Forwarded_For: 127.0.0.1\r\nX_Api_Key: sk-a"),
        ours=Expect.FORWARDED, absent=(b"x_forwarded_for", b"x_api_key"),
    ),
]  # fmt: skip

CASES: Final = [*HOSTS, *FIELDS]
