"""How long to wait before a worker that died is replaced: 1 s, doubled each time, up to 30 s."""

from __future__ import annotations

from typing import Final

#: Seconds.
FIRST: Final = 1.0
MOST: Final = 30.0
#: Seconds that a worker has to live for its predecessors to be forgotten.
FORGIVEN_AFTER: Final = 60.0


class Backoff:
    """The waits of one worker's place."""

    def __init__(self) -> None:
        self._next = FIRST

    def after(self, lived: float) -> float:
        """Seconds to wait, after a worker that has lived for so many seconds."""
        wait = FIRST if lived >= FORGIVEN_AFTER else self._next
        self._next = min(2 * wait, MOST)
        return wait
