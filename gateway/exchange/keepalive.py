"""Speaks into a silent stream, so that nobody on the way takes the silence for death.

A `LoopingCall` beats while the silence lasts.  Between silences nothing runs but one timer for the
moment at which the next beat would be due; whatever the client hears moves that moment by what the
relay notes in `Moments` anyway, and the timer finds out when it fires.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from .deadlines import Moments


class Keepalive:
    """Calls `beat` after `after` seconds from now, then after every `interval` seconds of silence.

    `beat` decides whether anything can be written now, and writes it.
    """

    __slots__ = ("_beat", "_clock", "_interval", "_loop", "_moments", "_not_before", "_wait")

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
        self._loop: LoopingCall | None = None  # while the silence lasts
        self._wait: IDelayedCall | None = clock.callLater(after, self._begin)

    def stop(self) -> None:
        """No beat after this.  May be called at any time, more than once, even from a beat."""
        self._beat = None
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None
        self._stop_beating()

    def _begin(self) -> None:
        """Silence was due by now: beat as long as it lasts."""
        self._wait = None
        self._loop = LoopingCall(self._tick)
        self._loop.clock = self._clock
        self._loop.start(self._interval, now=True)

    def _stop_beating(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()

    def _tick(self) -> None:
        now = self._clock.seconds()
        due = self._not_before
        if self._moments.head is not None:
            # What the client has heard counts, not what came and is held back.
            due = max(due, self._moments.heard + self._interval)
        if due > now:
            self._stop_beating()
            self._wait = self._clock.callLater(due - now, self._begin)
        elif self._beat is not None:
            self._beat()
