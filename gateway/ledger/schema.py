"""The one table of the ledger, and the statements that touch it.

A row is opened with the columns of an intent; its `outcome` stays NULL until it is settled.
Timestamps are text in UTC that sorts (`gateway.record.timestamp`); ``stream`` is 0 or 1.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..record import COLUMNS, INTENT_COLUMNS, Outcome, UsageSource
from .interface import LedgerError

#: What `PRAGMA application_id` says of a ledger: "TXGW".
APPLICATION_ID = 0x54584757
#: What `PRAGMA user_version` says; goes up with every change of the table.
VERSION = 1

_INTEGERS = frozenset(
    name
    for name in COLUMNS
    if name in ("stream", "status_upstream", "status_sent", "attempts", "events", "keepalives")
    or name.endswith(("_tokens", "_bytes"))
)
_REALS = frozenset(("cost_usd", *(name for name in COLUMNS if name.endswith("_ms"))))


def _column(name: str) -> str:
    if name == "id":
        return "id TEXT PRIMARY KEY NOT NULL"
    if name in _INTEGERS:
        return f"{name} INTEGER"
    return f"{name} REAL" if name in _REALS else f"{name} TEXT"


def _holes(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


_CREATE = (
    f"CREATE TABLE requests ({', '.join(map(_column, COLUMNS))})",
    # "The last ones", "since", and later "older than".
    "CREATE INDEX requests_by_time ON requests (started_at)",
    # "The last ones that ended so", and the open ones at the next start.
    "CREATE INDEX requests_by_outcome ON requests (outcome, started_at)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)

#: Opens rows.  A row that is there already is left alone: the same batch may be written again.
OPEN = f"INSERT INTO requests {_holes(INTENT_COLUMNS)} ON CONFLICT (id) DO NOTHING"

#: Settles rows, opened before or not; what is settled already stays as it is.
SETTLE = (
    f"INSERT INTO requests {_holes(COLUMNS)} ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")
    + " WHERE requests.outcome IS NULL"
)

#: Settles all open rows for a process that died.  An open row holds what its intent knew, the rest
#: is NULL already and stays so; nobody knows how many bytes the request came to in the end.
SETTLE_KILLED = (
    f"UPDATE requests SET outcome = '{Outcome.KILLED}', ended_at = ?, request_bytes = NULL, "
    f"usage_source = '{UsageSource.NONE}' WHERE outcome IS NULL"
)


def create(db: sqlite3.Connection) -> None:
    """Make the table.  To be called inside a transaction."""
    for statement in _CREATE:
        db.execute(statement)


def is_empty(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the database is still to be given its table.

    Raises `LedgerError` if it belongs to something else or to a newer gateway, and sqlite3.Error
    if it cannot be read.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (things,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not things and application == version == 0:
        return True
    if application != APPLICATION_ID:
        raise LedgerError(
            f"{path}: this is a database of another program, not a ledger; "
            "name a file of its own for the ledger under [ledger] url"
        )
    if version > VERSION:
        raise LedgerError(
            f"{path}: this ledger was written by a newer gateway (its layout is version {version}, "
            f"this gateway knows {VERSION}); use that gateway, or another file"
        )
    return False
