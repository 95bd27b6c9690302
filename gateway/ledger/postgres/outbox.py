"""The SQLite file as the outbox: what has changed there, and which process ships it.

Used by the shipper's thread alone, with a connection of its own; everything blocks.  Reading does
not wait for who writes.  Taking entries out is a write of a millisecond, and need not survive a
loss of power: an entry that comes back is shipped again.

Of several processes that write one file one ships, the one that holds a lock on a file beside it;
the lock dies with the process, and another takes over.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...record import COLUMNS, Value

#: Rows in one batch: a transaction of some 20 milliseconds at the server, and some 300 KiB.
BATCH = 500

#: Seconds for which SQLite waits while others write.
_BUSY_TIMEOUT = 5.0

Row = dict[str, Value]

_LAST = "SELECT max(seq) FROM (SELECT seq FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?)"
_ROWS = (
    f"SELECT {', '.join(COLUMNS)} FROM requests WHERE id IN "
    "(SELECT id FROM outbox WHERE seq > ? AND seq <= ?) ORDER BY id"
)
_TAKE_OUT = "DELETE FROM outbox WHERE seq <= ? AND id NOT IN (SELECT value FROM json_each(?))"
_WAITING = "SELECT count(DISTINCT id) FROM outbox WHERE seq > ?"


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of the oldest entries, as they are now, each once."""

    rows: tuple[Row, ...]
    last: int  #: the newest entry that is meant


class Outbox:
    """See the module's text.  Nothing is touched before `take`; all methods raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._db: sqlite3.Connection | None = None
        self._seen = 0  # entries up to this one are done with, those that stay included

    def take(self) -> bool:
        """Become the one that ships, if nobody else is.  Raises OSError, too."""
        if self._lock is None:
            self._lock = _lock(f"{self._path}.shipping")
        if self._lock is not None and self._db is None:
            uri = f"file:{quote(str(self._path))}?mode=rw"
            self._db = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None)
            self._db.execute("PRAGMA synchronous = NORMAL")
        return self._lock is not None

    def batch(self, limit: int = BATCH) -> Batch | None:
        """What is to be shipped next, of at most `limit` changes; None if there is nothing.

        A change that comes later is an entry behind `Batch.last`, also if it is one of these rows.
        """
        (last,) = self._opened.execute(_LAST, (self._seen, limit)).fetchone()
        if last is None:
            return None
        rows = self._opened.execute(_ROWS, (self._seen, last))
        return Batch(tuple(dict(zip(COLUMNS, row, strict=True)) for row in rows), last)

    def done(self, batch: Batch, staying: Collection[str] = ()) -> None:
        """Take out the entries of a batch, but for rows with the ids of `staying`.

        Those are not in any batch again before the next start, unless they change.
        """
        self._opened.execute(_TAKE_OUT, (batch.last, json.dumps(list(staying))))
        self._seen = batch.last

    def waiting(self) -> int:
        """How many rows are still to be shipped; looks at all of their entries."""
        (count,) = self._opened.execute(_WAITING, (self._seen,)).fetchone()
        return int(count)

    def close(self) -> None:
        """Let go of everything; another process may ship then."""
        self.close_database()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def close_database(self) -> None:
        """Let go of the file, which `take` opens again."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    @property
    def _opened(self) -> sqlite3.Connection:
        assert self._db is not None
        return self._db


def _lock(name: str) -> int | None:
    """A descriptor that holds the lock, or None if another process does."""
    lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
