"""How long a client connection may take for each thing: one timer, one thing at a time.

A limit is absolute: a byte now and then does not move it.  Two things are looked at again and again
instead.  A body, once a `body_grace`: since the last look it must have come at `body_rate` at
least, unless it was we who did not read it.  The last bytes of a response, once a `write_timeout`:
since the last look the client must have taken some.

Each request makes a connection wait for several things in turn, which nearly always come.  So the
timer stays as it is where what is waited for now is due later: it sets itself anew when it fires.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .progress import Progress

if TYPE_CHECKING:
    from .site import FrontLimits


#: Seconds that a request may be on its way to a process that another one takes over from: on a
#: connection that was just accepted, or on one whose client was promised that it stays open.
ON_ITS_WAY: Final = 5.0


class Wait(StrEnum):
    """What the connection is waiting for."""

    NOTHING = "nothing"
    REQUEST = "the next request"
    LAST_REQUEST = "a last request, which may be on its way"
    HEAD = "the head of a request"
    BODY = "the body of a request"
    LINGER = "the rest of a refused body"
    FLUSH = "the client to take the last bytes"


class Terms:
    """How long any connection of a site is waited for; in seconds."""

    def __init__(self, limits: FrontLimits) -> None:
        self.seconds: Final = {
            Wait.REQUEST: limits.idle_timeout,
            Wait.LAST_REQUEST: ON_ITS_WAY,
            Wait.HEAD: limits.head_timeout,
            Wait.BODY: limits.body_grace,
            Wait.LINGER: limits.linger,
            Wait.FLUSH: limits.write_timeout,
        }
        #: Bytes of a body that have to come between two looks.
        self.least: Final = int(limits.body_grace * limits.body_rate)


class Waiting(Protocol):
    """A connection, as `gateway.front.channel.Channel` is one."""

    def waited_too_long(self, what: Wait) -> None:
        """It did not come in time."""

    def taken(self) -> int | None:
        """A counter of the bytes that the client has taken; None where nobody can tell."""


class Patience:
    """Tells `connection` what it waited for, if that does not come in time."""

    __slots__ = (
        "_clock", "_connection", "_due", "_progress", "_seen", "_terms", "_timer", "_unread",
        "_was_unread", "body_bytes", "waiting",
    )  # fmt: skip

    def __init__(self, terms: Terms, clock: IReactorTime, connection: Waiting) -> None:
        self.waiting = Wait.NOTHING
        self.body_bytes = 0  #: raw bytes of the body so far, counted by the channel
        self._unread = False  # we do not read the body now
        self._was_unread = False  # we did not, at some time since the look
        self._terms = terms
        self._clock = clock
        self._connection: Waiting | None = connection  # None once that is gone
        self._progress: Progress | None = None  # for as long as last bytes are waited for
        self._due = 0.0  # when that is over, by the clock
        self._timer: IDelayedCall | None = None  # for then, or before
        self._seen = 0

    def wait_for(self, what: Wait) -> None:
        """Begin to wait for `what`, instead of anything else."""
        self.waiting = what
        if what is Wait.NOTHING or self._connection is None:
            return
        self._seen = self.body_bytes = 0
        self._unread = self._was_unread = False
        if what is Wait.FLUSH:
            self._progress = Progress(self._connection.taken)
            self._progress.begin()
        seconds = self._terms.seconds[what]
        self._due = self._clock.seconds() + seconds
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._fired)
        elif self._timer.getTime() > self._due:
            # Not reset: bringing a timer forward makes Twisted search all timers for it.
            self._timer.cancel()
            self._timer = self._clock.callLater(seconds, self._fired)

    def stop(self) -> None:
        """The connection is gone: wait for nothing any more, and let go of it."""
        self.waiting = Wait.NOTHING
        self._connection = self._progress = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def body_paused(self, paused: bool) -> None:
        """Whether we read the body: while we do not, its client is not to blame."""
        self._unread = paused
        self._was_unread = True

    def _fired(self) -> None:
        self._timer = None
        what = self.waiting
        if what is Wait.NOTHING:
            return
        left = self._due - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._fired)
            return
        if self._goes_on(what):
            left = self._terms.seconds[what]
            self._due = self._clock.seconds() + left
            self._timer = self._clock.callLater(left, self._fired)
            return
        self.waiting = Wait.NOTHING
        if self._connection is not None:
            self._connection.waited_too_long(what)

    def _goes_on(self, what: Wait) -> bool:
        """Whether enough came, or was taken, since the last look."""
        if what is Wait.BODY:
            came, self._seen = self.body_bytes - self._seen, self.body_bytes
            unread, self._was_unread = self._was_unread, self._unread
            return unread or came >= self._terms.least
        return what is Wait.FLUSH and self._progress is not None and self._progress.made()
