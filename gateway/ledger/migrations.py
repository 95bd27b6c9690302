"""How a ledger's layout came to be: one step a version, forwards only, all in one transaction.

A step is never changed once it was released: a file in the field has been through it as it was.
Steps only add.  While a new generation of workers starts, the old one may still be writing with
the statements that it knows, and those must go on working.

To add a column: add it to `gateway.record` (or to `gateway.ledger.schema.INTERNAL`), and a step
here; a test holds the result to what the statements of `schema` expect.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from .interface import LedgerError

#: What `PRAGMA application_id` says of a ledger: "TXGW".
APPLICATION_ID = 0x54584757

_V1 = (
    """
    CREATE TABLE requests (
        id TEXT PRIMARY KEY NOT NULL, started_at TEXT, ended_at TEXT, instance TEXT, route TEXT,
        upstream TEXT, dialect TEXT, method TEXT, path TEXT, model_requested TEXT,
        model_served TEXT, stream INTEGER, tenant TEXT, session TEXT, client TEXT, user_agent TEXT,
        status_upstream INTEGER, status_sent INTEGER, outcome TEXT, phase TEXT, error TEXT,
        error_detail TEXT, stop_reason TEXT, upstream_request_id TEXT, attempts INTEGER,
        connect_ms REAL, head_ms REAL, first_event_ms REAL, duration_ms REAL, paused_ms REAL,
        request_bytes INTEGER, response_bytes INTEGER, events INTEGER, keepalives INTEGER,
        input_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER,
        cache_write_1h_tokens INTEGER, output_tokens INTEGER, reasoning_tokens INTEGER,
        usage_source TEXT, usage_raw TEXT, cost_usd REAL, price_snapshot TEXT
    )
    """,
    # "The last ones", "since", and "older than".
    "CREATE INDEX requests_by_time ON requests (started_at)",
    # "The last ones that ended so", and the open ones at the next start.
    "CREATE INDEX requests_by_outcome ON requests (outcome, started_at)",
)

_V2 = (
    # Which process opened the row: the name of its spool, whose lock dies with it.
    "ALTER TABLE requests ADD COLUMN writer TEXT",
    # The provider's id of its answer, and whether the answer repeats one that was given before.
    "ALTER TABLE requests ADD COLUMN response_id TEXT",
    "ALTER TABLE requests ADD COLUMN replay INTEGER",
    "CREATE INDEX requests_by_response ON requests (response_id) WHERE response_id IS NOT NULL",
    # Rows that a server is still to be told of, in the order of their changes.
    "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL)",
    # Retention must not delete what was not shipped.
    "CREATE INDEX outbox_by_id ON outbox (id)",
)

_V3 = (
    # The request whose answer this one was given, too; and what an operator's hook says of it.
    "ALTER TABLE requests ADD COLUMN answer_of TEXT",
    "ALTER TABLE requests ADD COLUMN tags TEXT",
)

#: The steps; a file of version N has been through the first N.
STEPS: Sequence[Sequence[str]] = (_V1, _V2, _V3)

#: What `PRAGMA user_version` says of a file that is up to date.
VERSION = len(STEPS)


def version_of(db: sqlite3.Connection, name: str) -> int:
    """How many steps the database has been through: 0 if it is empty.

    Raises `LedgerError`, which speaks of the file as `name`, if it belongs to something else or
    to a newer gateway, and sqlite3.Error if it cannot be read.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (things,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not things and application == version == 0:
        return 0
    if application != APPLICATION_ID:
        raise LedgerError(
            f"{name}: this is a database of another program, not a ledger; "
            "name a file of its own for the ledger under [ledger] url"
        )
    if version > VERSION:
        raise LedgerError(
            f"{name}: this ledger was written by a newer gateway (its layout is version {version}, "
            f"this gateway knows {VERSION}); use that gateway, or another file"
        )
    return int(version)


def migrate(db: sqlite3.Connection, name: str) -> int:
    """Bring the database up to date; returns the version that it had.

    To be called inside a transaction that has the right to write: another process may be about
    to do the same.  Raises what `version_of` raises.
    """
    before = version_of(db, name)
    for step in STEPS[before:]:
        for statement in step:
            db.execute(statement)
    if before < VERSION:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    return before
