"""The reading side of the ledger, for `gatewayctl` and the admin listener.

Opens the database read-only, on its own, while a gateway may be writing; blocks.  What is unknown
stays None: a sum says how many rows it lacks, and is itself None where no row is known.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ..record import COLUMNS, Outcome, Value, timestamp
from . import schema
from .interface import LedgerError

#: Beside the outcomes: requests that have not ended yet.
OPEN = "open"

#: What `usage` can be told by, as SQL.
_KEYS = {
    "model": "coalesce(model_served, model_requested)",
    "tenant": "tenant",
    "route": "route",
    "outcome": f"coalesce(outcome, '{OPEN}')",
    "day": "substr(started_at, 1, 10)",
}
GROUPINGS = tuple(_KEYS)

_SUMMED = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
# A rejected request used nothing, whoever was asked; of all others nothing means not known.
_ASKED = f"outcome IS NOT '{Outcome.REJECTED}'"
_USAGE = ", ".join(
    (
        "count(*) AS requests",
        *(f"sum({name}) AS {name}" for name in _SUMMED),
        f"sum((input_tokens IS NULL OR output_tokens IS NULL) AND {_ASKED}) AS unknown_usage",
        "sum(cost_usd) AS cost_usd",
        f"sum(cost_usd IS NULL AND {_ASKED}) AS unknown_cost",
    )
)


def requests(path: Path, last: int = 20, outcome: str | None = None) -> list[dict[str, Value]]:
    """The newest `last` rows, newest first, with the names of `gateway.record.COLUMNS`.

    `outcome` picks those that ended so, or `OPEN` ones.  Raises `LedgerError`.
    """
    if outcome == OPEN:
        where, values = "WHERE outcome IS NULL", []
    elif outcome is not None:
        where, values = "WHERE outcome = ?", [outcome]
    else:
        where, values = "", []
    rows = _read(
        path,
        f"SELECT {', '.join(COLUMNS)} FROM requests {where} "
        "ORDER BY started_at DESC, rowid DESC LIMIT ?",
        [*values, last],
    )
    for row in rows:
        row["stream"] = None if row["stream"] is None else bool(row["stream"])
    return rows


def usage(path: Path, since: float | None = None, by: str = "model") -> list[dict[str, Value]]:
    """Requests, tokens and US dollars, summed up by one of `GROUPINGS`.

    The busiest come first, days in their order.

    `since` is in seconds since the epoch and is held against the time at which requests began; None
    is from the beginning.  Days are those of UTC.  The model is the one that answered or, if none
    is known, the one that was asked for.  `unknown_usage` is how many rows lack input or output
    tokens: the sums are without them.  `unknown_cost` is the same for `cost_usd`.
    Raises `LedgerError`, and ValueError if `by` is not one of `GROUPINGS`.
    """
    if by not in _KEYS:
        raise ValueError(f"usage cannot be told by {by!r}, only by {', '.join(GROUPINGS)}")
    return _read(
        path,
        f"SELECT {_KEYS[by]} AS {by}, {_USAGE} FROM requests WHERE started_at >= ? "
        f"GROUP BY 1 ORDER BY {'1' if by == 'day' else 'requests DESC, 1'}",
        ["" if since is None else timestamp(since)],
    )


def _read(path: Path, statement: str, values: list[str | int]) -> list[dict[str, Value]]:
    with _opened(path) as db:
        cursor = db.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.stat()
        uri = f"file:{quote(str(path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            if schema.is_empty(db, path):
                raise LedgerError(f"{path}: the ledger is empty; start the gateway once")
            yield db
    except FileNotFoundError:
        raise LedgerError(
            f"{path}: there is no ledger yet; a gateway with this configuration makes it at start"
        ) from None
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(
            f"{path}: the ledger cannot be read ({error}); it must be a gateway's SQLite file, and "
            "its directory open to you: try again as the user that runs the gateway"
        ) from error
