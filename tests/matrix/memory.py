"""A stage in memory: the gateway of ``tests.world``, and a clock that only the stage moves.

All deadlines are on and each has another length, so that none can pass for another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure

from gateway.config.model import KeepaliveMode
from tests.matrix.checks import Seen
from tests.matrix.stage import Deadline, Mode, Stage
from tests.matrix.way import Way
from tests.world import BUFFER, UPSTREAM, World, chunked

#: Seconds.
_LENGTHS: Final = {
    Deadline.CONNECT: 10.0,
    Deadline.FIRST_EVENT: 20.0,
    Deadline.IDLE: 40.0,
    Deadline.CLIENT_WRITE: 50.0,
    Deadline.HEAD: 60.0,
    Deadline.TOTAL: 300.0,
}
_AFTER: Final = 5.0
_ROUTE: Final[dict[str, Any]] = {
    **{key.value: length for key, length in _LENGTHS.items() if key is not Deadline.CONNECT},
    "keepalive_after": _AFTER,
    "keepalive_interval": 15.0,
}


class MemoryStage(Stage):
    """See the module's text."""

    def __init__(self, way: Way, mode: Mode) -> None:
        super().__init__(way, mode)
        keepalive = KeepaliveMode[mode.name]
        connect = _LENGTHS[Deadline.CONNECT]
        upstream = replace(UPSTREAM, family=way.family, connect_timeout=connect)
        self.world = World(upstream, keepalive=keepalive, **_ROUTE)
        self.world.never_connect()
        self.world.ledger.hold = True
        self.client = self.world.client().send(way.request)

    def ask(self) -> None:
        self.world.ledger.release()
        self._begin_stream()

    def connect(self) -> None:
        self.ask()
        self.world.endpoint.connect_now()
        if self.way.goes_by:
            self._begin_stream()  # only now is it known what the request asks for

    def _begin_stream(self) -> None:
        self.world.clock.advance(_AFTER if self.mode is Mode.DELAYED else 0)

    def refuse(self) -> None:
        [(attempt, _)] = self.world.endpoint.waiting
        attempt.errback(Failure(ConnectionRefusedError()))

    def deliver(self, data: bytes) -> None:
        self.world.up.deliver(data)

    def reset(self) -> None:
        self.world.up.reset()

    def lose(self) -> None:
        self.world.up.lose()

    def drip(self) -> None:
        for _ in range(int(_LENGTHS[Deadline.TOTAL] // 25) + 1):
            if not self.world.ledger.records:
                self.send(self.way.pieces[1])
                self.world.clock.advance(25)

    def wait(self, deadline: Deadline) -> None:
        self.world.clock.advance(_LENGTHS[deadline])

    def leave(self) -> None:
        self.left = self.client.raw()
        self.client.wire.reset()
        endpoint = self.world.endpoint
        assert all(wire.aborted for wire in endpoint.wires), "the upstream is not let go at once"
        assert all(attempt.called for attempt, _ in endpoint.waiting), "it goes on connecting"
        self.world.clock.advance(100)

    def stall(self) -> None:
        self.client.raw()
        self.client.wire.stalled = True
        filler = self.way.pieces[1]
        for _ in range(2 * BUFFER // (100 * len(filler)) + 2):
            if self.world.up.reading:
                self.pieces += [filler] * 100
                self.deliver(chunked(filler * 100))
        assert not self.world.up.reading

    def drain(self) -> None:
        [exchange] = self.world.services.running
        exchange.drain()

    def seen(self) -> Seen:
        """What became of it."""
        self.world.clock.advance(0)
        wire = self.client.wire
        return Seen(
            self.client.raw(), self.world.record.as_row(), aborted=wire.aborted, closed=wire.lost
        )
