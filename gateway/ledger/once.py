"""An answer that can be asked for again is billed once.

OpenAI's Responses can be streamed anew (``GET /v1/responses/{id}?stream=true``), and each time the
provider tells what the answer took when it was made.  Every request keeps its row, but only one row
of an answer has its usage: the first that was settled with one.  Usually that is the row of the
request that began the answer; if that was cut off before its usage came, it is a replay's.
"""

from __future__ import annotations

import sqlite3

from ..record import UsageSource
from . import schema
from .rows import Row

_COLUMN = {name: number for number, name in enumerate(schema.SETTLED)}
_RESPONSE = _COLUMN["response_id"]
_REPLAY = _COLUMN["replay"]
_SOURCE = _COLUMN["usage_source"]
_DETAIL = _COLUMN["error_detail"]

#: What another row tells already.
_BILLED = tuple(
    number
    for name, number in _COLUMN.items()
    if name.endswith("_tokens") or name in ("usage_raw", "cost_usd", "price_snapshot")
)


def billed_once(db: sqlite3.Connection, row: Row) -> Row:
    """A settled row as it is to be written: without its usage if another row has that already.

    To be called inside the transaction that writes it, when the rows before it are written.
    """
    response = row[_RESPONSE]
    if response is None or row[_SOURCE] == UsageSource.NONE:
        return row
    upstream = row[_COLUMN["upstream"]]
    other = db.execute(schema.COUNTED, (response, upstream, row[0])).fetchone()
    # Two answers of one id that both were no replays are two answers, whatever their provider says.
    if other is None or not (row[_REPLAY] or other[1]):
        return row
    values = list(row)
    for number in _BILLED:
        values[number] = None
    values[_SOURCE] = UsageSource.NONE.value
    told = f"the usage of this answer is counted in row {other[0]}"
    values[_DETAIL] = told if row[_DETAIL] is None else f"{row[_DETAIL]}; {told}"
    return tuple(values)
