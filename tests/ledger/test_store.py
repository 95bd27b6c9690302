"""The database file, without a thread or a reactor."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Durability
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.schema import OPENED, SETTLED
from gateway.ledger.store import Store
from gateway.record import Value, intent_row
from tests.ledger.helpers import a_record, an_intent, only_row, rows


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store that is open."""
    store = Store(path, Durability.PROCESS, "test")
    store.open("")
    yield store
    store.close()


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(
    store: Store, path: Path
) -> None:
    intent = intent_values(an_intent())
    not_storable: Any = (*record_values(a_record())[:-1], {})
    with pytest.raises(sqlite3.Error):
        store.write([intent], [not_storable])
    assert rows(path) == []
    store.write([intent], [])
    assert only_row(path)["id"] == intent[0]


def test_a_batch_may_be_written_again(store: Store, path: Path) -> None:
    """A6: when it is not known whether a commit arrived, it is repeated."""
    opened, settled = intent_values(an_intent()), record_values(a_record())
    for _ in range(2):
        store.write([opened], [settled])
    assert [row["id"] for row in rows(path)] == [opened[0], settled[0]]


def test_an_intent_that_is_repeated_does_not_open_a_settled_row(store: Store, path: Path) -> None:
    record = a_record()
    store.write([intent_values(record.intent)], [record_values(record)])
    store.write([intent_values(record.intent)], [])
    assert only_row(path) == record.as_row()


def test_rows_say_what_intents_and_records_say() -> None:
    record = a_record(error_detail="ü", attempts=2, response_id="resp_1")

    def plain(values: dict[str, Value]) -> dict[str, Value]:
        return {name: values[name] for name in sorted(values)}

    internal: dict[str, Value] = {"response_id": "resp_1", "replay": 0}
    told = dict(zip(SETTLED, record_values(record), strict=True))
    assert plain(told) == plain({**record.as_row(), **internal})
    told = dict(zip(OPENED, intent_values(record.intent, "me"), strict=True))
    assert plain(told) == plain({**intent_row(record.intent), "writer": "me"})


def test_a_row_that_takes_up_its_opening_is_the_same_as_one_that_does_not() -> None:
    record = a_record(error_detail="ü", attempts=2, response_id="resp_1")

    assert record_values(record, intent_values(record.intent, "me")) == record_values(record)


def test_rows_are_made_of_plain_values() -> None:
    """SQLite's binding is slow with subclasses of str and int, such as enums and booleans."""
    assert {type(value) for value in record_values(a_record())} == {str, int, float, type(None)}
