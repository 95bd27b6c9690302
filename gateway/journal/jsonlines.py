"""One JSON object a line, for whatever collects logs elsewhere.

``time`` (UTC), ``level`` and ``message`` are always there; ``kind`` where a record has one; what is
known of ``id``, ``worker`` and ``generation``, or for a settled request all columns of its row;
``traceback``, ``code_file``, ``code_line`` and ``code_func`` for errors.  What is not known is left
out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TextIO

from twisted.logger import LogEvent, LogLevel

from ..record import Value, timestamp
from .fields import fields_of
from .line import text_of
from .lossy import LossyObserver
from .sink import sink_for

_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class JsonObserver(LossyObserver):
    """Writes log records to a stream as JSON; it wants them from `gateway.redact.redacting`."""

    structured = True

    def __init__(self, stream: TextIO, labels: Mapping[str, str | int] | None = None) -> None:
        super().__init__()
        self._sink = sink_for(stream)
        self._labels = labels or {}

    def _write(self, event: LogEvent) -> bool:
        entry: dict[str, Value] = {
            "time": timestamp(event.get("log_time", 0.0)),
            "level": event.get("log_level", LogLevel.info).name,
            "message": text_of(event),
        }
        if (kind := event.get("kind")) is not None:
            entry["kind"] = kind.label
        entry.update(fields_of(event, self._labels))
        if (traceback := event.get("traceback")) is not None:
            entry["traceback"] = traceback
        if (code := event.get("code")) is not None:
            entry["code_file"], entry["code_line"], entry["code_func"] = code
        return self._sink.write(_encode(entry) + "\n")
