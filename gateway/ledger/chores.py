"""What the writer thread does between batches: look for dead siblings, and forget what is old.

Both in small steps, so that no row waits long: a step is one transaction of some milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..record import timestamp
from .store import Store

#: Seconds between two looks at whether a sibling has died, and whether rows are too old.
INTERVAL = 5.0

#: Rows deleted in one step, and seconds until the next step if there are more.
PRUNED = 500
_NEXT_STEP = 0.1


class Chores:
    """See the module's text.  Called by the writer thread alone."""

    def __init__(self, store: Store, retention: float | None, wall: Callable[[], float]) -> None:
        """`retention` is in seconds, None for ever; `wall` is the time of day."""
        self._store = store
        self._retention = retention
        self._wall = wall
        self._next = time.monotonic() + INTERVAL

    def due_in(self) -> float:
        """Seconds until `do` wants to be called."""
        return max(0.0, self._next - time.monotonic())

    def do(self) -> int:
        """Do what is due; returns how many rows of dead siblings were settled as killed.

        Raises what the store raises; it is tried again in its time.
        """
        if self.due_in():
            return 0
        self._next = time.monotonic() + INTERVAL
        now = self._wall()
        killed = self._store.recover(timestamp(now))
        if self._retention is not None:
            pruned = self._store.prune(timestamp(now - self._retention), PRUNED)
            if pruned == PRUNED:
                self._next = time.monotonic() + _NEXT_STEP
        return killed
