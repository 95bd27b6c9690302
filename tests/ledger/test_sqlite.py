"""Rows of a ledger that works: opened, settled, once each, and there when they are said to be."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import gatherResults

from gateway.config.model import Durability
from gateway.ledger import Ledger, LedgerUnavailable, SqliteLedger
from gateway.record import (
    COLUMNS,
    INTENT_COLUMNS,
    ErrorCode,
    Outcome,
    Phase,
    Usage,
    intent_row,
)
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import ThreadedClock, a_record, an_intent, only_row, rows


def test_the_sqlite_ledger_is_a_ledger(ledger: SqliteLedger) -> None:
    as_others_see_it: Ledger = ledger
    assert as_others_see_it is ledger


async def test_a_row_is_in_the_file_before_open_fires(ledger: SqliteLedger, path: Path) -> None:
    """A1: the row exists before anything is sent."""
    intent = an_intent()
    await ledger.open(intent)
    row = only_row(path)
    assert {name: row[name] for name in INTENT_COLUMNS} == intent_row(intent)
    assert {row[name] for name in COLUMNS if name not in INTENT_COLUMNS} == {None}


async def test_a_request_opened_and_settled_is_one_row(ledger: SqliteLedger, path: Path) -> None:
    """A1: one request, one row, with all that its record says; unknown stays NULL and 0 stays 0."""
    intent = an_intent()
    record = a_record(intent)
    await ledger.open(intent)
    ledger.settle(record)
    await ledger.stop()
    assert only_row(path) == record.as_row()
    assert only_row(path)["output_tokens"] == 0
    assert only_row(path)["reasoning_tokens"] is None


async def test_what_was_learnt_of_a_request_after_its_opening_is_in_its_row(
    ledger: SqliteLedger, path: Path
) -> None:
    """A1: of a body that is passed on while it comes, size and model are known at the end."""
    intent = an_intent(model_requested=None, request_bytes=0)
    record = a_record(replace(intent, model_requested="m", request_bytes=7))
    await ledger.open(intent)
    ledger.settle(record)
    await ledger.stop()
    assert only_row(path) == record.as_row()


async def test_a_request_that_was_rejected_has_a_row_without_an_intent(
    ledger: SqliteLedger, path: Path
) -> None:
    """A3: what the gateway itself refused is accounted for too."""
    record = a_record(outcome=Outcome.REJECTED, phase=Phase.REQUEST, error=ErrorCode.UNAUTHORIZED)
    ledger.settle(record)
    await ledger.stop()
    assert only_row(path) == record.as_row()


async def test_a_settled_row_is_never_overwritten(ledger: SqliteLedger, path: Path) -> None:
    first = a_record()
    await ledger.open(first.intent)
    ledger.settle(first)
    ledger.settle(replace(first, outcome=Outcome.CLIENT_GONE))
    await ledger.open(an_intent())  # so that both have been written
    ledger.settle(replace(first, outcome=Outcome.DRAINED))
    await ledger.stop()
    assert [row["outcome"] for row in rows(path)] == ["finished", None]


async def test_a_request_settled_before_its_intent_is_acknowledged_is_one_row(
    ledger: SqliteLedger, path: Path
) -> None:
    """A2: the client left while its request waited for the ledger."""
    intent = an_intent()
    opened = ledger.open(intent)
    ledger.settle(a_record(intent, outcome=Outcome.CLIENT_GONE))
    await opened
    await ledger.stop()
    assert only_row(path)["outcome"] == "client_gone"


async def test_counters_tell_what_is_open_queued_and_written(ledger: SqliteLedger) -> None:
    intents = [an_intent() for _ in range(5)]
    opened = gatherResults([ledger.open(intent) for intent in intents])
    assert (ledger.open_rows, ledger.queued, ledger.written) == (5, 5, 0)
    await opened
    assert (ledger.open_rows, ledger.queued, ledger.written) == (5, 0, 5)
    for intent in intents:
        ledger.settle(a_record(intent))
    assert (ledger.open_rows, ledger.queued) == (0, 5)
    await ledger.stop()
    assert (ledger.queued, ledger.written) == (0, 10)


async def test_text_and_numbers_that_sqlite_cannot_keep_spoil_no_other_row(
    ledger: SqliteLedger, path: Path
) -> None:
    """A15: a row like no other does not stop the ones beside it."""
    intent = an_intent(user_agent="\ud800 ü \0")
    odd = a_record(
        intent,
        usage=Usage(input_tokens=2**63, output_tokens=-(2**63)),
        head_ms=float("nan"),
        paused_ms=float("inf"),
    )
    await gatherResults([ledger.open(intent), ledger.open(an_intent())])
    ledger.settle(odd)
    await ledger.stop()
    row, other = rows(path)
    assert row["user_agent"] == "\\ud800 ü \0"
    assert (row["input_tokens"], row["output_tokens"]) == (None, -(2**63))
    assert (row["head_ms"], row["paused_ms"]) == (None, None)
    assert other["user_agent"] == "curl/8.0"


async def test_open_and_settle_do_not_raise_whatever_they_are_given(
    ledger: SqliteLedger, path: Path, logged_failures: Any
) -> None:
    """A15: an error in accounting is logged, and its request refused, but nothing is raised."""
    with pytest.raises(LedgerUnavailable):
        await ledger.open(an_intent(started_at=float("nan")))
    ledger.settle(a_record(ended_at=float("inf")))
    assert ledger.dropped == 1
    assert len(logged_failures.flush(ValueError, OverflowError)) == 2
    await ledger.stop()
    assert rows(path) == []


@pytest.mark.parametrize("started", [False, True])
async def test_a_ledger_that_does_not_run_refuses_without_raising(
    make_ledger: MakeLedger, path: Path, started: bool
) -> None:
    """A15: before its start and after its end a ledger takes nothing, and says so."""
    ledger = make_ledger(start=started)
    await ledger.stop()
    with pytest.raises(LedgerUnavailable, match="not running"):
        await ledger.open(an_intent())
    ledger.settle(a_record())
    assert ledger.dropped == 1


async def test_stopping_writes_all_that_is_queued(ledger: SqliteLedger, path: Path) -> None:
    for _ in range(50):
        ledger.settle(a_record())
    await gatherResults([ledger.stop(), ledger.stop()])
    assert len(rows(path)) == 50


async def test_after_stopping_nothing_but_the_file_and_its_lock_is_left(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.settle(a_record())
    await ledger.stop()
    left = {str(file.relative_to(path.parent)) for file in path.parent.rglob("*")}
    assert left == {path.name, f"{path.name}.lock", f"{path.name}.spool"}


async def test_files_are_for_their_owner_alone(ledger: SqliteLedger, path: Path) -> None:
    await ledger.open(an_intent())
    there = [path.parent, *path.parent.rglob("*")]
    assert {stat.S_IMODE(one.stat().st_mode) for one in there if one.is_dir()} == {0o700}
    files = [stat.S_IMODE(one.stat().st_mode) for one in there if one.is_file()]
    assert files == [0o600] * 6


async def test_durability_against_power_loss_waits_for_the_disk(
    path: Path, clock: ThreadedClock
) -> None:
    """Both say `synchronous` in SQLite's own words: 1 is handed to the kernel, 2 is on the disk."""
    for durability, expected in ((Durability.PROCESS, 1), (Durability.POWER, 2)):
        ledger = SqliteLedger(path, durability, "test", clock)
        ledger.start()
        assert ledger._store._db is not None
        assert ledger._store._db.execute("PRAGMA synchronous").fetchone() == (expected,)
        await ledger.open(an_intent())
        await ledger.stop()
    assert len(rows(path)) == 2


async def test_what_was_settled_under_an_id_stays_also_without_an_intent(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A8: so that a result of a batch counts once, also over a restart."""
    first = a_record(usage=Usage(1, output_tokens=1))
    for record in (first, replace(first, usage=Usage(2, output_tokens=2))):
        ledger = make_ledger()
        ledger.settle(record)
        ledger.settle(record)
        await ledger.stop()
    assert only_row(path)["input_tokens"] == 1


async def test_there_is_room_while_a_quarter_of_the_queue_is_not_taken(
    make_ledger: MakeLedger,
) -> None:
    """A6: what no intent has announced leaves most of it to requests."""
    ledger = make_ledger(queue_limit=8, start=False)
    assert not ledger.has_room()
    ledger.start()
    ledger.settle(a_record())
    assert ledger.has_room()
    ledger.settle(a_record())
    assert not ledger.has_room()
    await ledger.stop()
    assert not ledger.has_room()
