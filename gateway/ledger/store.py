"""The database file: opened, written, closed.  Blocks; knows nothing of Twisted.

`Store.open` is called at start, everything else by the writer thread alone.  Invariants: one
instance has a store open (`identity.InstanceLock`), with one or several processes; a file is made
only where there was none or where a damaged one was moved aside, which is told; nothing that is not
a ledger is ever changed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config.model import Durability
from . import damage, schema
from .identity import InstanceLock
from .interface import LedgerError
from .migrations import migrate, version_of
from .once import billed_once
from .rows import Row
from .spool import Spool, dead_spools, directory_of, living_spools

#: Seconds for which SQLite itself waits for another program's lock; the writer then tries again.
_BUSY_TIMEOUT = 1.0

#: `NORMAL` hands a commit to the kernel, `FULL` waits until it is on the disk (SQLite, WAL mode).
_SYNCHRONOUS = {Durability.PROCESS: "NORMAL", Durability.POWER: "FULL"}


def is_locked(error: Exception) -> bool:
    """Whether another program holds the database: nothing is broken, trying again will do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Store:
    """One ledger's file.  `open` first; not to be opened again after `close`."""

    def __init__(
        self,
        path: Path,
        durability: Durability,
        owner: str,
        *,
        alone: bool = True,
        ship: bool = False,
    ) -> None:
        """`owner` is told to another instance that finds the file in use.

        `alone`: this process stands for its instance and takes its lock; otherwise a parent does,
        and keeps its store open as long as there are others.  `ship` notes every change in the
        outbox, for somebody who empties it.
        """
        self._path = path
        self._durability = durability
        self._instance = InstanceLock(path, owner) if alone else None
        self._ship = ship
        self._identity: tuple[int, int] | None = None
        self._db: sqlite3.Connection | None = None
        self._spool: Spool | None = None

    @property
    def spool(self) -> Spool:
        """Where rows are noted first; the store must be open."""
        assert self._spool is not None
        return self._spool

    def open(self, now: str) -> int:
        """Open or make the file, take over what the dead have left, and make a spool.

        Returns how many open rows were settled as killed at `now`.  Raises `LedgerError`, and then
        holds nothing.
        """
        try:
            with _explained(self._path):
                return self._open(now)
        except BaseException:
            self.close()
            raise

    def _open(self, now: str) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._instance is not None:
            self._instance.take()
        spools = directory_of(self._path)
        try:
            killed = self._open_database(now)
        except sqlite3.DatabaseError as error:
            # Only beside a ledger's file is there a directory of spools; one that others have
            # open must not be moved under their feet.
            if not damage.is_damage(error) or self._instance is None or not spools.exists():
                raise
            damage.quarantine(self._path)  # first: closing would have SQLite remove its log
            self._close_database()
            killed = self._open_database(now)
        self._spool = Spool(spools)
        return killed

    def _open_database(self, now: str) -> int:
        # SQLite would make it readable for all, as the umask has it; its other files follow this.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._identity = _identity(self._path)
        self._db = db = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        version_of(db, str(self._path))
        (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise LedgerError(
                f"{self._path}: SQLite cannot keep a write-ahead log here; "
                "the ledger must be on a local file system"
            )
        db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self._durability]}")
        with self._transaction(db):
            migrate(db, str(self._path))
        if self._instance is not None:
            damage.check(db, self._path)
        self._take_over()
        return self._settle_killed(now)

    def recover(self, now: str) -> int:
        """Take over the spools of dead processes: their rows, and what they had open.

        Returns how many open rows were settled as killed at `now`.  Raises sqlite3.Error and
        OSError; what was not taken over then is still there.
        """
        return self._settle_killed(now) if self._take_over() else 0

    def _take_over(self) -> bool:
        """Bring the rows of dead processes into the database; whether there were such processes."""
        assert self._db is not None
        found = False
        for spool in dead_spools(directory_of(self._path)):
            found = True
            opened, settled = spool.rows()
            with self._transaction(self._db) as db:
                self._write(db, opened, settled)
            spool.remove()
        return found

    def _settle_killed(self, now: str) -> int:
        """Settle the open rows of all writers that have no spool: all that are not alive.

        Looked up inside the transaction: whoever opened a row that can be seen in it had made his
        spool before.
        """
        assert self._db is not None
        with self._transaction(self._db) as db:
            living = living_spools(directory_of(self._path))
            dead = f" AND (writer IS NULL OR writer NOT IN ({', '.join('?' * len(living))}))"
            if self._ship:
                db.execute(schema.CHANGED_OPEN + dead, living)
            return db.execute(schema.SETTLE_KILLED + dead, (now, *living)).rowcount

    def write(self, opened: Sequence[Row], settled: Sequence[Row]) -> None:
        """Write both in one transaction: all or nothing, and safe to repeat.

        Raises sqlite3.Error, or OSError if the file is no longer where it was: SQLite would go on
        writing to one that was removed, and lose every row of it.
        """
        assert self._db is not None
        if _identity(self._path) != self._identity:
            raise FileNotFoundError("the file was replaced; put the old one back or restart")
        with self._transaction(self._db) as db:
            self._write(db, opened, settled)

    def _write(self, db: sqlite3.Connection, opened: Sequence[Row], settled: Sequence[Row]) -> None:
        over = {row[0] for row in settled}
        opened = [row for row in opened if row[0] not in over]
        # An empty executemany still costs a statement.
        if opened:
            db.executemany(schema.OPEN, opened)
        if settled:
            # Row by row, each seeing the rows before it: one answer may be told of by two of them.
            db.executemany(schema.SETTLE, (billed_once(db, row) for row in settled))
        if self._ship:
            db.executemany(schema.CHANGED, ((row[0],) for row in (*opened, *settled)))

    def prune(self, before: str, limit: int) -> int:
        """Delete up to `limit` settled rows that began before a time; returns how many it did.

        Rows that a server is still to be told of stay.  Raises sqlite3.Error.
        """
        assert self._db is not None
        with self._transaction(self._db) as db:
            return db.execute(schema.PRUNE, (before, limit)).rowcount

    def close(self, *, complete: bool = True) -> None:
        """Fold the log into the file and let go of it.  Harmless when nothing is open.

        `complete` says that all rows are in the database; else the spool stays for the next start.
        """
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close(remove=complete)
        self._close_database()
        if self._instance is not None:
            self._instance.release()

    def _close_database(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            # If this fails, the log stays beside the file and the next start reads it.
            with contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()

    @staticmethod
    @contextlib.contextmanager
    def _transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # some errors have SQLite roll back by itself
                db.execute("ROLLBACK")
            raise


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system and SQLite raise at start into a `LedgerError` that helps."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: {_explanation(error)}") from error
    except OSError as error:
        raise LedgerError(
            f"{error.filename or path}: the ledger cannot be kept here: {error.strerror}; "
            "it needs a directory that the gateway may write to"
        ) from error


def _explanation(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return "this file is not a database; move it away, or name another file for the ledger"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"the ledger is damaged ({error}); restore a copy of it, or move it away"
    if is_locked(error):
        return "another program holds the ledger locked; end that program, then start again"
    return f"the ledger cannot be opened ({error}); it must be a file that the gateway may write"
