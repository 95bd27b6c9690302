"""A6: trouble with the store, brought about from outside: locks, full disks, failing syncs.

Streams go on in all of them; what is accepted has its row in the end, what is refused has none.
Two kinds of trouble need rights that not every machine gives (mounting, tracing): they are skipped
there, and say so.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from threading import Event

import pytest

from gateway.config.model import Durability
from gateway.ledger import queries
from gateway.ledger.reading import reading
from gateway.ledger.store import Store
from gateway.record import Value
from tests.process.gateway_process import (
    PATIENCE,
    ROOT,
    GatewayProcess,
    environment,
    eventually,
    twistd,
)
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
ANSWER = send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST)

Start = Callable[[str], GatewayProcess]


@pytest.fixture
def start(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[Start]:
    """Starts the test's one gateway, with a durability."""
    with contextlib.ExitStack() as stack:

        def start(durability: str) -> GatewayProcess:
            ledger = f"\n[ledger]\ndurability = {durability}\n"
            return stack.enter_context(GatewayProcess(tmp_path, upstream.sections() + ledger))

        yield start


class Asked:
    """Requests, each with a name, and what became of them."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self.statuses: dict[str, int] = {}

    def __call__(self) -> int:
        """Ask once more; returns the status."""
        name = f"request-{len(self.statuses)}"
        status, body = ask(self._gateway.port, CHAT, prompt(stream=True), {"User-Agent": name})
        assert status in (200, 503), body
        self.statuses[name] = status
        return status

    def have_their_rows(self) -> None:
        """Wait until each that was answered has one row, and see that no other has."""
        answered = {name for name, status in self.statuses.items() if status == 200}

        def look() -> bool:
            rows = self._gateway.rows()
            return answered <= {row["user_agent"] for row in rows if row["outcome"] == "finished"}

        eventually(look, "all rows are there")
        counts = Counter(row["user_agent"] for row in self._gateway.rows())
        assert {name: count for name, count in counts.items() if name in self.statuses} == (
            dict.fromkeys(answered, 1)
        )


def ledger_of(gateway: GatewayProcess) -> Path:
    return gateway.state / "ledger.sqlite"


# Locked.


def test_requests_go_on_while_another_program_has_the_ledger_locked(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """A6: for as long as the queue holds their rows, which come when the lock is gone."""
    upstream.play(read_request, ANSWER)
    gateway = start("process")
    asked = Asked(gateway)
    with closing(sqlite3.connect(ledger_of(gateway), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert {asked() for _ in range(20)} == {200}
        assert gateway.rows() == []
        other.execute("ROLLBACK")
    asked.have_their_rows()


# Full.


@contextlib.contextmanager
def quota(gateway: GatewayProcess) -> Iterator[None]:
    """No file of the gateway's may grow, or be written to beyond its first byte."""
    pid = gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def full_file_system(gateway: GatewayProcess) -> Iterator[None]:
    """Another file has taken all the room."""
    filler = gateway.state / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    yield
    filler.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[None]:
    """A file system of its own for the gateway's state."""
    state = tmp_path / "state"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(state)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user cannot mount a small file system")
    yield
    subprocess.run(["umount", "--lazy", str(state)], check=True)


def goes_through_a_full_disk(
    gateway: GatewayProcess,
    upstream: ScriptedUpstream,
    full: Callable[[GatewayProcess], AbstractContextManager[None]],
) -> tuple[int, Value]:
    """What runs ends; what is new is refused; when there is room, all is as it was.

    Returns the status of a request that came meanwhile, and the outcome of the one that ran.
    """
    upstream.play(read_request, ANSWER)
    asked = Asked(gateway)
    assert asked() == 200
    go_on = Event()
    upstream.play(
        read_request, send(SSE_HEAD, chunked(CHAT_EVENTS[0])), until(go_on),
        send(chunked(*CHAT_EVENTS[1:]), LAST),
    )  # fmt: skip
    with RawClient(gateway.port) as running:
        running.post(CHAT, prompt(stream=True), {"User-Agent": "running"}).body_until(b"\n\n")
        upstream.play(read_request, ANSWER)
        with full(gateway):
            eventually(lambda: asked() == 503, "new requests are refused")
            refused = asked()
            go_on.set()
            assert running.rest() == b"".join(CHAT_EVENTS[1:])
        eventually(lambda: asked() == 200, "requests are taken again")
    asked.have_their_rows()
    (row,) = [row for row in gateway.rows() if row["user_agent"] == "running"]
    return refused, row["outcome"]


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_gateway_that_may_write_no_more_refuses_until_it_may(
    start: Start, upstream: ScriptedUpstream, durability: str
) -> None:
    """A6: a quota."""
    gone_through = goes_through_a_full_disk(start(durability), upstream, quota)
    assert gone_through == (503, "finished")


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_full_disk_refuses_new_requests_until_there_is_room(
    start: Start, upstream: ScriptedUpstream, durability: str
) -> None:
    """A6: no restart is needed."""
    gone_through = goes_through_a_full_disk(start(durability), upstream, full_file_system)
    assert gone_through == (503, "finished")


# Failing and slow syncs.


@contextlib.contextmanager
def tampered(gateway: GatewayProcess, injection: str) -> Iterator[None]:
    """Have the kernel's answers to fsync and fdatasync be what strace's `injection` says."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "-qq", "-p", str(gateway.process.pid), "-e"]
    tracer = subprocess.Popen(
        [*command, f"inject=fsync,fdatasync:{injection}", "-o", str(gateway.folder / "trace")],
        stderr=subprocess.PIPE,
    )
    threads = Path(f"/proc/{gateway.process.pid}/task")

    def attached() -> bool:
        if tracer.poll() is not None:
            pytest.skip("this user cannot trace a process")
        # One thread after the other, and it is the ledger's that syncs.
        statuses = [(thread / "status").read_text() for thread in threads.iterdir()]
        return all(f"TracerPid:\t{tracer.pid}\n" in status for status in statuses)

    with tracer:
        eventually(attached, "strace is attached")
        yield
        tracer.send_signal(signal.SIGINT)


def test_requests_are_refused_while_syncing_fails_where_the_power_may_fail(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """A6: what cannot be promised is not sent."""
    upstream.play(read_request, ANSWER)
    gateway = start("power")
    asked = Asked(gateway)
    assert asked() == 200
    with tampered(gateway, "error=EIO"):
        assert {asked(), asked()} == {503}
    eventually(lambda: asked() == 200, "requests are taken again")
    asked.have_their_rows()


@pytest.mark.parametrize("durability", ["process", "power"])
def test_slow_syncs_lose_nothing(start: Start, upstream: ScriptedUpstream, durability: str) -> None:
    """A6: they delay rows, and with power the dispatch, but no answer fails."""
    upstream.play(read_request, ANSWER)
    gateway = start(durability)
    asked = Asked(gateway)
    with tampered(gateway, "delay_exit=200000"):
        assert {asked() for _ in range(5)} == {200}
    asked.have_their_rows()


# Places that are not to be used.


@pytest.mark.usefixtures("small_disk")
def test_a_read_only_directory_ends_the_start_with_a_line_that_says_so(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O7: which directory, what is wrong, what would be right."""
    gateway = GatewayProcess(tmp_path, upstream.sections())
    remount = ["mount", "-o", "remount,ro", str(gateway.state)]
    assert subprocess.run(remount, capture_output=True).returncode == 0
    ended = twistd(tmp_path, "--config", str(gateway.config))
    assert ended.code == 1
    assert "Read-only file system" in ended.output
    assert str(gateway.state) in ended.output


def test_a_second_gateway_on_one_state_directory_refuses(start: Start, tmp_path: Path) -> None:
    """O7: and says who has it."""
    first = start("process")
    ended = twistd(tmp_path, "--config", str(first.config))
    assert ended.code == 1
    assert "another gateway uses this ledger" in ended.output
    assert f"process {first.process.pid}" in ended.output


def test_a_damaged_ledger_is_set_aside_and_the_gateway_serves(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """A6: loudly; the file is still there for whoever wants to save what is in it."""
    upstream.play(read_request, ANSWER)
    gateway = start("process")
    asked = Asked(gateway)
    assert asked() == 200
    asked.have_their_rows()
    gateway.stop()
    ledger_of(gateway).write_bytes(b"\xff" * 20_000)
    gateway.start().wait_until_it_answers()
    (aside,) = gateway.state.glob("ledger.sqlite.corrupt-*")
    assert aside.read_bytes() == b"\xff" * 20_000
    assert f"a damaged ledger was set aside as {aside}" in gateway.output
    assert gateway.rows() == []
    assert asked() == 200


# Several processes on one file.

_WORKER = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.logger import globalLogBeginner, textFileLogObserver
from gateway.config.model import Durability
from gateway.ledger import SqliteLedger
from tests.ledger.helpers import a_record, an_intent

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
ledger = SqliteLedger(
    Path(sys.argv[1]), Durability(sys.argv[2]), "worker", reactor, alone=False
)
ledger.start()
left = int(sys.argv[3])

def more():
    global left
    left -= 1
    if left < 0:
        return
    intent = an_intent(user_agent=f"{sys.argv[4]}-{left}")
    ledger.open(intent).addCallback(lambda _: reactor.callLater(0.001, done, intent))

def done(intent):
    ledger.settle(a_record(intent))
    if left <= 0 and ledger.open_rows == 0:
        ledger.stop().addCallback(lambda _: reactor.stop())
    more()

for _ in range(8):
    reactor.callWhenRunning(more)
reactor.run()
"""


def test_two_writers_and_a_reader_share_a_ledger(tmp_path: Path) -> None:
    """A6: no lock of one of them reaches a row, a log or a reader of another."""
    path = tmp_path / "ledger.sqlite"
    parent = Store(path, Durability.PROCESS, "parent")
    parent.open("")
    count = 1000
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(path), durability, str(count), durability],
            cwd=ROOT,
            env=environment(tmp_path),
            stderr=subprocess.PIPE,
            text=True,
        )
        for durability in ("process", "power")
    ]
    looks = 0
    while any(worker.poll() is None for worker in workers):
        with reading(path) as reader:
            list(queries.usage(reader, by="outcome"))
            list(queries.requests(reader, last=50))
        looks += 1
    for worker in workers:
        _, errors = worker.communicate(timeout=PATIENCE)
        told = [line for line in errors.splitlines() if "gateway" in line or "locked" in line]
        assert (worker.returncode, told) == (0, []), errors
    assert looks > 10
    parent.close()
    with reading(path) as reader:
        rows = list(queries.requests(reader, last=10 * count))
    assert {row["outcome"] for row in rows} == {"finished"}
    names = {f"{kind}-{number}" for kind in ("process", "power") for number in range(count)}
    assert Counter(row["user_agent"] for row in rows) == Counter(names)
