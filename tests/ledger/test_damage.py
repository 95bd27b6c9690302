"""A damaged ledger: set aside whole, told loudly at every start, and followed by a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.model import Durability
from gateway.ledger import LedgerError, SqliteLedger
from gateway.ledger.damage import quarantined
from gateway.ledger.rows import intent_values
from gateway.ledger.spool import Spool, directory_of
from gateway.ledger.store import Store
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import a_record, an_intent, only_row, rows

Spoil = Callable[[bytes], bytes]


async def used(make_ledger: MakeLedger) -> SqliteLedger:
    """A ledger that was used and stopped."""
    first = make_ledger()
    for _ in range(100):
        first.settle(a_record())
    await first.stop()
    return first


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda whole: whole[:4096] + b"\xff" * (len(whole) - 4096), id="pages"),
        pytest.param(lambda whole: b"\xff" * len(whole), id="all of it"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut"),
        pytest.param(lambda whole: b"hello", id="something else"),
    ],
)
async def test_a_damaged_ledger_is_set_aside_and_a_new_one_begun(
    make_ledger: MakeLedger, path: Path, log_lines: list[str], spoil: Spoil
) -> None:
    """A6: not a byte of it is lost, and the log says where it is."""
    await used(make_ledger)
    damaged = spoil(path.read_bytes())
    path.write_bytes(damaged)
    second = make_ledger()
    await second.open(an_intent())
    assert len(rows(path)) == 1
    (aside,) = quarantined(path)
    assert aside.read_bytes() == damaged
    assert any("damaged" in line and str(aside) in line for line in log_lines)


async def test_a_damaged_ledger_is_told_of_at_every_start_until_it_is_gone(
    make_ledger: MakeLedger, path: Path, log_lines: list[str]
) -> None:
    """A6: a new ledger is never begun in silence, whoever restarts the gateway."""
    await used(make_ledger)
    path.write_bytes(b"\xff" * 9000)
    await make_ledger().stop()
    log_lines.clear()
    await make_ledger().stop()
    assert len([line for line in log_lines if "damaged" in line]) == 1
    quarantined(path)[0].unlink()
    log_lines.clear()
    make_ledger()
    assert log_lines == []


async def test_rows_that_a_damaged_ledger_did_not_take_are_in_the_new_one(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A6: the process died with rows in its spool."""
    await used(make_ledger)
    intent = an_intent()
    spool = Spool(directory_of(path))
    spool.open(intent_values(intent, spool.name))
    spool.close(remove=False)
    path.write_bytes(b"\xff" * 9000)
    assert make_ledger().recovered == 1
    row = only_row(path)
    assert (row["id"], row["outcome"]) == (intent.id, "killed")


async def test_the_log_that_sqlite_keeps_beside_a_damaged_ledger_is_set_aside_with_it(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A6: it may hold rows that can be saved."""
    await used(make_ledger)
    path.write_bytes(b"\xff" * 9000)
    Path(f"{path}-wal").write_bytes(b"the log")
    make_ledger()
    (aside,) = quarantined(path)
    assert Path(f"{aside}-wal").read_bytes() == b"the log"


async def test_one_of_several_writers_sets_nothing_aside(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A6: its siblings have the file open, and would go on writing to the one set aside."""
    await used(make_ledger)
    path.write_bytes(b"\xff" * 9000)
    with pytest.raises(LedgerError, match="not a database"):
        Store(path, Durability.PROCESS, "worker", alone=False).open("")
    assert quarantined(path) == []


async def test_a_ledger_too_large_to_check_is_opened_unread(
    make_ledger: MakeLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used(make_ledger)
    checks: list[str] = []
    connect = sqlite3.connect

    def traced(*args: object, **kwargs: object) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        db.set_trace_callback(checks.append)
        return db

    monkeypatch.setattr(sqlite3, "connect", traced)
    monkeypatch.setattr("gateway.ledger.damage.CHECKED", path.stat().st_size - 1)
    make_ledger()
    assert not [check for check in checks if "quick_check" in check]
