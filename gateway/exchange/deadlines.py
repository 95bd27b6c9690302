"""The deadlines of an exchange, all served by one timer.

Each deadline is a moment computed from what happened last: nothing is re-armed per event.  When the
timer fires it looks at what is due by then, and sets itself anew if that has moved.

The deadlines of the upstream run on the upstream's bytes alone and stand still while we ourselves
do not read from it; the one of the client runs only then, from the last look at which it was seen
to have taken something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..config.model import Route
from ..record import ErrorCode

#: How often a client that holds its upstream up is looked at within ``client_write_timeout``: by as
#: much of that time an end can come late.
LOOKS = 4


@dataclass(slots=True)
class Moments:
    """When things happened, by the exchange's clock (seconds); None: not yet, or not now."""

    started: float
    dispatched: float | None = None  #: the upstream is being connected to, or has all of the body
    head: float | None = None  #: its head came
    first_event: float | None = None  #: its first complete event, or first byte of another body
    last_byte: float = 0.0  #: its last body byte, moved on by the time we did not read
    heard: float = 0.0  #: something of it, or of ours, was last passed on in a stream
    paused: float | None = None  #: we do not read from it since: the client holds it up
    held: bool = False  #: we do not read from it: what it has sent keeps us busy
    taken: float = 0.0  #: when the client was last seen to take something, in that time
    uploading: bool = False  #: the request's body is still coming from the client
    blocked: float | None = None  #: the upstream takes no more of that body since
    connected: float | None = None  #: there was a connection to ask the upstream on


def due(route: Route, moments: Moments) -> tuple[float, ErrorCode] | None:
    """The first deadline to pass, as things stand."""
    found: list[tuple[float, ErrorCode]] = []
    if route.total_timeout is not None:
        found.append((moments.started + route.total_timeout, ErrorCode.TOTAL_TIMEOUT))
    if moments.paused is not None:
        if route.client_write_timeout is not None:
            moment = max(moments.paused, moments.taken) + route.client_write_timeout
            found.append((moment, ErrorCode.CLIENT_WRITE_TIMEOUT))
    elif moments.head is None and moments.uploading:
        # The client's pace has its own deadline in the front; the upstream's is to take the body.
        if moments.blocked is not None and route.idle_timeout is not None:
            found.append((moments.blocked + route.idle_timeout, ErrorCode.IDLE_TIMEOUT))
    elif moments.head is None:
        if moments.dispatched is not None and route.head_timeout is not None:
            found.append((moments.dispatched + route.head_timeout, ErrorCode.HEAD_TIMEOUT))
    elif not moments.held:
        if moments.first_event is None and route.first_event_timeout is not None:
            moment = moments.head + route.first_event_timeout
            found.append((moment, ErrorCode.FIRST_EVENT_TIMEOUT))
        if route.idle_timeout is not None:
            found.append((moments.last_byte + route.idle_timeout, ErrorCode.IDLE_TIMEOUT))
    return min(found, default=None)


def _took_nothing() -> bool:
    return False


class Deadlines:
    """Watches `due` on a clock.  `expired` is called once, with the code of what passed."""

    __slots__ = ("_clock", "_expired", "_moments", "_route", "_stopped", "_timer", "client_took")

    def __init__(
        self,
        route: Route,
        moments: Moments,
        clock: IReactorTime,
        expired: Callable[[ErrorCode], None],
    ) -> None:
        self._route = route
        self._moments = moments
        self._clock = clock
        self._expired = expired
        #: Asked while the client holds its upstream up: has it taken anything since it was asked?
        self.client_took: Callable[[], bool] = _took_nothing
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def look(self) -> None:
        """Something happened that can bring a deadline nearer: a phase, a pause, a resumption."""
        if self._stopped:
            return
        nearest = due(self._route, self._moments)
        if nearest is None:
            return
        now = self._clock.seconds()
        moment = max(now, nearest[0])
        patience, idle = self._route.client_write_timeout, self._route.idle_timeout
        if self._moments.paused is not None and patience is not None:
            moment = min(moment, now + patience / LOOKS)
        elif idle is not None:
            # What comes of the upstream will set this deadline: the timer is there for it already.
            moment = min(moment, now + idle)
        delay = moment - now
        if self._timer is None:
            self._timer = self._clock.callLater(delay, self._tick)
        elif self._timer.getTime() > moment:
            # Not reset: bringing a timer forward makes Twisted search all timers for it.
            self._timer.cancel()
            self._timer = self._clock.callLater(delay, self._tick)

    def stop(self) -> None:
        """Watch no more.  May be called more than once."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if self._moments.paused is not None and self.client_took():
            self._moments.taken = now
        nearest = due(self._route, self._moments)
        if nearest is not None and nearest[0] <= now:
            self.stop()
            self._expired(nearest[1])
        else:
            self.look()
