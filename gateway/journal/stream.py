"""Text: with the time for people, or with priorities for systemd, which adds the time itself.

Under systemd each line begins with ``<N>`` (sd-daemon(3)), so that the journal knows how serious it
is; a traceback's lines all carry it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TextIO

from twisted.logger import LogEvent

from .line import priority, text_of
from .lossy import LossyObserver
from .sink import sink_for


class StreamObserver(LossyObserver):
    """Writes log records to a stream that is captured when the observer is made.

    Captured, because Twisted replaces ``sys.stderr`` by a stream that logs: it would feed itself.
    The name of a worker in `labels` stands in front of its records.
    """

    def __init__(
        self, stream: TextIO, *, priorities: bool, labels: Mapping[str, str | int] | None = None
    ) -> None:
        super().__init__()
        self._sink = sink_for(stream)
        self._priorities = priorities
        self._name = f"{labels['worker']} " if labels else ""
        self._second = -1
        self._stamp = ""

    def _write(self, event: LogEvent) -> bool:
        text = self._name + text_of(event)
        if self._priorities:
            prefix = f"<{priority(event)}>"
            text = "".join([f"{prefix}{line}\n" for line in text.splitlines()])
        else:
            text = f"{self._time(event)} {text}\n"
        return self._sink.write(text)

    def _time(self, event: LogEvent) -> str:
        """The local time with its offset from UTC, made once a second."""
        second = int(event.get("log_time", 0.0))
        if second != self._second:
            self._second = second
            moment = datetime.datetime.fromtimestamp(second).astimezone()
            self._stamp = moment.strftime("%Y-%m-%dT%H:%M:%S%z")
        return self._stamp
