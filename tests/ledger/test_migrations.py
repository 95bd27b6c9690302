"""Layouts of the ledger's file: made anew, brought up to date, or left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.config.model import Durability
from gateway.ledger import LedgerError
from gateway.ledger.migrations import APPLICATION_ID, STEPS, VERSION, migrate, version_of
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.schema import INTERNAL
from gateway.ledger.store import Store
from gateway.record import COLUMNS
from tests.ledger.helpers import a_record, an_intent, rows


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """An empty database in the ledger's place."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def old(db: sqlite3.Connection, version: int) -> None:
    """Lay the database out as a gateway of that version did."""
    for statement in (statement for step in STEPS[:version] for statement in step):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {version}")


def columns(db: sqlite3.Connection) -> set[str]:
    return {row[1] for row in db.execute("PRAGMA table_info(requests)")}


def test_an_empty_database_gets_every_column_that_rows_have_and_no_other(
    db: sqlite3.Connection,
) -> None:
    assert migrate(db, "ledger") == 0
    assert columns(db) == {*COLUMNS, *INTERNAL}
    assert version_of(db, "ledger") == VERSION


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_ledger_is_brought_up_to_date_with_its_rows(
    db: sqlite3.Connection, path: Path, version: int
) -> None:
    old(db, version)
    db.execute("INSERT INTO requests (id, started_at, outcome) VALUES ('a', '2026', 'finished')")
    record = a_record()
    store = Store(path, Durability.PROCESS, "test")
    store.open("")
    store.write([intent_values(an_intent(), "me")], [record_values(record)])
    store.close()
    assert columns(db) == {*COLUMNS, *INTERNAL}
    assert [row["outcome"] for row in rows(path)] == ["finished", None, "finished"]
    assert rows(path)[0]["id"] == "a"


def test_a_ledger_that_is_up_to_date_is_not_touched(db: sqlite3.Connection) -> None:
    old(db, VERSION)
    before = db.total_changes
    (schema_before,) = db.execute("PRAGMA schema_version").fetchone()
    assert migrate(db, "ledger") == VERSION
    assert db.total_changes == before
    assert db.execute("PRAGMA schema_version").fetchone() == (schema_before,)


def test_a_step_that_fails_leaves_the_ledger_as_it_was(
    db: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: what cannot be brought up to date can still be used by the gateway that wrote it."""
    old(db, 1)
    before = columns(db)
    db.execute("INSERT INTO requests (id, outcome) VALUES ('a', 'finished')")
    monkeypatch.setattr(
        "gateway.ledger.migrations.STEPS", [STEPS[0], [*STEPS[1], "SELECT no_such_function()"]]
    )
    with pytest.raises(LedgerError, match="no_such_function"):
        Store(path, Durability.PROCESS, "test").open("")
    assert version_of(db, "ledger") == 1
    assert columns(db) == before
    assert db.execute("SELECT id FROM requests").fetchall() == [("a",)]
