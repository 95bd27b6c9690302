"""Old rows are deleted, little by little; everything else stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.task import deferLater

from gateway.config.model import Durability
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.store import Store
from gateway.record import Record, timestamp
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import BEGAN, a_record, an_intent, rows

DAY = 86_400.0


def at(day: float) -> Record:
    """A request that began so many days after the first ones."""
    return a_record(an_intent(started_at=BEGAN + day * DAY))


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store that is open, and ships."""
    store = Store(path, Durability.PROCESS, "test", ship=True)
    store.open("")
    yield store
    store.close()


def shipped(path: Path) -> None:
    """Have the outbox emptied, as whoever ships rows does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM outbox")


def test_rows_older_than_told_are_deleted_oldest_first_and_few_at_a_time(
    store: Store, path: Path
) -> None:
    records = [at(day) for day in range(5)]
    store.write([], list(map(record_values, reversed(records))))
    shipped(path)
    before = timestamp(BEGAN + 3 * DAY)
    assert store.prune(before, 2) == 2
    left = {row["id"] for row in rows(path)}
    assert left == {record.intent.id for record in records[2:]}
    assert store.prune(before, 2) == 1
    assert store.prune(before, 2) == 0
    assert len(rows(path)) == 2


def test_rows_that_are_still_open_are_not_deleted(store: Store, path: Path) -> None:
    """A3: a stream may last longer than rows are kept; its row has yet to be settled."""
    store.write([intent_values(an_intent(), "me")], [])
    shipped(path)
    assert store.prune(timestamp(BEGAN + DAY), 10) == 0


def test_rows_that_were_not_shipped_are_not_deleted(store: Store, path: Path) -> None:
    """The server was away for longer than rows are kept."""
    store.write([], [record_values(at(0))])
    assert store.prune(timestamp(BEGAN + DAY), 10) == 0
    shipped(path)
    assert store.prune(timestamp(BEGAN + DAY), 10) == 1


async def test_a_running_ledger_deletes_what_is_older_than_its_retention(
    make_ledger: MakeLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's clock stands a minute after the requests of the first day."""
    from twisted.internet import reactor

    monkeypatch.setattr("gateway.ledger.chores.INTERVAL", 0.01)
    monkeypatch.setattr("gateway.ledger.chores.PRUNED", 2)
    ledger = make_ledger(retention=DAY)
    for day in (-3, -2, -2, -2, -1.5, -0.5, 0):
        ledger.settle(at(day))
    while ledger.queued or len(rows(path)) > 2:
        await deferLater(reactor, 0.005)
    assert [row["started_at"] for row in rows(path)] == [
        timestamp(BEGAN - 0.5 * DAY),
        timestamp(BEGAN),
    ]


async def test_rows_are_kept_for_ever_where_nothing_else_is_said(
    make_ledger: MakeLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.chores.INTERVAL", 0.0)
    ledger = make_ledger()
    for day in (-40_000, 0, 0):
        ledger.settle(at(day))
        await ledger.open(an_intent())
    await ledger.stop()
    assert len(rows(path)) == 6


# The outbox.


def changes(path: Path) -> list[str]:
    """The ids in the outbox, in the order of their changes."""
    with closing(sqlite3.connect(path)) as db:
        return [id for (id,) in db.execute("SELECT id FROM outbox ORDER BY seq")]


def test_every_change_of_a_row_is_noted_for_whoever_ships_rows(store: Store, path: Path) -> None:
    """Opened, settled, and settled for the dead."""
    record, other = at(0), an_intent()
    store.write([intent_values(record.intent, "me"), intent_values(other, "me")], [])
    store.write([], [record_values(record)])
    store.close()
    Store(path, Durability.PROCESS, "next", ship=True).open(timestamp(BEGAN))
    assert changes(path) == [record.intent.id, other.id, record.intent.id, other.id]


def test_nothing_is_noted_where_nobody_ships(path: Path) -> None:
    store = Store(path, Durability.PROCESS, "test")
    store.open("")
    store.write([intent_values(an_intent(), "me")], [record_values(at(0))])
    store.close()
    Store(path, Durability.PROCESS, "next").open("")
    assert changes(path) == []
