"""What the service manager is told while the gateway runs: READY, STATUS, WATCHDOG and so on.

Source: sd_notify(3).  `Manager.look` is called every second; nothing is sent without a reason.
Called by `gateway.service` in a process that serves alone, and by the supervisor.
"""

from __future__ import annotations

from typing import Final

from . import notify
from .notify import Notifier

#: Seconds by which a stop is extended, and between two extensions.
_EXTENSION: Final = 30.0
_EXTEND_EVERY: Final = 5.0
#: Seconds between two looks.
LOOK: Final = 1.0


class Manager:
    """See the module's text.  Times are those of a monotonic clock, in seconds."""

    def __init__(self, notifier: Notifier, watchdog: float | None) -> None:
        """`watchdog` is within how many seconds systemd wants to hear of us, None for never."""
        self._notifier = notifier
        self._every = None if watchdog is None else watchdog / 2
        self._told = ""
        self._remark = ""
        self._beat = float("-inf")
        self._extended = float("-inf")

    def reloading(self) -> None:
        """A reload has begun."""
        self._notifier.send(*notify.reloading())

    def ready(self, remark: str = "") -> None:
        """The gateway serves; or it does again, after a reload.  `remark` goes to the status."""
        self._remark = remark
        self._notifier.send(notify.READY)

    def stopping(self) -> None:
        """The gateway stops."""
        self._remark = ""
        self._notifier.send(notify.STOPPING)

    def look(self, status: str, now: float, *, stopping: bool, alive: bool) -> None:
        """Tell what has changed, and what has to be told again.

        `alive` says that no worker is beyond all means of the supervisor's.
        """
        states = []
        status = f"{self._remark}; {status}" if self._remark else status
        if status != self._told:
            self._told = status
            states.append(notify.status(status))
        # A look comes every second, or late: not the last one that is in time, but one before.
        if alive and self._every is not None and now - self._beat >= self._every - LOOK:
            self._beat = now
            states.append(notify.WATCHDOG)
        if stopping and now - self._extended >= _EXTEND_EVERY:
            self._extended = now
            states.append(notify.extend_timeout(_EXTENSION))
        if states:
            self._notifier.send(*states)
