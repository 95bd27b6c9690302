"""What the gateway wrote, read by the letter: towards upstreams and towards clients.

Everything is read twice, by rules of our own and by h11, which shares no code with the gateway.
`Unclean` says what is wrong with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import h11

_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.1")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*")
_FIELD: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
    rb"[\x21-\x7e\x80-\xff])?)?)"
)

_LENGTH: Final = re.compile(rb"0|[1-9][0-9]*")

#: What is for one connection alone, and what the gateway answers itself.
_NOT_PASSED_ON: Final = (b"te", b"keep-alive", b"proxy-connection", b"upgrade", b"trailer")
#: What goes with the gateway's own refusal of a websocket (RFC 9110, 15.5.22), and nothing else.
_OF_426: Final = ((b"connection", b"upgrade"), (b"upgrade", b"HTTP/1.1"))
_LARGEST: Final = 8 * 1024 * 1024

Fields = list[tuple[bytes, bytes]]


class Unclean(Exception):
    """Something that two parsers could read in two ways."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that reached the upstream."""

    method: bytes
    target: bytes
    head: bytes
    body: bytes
    connection: int  #: which of the upstream's connections it came on

    @property
    def text(self) -> bytes:
        """``METHOD TARGET BODY``: what `Case.arrives` names."""
        return b"%b %b %b" % (self.method, self.target, self.body)


@dataclass(slots=True)
class Answer:
    """A response, as far as it has come."""

    status: int
    fields: dict[bytes, bytes]
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False

    @property
    def closes(self) -> bool:
        """Whether it is the connection's last."""
        return self.fields.get(b"connection", b"").lower() == b"close"


def take_request(data: bytes, number: int) -> tuple[Request, bytes] | None:
    """The first request in `data` and what follows it; None while it is not whole.

    `number` is the connection's.  Raises `Unclean`.
    """
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    line, *lines = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Unclean(f"a request line of {line[:80]!r}")
    fields = _fields(lines)
    names = [name for name, _ in fields]
    if names.count(b"host") != 1:
        raise Unclean(f"{names.count(b'host')} Host fields")
    for name in (*_NOT_PASSED_ON, b"connection", b"expect"):
        if name in names:
            raise Unclean(f"{name!r} was passed on")
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST)
    parser.receive_data(data)
    body = bytearray()
    try:
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
    except h11.RemoteProtocolError as error:
        raise Unclean(f"h11 says: {error}") from error
    request = Request(match[1], match[2], head.lower(), bytes(body), number)
    return request, parser.trailing_data[0]


def _fields(lines: list[bytes]) -> Fields:
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Unclean(f"a field line of {line[:80]!r}")
        fields.append((match[1].lower(), match[2]))
    names = [name for name, _ in fields]
    framing = names.count(b"content-length") + names.count(b"transfer-encoding")
    if framing > 1:
        raise Unclean("the body's end is told more than once")
    for name, value in fields:
        if name == b"content-length" and _LENGTH.fullmatch(value) is None:
            raise Unclean(f"a length of {value!r}")
        if name == b"transfer-encoding" and value != b"chunked":
            raise Unclean(f"a transfer coding of {value!r}")
    return fields


class Answers:
    """Reads what a client of the gateway gets, in whatever pieces it comes."""

    def __init__(self, first_method: bytes) -> None:
        self.raw = bytearray()
        self.answers: list[Answer] = []
        self.interims: list[int] = []
        self._method = first_method
        self._pending = b""
        self._parser: h11.Connection | None = None
        self._closed = False

    @property
    def last(self) -> Answer | None:
        """The last answer that has begun."""
        return self.answers[-1] if self.answers else None

    @property
    def between(self) -> bool:
        """Whether an answer has come whole and nothing behind it."""
        return self._parser is None and bool(self.answers)

    def feed(self, data: bytes) -> None:
        """Take what was received; nothing at the end.  Raises `Unclean`."""
        self.raw += data
        self._pending += data
        if self._parser is None:
            if not data:
                return
            self._begin()
        elif data or not self._closed:
            self._parser.receive_data(data)
        self._closed = not data
        self._read()

    def _begin(self) -> None:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST)
        parser.send(h11.Request(method=self._method, target="/", headers=[("Host", "a")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(self._pending)
        self._parser = parser

    def _read(self) -> None:
        while self._parser is not None:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                if self._closed:
                    return  # cut off: `Answer.whole` tells
                raise Unclean(f"h11 says: {error}") from error
            if isinstance(event, h11.InformationalResponse):
                self._head()
                self.interims.append(event.status_code)
            elif isinstance(event, h11.Response):
                self.answers.append(Answer(event.status_code, dict(self._head())))
            elif isinstance(event, h11.Data):
                self.answers[-1].body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._next(self._parser.trailing_data[0])
            else:
                return

    def _head(self) -> Fields:
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        if _STATUS_LINE.fullmatch(line) is None:
            raise Unclean(f"a status line of {line[:80]!r}")
        fields = _fields(lines)
        refused = line.startswith(b"HTTP/1.1 426 ")
        for name, value in fields:
            if refused and (name, value) in _OF_426:
                continue
            if name in _NOT_PASSED_ON or (name == b"connection" and value != b"close"):
                raise Unclean(f"{name!r} was passed on")
        return fields

    def _next(self, rest: bytes) -> None:
        answer = self.answers[-1]
        answer.whole = True
        if b"content-length" not in answer.fields and b"transfer-encoding" not in answer.fields:
            # Without either, only the end of the connection, or no body at all, ends it.
            bodiless = self._method == b"HEAD" or answer.status in (204, 304)
            if not bodiless and not answer.closes:
                raise Unclean("the body's end is not told")
        self._method = b"GET"
        self._parser = None
        self._pending = rest
        if rest:
            self._begin()
