"""Requests that ask something of the connection: to go on, to close, to switch, to be told to."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    CHUNKED,
    GET,
    GOT,
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
    either,
    forwarded,
    refused,
)

_EXPECT: Final = "RFC 9110, 10.1.1"
_UPGRADE: Final = "RFC 9110, 7.8"
_PIPELINE: Final = "RFC 9112, 9.3.2"
_CLOSE: Final = "RFC 9112, 9.6"
_PERSIST: Final = "RFC 9112, 9.3"


def _closing(lines: bytes) -> bytes:
    """A last request, and one behind it that must not be read any more."""
    return POST + lines + b"\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED


def _hello(lines: bytes, version: bytes = b"1.1") -> bytes:
    line = b"POST /v1/files HTTP/" + version + b"\r\n" + HOST
    return line + lines + b"\r\nContent-Length: 5\r\n\r\nhello"


EXPECTATIONS: Final[list[Case]] = [
    either(
        "G03", MUST, "an expectation that is nearly 100-continue", _EXPECT,
        POST + b"Expect: y 100-continue\r\nContent-Length: 51\r\n\r\n" + SMUGGLED,
        absent=(b"expect",),
    ),
    either(
        "G05", MUST, "an expectation on two lines", _EXPECT,
        _hello(b"Expect: 100-continue\r\nExpect: 100-continue"), absent=(b"expect",),
    ),
    either(
        "G06", POLICY, "a folded expectation", "RFC 9112, 5.2", _hello(b"Expect:\r\n 100-continue"),
        ours=Expect.REFUSED,
    ),
    either(
        "G07", MUST, "an expectation in HTTP/1.0", _EXPECT, _hello(b"Expect: 100-continue", b"1.0"),
    ),
    forwarded(
        "X147", MUST, "an expectation that waits for its 100", _EXPECT,
        (POST + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n", b"hello"),
        arrives=(POSTED,), absent=(b"expect",),
    ),
    forwarded(
        "X148", MUST, "an expectation whose chunked body comes at once", _EXPECT,
        POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO + SECOND,
        arrives=(POSTED, GOT_SECOND), absent=(b"expect",),
    ),
    refused(
        "X149", MUST, "an expectation that is refused, and its body all the same", _EXPECT,
        (
            b"POST /v1/../files HTTP/1.1\r\n" + HOST
            + b"Expect: 100-continue\r\nContent-Length: 51\r\n\r\n",
            SMUGGLED,
        ),
    ),
    either(
        "X150", POLICY, "an expectation of something else", _EXPECT, _hello(b"Expect: 200-ok"),
        ours=Expect.REFUSED,
    ),
    either(
        "X151", MUST, "an expectation without a body", _EXPECT,
        GET + b"Expect: 100-continue\r\n\r\n" + SECOND, arrives=(GOT, GOT_SECOND),
        absent=(b"expect",),
    ),
]  # fmt: skip

UPGRADES: Final[list[Case]] = [
    either(
        "G10", MUST, "a websocket of an unknown version", "RFC 6455, 4.4",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n"
        b"Sec-WebSocket-Key: x\r\n\r\n",
        absent=(b"upgrade",),
    ),
    either(
        "X152", MUST, "a websocket with a request behind it", _UPGRADE,
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + SECOND,
        absent=(b"upgrade",),
    ),
    either(
        "G11", MUST, "an upgrade to TLS", _UPGRADE,
        GET + b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", absent=(b"upgrade",),
    ),
    either(
        "X153", MUST, "an upgrade to HTTP/2", "RFC 9113, 3.1",
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + SECOND,
        absent=(b"upgrade", b"http2-settings"),
    ),
]  # fmt: skip

PERSISTENCE: Final[list[Case]] = [
    *(
        either(
            id, MUST, f"{lines.decode()!r}, and a request behind it", _CLOSE, _closing(lines),
            arrives=(POSTED,)
        )
        for id, lines in (
            ("G13", b"Connection: close"),
            ("G14", b"Connection: close, x"),
            ("X154", b"Connection: keep-alive, CLOSE"),
            ("X155", b"Connection: x\r\nConnection:\tclose"),
            ("X156", b"Connection: ,,close"),
        )
    ),
    forwarded(
        "X157", MUST, "options that are only nearly close", _CLOSE,
        POST + b"Connection: xclose, close-not\r\nContent-Length: 5\r\n\r\nhello" + SECOND,
        arrives=(POSTED, GOT_SECOND),
    ),
    either(
        "X158", MUST, "a request behind one of HTTP/1.0", _PERSIST,
        b"GET /v1/models HTTP/1.0\r\n" + HOST + b"\r\n" + SMUGGLED, arrives=(GOT,),
    ),
    either(
        "X159", POLICY, "HTTP/1.0 that asks to go on", _PERSIST,
        b"GET /v1/models HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n" + SECOND,
        ours=Expect.FORWARDED, arrives=(GOT,),
    ),
    refused(
        "G17", MUST, "a request behind a malformed one", _PIPELINE,
        b"GET /v1/models HTTP/1.1\r\nBad Header: x\r\n" + HOST + b"\r\n" + SMUGGLED,
    ),
    refused(
        "X160", MUST, "a request behind a malformed chunk", _PIPELINE,
        CHUNKED + b"x\r\n" + b"0\r\n\r\n" + SMUGGLED,
    ),
    refused(
        "X161", MUST, "a request behind an unknown coding", _PIPELINE,
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + HELLO + SMUGGLED,
    ),
    refused(
        "X162", MUST, "a request that comes after the refusal", _PIPELINE,
        (b"GET /v1/models HTTP/1.1\r\nBad Header: x\r\n\r\n", SMUGGLED),
    ),
    forwarded(
        "X163", MUST, "a malformed request behind two good ones", _PIPELINE,
        _hello(b"X: 1") + GET + b"\r\n" + b"GET /v1/models HTTP/1.1\r\nBad Header: x\r\n\r\n"
        + SMUGGLED,
        arrives=(POSTED, GOT),
    ),
    either(
        "G18", MUST, "100 requests at once", _PIPELINE,
        b"".join(b"GET /v1/models?n=%d HTTP/1.1\r\n" % n + HOST + b"\r\n" for n in range(100)),
        arrives=tuple(b"GET /v1/models?n=%d " % n for n in range(100)),
    ),
    forwarded(
        "X164", MUST, "three requests with bodies at once", _PIPELINE,
        _hello(b"X: 1") + CHUNKED + HELLO + _hello(b"X: 3"), arrives=(POSTED, POSTED, POSTED),
    ),
    forwarded(
        "X165", MUST, "a HEAD before a GET", _PIPELINE,
        b"HEAD /v1/models HTTP/1.1\r\n" + HOST + b"\r\n" + SECOND,
        arrives=(b"HEAD /v1/models ", GOT_SECOND),
    ),
    either(
        "X166", MUST, "100 KB behind a request", _PIPELINE,
        GET + b"\r\n" + POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000,
    ),
    forwarded(
        "X167", MUST, "a head cut before its last LF", "RFC 9112, 2.2",
        (GET + b"X: y\r\n\r", b"\n"), arrives=(GOT,),
    ),
    forwarded(
        "X168", MUST, "a chunk cut inside its line ends", "RFC 9112, 7.1",
        (CHUNKED + b"5\r", b"\nhel", b"lo\r", b"\n0", b"\r\n\r", b"\n"), arrives=(POSTED,),
    ),
    refused(
        "X169", MUST, "a bare LF that comes in the next piece", "RFC 9112, 2.2",
        (CHUNKED + b"5", b"\nhello\r\n0\r\n\r\n"),
    ),
    either(
        "X181", SHOULD, "an empty line behind each of two requests", "RFC 9112, 2.2",
        _hello(b"X: 1") + b"\r\n" + _hello(b"X: 2") + b"\r\n" + SECOND, ours=Expect.FORWARDED,
        arrives=(POSTED, POSTED, GOT_SECOND),
    ),
    either(
        "X170", SHOULD, "an empty line between two requests", "RFC 9112, 2.2",
        _hello(b"X: 1") + b"\r\n" + SECOND, ours=Expect.FORWARDED, arrives=(POSTED, GOT_SECOND),
    ),
]  # fmt: skip

CASES: Final = [*EXPECTATIONS, *UPGRADES, *PERSISTENCE]
