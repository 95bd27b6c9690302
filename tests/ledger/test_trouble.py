"""Rows of a ledger in trouble: the queue full, the store locked, failing, gone, or dead at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads

import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from gateway.ledger import LedgerUnavailable, SqliteLedger
from gateway.ledger.rows import Row
from gateway.record import ErrorCode, Outcome, Phase
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import ThreadedClock, a_record, an_intent, only_row, rows

ROOT = Path(__file__).resolve().parents[2]


class Gate:
    """Stands in the way of the store's writes.

    Closed, a write waits in it.  `failing`, a write raises what it says.
    """

    def __init__(self, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = Event()
        self.opened = Event()
        self.opened.set()
        self.failing: Exception | None = None
        self.batches: list[tuple[int, int]] = []
        self._write = ledger._store.write
        monkeypatch.setattr(ledger._store, "write", self.write)

    def close(self) -> None:
        self.opened.clear()
        self.entered.clear()

    def open(self) -> None:
        self.opened.set()

    def write(self, opened: Sequence[Row], settled: Sequence[Row]) -> None:
        self.entered.set()
        assert self.opened.wait(30)
        if self.failing is not None:
            raise self.failing
        self._write(opened, settled)
        self.batches.append((len(opened), len(settled)))


@pytest.fixture
def gate(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate before the ledger's store, open again in the end."""
    gate = Gate(ledger, monkeypatch)
    yield gate
    gate.failing = None
    gate.open()


@pytest.fixture
def other(ledger: SqliteLedger, path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that has the ledger's file open."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def fill(ledger: SqliteLedger, gate: Gate) -> list[Deferred[None]]:
    """Close the gate, and open intents until the queue is full."""
    gate.close()
    opened = [ledger.open(an_intent())]
    assert gate.entered.wait(30)
    return opened + [ledger.open(an_intent()) for _ in range(99)]


# The bound.


async def test_an_intent_is_refused_at_once_when_the_queue_is_full(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    """A6: work is refused before rows are lost."""
    opened = fill(ledger, gate)
    with pytest.raises(LedgerUnavailable, match="100 rows are waiting"):
        await ledger.open(an_intent())
    assert (ledger.queued, ledger.open_rows, ledger.refused) == (100, 100, 1)
    gate.open()
    await gatherResults(opened)
    assert len(rows(path)) == 100


async def test_an_accepted_intents_settled_row_is_taken_though_the_queue_is_full(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    """A6: an intent that was accepted has a place for its settled row."""
    intents = [an_intent() for _ in range(300)]
    for start in range(0, 300, 100):
        await gatherResults([ledger.open(intent) for intent in intents[start : start + 100]])
    opened = fill(ledger, gate)
    for intent in intents:
        ledger.settle(a_record(intent))
    assert ledger.dropped == 0
    gate.open()
    await gatherResults(opened)
    await ledger.stop()
    settled = [row["id"] for row in rows(path) if row["outcome"] == "finished"]
    assert sorted(settled) == sorted(intent.id for intent in intents)


async def test_rows_of_rejected_requests_are_bounded_too_but_refused_after_intents(
    ledger: SqliteLedger, gate: Gate
) -> None:
    """A6: a flood of refused requests does not fill the memory when the store stands still."""
    opened = fill(ledger, gate)
    for _ in range(150):
        ledger.settle(a_record(outcome=Outcome.REJECTED))
    assert (ledger.queued, ledger.dropped) == (200, 50)
    gate.open()
    await gatherResults(opened)


async def test_what_is_queued_is_written_in_one_transaction(
    ledger: SqliteLedger, gate: Gate
) -> None:
    """A15: a commit is paid for once a batch."""
    opened = fill(ledger, gate)
    ledger.settle(a_record())
    gate.open()
    await gatherResults(opened)
    assert gate.batches == [(1, 0), (99, 1)]


async def test_what_has_gathered_is_written_a_hundred_rows_at_a_time(
    make_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A6: a long batch would keep the interpreter's lock from the reactor, and hold up streams."""
    ledger = make_ledger(queue_limit=1000)
    gate = Gate(ledger, monkeypatch)
    opened = fill(ledger, gate) + [ledger.open(an_intent()) for _ in range(151)]
    gate.open()
    await gatherResults(opened)
    assert gate.batches == [(1, 0), (100, 0), (100, 0), (50, 0)]


# The deadline.


async def test_a_locked_store_fails_an_intent_after_two_seconds_and_blocks_nobody(
    ledger: SqliteLedger, other: sqlite3.Connection, clock: ThreadedClock
) -> None:
    """A6: a lock delays rows; dispatch waits two seconds and no longer."""
    other.execute("BEGIN EXCLUSIVE")
    opened = ledger.open(an_intent())
    clock.advance(1.9)
    assert not opened.called
    clock.advance(0.2)
    with pytest.raises(LedgerUnavailable, match="not written within 2 s"):
        await opened
    other.execute("ROLLBACK")


async def test_rows_arrive_when_a_locked_store_is_released(
    ledger: SqliteLedger, other: sqlite3.Connection, path: Path
) -> None:
    """A6: nothing that was taken is lost to a lock."""
    settled = a_record()
    await ledger.open(settled.intent)
    other.execute("BEGIN EXCLUSIVE")
    ledger.settle(settled)
    opened = ledger.open(an_intent())
    other.execute("ROLLBACK")
    await opened
    await ledger.stop()
    assert [row["outcome"] for row in rows(path)] == ["finished", None]


async def test_a_store_that_stays_locked_is_tried_again(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    """A6: SQLite's own wait for a lock may end before the lock does."""
    gate.failing = locked()
    opened = ledger.open(an_intent())
    assert gate.entered.wait(30)
    gate.failing = None
    await opened
    assert only_row(path)["outcome"] is None


async def test_one_timer_serves_all_waiting_intents(
    ledger: SqliteLedger, gate: Gate, clock: ThreadedClock
) -> None:
    gate.close()
    early = [ledger.open(an_intent()) for _ in range(3)]
    clock.advance(1.5)
    late = [ledger.open(an_intent()) for _ in range(3)]
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0.5)
    assert [opened.called for opened in early + late] == [True] * 3 + [False] * 3
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(1.5)
    assert clock.getDelayedCalls() == []
    for opened in early + late:
        with pytest.raises(LedgerUnavailable):
            await opened


async def test_an_abandoned_intent_that_was_not_being_written_has_no_row(
    ledger: SqliteLedger, gate: Gate, clock: ThreadedClock, path: Path
) -> None:
    """A6: the ledger's own refusals are counted and logged, not accounted for."""
    gate.close()
    written, queued, later = an_intent(), an_intent(), an_intent()
    waiting = [ledger.open(written)]
    assert gate.entered.wait(30)
    waiting.append(ledger.open(queued))
    clock.advance(2)
    for opened in waiting:
        with pytest.raises(LedgerUnavailable):
            await opened
    gate.open()
    await ledger.open(later)
    assert [row["id"] for row in rows(path)] == [written.id, later.id]
    assert ledger.refused == 2


async def test_an_abandoned_intent_that_is_written_after_all_is_settled_as_rejected(
    ledger: SqliteLedger, gate: Gate, clock: ThreadedClock, path: Path
) -> None:
    """A6: a row of a request that was not sent says so, and does not stay open."""
    gate.close()
    opened = ledger.open(an_intent())
    assert gate.entered.wait(30)
    clock.advance(2)
    with pytest.raises(LedgerUnavailable):
        await opened
    assert ledger.open_rows == 0
    gate.open()
    await ledger.stop()
    row = only_row(path)
    assert (row["outcome"], row["phase"], row["error"]) == (
        Outcome.REJECTED,
        Phase.REQUEST,
        ErrorCode.LEDGER_UNAVAILABLE,
    )
    assert row["ended_at"] is not None


async def test_how_an_abandoned_exchange_says_that_it_ended_is_what_stays(
    ledger: SqliteLedger, gate: Gate, clock: ThreadedClock, path: Path
) -> None:
    """A2: the client left while its intent was being written, and the store was slow."""
    gate.close()
    intent = an_intent()
    opened = ledger.open(intent)
    assert gate.entered.wait(30)
    ledger.settle(a_record(intent, outcome=Outcome.CLIENT_GONE))
    clock.advance(2)
    with pytest.raises(LedgerUnavailable):
        await opened
    gate.open()
    await ledger.stop()
    assert only_row(path)["outcome"] == "client_gone"


async def test_a_cancelled_intent_does_not_stay_open(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    gate.close()
    opened = ledger.open(an_intent())
    assert gate.entered.wait(30)
    opened.cancel()
    with pytest.raises(CancelledError):
        await opened
    gate.open()
    await ledger.stop()
    assert only_row(path)["outcome"] == "rejected"


async def test_the_record_of_a_request_that_the_ledger_refused_is_not_written(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.settle(a_record(outcome=Outcome.REJECTED, error=ErrorCode.LEDGER_UNAVAILABLE))
    await ledger.stop()
    assert rows(path) == []


# A store that fails.


async def test_an_intent_that_the_store_fails_to_write_is_refused_at_once(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    """A6: waiting would not help, and no row is left behind."""
    gate.failing = sqlite3.OperationalError("database or disk is full")
    with pytest.raises(LedgerUnavailable, match="database or disk is full"):
        await ledger.open(an_intent())
    assert (ledger.queued, ledger.open_rows) == (0, 0)
    gate.failing = None
    await ledger.open(an_intent())
    assert len(rows(path)) == 1


async def test_settled_rows_are_kept_until_a_failing_store_takes_them(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    """A6: nothing that was acknowledged is lost, and trouble is logged once, not per row."""
    intents = [an_intent() for _ in range(3)]
    await gatherResults([ledger.open(intent) for intent in intents])
    gate.failing = sqlite3.OperationalError("disk I/O error")
    for intent in intents:
        ledger.settle(a_record(intent))
        with pytest.raises(LedgerUnavailable):
            await ledger.open(an_intent())
    assert ledger.queued == 3
    gate.failing = None
    await ledger.open(an_intent())
    assert [row["outcome"] for row in rows(path)] == ["finished"] * 3 + [None]


async def test_trouble_is_logged_when_it_begins_and_when_it_is_over(
    ledger: SqliteLedger, gate: Gate, log_lines: list[str], path: Path
) -> None:
    """A6: one line for each change, whatever the number of rows."""
    gate.failing = sqlite3.OperationalError("disk I/O error")
    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            await ledger.open(an_intent())
    gate.failing = None
    await ledger.open(an_intent())
    await ledger.open(an_intent())
    assert log_lines == [
        f"ledger {path}: the store failed (disk I/O error)",
        f"ledger {path}: takes rows again",
    ]


async def test_trouble_is_not_over_before_a_row_was_written(
    ledger: SqliteLedger, gate: Gate, clock: ThreadedClock, log_lines: list[str], path: Path
) -> None:
    """A6: that no intent waits any more does not mean that the store works."""
    gate.close()
    waiting = [ledger.open(an_intent())]
    assert gate.entered.wait(30)
    waiting.append(ledger.open(an_intent()))
    clock.advance(2)
    for opened in waiting:
        with pytest.raises(LedgerUnavailable):
            await opened
    gate.failing = sqlite3.OperationalError("disk I/O error")
    gate.open()
    await ledger.stop()
    assert log_lines == [
        f"ledger {path}: not written within 2 s",
        f"ledger {path}: the store failed (disk I/O error)",
    ]


async def test_a_full_disk_loses_no_row(ledger: SqliteLedger, path: Path) -> None:
    """A6: SQLite itself says that it is full; what was settled arrives when there is room."""
    settled = a_record(usage_raw="x" * 100_000)
    await ledger.open(settled.intent)
    db = ledger._store._db
    assert db is not None
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    ledger.settle(settled)
    with pytest.raises(LedgerUnavailable, match="full"):
        await ledger.open(an_intent())
    assert only_row(path)["outcome"] is None
    db.execute("PRAGMA max_page_count = 1000000")
    await ledger.stop()
    assert only_row(path) == settled.as_row()


async def test_a_file_that_was_moved_away_takes_no_rows_until_it_is_back(
    ledger: SqliteLedger, path: Path
) -> None:
    """A6: SQLite alone would go on writing into a file that nobody will read."""
    settled = a_record()
    await ledger.open(settled.intent)
    away = path.with_name("away")
    path.rename(away)
    ledger.settle(settled)
    with pytest.raises(LedgerUnavailable, match="store failed"):
        await ledger.open(an_intent())
    away.rename(path)
    await ledger.stop()
    assert only_row(path) == settled.as_row()


# Ends.


async def test_rows_settled_while_stopping_waits_for_the_store_are_written(
    ledger: SqliteLedger, gate: Gate, path: Path
) -> None:
    """A3: an exchange that ends while the ledger is flushed is accounted for."""
    gate.close()
    intent = an_intent()
    opened = ledger.open(intent)
    assert gate.entered.wait(30)
    stopped = ledger.stop()
    with pytest.raises(LedgerUnavailable, match="not running"):
        await ledger.open(an_intent())
    ledger.settle(a_record(intent, outcome=Outcome.DRAINED))
    gate.open()
    await gatherResults([opened, stopped])
    assert only_row(path)["outcome"] == "drained"


async def test_stopping_waits_for_a_stuck_store_ten_seconds_and_says_what_is_lost(
    ledger: SqliteLedger, gate: Gate, clock: ThreadedClock, log_lines: list[str], path: Path
) -> None:
    """A6: the process can end though the store cannot."""
    (thread,) = (thread for thread in enumerate_threads() if thread.name == "ledger-writer")
    gate.failing = sqlite3.OperationalError("disk I/O error")
    gate.close()
    ledger.settle(a_record())
    opened = ledger.open(an_intent())
    assert gate.entered.wait(30)
    stopped = ledger.stop()
    clock.advance(2)
    with pytest.raises(LedgerUnavailable):
        await opened
    clock.advance(7.9)
    assert not stopped.called
    clock.advance(0.1)
    await stopped
    gate.open()
    thread.join(10)
    assert not thread.is_alive()
    assert rows(path) == []  # they were given up as the line says
    assert f"ledger {path}: 2 rows were not written within 10 s of stopping" in log_lines


_CHILD = """
import sys
from pathlib import Path
from twisted.internet import reactor
from gateway.config.model import Durability
from gateway.ledger import SqliteLedger
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import an_intent, a_record

ledger = SqliteLedger(Path(sys.argv[1]), Durability.PROCESS, "child", reactor)
ledger.start()

def more():
    intent = an_intent()
    ledger.open(intent).addCallback(lambda _: acknowledged(intent))

def acknowledged(intent):
    print(intent.id, flush=True)
    if intent.id[-1] in "01234567":
        ledger.settle(a_record(intent))
    more()

for _ in range(20):
    reactor.callWhenRunning(more)
reactor.run()
"""


@pytest.mark.parametrize("count", [1, 500, 2000])
def test_every_acknowledged_intent_survives_the_death_of_the_process(
    make_ledger: MakeLedger, path: Path, count: int
) -> None:
    """A5: SIGKILL at any moment; no row is lost, none is there twice, open ones are killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        acknowledged = [child.stdout.readline().strip() for _ in range(count)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    make_ledger()
    stored = [row["id"] for row in rows(path)]
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert {row["outcome"] for row in rows(path)} <= {"finished", "killed"}


def locked() -> sqlite3.OperationalError:
    """The error that SQLite gives when its wait for a lock was in vain."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error
