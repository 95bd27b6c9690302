"""Reloads and kills under load: what clients see of them, and what the ledger says.

``python -m tests.process.reload_rounds --rounds 200 --kills 50`` for as long as one likes; the test
`test_workers_load` does a short run of it.

Everything but the gateway is in one event loop of this process: an upstream that sends an event
every second until it is told to end, clients in the middle of such streams, and clients that
connect again and again for a short answer.  Each request has a model of its own, by which its rows
are found; a row's instance says which worker had it, and so whether that one was killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.process.gateway_process import PATIENCE, Row
from tests.process.raw_client import PATHS, prompt
from tests.process.workers_gateway import START_PATIENCE, WorkersGateway
from tests.process.workers_gateway import Seen as Worker
from tests.transcripts import CHAT_BODY, CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked, post

CHAT: Final = PATHS["openai_chat"]
#: Seconds between two events of a stream.
_TICK: Final = 1.0
#: For how many rounds a stream goes on: fewer than generations may drain.
_ROUNDS_OF_A_STREAM: Final = 3
#: Clients that connect again and again, and seconds that each pauses between two requests.
_KNOCKERS: Final = 4
_PAUSE: Final = 0.1
_SHORT: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"


@dataclass
class Request:
    """One request, as its client and its upstream saw it."""

    model: str
    began: float  #: on the monotonic clock
    ended: float = 0.0
    sent: bytearray = field(default_factory=bytearray, repr=False)  #: by the upstream
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)  #: it is to end
    begun: asyncio.Event = field(default_factory=asyncio.Event, repr=False)  #: the client has read
    whole: bool = False  #: the client got all that was sent, and an end that says so
    problem: str = ""


@dataclass
class Seen:
    """What came of it all."""

    streams: list[Request] = field(default_factory=list)
    short: list[Request] = field(default_factory=list)
    refused: int = 0  #: connections
    hangups: int = 0
    swaps: int = 0
    kills: list[tuple[int, float, float]] = field(default_factory=list)  #: pid, just before, after
    rows: dict[str, list[Row]] = field(default_factory=dict)  #: by model

    def killed(self, row: Row) -> bool:
        """Whether the worker that had this row was killed."""
        return int(str(row["instance"]).rpartition("-")[2]) in {pid for pid, _, _ in self.kills}

    def during_a_kill(self, request: Request) -> bool:
        """Whether a worker was killed between its beginning and its end."""
        return any(
            request.began <= after and before <= request.ended for _, before, after in self.kills
        )

    @property
    def problems(self) -> list[str]:
        """Everything that must not happen and did."""
        left = dict(self.rows)
        found = [f"{self.refused} connections were refused"] if self.refused else []
        for request in self.streams:
            rows = left.pop(request.model, [])
            if len(rows) != 1:
                found.append(f"{request} has {len(rows)} rows")
            elif request.whole and not self._is_finished(rows[0]):
                found.append(f"{request} is whole and {rows[0]['outcome']}")
            elif not request.whole and not (
                self.killed(rows[0]) and rows[0]["outcome"] == "killed"
            ):
                found.append(f"{request} was cut, its row: {dict(rows[0])}")
        for request in self.short:
            rows = left.pop(request.model, [])
            if request.whole:
                if len(rows) != 1 or not self._is_finished(rows[0]):
                    found.append(f"{request} was answered, its rows: {rows}")
            elif not self.during_a_kill(request):
                found.append(f"{request} was not answered, and nothing was killed meanwhile")
            # A worker may die before it has read the request, which then has no row.
            elif len(rows) > 1 or not all(self.killed(row) for row in rows):
                found.append(f"{request} was not answered, its rows: {rows}")
        found += [f"rows that nobody asked for: {rows}" for rows in left.values()]
        return found

    def _is_finished(self, row: Row) -> bool:
        # A worker that is killed as its client has the last byte has not told the ledger yet.
        return row["outcome"] == "finished" or (row["outcome"] == "killed" and self.killed(row))

    def summary(self) -> str:
        """The figures, in one line each."""
        outcomes = Counter(str(row["outcome"]) for rows in self.rows.values() for row in rows)
        whole = sum(request.whole for request in self.streams)
        answered = sum(request.whole for request in self.short)
        return (
            f"reloads: {self.hangups} SIGHUPs, {self.swaps} swaps; {len(self.kills)} SIGKILLs\n"
            f"streams: {len(self.streams)}, {whole} whole, {len(self.streams) - whole} cut\n"
            f"short requests: {len(self.short)}, {answered} answered, "
            f"{len(self.short) - answered} broken off\n"
            f"connections: {len(self.streams) + len(self.short) + self.refused}, "
            f"{self.refused} refused\n"
            f"rows: {sum(outcomes.values())}, {dict(outcomes)}"
        )


class Load:
    """The upstream and its clients."""

    def __init__(self, port: int, seen: Seen) -> None:
        self._port = port
        self._seen = seen
        self._all: dict[str, Request] = {}
        self._tasks: dict[Request | int, asyncio.Task[None]] = {}
        self._over = False

    async def upstream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            assert length is not None, head
            asked = json.loads(await reader.readexactly(int(length[1])))
            if asked["stream"]:
                await self._stream(self._all[asked["model"]], writer)
            else:
                fields = b"Content-Length: %d\r\n\r\n" % len(CHAT_BODY)
                writer.write(_SHORT + fields + CHAT_BODY)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the worker was killed
        finally:
            writer.close()

    async def _stream(self, request: Request, writer: asyncio.StreamWriter) -> None:
        def send(*events: bytes) -> None:
            request.sent += b"".join(events)
            writer.write(chunked(*events))

        writer.write(SSE_HEAD)
        send(*CHAT_EVENTS[:2])
        while not request.over.is_set():
            await writer.drain()
            try:
                await asyncio.wait_for(request.over.wait(), _TICK)
            except TimeoutError:
                send(CHAT_EVENTS[1])
        send(*CHAT_EVENTS[2:])
        writer.write(LAST)
        await writer.drain()

    # Clients.

    async def begin_streams(self, count: int) -> None:
        """Have so many more clients in the middle of a stream."""
        new = []
        for _ in range(count):
            request = self._request("stream", self._seen.streams)
            self._tasks[id(request)] = asyncio.create_task(self._ask(request, stream=True))
            new.append(request.begun.wait())
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*new), START_PATIENCE)

    def open_streams(self) -> list[Request]:
        """Those that have not ended."""
        return [request for request in self._seen.streams if not request.ended]

    async def end_streams(self, ending: Iterable[Request]) -> None:
        """Have these come to their ends."""
        ending = list(ending)
        for request in ending:
            request.over.set()
        async with asyncio.timeout(START_PATIENCE):
            await asyncio.gather(*(self._tasks.pop(id(request)) for request in ending))

    def begin_knocking(self) -> None:
        """Connect again and again."""
        for number in range(_KNOCKERS):
            self._tasks[number] = asyncio.create_task(self._knock())

    async def end_knocking(self) -> None:
        """Let the last ones have their answers."""
        self._over = True
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(self._tasks.pop(number) for number in range(_KNOCKERS)))

    async def _knock(self) -> None:
        while not self._over:
            await self._ask(self._request("short", self._seen.short), stream=False)
            await asyncio.sleep(_PAUSE)

    def _request(self, kind: str, kept: list[Request]) -> Request:
        request = Request(f"{kind}-{len(kept)}", time.monotonic())
        kept.append(request)
        self._all[request.model] = request
        return request

    async def _ask(self, request: Request, *, stream: bool) -> None:
        answer = bytearray()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionRefusedError:
            self._seen.refused += 1
            request.problem = "refused"
            request.ended = time.monotonic()
            request.begun.set()
            return
        try:
            writer.write(
                post(CHAT, prompt(stream=stream, model=request.model), "Connection: close")
            )
            while data := await reader.read(65536):
                answer += data
                if CHAT_EVENTS[1] in answer:
                    request.begun.set()
        except OSError as error:
            request.problem = str(error)
        finally:
            request.ended = time.monotonic()
            request.begun.set()
            writer.close()
        head, _, body = bytes(answer).partition(b"\r\n\r\n")
        if stream:
            whole, content = _unchunked(body)
            request.whole = whole and content == request.sent and request.over.is_set()
        else:
            request.whole = body == CHAT_BODY
        request.whole = request.whole and head.startswith(b"HTTP/1.1 200 ")
        if not request.whole:
            request.problem = request.problem or f"answered: {bytes(answer[-200:])!r}"


def _unchunked(body: bytes) -> tuple[bool, bytes]:
    """Whether a chunked body has its last chunk, and its content."""
    content = bytearray()
    while True:
        size, end, rest = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not end or not length:
            return body == LAST, bytes(content)
        content += rest[:length]
        body = rest[length + 2 :]


async def play(
    folder: Path, rounds: int, kills: int, streams: int, say: Callable[[str], object] = print
) -> Seen:
    """So many reloads, and so many kills among them, with so many open streams."""
    seen = Seen()
    async with AsyncExitStack() as ends:
        gateway, load = await _start(folder, seen, ends)
        load.begin_knocking()
        await load.begin_streams(streams)
        for number in range(rounds):
            await _reload(gateway, seen, number + 2, (number + 1) * kills // rounds)
            # Those that have run for longest: each lives for as many rounds.
            ending = load.open_streams()[: streams // _ROUNDS_OF_A_STREAM]
            await load.end_streams(ending)
            await load.begin_streams(streams - len(load.open_streams()))
            say(f"round {number + 1}: {len(gateway.workers())} workers")
        # Signals that come together become fewer swaps.
        for _ in range(3):
            seen.hangups += 1
            gateway.hang_up()
        await asyncio.to_thread(gateway.wait_for_log, f"generation {rounds + 2} serves")
        await load.end_knocking()
        await load.end_streams(load.open_streams())
        await asyncio.to_thread(_settle, gateway, seen)
        seen.swaps = gateway.output.count(" drains for up to ")
    return seen


async def _start(folder: Path, seen: Seen, ends: AsyncExitStack) -> tuple[WorkersGateway, Load]:
    server = await asyncio.start_server(
        lambda reader, writer: load.upstream(reader, writer), "127.0.0.1", 0, backlog=512
    )
    port = server.sockets[0].getsockname()[1]
    sections = (
        f"[upstream all]\nurl = http://127.0.0.1:{port}\ndialect = generic\npool_size = 0\n"
        "[route all]\npath = /v1/*\nupstream = all\nkeepalive = off\n"
    )
    gateway = WorkersGateway(folder, sections, "workers = 2\ndrain_timeout = 10m")
    load = Load(gateway.port, seen)
    ends.callback(gateway.kill)
    ends.callback(server.close)
    gateway.start()
    await asyncio.to_thread(gateway.wait_for_log, "generation 1 serves")
    return gateway, load


async def _reload(gateway: WorkersGateway, seen: Seen, generation: int, kills: int) -> None:
    """Reload; if there are to be more kills by now, kill a worker before or during it: the oldest,
    which drains, or the newest that serves."""
    kill = len(seen.kills) < kills
    before = len(seen.kills) % 2 == 0
    workers = sorted(gateway.workers(), key=lambda one: int(one.name[1:].partition("w")[0]))
    if kill and before:
        await _kill(gateway, seen, workers[0])
    seen.hangups += 1
    gateway.hang_up()
    if kill and not before:
        await _kill(gateway, seen, workers[-1])
    await asyncio.to_thread(gateway.wait_for_log, f"generation {generation} serves")


async def _kill(gateway: WorkersGateway, seen: Seen, victim: Worker) -> None:
    """Kill a worker, and wait until that is known."""
    before = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    await asyncio.to_thread(gateway.wait_for_log, f"(pid {victim.pid}) was killed by SIGKILL")
    seen.kills.append((victim.pid, before, time.monotonic()))


def _settle(gateway: WorkersGateway, seen: Seen) -> None:
    """Wait until every row has its end, and take them."""
    expected = sum(1 for request in (*seen.streams, *seen.short) if request.whole)
    for row in gateway.new_rows(expected):
        seen.rows.setdefault(str(row["model_requested"]), []).append(row)


def run(main: Coroutine[Any, Any, Seen]) -> Seen:
    """Run it in an event loop of its own."""
    return asyncio.run(main)


def main() -> int:
    """See the module's text; 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--streams", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = run(play(Path(folder), options.rounds, options.kills, options.streams))
    print(seen.summary())
    for problem in seen.problems:
        print(problem)
    return 1 if seen.problems else 0


if __name__ == "__main__":
    sys.exit(main())
