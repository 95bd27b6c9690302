"""At least one cell of each row and of each way of the matrix, over real sockets.

One gateway process serves them all; each cell has a route of its own.  The two that stop the
gateway start it again.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.matrix.checks import check, check_stalled
from tests.matrix.dialects import WAYS
from tests.matrix.expected import INAPPLICABLE, Cell, expected
from tests.matrix.failures import FAILURES
from tests.matrix.sockets import SocketStage, deaf_listener, listener, silent_port
from tests.matrix.stage import Deadline, Mode
from tests.matrix.way import End, Shape
from tests.process.gateway_process import GatewayProcess

#: The one deadline that is on in a cell, by its row.
DEADLINES: Final = {
    "connect timeout": Deadline.CONNECT,
    "head timeout": Deadline.HEAD,
    "first-event timeout": Deadline.FIRST_EVENT,
    "silence in mid-event": Deadline.IDLE,
    "client does not read": Deadline.CLIENT_WRITE,
    "silence inside a long event": Deadline.IDLE,
    "total timeout": Deadline.TOTAL,
}
#: Rows that need another upstream than the one that listens.
DEAF: Final = {"connect timeout", "client gone at connect"}
REFUSING: Final = {"refused"}
#: Rows that are seen from outside in one mode alone: a loopback port refuses before a beat could
#: come; behind the gateway's own head nobody sees the upstream's; only a beat tells that the ledger
#: has the intent and the upstream is being connected to.
ONLY: Final = {
    "refused": Mode.OFF,
    "client gone at first_event": Mode.OFF,
    "client gone at connect": Mode.IMMEDIATE,
}
#: Rows that are about terminal events.
BEHIND_THE_END: Final = {"reset after the last event", "client gone after the last event"}
SHORT: Final = "300ms"
#: Deadlines before which something is to come through, however busy the machine is.
LONGER: Final = {Deadline.IDLE: "1s", Deadline.TOTAL: "1s"}


def cover() -> list[Cell]:
    """A cell of each row, with the ways that stream and the modes in turn, and the ways left."""
    modes = list(Mode)
    streams = [id for id, way in WAYS.items() if way.shape is not Shape.BODY or way.streams]
    found: list[Cell] = []
    for number, failure in enumerate(FAILURES):
        mode = ONLY.get(failure, modes[number % 3])
        for way in streams[number % len(streams) :] + streams:
            speaks = WAYS[way].speaks or failure not in ONLY
            ends = WAYS[way].ends is End.EVENT or failure not in BEHIND_THE_END
            if speaks and ends and (way, failure, mode) not in INAPPLICABLE:
                found.append((way, failure, mode))
                break
    left = [id for id in WAYS if id not in {way for way, _, _ in found}]
    return found + [(way, "finished", modes[number % 3]) for number, way in enumerate(left)]


COVER: Final = cover()


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The sockets at which the gateway's upstreams are."""

    listening: socket.socket
    deaf: list[socket.socket]
    refusing: socket.socket

    def port_for(self, failure: str) -> int:
        sock = self.listening
        if failure in DEAF:
            sock = self.deaf[0]
        elif failure in REFUSING:
            sock = self.refusing
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def upstreams() -> Iterator[Upstreams]:
    """What the module's gateway finds in the place of its upstreams."""
    found = Upstreams(listener(), deaf_listener(), silent_port())
    yield found
    for sock in (found.listening, *found.deaf, found.refusing):
        sock.close()


def sections(upstreams: Upstreams) -> str:
    """An upstream and a route for each cell."""
    # With it a request waits for the database, so that whoever locks that can hold it there.
    lines = ["[ledger]", "durability = power"]
    for number, (way, failure, mode) in enumerate(COVER):
        deadlines = {deadline.value: "off" for deadline in Deadline}
        deadlines[Deadline.CONNECT.value] = "1m"
        if failure in DEADLINES:
            deadline = DEADLINES[failure]
            deadlines[deadline.value] = LONGER.get(deadline, SHORT)
        connect = deadlines.pop(Deadline.CONNECT.value)
        lines += [
            f"[upstream up-{number}]",
            f"url = http://127.0.0.1:{upstreams.port_for(failure)}",
            f"dialect = {WAYS[way].family.value}",
            f"connect_timeout = {connect}",
            f"[route cell-{number}]",
            f"path = /cell-{number}/*",
            f"strip_prefix = /cell-{number}",
            f"upstream = up-{number}",
            f"keepalive = {mode.name.lower()}",
            "keepalive_after = 50ms",
            "keepalive_interval = 10m",
            *(f"{name} = {value}" for name, value in deadlines.items()),
        ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, upstreams: Upstreams
) -> Iterator[GatewayProcess]:
    """The module's gateway."""
    folder: Path = tmp_path_factory.mktemp("matrix")
    with GatewayProcess(folder, sections(upstreams), "drain_timeout = 100ms") as gateway:
        yield gateway


@pytest.fixture
def gateway(running: GatewayProcess) -> GatewayProcess:
    """The module's gateway, started again if it was stopped."""
    if running.process.poll() is not None:
        running.start().wait_until_it_answers()
    running.forget_rows()
    return running


@pytest.mark.parametrize(
    "number", range(len(COVER)), ids=[f"{w}-{f}-{m.name.lower()}" for w, f, m in COVER]
)
def test_a_cell_ends_over_sockets_as_it_does_in_memory(
    gateway: GatewayProcess, upstreams: Upstreams, number: int
) -> None:
    """K2, K3, E1, E2, E3, E4, E5, E6, E7, E8, A1, A2, A3, A8, D7: by the same rules."""
    way, failure, mode = COVER[number]
    wanted = expected(WAYS[way], failure, mode)
    stage = SocketStage(
        WAYS[way],
        mode,
        wanted,
        gateway,
        upstreams.listening,
        f"/cell-{number}",
        locked=failure == "client gone at request",
    )
    try:
        FAILURES[failure](stage)
        seen = stage.seen()
        (check_stalled if failure == "client does not read" else check)(stage, wanted, seen)
        stage.check_upstream()
    finally:
        stage.close()
    if "stopped" in failure:
        gateway.wait()


def test_each_row_and_each_way_is_played_over_sockets() -> None:
    """A3: at least once."""
    assert {failure for _, failure, _ in COVER} == set(FAILURES)
    assert {way for way, _, _ in COVER} == set(WAYS)
    assert len(COVER) == 47
