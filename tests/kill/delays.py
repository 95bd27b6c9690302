"""How late events are while the ledger is in trouble, measured through a real gateway; by hand::

    python -m tests.kill.delays [SECONDS]

One upstream sends streams of events that carry the time of their sending; a client compares. New
requests come meanwhile, so that the ledger has rows to write. Half of the streams come through the
gateway, the other half straight from the upstream: how late those are is this machine's own noise,
at the same time and in the same processes. Between the troubles are quiet spells.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.process.gateway_process import GatewayProcess

_STREAMS = 10  # each way
_PACE = 0.02  # seconds between two events of a stream
_REQUESTS = 50  # short requests begun each second meanwhile

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_BROKEN = (OSError, asyncio.IncompleteReadError)

Trouble = Callable[[GatewayProcess], AbstractContextManager[None]]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer ``/v1/long`` with an event every now and then for ever, all else at once."""
    with contextlib.suppress(*_BROKEN):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_HEAD)
            while b"/v1/long" in head:
                await asyncio.sleep(_PACE)
                event = b"data: %.6f\n\n" % time.monotonic()
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                await writer.drain()
            writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    writer.close()


async def _read(port: int, late: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/long HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with contextlib.suppress(*_BROKEN):
        while True:
            line = await reader.readuntil(b"\n")
            if line.startswith(b"data: "):
                late.append(time.monotonic() - float(line[6:]))


async def _ask(port: int, statuses: dict[int, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/short HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    with contextlib.suppress(*_BROKEN):
        status = int((await reader.read()).split(b" ", 2)[1])
        statuses[status] = statuses.get(status, 0) + 1
    writer.close()


Late = tuple[list[float], list[float]]  # through the gateway, and straight from the upstream


async def _spell(port: int, late: Late, seconds: float, name: str) -> None:
    """Have requests come for so long, and tell how late the streams' events were meanwhile."""
    for found in late:
        found.clear()
    statuses: dict[int, int] = {}
    asked = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked.append(asyncio.ensure_future(_ask(port, statuses)))
        await asyncio.sleep(1 / _REQUESTS)
    shown = " | ".join(_shown(sorted(found)) for found in late)
    await asyncio.gather(*asked)
    print(f"{name:28} {shown} | {statuses}", flush=True)


def _shown(found: list[float]) -> str:
    """Median, 99 %, 99.9 % and the latest, in milliseconds."""
    shares = (0.5, 0.99, 0.999, 1)
    return " ".join(
        f"{found[min(int(len(found) * share), len(found) - 1)] * 1000:6.2f}" for share in shares
    )


def _ledger(gateway: GatewayProcess) -> sqlite3.Connection:
    return sqlite3.connect(gateway.state / "ledger.sqlite", isolation_level=None, timeout=10)


@contextlib.contextmanager
def _locked(gateway: GatewayProcess) -> Iterator[None]:
    with contextlib.closing(_ledger(gateway)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def _full(gateway: GatewayProcess) -> Iterator[None]:
    pid = gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _checkpointed(gateway: GatewayProcess) -> Iterator[None]:
    """Another thread has SQLite write and fold the log all the time."""

    def fold() -> None:
        with contextlib.closing(_ledger(gateway)) as db:
            while not over:
                db.execute("UPDATE requests SET session = session WHERE rowid % 10 = 0")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                time.sleep(0.05)

    over: list[bool] = []
    done = asyncio.get_running_loop().run_in_executor(None, fold)
    yield
    over.append(True)
    assert not done.cancelled()


_TROUBLES: dict[str, Trouble] = {
    "locked": _locked,
    "no room": _full,
    "folded all the time": _checkpointed,
}


async def measure(seconds: float) -> None:
    """Print a line for each trouble and each quiet spell, in both durabilities."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    columns = "median   99 % 99.9 %    max"
    print(f"{'ms late':28} {columns} through the gateway | {columns} without it | answers")
    for durability in ("process", "power"):
        sections = (
            f"[ledger]\ndurability = {durability}\n"
            f"[upstream it]\nurl = http://127.0.0.1:{port}\ndialect = generic\n"
            "[route all]\npath = /v1/*\nupstream = it\nkeepalive = off\n"
        )
        with tempfile.TemporaryDirectory() as folder:
            gateway = GatewayProcess(Path(folder), sections)
            gateway.start()
            while not gateway.accepts():
                await asyncio.sleep(0.05)
            late: Late = ([], [])
            streams = [
                asyncio.ensure_future(_read(way, found))
                for way, found in zip((gateway.port, port), late, strict=True)
                for _ in range(_STREAMS)
            ]
            await asyncio.sleep(1)
            for name, trouble in _TROUBLES.items():
                await _spell(gateway.port, late, seconds, f"{durability}, quiet")
                with trouble(gateway):
                    await _spell(gateway.port, late, seconds, f"{durability}, {name}")
                await asyncio.sleep(2.5)
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
            gateway.kill()


if __name__ == "__main__":
    asyncio.run(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
