"""The outbox in a file, without any server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.model import Durability
from gateway.ledger.postgres.outbox import Outbox
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.store import Store
from gateway.record import Intent
from tests.ledger.helpers import a_record, an_intent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A ledger's file, as the writer has it."""
    store = Store(tmp_path / "ledger.sqlite", Durability.PROCESS, "test", ship=True)
    store.open("2026-01-01T00:00:00.000000Z")
    yield store
    store.close()


@pytest.fixture
def outbox(tmp_path: Path, store: Store) -> Iterator[Outbox]:
    """Its outbox."""
    outbox = Outbox(tmp_path / "ledger.sqlite")
    assert outbox.take()
    yield outbox
    outbox.close()


def begin(store: Store, number: int) -> list[Intent]:
    """Open so many requests."""
    intents = [an_intent() for _ in range(number)]
    store.write([intent_values(intent, "w") for intent in intents], [])
    return intents


def settle(store: Store, *intents: Intent) -> None:
    """Settle requests."""
    store.write([], [record_values(a_record(intent)) for intent in intents])


def outcomes(outbox: Outbox, limit: int = 500) -> dict[str, str | None]:
    """The rows of the next batch."""
    batch = outbox.batch(limit)
    assert batch is not None
    return {str(row["id"]): row["outcome"] for row in batch.rows}  # type: ignore[misc]


def test_a_row_that_changed_twice_is_shipped_once_as_it_is(store: Store, outbox: Outbox) -> None:
    one, two = begin(store, 2)
    settle(store, two)
    assert outcomes(outbox) == {one.id: None, two.id: "finished"}
    assert outbox.waiting() == 2


def test_a_change_that_comes_meanwhile_stays(store: Store, outbox: Outbox) -> None:
    """A7: the batch that is under way has the row as it was."""
    (intent,) = begin(store, 1)
    batch = outbox.batch()
    assert batch is not None
    settle(store, intent)
    outbox.done(batch)
    assert outcomes(outbox) == {intent.id: "finished"}


def test_batches_are_taken_in_the_order_of_changes(store: Store, outbox: Outbox) -> None:
    intents = begin(store, 5)
    shipped = []
    while batch := outbox.batch(2):
        shipped.append({row["id"] for row in batch.rows})
        outbox.done(batch)
    ids = [intent.id for intent in intents]
    assert shipped == [set(ids[:2]), set(ids[2:4]), set(ids[4:])]


def test_a_row_that_was_refused_stays_but_is_not_in_the_way(
    store: Store, outbox: Outbox, tmp_path: Path
) -> None:
    """A7: until it changes, or until the next start."""
    bad, good = begin(store, 2)
    batch = outbox.batch()
    assert batch is not None
    outbox.done(batch, staying={bad.id})
    assert outbox.batch() is None
    assert outbox.waiting() == 0
    settle(store, good)
    batch = outbox.batch()
    assert batch is not None
    outbox.done(batch, staying={bad.id})
    outbox.close()
    again = Outbox(tmp_path / "ledger.sqlite")
    assert again.take()
    assert outcomes(again) == {bad.id: None}
    settle(store, bad)
    assert outcomes(again) == {bad.id: "finished"}
    again.close()


def test_a_row_that_is_gone_is_nothing_to_ship(
    store: Store, outbox: Outbox, tmp_path: Path
) -> None:
    """Somebody has deleted it by hand."""
    begin(store, 1)
    db = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    db.execute("DELETE FROM requests")
    db.close()
    batch = outbox.batch()
    assert batch is not None
    assert batch.rows == ()
    outbox.done(batch)
    assert outbox.batch() is None


def test_one_has_the_outbox_at_a_time(outbox: Outbox, tmp_path: Path) -> None:
    other = Outbox(tmp_path / "ledger.sqlite")
    assert not other.take()
    outbox.close()
    assert other.take()
    other.close()
