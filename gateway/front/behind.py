"""What a client sends behind a running request, kept until it is its turn.

The socket is read while a request runs, because else a client's leaving would not be seen.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Behind:
    """At most `limit` bytes and one read."""

    def __init__(self, limit: int, clock: IReactorTime) -> None:
        self._limit = limit
        self._clock = clock
        self.kept = bytearray()  #: where there is anything, what comes now comes after it
        self._turn: IDelayedCall | None = None

    def keep(self, data: bytes) -> bool:
        """Add `data`; False if it is more now than should be kept."""
        self.kept += data
        return len(self.kept) <= self._limit

    def give_out(self, take: Callable[[bytes], None]) -> None:
        """Its turn has come: if there is anything, `take` is given all in the reactor's next turn.

        Not at once, so that a thousand pipelined requests are not a thousand frames.
        """
        if self.kept and self._turn is None:
            self._turn = self._clock.callLater(0, self._give_out, take)

    def drop(self) -> None:
        """Forget it all."""
        self.kept.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _give_out(self, take: Callable[[bytes], None]) -> None:
        self._turn = None
        data = bytes(self.kept)
        self.kept.clear()
        take(data)
