"""Rows in a PostgreSQL database, for several gateways together.

The SQLite file stays what every row is written to first, and is the outbox besides: a thread of its
own (`shipper`) takes what changed from there (`outbox`) to the server (`server`, `schema`), in
batches that can be sent again without harm.  `reader` and `costs` are how `gatewayctl` does at the
server what it would do with the file.

Nothing lost, nothing doubled: an entry leaves the outbox only after the server has said that the
transaction with its row is committed, and a row that is there already, settled, stays as it is.  So
neither a lost answer nor two shippers at once can do harm.

All of this takes psycopg, the extra ``postgres``; this module alone can be imported without.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.model import Postgres
from ..interface import LedgerError, LedgerReactor

if TYPE_CHECKING:
    from .costs import PostgresCostWriter
    from .reader import PostgresReader
    from .shipper import Shipper

__all__ = ["cost_writing", "reading", "shipper_for"]


def shipper_for(path: Path, database: Postgres, reactor: LedgerReactor) -> Shipper:
    """Who takes rows from the file at `path` to the database, not started yet.

    Raises `LedgerError` if psycopg is missing.
    """
    _require_psycopg(database)
    from .shipper import Shipper

    return Shipper(path, database, reactor)


def reading(
    database: Postgres, seconds: float | None = None
) -> contextlib.AbstractContextManager[PostgresReader]:
    """The ledger in a database, read-only; entering it connects, and blocks.

    Each statement may take so many seconds.

    Raises `LedgerError`, also for what goes wrong while it is read.
    """
    _require_psycopg(database)
    from .reader import opened

    return opened(database, seconds)


def cost_writing(database: Postgres) -> contextlib.AbstractContextManager[PostgresCostWriter]:
    """The ledger in a database, for setting costs; otherwise as `reading`."""
    _require_psycopg(database)
    from .costs import opened

    return opened(database)


def _require_psycopg(database: Postgres) -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise LedgerError(
            f"{database.place}: a ledger in PostgreSQL takes the package psycopg, which cannot be "
            f"used here ({error}); run pip install 'txgateway[postgres]', or name a SQLite file "
            "under [ledger] url"
        ) from None
