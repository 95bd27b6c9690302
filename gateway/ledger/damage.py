"""A ledger's file that is damaged: found out at start, and set aside.

A damaged file is never repaired, deleted or written to: it is renamed, with the files that SQLite
keeps beside it, and a new ledger is begun, so that a gateway that comes up by itself after a crash
serves.  Whoever starts the store has to be loud about it, at every start until somebody has taken
the old file away (`quarantined`).
"""

from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path

#: Bytes of a file that is checked as a whole at start, in some tenths of a second; what is wrong
#: with a larger one shows when it is read or written.
CHECKED = 64 << 20


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is not what it wrote."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raise the error that SQLite would raise one day, if the file is not too large to tell."""
    if path.stat().st_size > CHECKED:
        return
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def quarantine(path: Path) -> Path:
    """Move the database and its companions aside; returns the new name of the database."""
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{moment}")
    # The log first: a database without its log is only old, a log without its database is lost.
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def quarantined(path: Path) -> list[Path]:
    """The databases that were set aside and are still there, oldest first."""
    found = path.parent.glob(f"{path.name}.corrupt-*")
    return sorted(one for one in found if not one.name.endswith(("-wal", "-shm")))
