"""The database file: opened, locked, written, closed.  Blocks; knows nothing of Twisted.

`Store.open` is called at start, `write` and `close` by the writer thread alone.  Invariants: at
most one process has a store open (an exclusive lock on a file beside it); a file is made only where
there was none, and nothing that is not a ledger is ever changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config.model import Durability
from . import schema
from .interface import LedgerError
from .migrations import migrate, version_of
from .rows import Row

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

    def __init__(self, path: Path, durability: Durability, owner: str) -> None:
        """`owner` is told to another process that finds the file in use."""
        self._path = path
        self._durability = durability
        self._owner = owner
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None
        self._db: sqlite3.Connection | None = None

    def open(self, now: str) -> int:
        """Open or make the file and settle open rows as killed at `now`; returns their number.

        Raises `LedgerError`, and then holds nothing.
        """
        try:
            with _explained(self._path):
                return self._open(now)
        except BaseException:
            self.close()
            raise

    def _open(self, now: str) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _exclusive_lock(self._path, self._owner)
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
            return db.execute(schema.SETTLE_KILLED, (now,)).rowcount

    def write(self, opened: Sequence[Row], settled: Sequence[Row]) -> None:
        """Write both in one transaction: all or nothing, and safe to repeat.

        Raises sqlite3.Error, or OSError if the file is no longer where it was: SQLite would go on
        writing to one that was removed, and lose every row of it.
        """
        assert self._db is not None
        if _identity(self._path) != self._identity:
            raise FileNotFoundError("the file was replaced; put the old one back or restart")
        with self._transaction(self._db) as db:
            # An empty executemany still costs a statement.
            if opened:
                db.executemany(schema.OPEN, opened)
            if settled:
                db.executemany(schema.SETTLE, settled)

    def close(self) -> None:
        """Fold the log into the file and let go of it.  Harmless when nothing is open."""
        db, self._db = self._db, None
        if db is not None:
            # If this fails, the log stays beside the file and the next start reads it.
            with contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)  # the lock's file stays: removing it would race with who waits for it

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


def _exclusive_lock(path: Path, owner: str) -> int:
    """Hold the file beside `path` as long as the returned descriptor is open."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
        os.close(lock)
        raise LedgerError(
            f"{path}: another gateway uses this ledger ({holder or 'unknown'}); "
            "stop it, or give this one another state_dir or [ledger] url"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{owner}\n".encode(), 0)
    return lock


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
