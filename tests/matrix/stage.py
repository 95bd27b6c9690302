"""A gateway in memory with one request under way: what failures are played on.

All deadlines are on and each has another length, so that none can pass for another.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Any, Final

from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure

from gateway.config.model import KeepaliveMode
from tests.matrix.way import Shape, Way
from tests.world import BUFFER, LAST, UPSTREAM, Wire, World, chunked

#: Seconds.
CONNECT, FIRST_EVENT, HEAD, IDLE, CLIENT_WRITE, TOTAL = 10.0, 20.0, 60.0, 40.0, 50.0, 300.0
AFTER, INTERVAL = 5.0, 15.0

_ROUTE: Final[dict[str, Any]] = {
    "first_event_timeout": FIRST_EVENT,
    "head_timeout": HEAD,
    "idle_timeout": IDLE,
    "client_write_timeout": CLIENT_WRITE,
    "total_timeout": TOTAL,
    "keepalive_after": AFTER,
    "keepalive_interval": INTERVAL,
}

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


class Stage:
    """One cell's world.  What the upstream sent of its answer is kept to be compared."""

    def __init__(self, way: Way, mode: Mode) -> None:
        self.way = way
        self.mode = mode
        keepalive = KeepaliveMode[mode.name]
        upstream = replace(UPSTREAM, family=way.family, connect_timeout=CONNECT)
        self.world = World(upstream, keepalive=keepalive, **_ROUTE)
        self.world.never_connect()
        self.world.ledger.hold = True
        self.pieces: list[bytes] = []  #: whole pieces that were sent
        self.rest = b""  #: what was sent behind them and is no whole piece
        self.left = b""  #: what a client that has left had got
        self.client = self.world.client().send(way.request)

    # The way there.

    def ask(self) -> None:
        """The ledger has the intent; connecting begins, and with it, by the mode, the stream."""
        self.world.ledger.release()
        self._wait()

    def connect(self) -> None:
        """The upstream has the request."""
        self.ask()
        self.world.endpoint.connect_now()
        if self.way.goes_by:
            self._wait()  # only now is it known what the request asks for

    def _wait(self) -> None:
        self.world.clock.advance(AFTER if self.mode is Mode.DELAYED else 0)

    def refuse(self) -> None:
        """Nobody listens there."""
        [(attempt, _)] = self.world.endpoint.waiting
        attempt.errback(Failure(ConnectionRefusedError()))

    # The way back.

    @property
    def up(self) -> Wire:
        return self.world.up

    def head(self, *fields: bytes, media_type: bytes | None = None) -> None:
        """The head of a 200 in chunks, with the media type of the way's own answer."""
        self.up.deliver(
            b"\r\n".join(
                (
                    b"HTTP/1.1 200 OK",
                    b"Content-Type: " + (media_type or self.way.media_type),
                    b"Transfer-Encoding: chunked",
                    *fields,
                    b"\r\n",
                )
            )
        )

    def send(self, *pieces: bytes) -> None:
        """Whole pieces, each in a read of its own."""
        for piece in pieces:
            self.pieces.append(piece)
            self.up.deliver(chunked(piece))

    def begin(self) -> None:
        """Head and first piece."""
        self.connect()
        self.head()
        self.send(self.way.pieces[0])

    def send_part(self, part: bytes) -> None:
        """Something behind the last piece that is no whole piece."""
        self.rest += part
        self.up.deliver(chunked(part))

    def send_long(self) -> None:
        """The beginning of a piece that is too long to be held back."""
        self.send_part(_OPENINGS[self.way.shape] + b"x" * 100_000)

    def end(self) -> None:
        """The clean end of HTTP."""
        self.up.deliver(LAST)

    def answer(self, status: bytes, body: bytes, *fields: bytes) -> None:
        """A whole answer of another kind."""
        self.connect()
        self.rest = body
        length = b"Content-Length: %d" % len(body)
        head = b"\r\n".join((b"HTTP/1.1 " + status, *fields, length, b"\r\n"))
        self.up.deliver(head + body)

    # The client, the clock and the operator.

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def leave(self) -> None:
        """The client goes."""
        self.left = self.client.raw()
        self.client.wire.reset()

    def stall(self) -> None:
        """The client reads no more, until the upstream is not read any more either."""
        self.client.raw()
        self.client.wire.stalled = True
        filler = self.way.pieces[1]
        for _ in range(2 * BUFFER // (100 * len(filler)) + 2):
            if self.up.reading:
                self.pieces += [filler] * 100
                self.up.deliver(chunked(filler * 100))
        assert not self.up.reading

    def drip(self) -> None:
        """The upstream goes on for ever, never silent for long."""
        for _ in range(int(TOTAL // 25) + 1):
            if not self.world.ledger.records:
                self.send(self.way.pieces[1])
                self.wait(25)

    def drain(self) -> None:
        """The gateway is stopped, and has waited long enough."""
        [exchange] = self.world.services.running
        exchange.drain()
