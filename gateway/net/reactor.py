"""Twisted's epoll reactor with a short way for what happens nearly always: a socket can be read.

The stock loop calls every descriptor within a logging context of its own and looks at it once more
before and after; that is a quarter of what relaying an event costs.  Here a descriptor that epoll
reports as readable, and as nothing else, is read at once, with the same handling of errors;
everything else takes the stock way.  And the loop looks for timers and for calls of other threads
only when some are due.

A turn begins a few new requests at most (`may_begin`): where many come at once, the streams that
flow already wait for those few, and not for all of them.  The next turn goes on with who had to
wait: epoll tells of what stays ready in one order, and the first of it would go first for ever.

Optional: the gateway runs on every reactor that watches descriptors.  Workers install it; so does
``twistd --reactor gateway``.
"""

from __future__ import annotations

from select import EPOLLIN
from typing import Any, Final

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger

#: Requests begun in one turn.  Each takes about half a millisecond, and streams wait for the sum.
BEGINNINGS: Final = 4

_log = Logger(namespace="gateway.net")


class GatewayReactor(EPollReactor):
    """See the module's text."""

    _beginnings = BEGINNINGS  # that this turn has left
    _waiting: int | None = None  # the descriptor that was the first for which there were none

    def may_begin(self, fd: int) -> bool:
        """Whether this turn has room for a new piece of work, which comes by `fd`; counts it.

        What may not begin is left unread, and asks again in the next turn, which it comes first in.
        """
        if not self._beginnings:
            if self._waiting is None:
                self._waiting = fd
            return False
        self._beginnings -= 1
        return True

    def mainLoop(self) -> None:
        """Run until stopped: as the stock one, but that it turns on while nothing else is due."""
        while self._started:
            try:
                self.runUntilCurrent()
                timeout = self.timeout() if self.running else 0
                while self._turn(timeout) and self._has_only_events():
                    timeout = self.timeout()
                    if timeout == 0:
                        break
            except Exception:
                _log.failure("the main loop")

    def _has_only_events(self) -> bool:
        """Whether neither another thread nor a stop waits for `runUntilCurrent`."""
        return self.running and not (self.threadCallQueue or self._justStopped)

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, at most `timeout` seconds or, without, for ever; and deal with them."""
        self._turn(timeout)

    def _turn(self, timeout: float | None) -> bool:
        """See `doPoll`; whether there was an event."""
        selectables: dict[int, Any] = self._selectables
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
        except InterruptedError:
            return False
        self._beginnings = BEGINNINGS
        if self._waiting is not None:
            events, self._waiting = _from(self._waiting, events), None
        for fd, event in events:
            selectable = selectables.get(fd)
            if selectable is None:
                continue  # an event before this one was its end
            if event != EPOLLIN:
                self._doReadOrWrite(selectable, fd, event)  # type: ignore[no-untyped-call]
                continue
            try:
                why = selectable.doRead()
            except Exception as error:
                _log.failure("{selectable} could not be read", selectable=selectable)
                why = error
            if why is not None:
                self._disconnectSelectable(selectable, why, True)  # type: ignore[no-untyped-call]
        return bool(events)

    doIteration = doPoll


def _from(first: int, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """All of `events`, those of the descriptor `first` and of what follows it before the others."""
    for at, (fd, _) in enumerate(events):
        if fd == first:
            return events[at:] + events[:at]
    return events


def install() -> None:
    """Make it the process's reactor; before anything imports ``twisted.internet.reactor``."""
    installReactor(GatewayReactor())  # type: ignore[no-untyped-call]
