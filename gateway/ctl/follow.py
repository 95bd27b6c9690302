"""Requests as they end, told once each: ``gatewayctl requests --follow``.

Rows come in the order in which requests begin and are settled in another one, so two things are
looked at again and again: what has begun within the last minute, which finds new rows (a row may
come a little late: a refused request has none until it ends), and those of before that had not
ended.  Nothing of this needs more than the index on ``started_at``, whatever keeps the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from ..ledger import queries
from ..ledger.reading import Reader
from ..record import Value

#: How late a row may come, in seconds after its request has begun.
_WINDOW: Final = 60.0
#: Seconds between two looks.
_PAUSE: Final = 0.5
#: How many ids are asked for at a time; databases take so many values in one statement.
_BATCH: Final = 500


class Follower:
    """What ends from the moment on at which it is made."""

    def __init__(
        self, reader: Reader, which: queries.Filter, *, wall: Callable[[], float] = time.time
    ) -> None:
        """`wall` is the time of day, in seconds since the epoch."""
        self._reader = reader
        self._which = which
        self._wall = wall
        # What is only known at the end must not keep a row from being waited for.
        self._begun = replace(which, outcome=None, error=None, status=None, model=None)
        self._open = dict.fromkeys(queries.ids(reader, replace(self._begun, outcome=queries.OPEN)))
        self._known = self._recent() - self._open.keys()

    def poll(self) -> list[dict[str, Value]]:
        """The rows that were settled since the last call, in the order of their requests."""
        recent = self._recent()
        self._open.update(dict.fromkeys(sorted(recent - self._known)))
        self._known = recent
        rows: list[dict[str, Value]] = []
        waiting = iter(tuple(self._open))
        while batch := list(islice(waiting, _BATCH)):
            for row in queries.settled(self._reader, batch, queries.ALL):
                del self._open[str(row["id"])]
                rows.append(row)
        if rows:
            meant = {str(row["id"]) for row in self._meant([str(row["id"]) for row in rows])}
            rows = [row for row in rows if row["id"] in meant]
        return sorted(rows, key=lambda row: str(row["started_at"]))

    def rows(self) -> Iterator[dict[str, Value]]:
        """What ends, for ever."""
        while True:
            yield from self.poll()
            time.sleep(_PAUSE)

    def _recent(self) -> set[str]:
        since = max(self._which.since or 0.0, self._wall() - _WINDOW)
        return set(queries.ids(self._reader, replace(self._begun, since=since)))

    def _meant(self, ids: list[str]) -> Iterator[dict[str, Value]]:
        rest = iter(ids)
        while batch := list(islice(rest, _BATCH)):
            yield from queries.settled(self._reader, batch, self._which)
