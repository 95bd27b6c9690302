"""A ledger opened for reading, whatever keeps it: what `queries` asks.

Statements are portable SQL with ``?`` for their values.  What one database has and another has not
(how the newest rows are found without sorting) a reader says itself.  Reading blocks, sees what is
committed, and never waits for a gateway that writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from ..record import Value
from . import migrations
from .interface import LedgerError

#: Instructions of SQLite's machine between two looks at the clock: some 0.1 ms.
_STEPS = 10_000


class Reader(Protocol):
    """An open ledger."""

    #: Where it is, as people are told.
    place: str
    #: What follows ORDER BY to have the newest row first, without going through all of them.
    newest: str

    def rows(self, statement: str, values: Sequence[str | int] = ()) -> Iterator[dict[str, Value]]:
        """The rows of a SELECT by the names of their columns, as they are read."""


class SqliteReader:
    """A `Reader` of a SQLite file."""

    newest = "started_at DESC, rowid DESC"

    def __init__(self, db: sqlite3.Connection, place: str) -> None:
        self._db = db
        self.place = place

    def rows(self, statement: str, values: Sequence[str | int] = ()) -> Iterator[dict[str, Value]]:
        """See `Reader.rows`."""
        cursor = self._db.execute(statement, values)
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield dict(zip(names, row, strict=True))


@contextlib.contextmanager
def reading(path: Path, seconds: float | None = None) -> Iterator[Reader]:
    """The ledger in a file, read-only, for so many seconds at most.

    Raises `LedgerError`, also for what goes wrong while it is read.
    """
    with opened(path, "ro") as db, _within(seconds, db, str(path)):
        yield SqliteReader(db, str(path))


@contextlib.contextmanager
def _within(seconds: float | None, db: sqlite3.Connection, place: str) -> Iterator[None]:
    """Have statements end after so many seconds, with a `LedgerError` that says so."""
    if seconds is None:
        yield
        return
    deadline = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if time.monotonic() <= deadline:
            raise
        raise too_slow(place, seconds) from error


def too_slow(place: str, seconds: float) -> LedgerError:
    """What is said of a question that takes too long."""
    return LedgerError(f"{place}: no answer within {seconds:g} s, ask for less (since, until)")


@contextlib.contextmanager
def opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """A connection in one of SQLite's modes, ``ro`` or ``rw``; raises `LedgerError`."""
    _check_file(path)
    try:
        uri = f"file:{quote(str(path))}?mode={mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            version = migrations.version_of(db, str(path))
            if version == 0:
                raise LedgerError(f"{path}: the ledger is empty; start the gateway once")
            if version < migrations.VERSION:
                raise LedgerError(
                    f"{path}: an older gateway wrote this ledger (its layout is version {version}, "
                    f"{migrations.VERSION} is needed); start the gateway once, it brings it forward"
                )
            yield db
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path}: the ledger cannot be used ({error}); it must be a gateway's SQLite file, and "
            "its directory open to you: try again as the user that runs the gateway"
        ) from error


def _check_file(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        raise LedgerError(
            f"{path}: there is no ledger yet; a gateway with this configuration makes it at start"
        ) from None
    except OSError as error:
        raise LedgerError(
            f"{path}: the ledger cannot be used ({error.strerror}); "
            "try again as the user that runs the gateway"
        ) from error
