"""Speaks into a silent stream, so that nobody on the way takes the silence for death.

There is one timer, for the moment at which the next beat would be due.  Whatever the client hears
moves that moment by what the relay notes in `Moments` anyway; the timer finds out when it fires.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .deadlines import Moments


class Keepalive:
    """Calls `beat` after `after` seconds from now, then after every `interval` seconds of silence.

    `beat` decides whether anything can be written now, and writes it.
    """

    __slots__ = ("_beat", "_clock", "_interval", "_moments", "_not_before", "_timer")

    def __init__(
        self,
        after: float,
        interval: float,
        moments: Moments,
        clock: IReactorTime,
        beat: Callable[[], None],
    ) -> None:
        self._interval = interval
        self._moments = moments
        self._clock = clock
        self._beat: Callable[[], None] | None = beat
        self._not_before = clock.seconds() + after
        self._timer: IDelayedCall | None = clock.callLater(after, self._tick)

    @property
    def running(self) -> bool:
        """Whether a beat can still come."""
        return self._beat is not None

    def stop(self) -> None:
        """No beat after this.  May be called at any time, more than once, even from a beat."""
        self._beat = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if self._beat is None:
            return
        now = self._clock.seconds()
        due = self._not_before
        if self._moments.head is not None:
            # What the client has heard counts, not what came and is held back.
            due = max(due, self._moments.heard + self._interval)
        if due <= now:
            self._beat()
            due = now + self._interval
        if self._beat is not None:  # it may have been the last one
            self._timer = self._clock.callLater(due - now, self._tick)
