"""What a way to ask an endpoint is: one row of the matrix's table of dialects."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from gateway.config.model import Family
from gateway.record import Usage
from gateway.sse import parse
from tests.matrix.clients import Errors

PROMPT: Final = '"messages":[{"role":"user","content":"Hi"}]'


class Shape(Enum):
    """What an answer is, and so what can be said into it."""

    EVENTS = "server-sent events"
    LINES = "lines"
    ARRAY = "one JSON array"
    BODY = "any other body: nothing can be said into it"


class End(Enum):
    """What makes an answer whole."""

    EVENT = "its terminal event alone"
    EVENT_AND_HTTP = "what its events told, and then the clean end of HTTP"
    HTTP = "the clean end of HTTP alone"


# What the gateway may say after the piece `last`, or, if it is None, before the first.


def silent(last: bytes | None) -> bytes:
    """For dialects in which nothing harmless can be said."""
    return b""


def comment(last: bytes | None) -> bytes:
    return b": keepalive\n\n"


def ping(last: bytes | None) -> bytes:
    return b'event: ping\ndata: {"type": "ping"}\n\n'


def blank(last: bytes | None) -> bytes:
    return b"\n"


def numbered_keepalive(last: bytes | None) -> bytes:
    """A comment before the first event, then an event with the last number again."""
    if last is None:
        return b": keepalive\n\n"
    [(_, data)] = parse(last)
    number = json.loads(data)["sequence_number"]
    return b'event: keepalive\ndata: {"type":"keepalive","sequence_number":%d}\n\n' % number


@dataclass(frozen=True, slots=True)
class Way:
    """See the module's text."""

    id: str
    name: str  #: the row's ``dialect``
    family: Family
    request: bytes
    shape: Shape
    media_type: bytes
    pieces: tuple[bytes, ...]  #: of a whole answer: at least two; the second tells no usage
    errors: Errors  #: how its clients read an error
    ends: End = End.HTTP
    close: bytes = b""  #: what closes it behind the last piece and is no piece itself
    usage: Usage = field(default_factory=Usage)  #: what the whole answer tells
    first_usage: Usage = field(default_factory=Usage)  #: what its first piece tells
    stop_reason: str | None = None
    beat: Callable[[bytes | None], bytes] = silent  #: what is said after that piece, or at first
    error_piece: bytes | None = None  #: the provider's own error, as a piece of a 200
    streams: bool = True  #: the row's ``stream``
    goes_by: bool = False  #: its request's body is passed on while it comes
    whole: str | None = None  #: the id of the way in which the same endpoint does not stream

    @property
    def speaks(self) -> bool:
        """Whether the gateway may begin the stream itself."""
        return bool(self.beat(None))

    @property
    def unfinished(self) -> bytes:
        """The beginning of the second piece."""
        return self.pieces[1][: len(self.pieces[1]) // 2]


def json_text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def halves(value: dict[str, Any]) -> tuple[bytes, ...]:
    """A JSON object in three pieces: the first member, white space, and the rest."""
    (name, first), *rest = value.items()
    opening = json_text({name: first})[:-1]
    return opening, b" " * 100, b"," + json_text(dict(rest))[1:] if rest else b"}"
