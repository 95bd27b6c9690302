"""What the reading side says of a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config.model import Durability
from gateway.ledger import LedgerError, queries
from gateway.ledger.reading import reading
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.schema import VERSION
from gateway.ledger.store import Store
from gateway.nature import uses_tokens
from gateway.record import COLUMNS, ErrorCode, Intent, Outcome, Record, Usage, Value
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


def requests(path: Path, last: int | None = 20, **which: Any) -> list[dict[str, Value]]:
    """`queries.requests` of the file."""
    with reading(path) as reader:
        return list(queries.requests(reader, queries.Filter(**which), last))


def usage(path: Path, by: str = "model", **which: Any) -> list[dict[str, Value]]:
    """`queries.usage` of the file."""
    with reading(path) as reader:
        return queries.usage(reader, by, queries.Filter(**which))


def test_the_last_requests_come_with_the_newest_at_the_end(write: Write, path: Path) -> None:
    intents = [an_intent(started_at=BEGAN + second) for second in range(5)]
    write([], intents[::2] + intents[1::2])
    assert [row["id"] for row in requests(path, last=3)] == [i.id for i in intents[2:]]
    assert [row["id"] for row in requests(path, last=None)] == [i.id for i in intents]


def test_a_request_is_told_as_its_record_tells_it(write: Write, path: Path) -> None:
    record = a_record()
    write([record], [])
    (row,) = requests(path)
    assert row == record.as_row()
    assert tuple(row) == COLUMNS
    assert row["stream"] is True


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, "abcd"),
        ({"outcome": "client_gone"}, "b"),
        ({"outcome": "open"}, "d"),
        ({"error": "reset"}, "c"),
        ({"error": "any"}, "bc"),
        ({"model": "asked"}, "ad"),
        ({"model": "gpt-small-2026"}, "abc"),
        ({"tenant": "bob"}, "b"),
        ({"route": "messages"}, "c"),
        ({"upstream": "claude"}, "c"),
        ({"session": "s-1"}, "a"),
        ({"since": BEGAN + 1}, "bcd"),
        ({"until": BEGAN + 1}, "a"),
        ({"since": BEGAN + 1, "until": BEGAN + 3, "error": "any", "tenant": "alice"}, "c"),
        ({"model": "none"}, ""),
    ],
    ids=str,
)
def test_requests_are_picked_by_all_that_is_asked_for(
    write: Write, path: Path, which: dict[str, Any], found: str
) -> None:
    records = [
        a_record(an_intent(id="a", model_requested="asked", session="s-1")),
        a_record(
            an_intent(id="b", tenant="bob", started_at=BEGAN + 1),
            outcome=Outcome.CLIENT_GONE,
            error=ErrorCode.CLIENT_WRITE_TIMEOUT,
        ),
        a_record(
            an_intent(id="c", route="messages", upstream="claude", started_at=BEGAN + 2),
            error=ErrorCode.RESET,
        ),
    ]
    write(records, [an_intent(id="d", model_requested="asked", started_at=BEGAN + 3)])
    assert "".join(str(row["id"]) for row in requests(path, **which)) == found
    assert sum(int(row["requests"] or 0) for row in usage(path, **which)) == len(found)


def test_a_request_is_found_by_the_beginning_of_its_id(write: Write, path: Path) -> None:
    write([], [an_intent(id="0190-aa"), an_intent(id="0190-ab"), an_intent(id="0191")])
    with reading(path) as reader:
        found = {
            beginning: [row["id"] for row in queries.by_id(reader, beginning)]
            for beginning in ("0190-a", "0190-ab", "019", "02")
        }
    assert found == {
        "0190-a": ["0190-aa", "0190-ab"],
        "0190-ab": ["0190-ab"],
        "019": ["0190-aa", "0190-ab"],  # two are enough to know that it is not one
        "02": [],
    }


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
    (row,) = usage(path)
    assert row == {
        "model": "gpt-small-2026",
        "requests": 5,
        "input_tokens": 15,
        "cache_read_tokens": 4,
        "cache_write_tokens": None,
        "output_tokens": 0,
        "reasoning_tokens": None,
        "cacheable_tokens": 10,
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
        ("upstream", ["openai", "claude"]),
        ("session", [None, "s-1"]),
    ],
)
def test_usage_is_told_by_what_is_asked_for(
    write: Write, path: Path, by: str, expected: list[str | None]
) -> None:
    before = a_record()
    after = an_intent(
        model_requested="gpt-large",
        tenant=None,
        route="messages",
        upstream="claude",
        session="s-1",
    )
    write([before, replace(before, intent=replace(before.intent, id="other"))], [after])
    assert [row[by] for row in usage(path, by)] == expected
    assert [row["requests"] for row in usage(path, by)] == [2, 1]


def test_what_uses_no_tokens_by_its_nature_lacks_none(write: Write, path: Path) -> None:
    """A8: neither what only looks something up, nor what only counts, nor what was never sent."""
    unmetered = [
        a_record(an_intent(method="GET"), usage=UNKNOWN),
        a_record(an_intent(dialect="gemini_count_tokens"), usage=UNKNOWN),
        a_record(usage=UNKNOWN, outcome=Outcome.CLIENT_GONE, attempts=0),
        a_record(usage=UNKNOWN, outcome=Outcome.REJECTED),
        a_record(an_intent(answer_of="x"), usage=UNKNOWN, attempts=None, outcome=Outcome.KILLED),
    ]
    metered = [
        a_record(usage=UNKNOWN, attempts=1),
        a_record(usage=UNKNOWN, attempts=None, outcome=Outcome.KILLED),
    ]
    write([*unmetered, *metered], [])
    assert [uses_tokens(r.as_row()) for r in unmetered] == [False] * 5
    assert [uses_tokens(r.as_row()) for r in metered] == [True] * 2
    (row,) = usage(path)
    assert (row["requests"], row["unknown_usage"], row["unknown_cost"]) == (7, 2, 2)


def test_a_batch_uses_no_tokens_but_each_of_its_results_does(write: Write, path: Path) -> None:
    """A8: whatever the methods are by which they are made and fetched."""
    create = a_record(an_intent(dialect="anthropic_batches"), usage=UNKNOWN)
    fetch = a_record(an_intent(dialect="anthropic_batches", method="GET"), usage=UNKNOWN)
    known = a_record(an_intent(dialect="anthropic_batch", method="GET"), attempts=None)
    unknown = replace(known, intent=replace(known.intent, id="other"), usage=UNKNOWN, cost_usd=None)
    write([create, fetch, known, unknown], [])
    told = [uses_tokens(r.as_row()) for r in (create, fetch, known, unknown)]
    assert told == [False, False, True, True]
    (row,) = usage(path)
    assert (row["requests"], row["unknown_usage"]) == (4, 1)
    assert row["input_tokens"] == known.usage.input_tokens


def test_usage_since_counts_what_began_then_or_later(write: Write, path: Path) -> None:
    write([], [an_intent(started_at=BEGAN + second) for second in (0, 9.999, 10, 11)])
    (row,) = usage(path, since=BEGAN + 10)
    assert row["requests"] == 2


def test_usage_by_anything_else_is_an_error(write: Write, path: Path) -> None:
    write([], [])
    with pytest.raises(ValueError, match="only by model, tenant, route, upstream, outcome"):
        usage(path, by="client")


def test_reading_does_not_make_a_ledger(path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger yet") as caught:
        requests(path)
    assert str(path) in str(caught.value)
    assert not path.exists()


def test_a_file_that_is_no_ledger_is_not_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database\n" * 1000)
    with pytest.raises(LedgerError, match="not a database"):
        requests(path)


def test_a_ledger_of_a_newer_gateway_is_not_read(write: Write, path: Path) -> None:
    write([], [])
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerError, match="newer gateway"):
        usage(path)


def test_an_empty_file_says_that_no_gateway_has_used_it(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(LedgerError, match="the ledger is empty"):
        requests(path)


def test_the_reading_side_cannot_write(write: Write, path: Path) -> None:
    write([a_record()], [])
    with pytest.raises(LedgerError, match="readonly"), reading(path) as reader:
        list(reader.rows("DELETE FROM requests RETURNING id"))


def test_a_ledger_is_read_while_it_is_written(write: Write, path: Path) -> None:
    write([a_record()], [])
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("DELETE FROM requests")
        assert len(requests(path)) == 1


@pytest.mark.parametrize("outcome", [None, "finished", "open"])
def test_the_last_requests_are_found_without_going_through_the_ledger(
    write: Write, path: Path, outcome: str | None
) -> None:
    write([], [])
    asked: list[tuple[str, Any]] = []

    class Asked:
        place, newest = "", ""

        def rows(self, statement: str, values: Any = ()) -> Iterator[dict[str, Value]]:
            asked.append((statement, values))
            return iter(())

    with reading(path) as reader:
        told = Asked()
        told.newest = reader.newest
        list(queries.requests(told, queries.Filter(outcome=outcome)))
        ((statement, values),) = asked
        plan = [row["detail"] for row in reader.rows(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert len(plan) == 1  # no step for sorting
    assert "USING INDEX" in str(plan[0])
