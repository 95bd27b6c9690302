"""Rounds of the kill test: streams, SIGKILL, restart, and a look at every row.

Two gateways run side by side, each killed and started again round after round: what the one start
takes over is what the round before left behind.  By hand, for more rounds than CI has time for::

    python -m tests.kill.rounds 1000
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.kill.world import Clients, Upstream
from tests.kill.zygote import FAULTS
from tests.process.gateway_process import ROOT, environment, free_port

#: Connections of clients to each gateway.
CLIENTS = 16

#: Seconds that anything may take before the test fails.
_PATIENCE = 60.0

_CONFIG = """\
[gateway]
listen = tcp:{port}:interface=127.0.0.1
admin = off
state_dir = {state}
[ledger]
durability = {durability}
[upstream kill]
url = http://127.0.0.1:{upstream}
dialect = openai
[route all]
path = /v1/*
upstream = kill
"""


@dataclass
class Tally:
    """What all rounds came to."""

    kills: Counter[str] = field(default_factory=Counter)  #: by where they hit
    with_open: int = 0  #: kills that left rows open
    open_rows: int = 0  #: how many, together
    requests: int = 0  #: that an upstream saw
    rows: int = 0
    seconds: float = 0.0
    slowest_start: float = 0.0

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items()))
        total = self.kills.total()
        return (
            f"{total} kills ({kinds}) in {self.seconds:.0f} s: {self.requests} requests seen by "
            f"the upstream, {self.rows} rows, none twice, none missing, none open; "
            f"{self.with_open} kills ({100 * self.with_open / max(total, 1):.1f} %) left rows "
            f"open, {self.open_rows} in all; slowest start {self.slowest_start:.2f} s"
        )


class Gateway:
    """One gateway and its ledger, through all its lives."""

    def __init__(self, zygote: subprocess.Popen[str], folder: Path, upstream_port: int) -> None:
        self._zygote = zygote
        self._folder = folder
        self._upstream_port = upstream_port
        self.port = free_port()
        self.pid = 0
        self._rowid = 0
        folder.mkdir()

    async def start(self, fault: str, count: int, durability: str) -> None:
        """Start it, and wait until it listens: by then it has settled for the dead."""
        config = self._folder / "gateway.ini"
        config.write_text(
            _CONFIG.format(
                port=self.port,
                state=self._folder / "state",
                durability=durability,
                upstream=self._upstream_port,
            )
        )
        commands, answers = self._zygote.stdin, self._zygote.stdout
        assert commands is not None
        assert answers is not None
        commands.write(f"{config} {self._folder / 'log'} {fault} {count}\n")
        commands.flush()
        self.pid = int(answers.readline())
        await _eventually(self._listens, f"the gateway listens; see {self._folder / 'log'}")

    async def _listens(self) -> bool:
        assert self.is_alive(), (self._folder / "log").read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def is_alive(self) -> bool:
        """Whether the process is there; it is gone as soon as it was reaped."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def wait_for_death(self) -> None:
        """Until the process is gone."""

        async def dead() -> bool:
            return not self.is_alive()

        await _eventually(dead, "the gateway dies")

    def kill(self) -> None:
        """SIGKILL."""
        if self.pid and self.is_alive():
            os.kill(self.pid, signal.SIGKILL)

    def new_rows(self) -> list[tuple[str, str | None]]:
        """Token and outcome of every row that came since the last call."""
        path = self._folder / "state" / "ledger.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            found = db.execute(
                "SELECT rowid, user_agent, outcome FROM requests WHERE rowid > ?", (self._rowid,)
            ).fetchall()
        self._rowid = max((row[0] for row in found), default=self._rowid)
        return [(token, outcome) for _, token, outcome in found]


async def _eventually(look: object, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await look():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"not within {_PATIENCE:g} s: {what}"
        await asyncio.sleep(0.005)


def check(
    upstream: Upstream, clients: Clients, rows: list[tuple[str, str | None]]
) -> tuple[int, int]:
    """Every request that the upstream saw has exactly one row that says what became of it.

    Returns how many of this round's requests the upstream saw, and how many rows were open.
    """
    counts = Counter(token for token, _ in rows)
    assert set(counts.values()) <= {1}, f"rows twice: {counts.most_common(3)}"
    outcomes = dict(rows)
    assert None not in outcomes.values(), f"rows open after the restart: {rows}"
    seen = {token for token in upstream.seen if token.startswith(f"{clients.prefix}-")}
    assert all(upstream.seen[token] == 1 for token in seen), "a request was sent twice"
    missing = seen - counts.keys()
    assert not missing, f"the upstream saw requests that have no row: {missing}"
    finished = {token for token, outcome in rows if outcome == "finished"}
    assert finished <= upstream.ended, f"never ended: {finished - upstream.ended}"
    unsent = {outcomes[token] for token in counts.keys() - seen}
    assert unsent <= {"killed", "client_gone"}, f"rows of requests that were not sent: {unsent}"
    lost = {token: outcomes.get(token) for token in clients.told}
    assert set(lost.values()) <= {"finished", "killed"}, f"whole streams: {lost}"
    return len(seen), sum(outcome == "killed" for _, outcome in rows)


async def lane(gateway: Gateway, upstream: Upstream, name: str, count: int, tally: Tally) -> None:
    """Kill one gateway so many times, and check it after each."""
    before: Clients | None = None
    for number in range(count + 1):
        fault = random.choice(("random", "random", *FAULTS))
        durability = random.choice(("process", "process", "process", "power"))
        began = time.monotonic()
        # Far enough into the round that streams are running, one at another point each.
        point = random.randint(2, 12) if fault in ("commit", "clear") else random.randint(10, 80)
        await gateway.start(fault, point, durability)
        tally.slowest_start = max(tally.slowest_start, time.monotonic() - began)
        if before is not None:
            rows = gateway.new_rows()
            seen, killed = check(upstream, before, rows)
            tally.rows += len(rows)
            tally.requests += seen
            tally.open_rows += killed
            tally.with_open += killed > 0
        if number == count:
            break
        before = Clients(gateway.port, f"{name}{number}")
        streams = [asyncio.ensure_future(before.stream()) for _ in range(CLIENTS)]
        if fault == "random":
            await asyncio.sleep(0.03 + random.random() * 0.3)
            gateway.kill()
        await gateway.wait_for_death()
        tally.kills[fault] += 1
        await asyncio.gather(*streams)
    gateway.kill()
    await gateway.wait_for_death()


async def rounds(count: int, folder: Path) -> Tally:
    """Kill two gateways, `count` times in all; raises AssertionError if a row is not right."""
    tally = Tally()
    began = time.monotonic()
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream_port = server.sockets[0].getsockname()[1]
    with (folder / "zygote.log").open("w") as log:
        zygote = _zygote(folder, log)
    gateways = [Gateway(zygote, folder / name, upstream_port) for name in ("a", "b")]
    shares = (count - count // 2, count // 2)
    try:
        await asyncio.gather(
            *(
                lane(gateway, upstream, name, share, tally)
                for gateway, name, share in zip(gateways, ("a", "b"), shares, strict=True)
            )
        )
    finally:
        for gateway in gateways:
            gateway.kill()
        assert zygote.stdin is not None
        zygote.stdin.close()
        zygote.wait(_PATIENCE)
        server.close()
    tally.seconds = time.monotonic() - began
    return tally


def _zygote(folder: Path, log: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kill.zygote"],
        cwd=ROOT,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def main(arguments: list[str]) -> None:
    """So many rounds as told, in a folder of their own."""
    count = int(arguments[0]) if arguments else 100
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(rounds(count, Path(folder))))


if __name__ == "__main__":
    main(sys.argv[1:])
