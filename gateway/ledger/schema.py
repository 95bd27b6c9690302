"""The statements that write the ledger's one table of requests.

A row is opened with the columns of an intent; its `outcome` stays NULL until it is settled.
Timestamps are text in UTC that sorts (`gateway.record.timestamp`); ``stream`` is 0 or 1.  How the
table came to be is told in `migrations`.

Beside what people are shown (`gateway.record.COLUMNS`) a row has the columns of `INTERNAL`.
"""

from __future__ import annotations

from ..record import COLUMNS, INTENT_COLUMNS, Outcome, UsageSource
from .migrations import VERSION as VERSION

#: Columns for the ledger's own use: who opened the row, and what tells that it is billed already.
INTERNAL = ("writer", "response_id", "replay")

#: What an opening binds, in this order.
OPENED = (*INTENT_COLUMNS, "writer")

#: What a settled row binds, in this order.
SETTLED = (*COLUMNS, "response_id", "replay")


def _holes(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


#: Opens rows.  A row that is there already is left alone: the same batch may be written again.
OPEN = f"INSERT INTO requests {_holes(OPENED)} ON CONFLICT (id) DO NOTHING"

#: Settles rows, opened before or not; what is settled already stays as it is.
SETTLE = (
    f"INSERT INTO requests {_holes(SETTLED)} ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in SETTLED if name != "id")
    + " WHERE requests.outcome IS NULL"
)

#: Settles open rows for a process that died.  An open row holds what its intent knew, the rest is
#: NULL already and stays so; nobody knows how many bytes the request came to in the end.
SETTLE_KILLED = (
    f"UPDATE requests SET outcome = '{Outcome.KILLED}', ended_at = ?, request_bytes = NULL, "
    f"usage_source = '{UsageSource.NONE}' WHERE outcome IS NULL"
)

#: The row, if any, that has counted an answer's usage, other than the row that asks.
COUNTED = (
    "SELECT id, replay FROM requests WHERE response_id = ? AND upstream = ? AND id <> ? "
    f"AND usage_source <> '{UsageSource.NONE}' LIMIT 1"
)

#: Deletes settled rows that began before a time, so many at most, but none of the outbox.
PRUNE = (
    "DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests WHERE started_at < ? "
    "AND outcome IS NOT NULL AND id NOT IN (SELECT id FROM outbox) ORDER BY started_at LIMIT ?)"
)

#: Notes that a row changed, for whoever ships rows to a server.
CHANGED = "INSERT INTO outbox (id) VALUES (?)"

#: The same of open rows, which are about to be settled as killed.
CHANGED_OPEN = "INSERT INTO outbox (id) SELECT id FROM requests WHERE outcome IS NULL"
