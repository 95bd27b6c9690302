"""Three readers of one HTTP message, their answers in one form: the gateway's, h11 and llhttp.

Each reads the first message of an example and says what it made of it as a `Reading`.  llhttp, the
parser of Node.js, is read through httptools, in its strict mode, byte by byte: only so can be told
where it saw a message end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import h11
import httptools

from gateway.http1 import HeadBuffer, HeadLimits, RemoteError, request_framing, response_framing
from gateway.http1.body import decoder_for
from gateway.http1.head import (
    parse_request,
    parse_request_line,
    parse_response,
    parse_status_line,
)
from tests.http1.examples import Example

#: Lower than the gateway's own, so that examples reach them.
LIMITS: Final = HeadLimits(total=4096, line=1024, fields=20)

_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Verdict(StrEnum):
    """What a reader made of a message's head, and of its body as far as it came."""

    READ = "read"
    WAITING = "waiting"  #: the head is not whole
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's answer.  Field names are in lower case, values without blanks around them."""

    verdict: Verdict
    why: str = ""  #: of a refusal
    #: Method, target, version; or version, status, reason; nothing where the head was refused.
    start: tuple[bytes, ...] = ()
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""  #: as much as was read, also before a refusal
    whole: bool = False  #: whether the message's end was seen
    behind: bytes = b""  #: what came after it


WAITING: Final = Reading(Verdict.WAITING)


def _refused(error: Exception, start: tuple[bytes, ...] = (), body: bytes = b"") -> Reading:
    return Reading(Verdict.REFUSED, why=str(error), start=start, body=body)


def _target(target: bytes) -> bytes:
    """The path and query of a target in absolute form (RFC 9112, 3.2.2); any other as it is."""
    match = _ABSOLUTE.match(target)
    if match is None:
        return target
    rest = target[match.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _field(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    name = name.lower()
    value = value.strip(b" \t")
    # h11 gives out codings in lower case.
    return name, value.lower() if name == b"transfer-encoding" else value


def by_gateway(example: Example, pieces: int | None = None) -> Reading:
    """The gateway's reading, of the data at once or in pieces of so many bytes."""
    size = pieces or max(len(example.data), 1)
    data = [example.data[at : at + size] for at in range(0, len(example.data), size)]
    is_request = example.asked is None
    check_line = parse_request_line if is_request else parse_status_line
    buffer = HeadBuffer(LIMITS, check_line, tolerate_blank_line=is_request)
    start: tuple[bytes, ...] = ()
    body = b""
    try:
        found = None
        while data and found is None:
            found = buffer.feed(data.pop(0))
        if found is None:
            return WAITING
        if example.asked is None:
            request = parse_request(found, LIMITS)
            fields, decoder = request.fields, decoder_for(request_framing(request))
            start = request.method, request.target, b"1.%d" % request.minor
        else:
            response = parse_response(found, LIMITS)
            framing = response_framing(response, example.asked)
            fields, decoder = response.fields, decoder_for(framing)
            start = b"1.%d" % response.minor, b"%d" % response.status, response.reason
        for piece in (buffer.take_rest(), *data):
            body += decoder.feed(piece)
    except RemoteError as error:
        return _refused(error, start, body + error.before)
    return Reading(
        Verdict.READ,
        start=start,
        fields=tuple(_field(*pair) for pair in fields),
        body=body,
        whole=decoder.done,
        behind=decoder.excess,
    )


def by_h11(example: Example) -> Reading:
    """h11's reading."""
    limit = 1 << 17
    if example.asked is None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limit)
    else:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=limit)
        connection.send(h11.Request(method=example.asked, target="/", headers=[("Host", "a")]))
        connection.send(h11.EndOfMessage())
    if example.data:  # else h11 would take it for the end of the connection
        connection.receive_data(example.data)
    head: h11.Request | h11.Response | h11.InformationalResponse | None = None
    body = b""
    whole = False
    try:
        while not whole:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                whole = True
            elif isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                head = event
                # What informs is a message of its own, without a body.
                whole = isinstance(event, h11.InformationalResponse)
    except h11.RemoteProtocolError as error:
        return _refused(error, body=body)
    if head is None:
        return WAITING
    start: tuple[bytes, ...]
    if isinstance(head, h11.Request):
        start = head.method, _target(head.target), head.http_version
    else:
        start = head.http_version, b"%d" % head.status_code, head.reason
    return Reading(
        Verdict.READ,
        start=start,
        fields=tuple(_field(*pair) for pair in head.headers.raw_items()),
        body=body,
        whole=whole,
        behind=connection.trailing_data[0] if whole else b"",
    )


@dataclass(slots=True)
class _Heard:
    """What httptools calls while it reads."""

    line: bytes = b""  # the target or the reason
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    in_body: bool = False
    whole: bool = False

    def on_url(self, url: bytes) -> None:
        self.line += url

    def on_status(self, status: bytes) -> None:
        self.line += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_body:  # else it is a trailer
            self.fields.append(_field(name, value))

    def on_headers_complete(self) -> None:
        self.in_body = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


def by_llhttp(example: Example) -> Reading:
    """llhttp's reading."""
    heard = _Heard()
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser
    if example.asked is None:
        parser = httptools.HttpRequestParser(heard)
    else:
        parser = httptools.HttpResponseParser(heard)
    at = 0
    try:
        while at < len(example.data) and not heard.whole:
            parser.feed_data(example.data[at : at + 1])
            at += 1
            if heard.in_body and example.asked == b"HEAD":
                # Its user has to know that no body follows; httptools cannot be told.
                heard.whole = True
    except httptools.HttpParserUpgrade:
        at += 1
    except httptools.HttpParserError as error:
        return _refused(error, body=heard.body)
    if not heard.in_body:
        return WAITING
    version = parser.get_http_version().encode()
    start: tuple[bytes, ...]
    if isinstance(parser, httptools.HttpRequestParser):
        start = parser.get_method(), _target(heard.line), version
    else:
        start = version, b"%d" % parser.get_status_code(), heard.line
    return Reading(
        Verdict.READ,
        start=start,
        fields=tuple(heard.fields),
        body=heard.body,
        whole=heard.whole,
        behind=example.data[at:] if heard.whole else b"",
    )


#: Those that the gateway's reading is compared with.
OTHERS: Final[Mapping[str, Callable[[Example], Reading]]] = {"h11": by_h11, "llhttp": by_llhttp}
