"""From intents and records to tuples that SQLite takes as they are.

Made in the reactor's thread, when a request begins and ends, so that the writer thread only binds
them.  What comes out is always storable: text that is no Unicode, numbers out of range and numbers
that are none would otherwise make a whole transaction fail, again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from operator import attrgetter, itemgetter
from typing import Any, Final

from ..record import (
    INTENT_COLUMNS,
    ErrorCode,
    Intent,
    Outcome,
    Phase,
    Record,
    Usage,
    UsageSource,
    timestamp,
)
from .schema import OPENED, SETTLED

#: A row's values, in the order of `schema.OPENED` or of `schema.SETTLED`.
Row = tuple[str | int | float | None, ...]

_USAGE_COLUMNS = frozenset(Usage.__struct_fields__)
_INT64 = 1 << 63
#: What enums and booleans are made into: SQLite's binding is slow with them.
_BUILT_IN: Final[Mapping[type, Callable[[Any], str | int]]] = {
    bool: int, Outcome: str, Phase: str, ErrorCode: str, UsageSource: str,
}  # fmt: skip


#: The columns that a request's end fills.
_ADDED: Final = tuple(column for column in SETTLED if column not in INTENT_COLUMNS)


def _place(column: str) -> str:
    """Where in a `Record` the value of a column of `_ADDED` is."""
    return f"usage.{column}" if column in _USAGE_COLUMNS else column


_of_intent = attrgetter(*INTENT_COLUMNS)
_of_record = attrgetter(*map(_place, _ADDED))  # a fifth of the time that `Record.as_row` takes
_STARTED = INTENT_COLUMNS.index("started_at")
_ENDED = _ADDED.index("ended_at")
#: From the values of `schema.OPENED` with those of `_ADDED` behind them to those of `SETTLED`.
_in_order = itemgetter(*map((*OPENED, *_ADDED).index, SETTLED))


def intent_values(intent: Intent, writer: str | None = None) -> Row:
    """An intent's values in the order of `schema.OPENED`.  Raises ValueError on absurd times."""
    values = [*_of_intent(intent), writer]
    values[_STARTED] = timestamp(intent.started_at)
    return _storable(values)


def record_values(record: Record, opened: Row | None = None) -> Row:
    """A record's values in the order of `schema.SETTLED`.  Raises ValueError on absurd times.

    `opened` is what `intent_values` has made of the record's intent, if that is at hand.
    """
    values = [*_of_record(record)]
    values[_ENDED] = timestamp(record.ended_at)
    row: Row = _in_order((opened or intent_values(record.intent)) + _storable(values))
    return row


def _storable(values: list[str | int | float | None]) -> Row:
    """All values as `storable` has them; nearly all are and need not be asked about."""
    return tuple(
        [
            value
            if value is None
            or (type(value) is str and value.isascii())
            or (type(value) is int and -_INT64 <= value < _INT64)
            or (type(value) is float and -inf < value < inf)
            else _BUILT_IN[type(value)](value)
            if type(value) in _BUILT_IN
            else storable(value)
            for value in values
        ]
    )


def storable(value: str | int | float | None) -> str | int | float | None:
    """The value as SQLite can keep it, of a built-in type; a number that cannot be is None."""
    if value is None:
        return None
    if isinstance(value, str):
        if not value.isascii():
            return value.encode("utf-8", "backslashreplace").decode()
        return value if type(value) is str else str(value)
    if isinstance(value, int):
        return int(value) if -_INT64 <= value < _INT64 else None
    return value if -inf < value < inf else None
