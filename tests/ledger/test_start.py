"""Starting: what a dead process left open, and files that are not to be used."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.config.model import Durability
from gateway.ledger import LedgerError, SqliteLedger
from gateway.ledger.schema import VERSION
from gateway.ledger.store import Store
from gateway.record import COLUMNS, INTENT_COLUMNS, timestamp
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import BEGAN, a_record, an_intent, only_row, rows

NOW = timestamp(BEGAN + 60)


async def test_rows_that_a_dead_process_left_open_are_settled_as_killed(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A5: how far they came is unknown, so it is NULL, never 0."""
    dead = make_ledger()
    intent = an_intent()
    await dead.open(intent)
    await dead.stop()

    assert make_ledger().recovered == 1
    row = only_row(path)
    assert (row["outcome"], row["ended_at"], row["usage_source"]) == ("killed", NOW, "none")
    assert row["model_requested"] == intent.model_requested
    known = {*INTENT_COLUMNS, "outcome", "ended_at", "usage_source"} - {"request_bytes"}
    assert {row[name] for name in COLUMNS if name not in known} == {None}


async def test_settled_rows_are_not_touched_by_the_next_start(
    make_ledger: MakeLedger, path: Path
) -> None:
    record = a_record()
    first = make_ledger()
    first.settle(record)
    await first.stop()
    assert make_ledger().recovered == 0
    assert only_row(path) == record.as_row()


def test_a_second_instance_on_the_same_file_is_refused(
    ledger: SqliteLedger, make_ledger: MakeLedger, path: Path
) -> None:
    """O7: it says which file, and who has it."""
    second = make_ledger(start=False)
    with pytest.raises(LedgerError) as caught:
        second.start()
    assert str(path) in str(caught.value)
    assert f"process {os.getpid()}, instance test" in str(caught.value)


async def test_a_refused_second_instance_settles_nothing(
    ledger: SqliteLedger, make_ledger: MakeLedger, path: Path
) -> None:
    """A5: only rows of a process that is dead are settled as killed."""
    await ledger.open(an_intent())
    with pytest.raises(LedgerError):
        make_ledger(start=False).start()
    assert only_row(path)["outcome"] is None


async def test_the_file_is_free_after_the_first_instance_has_stopped(
    ledger: SqliteLedger, make_ledger: MakeLedger, path: Path
) -> None:
    await ledger.stop()
    second = make_ledger()
    await second.open(an_intent())
    await second.stop()
    assert only_row(path)["outcome"] is None


@pytest.mark.parametrize("content", [b"ab", b"not a database\n" * 1000])
def test_a_file_that_is_not_a_database_is_refused_and_left_alone(
    make_ledger: MakeLedger, path: Path, content: bytes
) -> None:
    """O7: it is somebody's file, and never made anew."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="not a database; move it away") as caught:
        make_ledger(start=False).start()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_alone(
    make_ledger: MakeLedger, path: Path
) -> None:
    """O7: a ledger gets a file of its own."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="database of another program"):
        make_ledger(start=False).start()
    assert path.read_bytes() == before


async def test_a_ledger_of_a_newer_gateway_is_refused_and_left_alone(
    make_ledger: MakeLedger, path: Path
) -> None:
    """O7: the message names both versions."""
    await make_ledger().stop()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    newer = f"version {VERSION + 1}, this gateway knows {VERSION}"
    with pytest.raises(LedgerError, match=newer):
        make_ledger(start=False).start()
    assert path.read_bytes() == before


async def test_a_locked_ledger_is_refused(
    make_ledger: MakeLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: another program that holds the file is named as the reason."""
    monkeypatch.setattr("gateway.ledger.store._BUSY_TIMEOUT", 0.01)
    await make_ledger().stop()
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="another program holds the ledger locked"):
            make_ledger(start=False).start()


def test_a_folder_in_the_ledgers_place_is_refused(make_ledger: MakeLedger, path: Path) -> None:
    """O7: an unwritable state is a clear message."""
    path.mkdir(parents=True)
    with pytest.raises(LedgerError, match="Is a directory") as caught:
        make_ledger(start=False).start()
    assert str(path) in str(caught.value)


def test_a_file_in_the_folders_place_is_refused(make_ledger: MakeLedger, path: Path) -> None:
    """O7: the message names the folder that cannot be made."""
    path.parent.write_text("")
    with pytest.raises(LedgerError, match="needs a directory") as caught:
        make_ledger(start=False).start()
    assert str(path.parent) in str(caught.value)


def test_a_refused_start_holds_nothing(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else")
    for _ in range(2):
        store = Store(path, Durability.PROCESS, "test")
        with pytest.raises(LedgerError, match="not a database"):  # the second time too: not locked
            store.open(NOW)
    path.unlink()
    store.open(NOW)
    store.close()
    assert rows(path) == []
