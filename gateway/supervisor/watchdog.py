"""Which workers are stuck: those whose reactor has not let a beat through for too long.

The supervisor's own lateness is forgiven.  If it looks later than it meant to, the machine was
suspended, stopped or overloaded, and its workers may have been, too: their beats get that much more
time.  Nobody is killed for what happened to all.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

#: Seconds between two beats of a worker, and between two looks of the supervisor.
BEAT: Final = 1.0
#: Seconds without a beat after which a worker is stuck.
LIMIT: Final = 10.0

T = TypeVar("T", bound=Hashable)


def limit(interval: float | None) -> float:
    """Seconds without a beat, where systemd wants to hear of us every `interval` seconds.

    Half of that if it is shorter, so that we have acted before systemd does.
    """
    return LIMIT if interval is None else min(LIMIT, interval / 2)


class Watchdog(Generic[T]):
    """See the module's text.  All times are those of one monotonic clock, in seconds."""

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self._looked = now
        self._beats: dict[T, float] = {}

    def beat(self, who: T, now: float) -> None:
        """`who` lives; watched from its first beat on."""
        self._beats[who] = now

    def forget(self, who: T) -> None:
        """`who` is not watched any more."""
        self._beats.pop(who, None)

    def look(self, now: float) -> list[T]:
        """Those that are stuck; they are not watched any more.  To be called every `BEAT`."""
        late = now - self._looked - BEAT
        self._looked = now
        if late > 0:
            self._beats = {who: min(beat + late, now) for who, beat in self._beats.items()}
        stuck = [who for who, beat in self._beats.items() if now - beat > self._limit]
        for who in stuck:
            del self._beats[who]
        return stuck
