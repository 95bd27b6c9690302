"""Responses that are followed by what nobody asked for, and streams that just end."""

from __future__ import annotations

from typing import Final

from tests.desync.case import (
    BODY,
    MUST,
    OK,
    POISON,
    POISONED,
    POLICY,
    Case,
    Expect,
    either,
    forwarded,
)

_END: Final = "RFC 9112, 6.3"
_ORDER: Final = "RFC 9112, 9.2"
_CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_CHUNKS: Final = b"8\r\n" + BODY + b"\r\n0\r\n\r\n"
_WHOLE: Final = OK + b"Content-Length: 8\r\n\r\n" + BODY
_EVENTS: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


POISONS: Final[list[Case]] = [
    forwarded(
        "R14", MUST, "a second response", _ORDER, _WHOLE + POISONED, arrives=(BODY,), retired=True,
    ),
    forwarded(
        "Y45", MUST, "a second response, a moment later", _ORDER, (_WHOLE, POISONED),
        arrives=(BODY,), retired=True,
    ),
    forwarded(
        "Y46", MUST, "a second response behind chunks", _ORDER, _CHUNKED + _CHUNKS + POISONED,
        arrives=(BODY,), retired=True,
    ),
    forwarded(
        "Y47", MUST, "a line end too much", _ORDER, _WHOLE + b"\r\n", arrives=(BODY,), retired=True,
    ),
    forwarded(
        "Y48", MUST, "a line end too much, a moment later", _ORDER, (_WHOLE, b"\r\n"),
        arrives=(BODY,), retired=True,
    ),
    forwarded(
        "Y49", MUST, "bytes beyond the length", _END, _WHOLE + POISON, arrives=(BODY,),
        retired=True,
    ),
    forwarded(
        "Y50", MUST, "a length of 0, and a body", _END, OK + b"Content-Length: 0\r\n\r\n" + POISON,
        arrives=(b"",), retired=True,
    ),
    forwarded(
        "R76", MUST, "Connection: Close, and a second response", "RFC 9112, 9.6",
        OK + b"Connection: Close\r\nContent-Length: 8\r\n\r\n" + BODY + POISONED, arrives=(BODY,),
        retired=True,
    ),
    forwarded(
        "Y51", MUST, "a close in the second Connection, and nothing closed", "RFC 9112, 9.6",
        (
            OK + b"Connection: x\r\nConnection: y,\tCLOSE\r\nContent-Length: 8\r\n\r\n" + BODY,
            POISONED,
        ),
        arrives=(BODY,), retired=True,
    ),
    forwarded(
        "Y52", MUST, "HTTP/1.0 that does not close", "RFC 9112, 9.3",
        (b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY, POISONED), arrives=(BODY,),
        retired=True,
    ),
    forwarded(
        "R59", MUST, "204 with a body", _END,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n" + POISON,
        status=204, arrives=(b"",), retired=True, absent=(b"content-length",),
    ),
    either(
        "Y53", MUST, "204 with a chunked body", _END,
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n0\r\n\r\n",
        status=204, arrives=(b"",), retired=True,
    ),
    forwarded(
        "Y54", MUST, "304 with a body", _END,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n" + POISON, status=304,
        arrives=(b"",), retired=True,
    ),
    forwarded(
        "Y55", MUST, "304 with a length and no body", "RFC 9110, 15.4.5",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n", status=304, arrives=(b"",),
    ),
    forwarded(
        "Y56", MUST, "304 without a length, and a second response", _END,
        b"HTTP/1.1 304 Not Modified\r\n\r\n" + POISONED, status=304, arrives=(b"",), retired=True,
    ),
    forwarded(
        "R61", MUST, "a body in answer to HEAD", "RFC 9110, 9.3.2", _WHOLE, method=b"HEAD",
        arrives=(b"",), retired=True,
    ),
    forwarded(
        "Y57", MUST, "a second response in answer to HEAD", "RFC 9110, 9.3.2",
        OK + b"Content-Length: 8\r\n\r\n" + POISONED, method=b"HEAD", arrives=(b"",), retired=True,
    ),
    forwarded(
        "Y58", MUST, "chunks in answer to HEAD", "RFC 9110, 9.3.2",
        _CHUNKED + b"6\r\nPOISON\r\n0\r\n\r\n",
        method=b"HEAD", arrives=(b"",), retired=True,
    ),
    forwarded(
        "Y59", MUST, "a length in answer to HEAD, a body a moment later", "RFC 9110, 9.3.2",
        (OK + b"Content-Length: 6\r\n\r\n", POISON), method=b"HEAD", arrives=(b"",), retired=True,
    ),
    either(
        "Y60", POLICY, "205 with a body", "RFC 9110, 15.3.6",
        b"HTTP/1.1 205 Reset Content\r\nContent-Length: 6\r\n\r\nreset!", ours=Expect.FORWARDED,
        status=205, arrives=(b"reset!",),
    ),
]  # fmt: skip

STREAMS: Final[list[Case]] = [
    forwarded(
        "R81", MUST, "events without a last one", "",
        _EVENTS + b'Transfer-Encoding: chunked\r\n\r\n11\r\ndata: {"x":"a"}\n\n\r\n0\r\n\r\n',
        ends=True,
        arrives=(b'data: {"x":"a"}\n\n',),
    ),
    either(
        "R83", MUST, "a line of a megabyte", "", _EVENTS + b"\r\ndata: " + b"x" * 1_000_000,
        ends=True,
    ),
    forwarded(
        "R84", MUST, "a byte order mark", "",
        _EVENTS + b"\r\n\xef\xbb\xbfdata: {}\n\ndata: [DONE]\n\n", ends=True,
        arrives=(b"\xef\xbb\xbfdata: {}\n\ndata: [DONE]\n\n",),
    ),
    either(
        "Y107", MUST, "events, and a size line that is none", "RFC 9112, 7.1",
        _EVENTS + b"Transfer-Encoding: chunked\r\n\r\na\r\ndata: {}\n\n\r\n0xa\r\ndata: []\n\n\r\n"
        + POISONED,
        retired=True, absent=(b"data: []",),
    ),
    either(
        "Y108", MUST, "events, and no last chunk", "RFC 9112, 8",
        _EVENTS + b"Transfer-Encoding: chunked\r\n\r\na\r\ndata: {}\n\n\r\n", ends=True,
        retired=True,
    ),
    forwarded(
        "Y61", MUST, "events, and a second response behind them", _ORDER,
        _EVENTS + b"Transfer-Encoding: chunked\r\n\r\na\r\ndata: {}\n\n\r\n0\r\n\r\n" + POISONED,
        arrives=(b"data: {}\n\n",), retired=True,
    ),
    forwarded(
        "Y62", MUST, "events of a told length, and a second response behind them", _ORDER,
        _EVENTS + b"Content-Length: 10\r\n\r\ndata: {}\n\n" + POISONED,
        arrives=(b"data: {}\n\n",), retired=True,
    ),
]  # fmt: skip

CASES: Final = [*POISONS, *STREAMS]
