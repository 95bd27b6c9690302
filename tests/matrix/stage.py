"""One request under way, for failures to be played on: in memory or over sockets.

A `Stage` has a client, the gateway and an upstream, and keeps what the upstream sent of its answer,
to be compared with what the client got.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Final

from tests.matrix.way import Shape, Way
from tests.world import LAST, chunked

_OPENINGS: Final = {
    Shape.EVENTS: b'data: {"pad":"',
    Shape.LINES: b'{"pad":"',
    Shape.ARRAY: b',{"pad":"',
}


class Mode(Enum):
    """When the gateway begins the stream itself."""

    OFF = "off"
    DELAYED = "delayed, and committed"
    IMMEDIATE = "immediate"


class Deadline(Enum):
    """What a stage can wait for: the keys of the configuration."""

    CONNECT = "connect_timeout"
    HEAD = "head_timeout"
    FIRST_EVENT = "first_event_timeout"
    IDLE = "idle_timeout"
    CLIENT_WRITE = "client_write_timeout"
    TOTAL = "total_timeout"


class Stage(ABC):
    """See the module's text.  Making one sends the request."""

    def __init__(self, way: Way, mode: Mode) -> None:
        self.way = way
        self.mode = mode
        self.pieces: list[bytes] = []  #: whole pieces that were sent
        self.rest = b""  #: what was sent behind them and is no whole piece
        self.left = b""  #: what a client that has left had got

    # The way there.

    @abstractmethod
    def ask(self) -> None:
        """The ledger has the intent; connecting begins, and with it, by the mode, the stream."""

    @abstractmethod
    def connect(self) -> None:
        """The upstream has the request, and by the mode the stream is begun."""

    @abstractmethod
    def refuse(self) -> None:
        """Nobody listens at the upstream's port."""

    # The upstream.

    @abstractmethod
    def deliver(self, data: bytes) -> None:
        """Bytes of the upstream's, whatever they are."""

    @abstractmethod
    def reset(self) -> None:
        """The upstream resets its connection."""

    @abstractmethod
    def lose(self) -> None:
        """The upstream closes its connection."""

    @abstractmethod
    def drip(self) -> None:
        """The upstream goes on until `Deadline.TOTAL`, never silent for long."""

    def head(self, *fields: bytes) -> None:
        """The head of a 200 in chunks, with the media type of the way's own answer."""
        lines = (
            b"HTTP/1.1 200 OK",
            b"Content-Type: " + self.way.media_type,
            b"Transfer-Encoding: chunked",
            *fields,
            b"\r\n",
        )
        self.deliver(b"\r\n".join(lines))

    def send(self, *pieces: bytes) -> None:
        """Whole pieces, each in a read of its own."""
        for piece in pieces:
            self.pieces.append(piece)
            self.deliver(chunked(piece))

    def begin(self) -> None:
        """Head and first piece."""
        self.connect()
        self.head()
        self.send(self.way.pieces[0])

    def send_part(self, part: bytes) -> None:
        """Something behind the last piece that is no whole piece."""
        self.rest += part
        self.deliver(chunked(part))

    def send_long(self) -> None:
        """The beginning of a piece that is too long to be held back."""
        self.send_part(_OPENINGS[self.way.shape] + b"x" * 100_000)

    def end(self) -> None:
        """The clean end of HTTP."""
        self.deliver(LAST)

    def answer(self, status: bytes, body: bytes, *fields: bytes) -> None:
        """A whole answer of another kind."""
        self.connect()
        self.rest = body
        length = b"Content-Length: %d" % len(body)
        head = b"\r\n".join((b"HTTP/1.1 " + status, *fields, length, b"\r\n"))
        self.deliver(head + body)

    # The client, the clock and the operator.

    @abstractmethod
    def wait(self, deadline: Deadline) -> None:
        """Nothing happens until the deadline has passed."""

    @abstractmethod
    def leave(self) -> None:
        """The client goes."""

    @abstractmethod
    def stall(self) -> None:
        """The client reads no more, until the upstream is not read any more either."""

    @abstractmethod
    def drain(self) -> None:
        """The gateway is stopped, and has waited long enough."""
