"""The spool: rows that the kernel has, and what is left of them when their process is not."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import enumerate as enumerate_threads

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import gatherResults

from gateway.config.model import Durability
from gateway.ledger import LedgerUnavailable, SqliteLedger
from gateway.ledger.rows import Row, intent_values, record_values
from gateway.ledger.schema import OPENED
from gateway.ledger.spool import TURN_SIZE, Spool, dead_spools, directory_of
from gateway.ledger.store import Store
from gateway.record import Outcome, Phase, timestamp
from tests.ledger.conftest import MakeLedger
from tests.ledger.helpers import BEGAN, a_record, an_intent, only_row, rows

NOW = timestamp(BEGAN + 60)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool that a living process holds."""
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


def left(directory: Path) -> list[tuple[list[Row], list[Row]]]:
    """What the dead have left."""
    return [spool.rows() for spool in dead_spools(directory)]


# Rows in it.


def test_a_dead_spool_gives_back_every_row_as_it_was(tmp_path: Path) -> None:
    """A5: in the order of their coming."""
    spool = Spool(tmp_path)
    opened = [intent_values(an_intent(model_requested=name), "w") for name in ("a", "ü\n", None)]
    settled = [record_values(a_record(duration_ms=2.0, events=2**62, error_detail='"'))]
    for row in opened:
        spool.open(row)
    spool.settle(settled[0])
    spool.close(remove=False)
    assert left(tmp_path) == [(opened, settled)]


def test_a_living_process_s_spool_is_not_taken(spool: Spool, tmp_path: Path) -> None:
    """A5: only the dead are settled for."""
    spool.open(intent_values(an_intent()))
    assert left(tmp_path / "spool") == []


def test_a_spool_is_taken_by_one_process_alone(tmp_path: Path) -> None:
    """A5: two siblings look at the same time."""
    Spool(tmp_path).close(remove=False)
    taken = dead_spools(tmp_path)
    next(taken)
    assert list(dead_spools(tmp_path)) == []
    taken.close()  # type: ignore[attr-defined]
    assert len(list(dead_spools(tmp_path))) == 1


def test_a_spool_that_was_removed_is_gone(tmp_path: Path) -> None:
    Spool(tmp_path).close(remove=False)
    for dead in dead_spools(tmp_path):
        dead.remove()
    assert list(tmp_path.iterdir()) == []


@given(cut=st.integers(min_value=0, max_value=4000))
def test_a_spool_cut_anywhere_gives_back_the_rows_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """A5: nobody was told of a row whose line is not whole."""
    directory = tmp_path_factory.mktemp("spool")
    spool = Spool(directory)
    written = [intent_values(an_intent(), "w") for _ in range(5)]
    ends = []
    (path,) = directory.glob("*.0")
    for row in written:
        spool.open(row)
        ends.append(path.stat().st_size)
    spool.close(remove=False)
    os.truncate(path, min(cut, ends[-1]))
    whole = [row for row, end in zip(written, ends, strict=True) if end - 1 <= cut]
    assert left(directory) == [(whole, [])]


def test_a_row_behind_one_that_was_cut_off_by_a_full_disk_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A6: the file system takes a part of a line, then nothing, then has room again."""
    spool = Spool(tmp_path)
    first, last = intent_values(an_intent(), "w"), intent_values(an_intent(), "w")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:50]))
    with pytest.raises(OSError, match="No space left"):
        spool.open(first)
    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(OSError, match="No space left"):
        spool.open(first)
    monkeypatch.setattr(os, "write", write)
    spool.open(last)
    spool.close(remove=False)
    assert left(tmp_path) == [([last], [])]


def test_a_spool_of_another_version_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    """O7: the gateway was killed, and a newer one is started."""
    Spool(tmp_path).close(remove=False)
    (path,) = tmp_path.glob("*.0")
    header = {"opened": ["path", "id", "of_another_version"], "settled": []}
    lines = [header, [0, "/v1/x", "an id", 5]]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    ((opened, settled),) = left(tmp_path)
    told = dict(zip(OPENED, opened[0], strict=True))
    assert {name: value for name, value in told.items() if value is not None} == {
        "id": "an id",
        "path": "/v1/x",
    }
    assert settled == []


# Its two files.


def filled(spool: Spool) -> int:
    """Fill the file in use; returns its number."""
    row = intent_values(an_intent(user_agent="x" * 1000))
    for _ in range(TURN_SIZE // 1000):
        spool.open(row)
    number = spool.turn()
    assert number is not None
    return number


def test_files_take_turns_and_are_emptied_when_their_rows_are_in_the_database(
    spool: Spool, tmp_path: Path
) -> None:
    for turn in range(4):
        assert spool.turn() is None
        number = filled(spool)
        assert number == turn % 2
        spool.open(intent_values(an_intent()))
        spool.clear(number)
    sizes = [path.stat().st_size for path in (tmp_path / "spool").iterdir()]
    assert max(sizes) < 4096


def test_a_file_is_written_on_while_the_other_is_not_empty(spool: Spool) -> None:
    """A6: the database is locked for long."""
    first = filled(spool)
    row = intent_values(an_intent(user_agent="x" * 1000))
    for _ in range(2 * TURN_SIZE // 1000):
        spool.open(row)
        assert spool.turn() is None
    spool.clear(first)
    assert spool.turn() == 1 - first


async def test_a_spool_is_emptied_while_rows_keep_coming(
    spooled: SqliteLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.spool.TURN_SIZE", 2000)
    for _ in range(30):
        await gatherResults([spooled.open(an_intent()) for _ in range(3)])
        while spooled.queued:
            await a_moment()
    sizes = [file.stat().st_size for file in directory_of(path).iterdir()]
    assert max(sizes) < 6000
    assert len(rows(path)) == 90


async def a_moment() -> None:
    """Let the reactor turn once."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.001)


# The ledger's use of it.


async def test_an_intent_is_answered_at_once_and_is_in_the_database_soon(
    spooled: SqliteLedger, path: Path
) -> None:
    """A1: the row exists before anything is sent, and nobody waits for a transaction."""
    intent = an_intent()
    opened = spooled.open(intent)
    assert opened.called
    await spooled.stop()
    assert only_row(path)["id"] == intent.id


async def test_an_intent_that_was_answered_is_in_the_kernel_s_hands(
    spooled: SqliteLedger, path: Path
) -> None:
    """A5: the process may be killed at once."""
    intent = an_intent()
    spooled.open(intent)
    (file,) = directory_of(path).glob("*.0")
    assert intent.id.encode() in file.read_bytes()


async def test_a_settled_row_is_in_the_kernel_s_hands_at_once(
    spooled: SqliteLedger, path: Path
) -> None:
    """A5: killed right after its end, it did not end as killed."""
    record = a_record()
    spooled.settle(record)
    (file,) = directory_of(path).glob("*.0")
    assert record.intent.id.encode() in file.read_bytes()


async def test_rows_wait_while_the_store_is_locked_and_requests_do_not(
    spooled: SqliteLedger, path: Path
) -> None:
    """A6: for as long as the queue holds them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        records = [a_record() for _ in range(40)]
        for record in records:
            assert spooled.open(record.intent).called
            spooled.settle(record)
        for _ in range(20):
            spooled.open(an_intent())
        with pytest.raises(LedgerUnavailable, match="100 rows are waiting"):
            await spooled.open(an_intent())
        other.execute("ROLLBACK")
    await spooled.stop()
    assert len(rows(path)) == 60
    finished = {row["id"] for row in rows(path) if row["outcome"] == "finished"}
    assert finished == {record.intent.id for record in records}


async def test_new_requests_are_refused_while_the_disk_is_full_and_taken_when_it_is_not(
    spooled: SqliteLedger, path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    """A6: what runs ends, its row waits in memory; no restart is needed."""
    running = a_record()
    await spooled.open(running.intent)
    monkeypatch.setattr(os, "write", no_space)
    for _ in range(3):
        with pytest.raises(LedgerUnavailable, match="No space left on device"):
            await spooled.open(an_intent())
    spooled.settle(running)
    monkeypatch.undo()
    after = an_intent()
    await spooled.open(after)
    await spooled.stop()
    assert outcomes(path) == {running.intent.id: "finished", after.id: None}
    assert log_lines[0].endswith("the spool takes no rows (No space left on device)")
    assert log_lines[-1].endswith("takes rows again")
    assert len(log_lines) == 2


def no_space(descriptor: int, data: bytes) -> int:
    """What write(2) says on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# What the dead leave to the next, and to their siblings.


def killed_with(path: Path, *, opened: int, settled: int) -> tuple[list[str], Spool]:
    """A spool as a process leaves it that dies with rows that the database does not have."""
    path.parent.mkdir(exist_ok=True)
    spool = Spool(directory_of(path))
    ids = []
    for number in range(opened):
        record = a_record()
        ids.append(record.intent.id)
        spool.open(intent_values(record.intent, spool.name))
        if number < settled:
            spool.settle(record_values(record))
    return ids, spool


def outcomes(path: Path) -> dict[str, str | None]:
    """Each row's outcome by its id; every id is there once."""
    found = rows(path)
    told = {row["id"]: row["outcome"] for row in found}
    assert len(told) == len(found)
    return told


def test_the_next_start_takes_over_what_a_dead_process_left(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A5: settled rows as they are, open ones as killed, each once."""
    ids, spool = killed_with(path, opened=5, settled=2)
    spool.close(remove=False)
    assert make_ledger().recovered == 3
    assert outcomes(path) == dict(zip(ids, ["finished"] * 2 + ["killed"] * 3, strict=True))
    (mine,) = directory_of(path).glob("*.0")
    assert mine.stem != spool.name


def test_what_the_database_had_already_is_not_taken_over_twice(
    make_ledger: MakeLedger, path: Path
) -> None:
    """A5: killed after the commit, before the file had its turn."""
    ids, spool = killed_with(path, opened=4, settled=4)
    store = Store(path, Durability.PROCESS, "dead")
    store.open("")
    store.write([], [record_values(a_record(an_intent(id=ids[0]), outcome=Outcome.CLIENT_GONE))])
    store.close()
    spool.close(remove=False)
    make_ledger()
    assert outcomes(path) == dict(zip(ids, ["client_gone"] + ["finished"] * 3, strict=True))


def test_a_sibling_s_death_settles_what_it_had_open_and_nothing_of_the_living(path: Path) -> None:
    """A5: workers of one instance; one of them dies while the others serve."""
    first = Store(path, Durability.PROCESS, "supervisor")
    first.open("")
    sibling = Store(path, Durability.PROCESS, "worker", alone=False)
    sibling.open("")
    mine, theirs = an_intent(), an_intent()
    first.write([intent_values(mine, first.spool.name)], [])
    sibling.write([intent_values(theirs, sibling.spool.name)], [])
    assert first.recover(NOW) == 0
    sibling.close(complete=False)
    assert first.recover(NOW) == 1
    assert outcomes(path) == {mine.id: None, theirs.id: "killed"}
    assert first.recover(NOW) == 0
    first.close()


def test_a_new_instance_leaves_alone_what_a_living_writer_of_the_old_one_has_open(
    path: Path,
) -> None:
    """A5: the parent was killed, its workers not yet; only the dead are settled for."""
    parent = Store(path, Durability.PROCESS, "supervisor")
    parent.open("")
    orphan = Store(path, Durability.PROCESS, "worker", alone=False)
    orphan.open("")
    intent = an_intent()
    orphan.write([intent_values(intent, orphan.spool.name)], [])
    parent.close()
    after = Store(path, Durability.PROCESS, "the next supervisor")
    assert after.open(NOW) == 0
    orphan.close(complete=False)
    assert after.recover(NOW) == 1
    after.close()


async def test_a_running_ledger_looks_after_its_siblings(
    make_ledger: MakeLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A5: without a restart."""
    monkeypatch.setattr("gateway.ledger.chores.INTERVAL", 0.01)
    ledger = make_ledger()
    ids, spool = killed_with(path, opened=1, settled=0)
    assert ledger.recovered == 0
    spool.close(remove=False)
    while not ledger.recovered:
        await a_moment()
    assert outcomes(path) == {ids[0]: "killed"}


async def test_rows_that_could_not_be_written_before_the_stop_are_there_after_the_next_start(
    make_ledger: MakeLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A6: the disk is full until after the gateway was stopped."""
    ledger = make_ledger(durability=Durability.PROCESS)
    record = a_record(phase=Phase.DONE)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ledger._store, "write", full)
    ledger.settle(record)
    monkeypatch.setattr("gateway.ledger.sqlite.STOP_TIMEOUT", 0.0)
    stopped = ledger.stop()
    ledger._reactor.advance(0)  # type: ignore[attr-defined]
    await stopped
    assert ledger._writer is None
    for thread in enumerate_threads():
        if thread.name == "ledger-writer":
            thread.join(10)
    make_ledger()
    assert only_row(path) == record.as_row()
