"""The costs of rows that are settled, computed again: the one change that such a row sees.

Done by ``gatewayctl reprice`` while a gateway may be writing to the same ledger: in short
transactions, for which the gateway's writer waits as it waits for any other program.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ..record import Value
from .queries import Filter
from .reading import Reader, SqliteReader, opened

#: Seconds to wait for a gateway that is writing.
_BUSY_TIMEOUT = 10.0

_SET = "UPDATE requests SET cost_usd = ?, price_snapshot = ? WHERE id = ? AND outcome IS NOT NULL"


class Cost(NamedTuple):
    """What a row is to say from now on."""

    usd: float
    snapshot: str
    id: str


class CostWriter(Protocol):
    """An open ledger whose costs can be set."""

    reader: Reader

    def write(self, costs: Sequence[Cost]) -> None:
        """Set these, all or none."""


class SqliteCostWriter:
    """A `CostWriter` of a SQLite file."""

    def __init__(self, db: sqlite3.Connection, place: str) -> None:
        self._db = db
        self.reader: Reader = SqliteReader(db, place)

    def write(self, costs: Sequence[Cost]) -> None:
        """See `CostWriter.write`."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_SET, costs)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def cost_writing(path: Path) -> Iterator[CostWriter]:
    """The ledger in a file, for setting costs; raises `LedgerError`."""
    with opened(path, "rw") as db:
        db.execute(f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT * 1000)}")
        yield SqliteCostWriter(db, str(path))


def priceable(
    reader: Reader, columns: Sequence[str], which: Filter, page: int = 500
) -> Iterator[list[dict[str, Value]]]:
    """The settled rows that tell something to pay for, page by page, the oldest first.

    Each page is read on its own, so that nothing is held open while the caller writes.  `columns`
    includes ``id`` and ``started_at``.
    """
    where, values = which.sql()
    statement = (
        f"SELECT {', '.join(columns)} FROM requests WHERE {where} AND outcome IS NOT NULL "
        "AND (usage_raw IS NOT NULL OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL) "
        "AND started_at >= ? AND (started_at > ? OR id > ?) ORDER BY started_at, id LIMIT ?"
    )
    began, last = "", ""
    while rows := list(reader.rows(statement, [*values, began, began, last, page])):
        yield rows
        began, last = str(rows[-1]["started_at"]), str(rows[-1]["id"])
