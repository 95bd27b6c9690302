"""What the reading side says of a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Durability
from gateway.ledger import LedgerError, queries
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.schema import VERSION
from gateway.ledger.store import Store
from gateway.record import COLUMNS, Intent, Outcome, Record, Usage
from tests.ledger.helpers import BEGAN, a_record, an_intent

Write = Callable[[Iterable[Record], Iterable[Intent]], None]

UNKNOWN = Usage()


@pytest.fixture
def write(path: Path) -> Write:
    """Makes a ledger of these records, and of intents that are still open."""

    def write(records: Iterable[Record], intents: Iterable[Intent]) -> None:
        store = Store(path, Durability.PROCESS, "test")
        store.open("")
        store.write(list(map(intent_values, intents)), list(map(record_values, records)))
        store.close()

    return write


def test_the_last_requests_come_newest_first(write: Write, path: Path) -> None:
    intents = [an_intent(started_at=BEGAN + second) for second in range(5)]
    write([], intents[::2] + intents[1::2])
    found = [row["id"] for row in queries.requests(path, last=3)]
    assert found == [intent.id for intent in intents[:1:-1]]


def test_a_request_is_told_as_its_record_tells_it(write: Write, path: Path) -> None:
    record = a_record()
    write([record], [])
    (row,) = queries.requests(path)
    assert row == record.as_row()
    assert tuple(row) == COLUMNS
    assert row["stream"] is True


def test_requests_are_picked_by_their_outcome(write: Write, path: Path) -> None:
    gone = a_record(outcome=Outcome.CLIENT_GONE)
    still_open = an_intent()
    write([a_record(), gone, a_record()], [still_open])
    assert [row["id"] for row in queries.requests(path, outcome="client_gone")] == [gone.intent.id]
    assert [row["id"] for row in queries.requests(path, outcome="open")] == [still_open.id]


def test_usage_sums_what_is_known_and_says_how_much_is_not(write: Write, path: Path) -> None:
    """A8: unknown is never 0, and 0 is never unknown."""
    write(
        [
            a_record(usage=Usage(input_tokens=10, output_tokens=0, cache_read_tokens=4)),
            a_record(usage=Usage(input_tokens=5), cost_usd=0.5),
            a_record(usage=UNKNOWN),
            a_record(usage=UNKNOWN, outcome=Outcome.REJECTED),
        ],
        [an_intent(model_requested="gpt-small-2026")],
    )
    (row,) = queries.usage(path)
    assert row == {
        "model": "gpt-small-2026",
        "requests": 5,
        "input_tokens": 15,
        "cache_read_tokens": 4,
        "cache_write_tokens": None,
        "output_tokens": 0,
        "reasoning_tokens": None,
        "unknown_usage": 3,
        "cost_usd": 0.5,
        "unknown_cost": 3,
    }


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", ["gpt-small-2026", "gpt-large"]),
        ("tenant", ["alice", None]),
        ("route", ["chat", "messages"]),
        ("outcome", ["finished", "open"]),
        ("day", ["2026-09-20", "2026-09-21"]),
    ],
)
def test_usage_is_told_by_what_is_asked_for(
    write: Write, path: Path, by: str, expected: list[str | None]
) -> None:
    midnight = 1_789_948_800.0  # 2026-09-21T00:00:00Z
    before = a_record(an_intent(started_at=midnight - 0.001))
    after = an_intent(
        started_at=midnight, model_requested="gpt-large", tenant=None, route="messages"
    )
    write([before, replace(before, intent=replace(before.intent, id="other"))], [after])
    assert [row[by] for row in queries.usage(path, by=by)] == expected
    assert [row["requests"] for row in queries.usage(path, by=by)] == [2, 1]


def test_usage_since_counts_what_began_then_or_later(write: Write, path: Path) -> None:
    write([], [an_intent(started_at=BEGAN + second) for second in (0, 9.999, 10, 11)])
    (row,) = queries.usage(path, since=BEGAN + 10)
    assert row["requests"] == 2


def test_usage_by_anything_else_is_an_error(path: Path) -> None:
    with pytest.raises(ValueError, match="only by model, tenant, route, outcome, day"):
        queries.usage(path, by="client")


def test_reading_does_not_make_a_ledger(path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger yet") as caught:
        queries.requests(path)
    assert str(path) in str(caught.value)
    assert not path.exists()


def test_a_file_that_is_no_ledger_is_not_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database\n" * 1000)
    with pytest.raises(LedgerError, match="not a database"):
        queries.requests(path)


def test_a_ledger_of_a_newer_gateway_is_not_read(write: Write, path: Path) -> None:
    write([], [])
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerError, match="newer gateway"):
        queries.usage(path)


def test_an_empty_file_says_that_no_gateway_has_used_it(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(LedgerError, match="the ledger is empty"):
        queries.requests(path)


def test_the_reading_side_cannot_write(write: Write, path: Path) -> None:
    write([a_record()], [])
    with pytest.raises(LedgerError, match="readonly"):
        queries._read(path, "DELETE FROM requests RETURNING id", [])


def test_a_ledger_is_read_while_it_is_written(write: Write, path: Path) -> None:
    write([a_record()], [])
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("DELETE FROM requests")
        assert len(queries.requests(path)) == 1


@pytest.mark.parametrize("outcome", [None, "finished", "open"])
def test_the_last_requests_are_found_without_going_through_the_ledger(
    write: Write, path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str | None
) -> None:
    write([], [])
    statements: list[str] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        db = connect(*args, **kwargs)
        db.set_trace_callback(statements.append)
        return db

    monkeypatch.setattr(sqlite3, "connect", traced)
    queries.requests(path, outcome=outcome)
    with closing(connect(path)) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert len(plan) == 1  # no step for sorting
    assert "USING INDEX" in plan[0]
