"""What all log observers share: they never wait, and they tell what that cost.

A record that cannot be written at once is lost and counted; how many were is told in front of the
next record that can be.  Records come from several threads (the ledger's shipper has its own), so
one at a time is written.  A signal handler that logs while its own thread is in the middle of a
record cannot wait for it: its record is lost, too.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from .kinds import Kind
from .line import is_noise


@implementer(ILogObserver)
class LossyObserver(ABC):
    """Gives log records to `_write`, which a subclass has."""

    #: Whether `gateway.redact.redacting` passes on, besides texts, what a record is made of.
    structured = False

    def __init__(self) -> None:
        self.dropped = 0  #: records lost since the start
        self._untold = 0
        self._lock = threading.RLock()
        self._busy = False

    def __call__(self, event: LogEvent) -> None:
        """Write one record, or count it as lost."""
        if is_noise(event):
            return
        with self._lock:
            if self._busy:
                self._lost()
                return
            self._busy = True
            try:
                if (self._untold and not self._told(event)) or not self._write(event):
                    self._lost()
            finally:
                self._busy = False

    def _lost(self) -> None:
        self.dropped += 1
        self._untold += 1

    def _told(self, event: LogEvent) -> bool:
        """Say how many were lost before `event`; whether that could be written."""
        count = self._untold
        if not self._write(self._loss(event, count)):
            return False
        self._untold -= count
        return True

    @abstractmethod
    def _write(self, event: LogEvent) -> bool:
        """Write one record without waiting; whether that was possible.  Never raises."""

    def _loss(self, event: LogEvent, count: int) -> LogEvent:
        return {
            "log_level": LogLevel.warn,
            "log_namespace": __name__,
            "log_time": event.get("log_time", 0.0),
            "log_format": "{count} log records were lost: whoever reads the log does not keep up",
            "count": count,
            "kind": Kind.LOG_LOST,
        }
