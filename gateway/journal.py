"""The log: text on a terminal, lines with priorities under systemd, one line a request's end.

Under systemd each line begins with ``<N>`` (sd-daemon(3)), so that the journal knows how serious it
is; a traceback's lines all carry it.  What comes from outside (models, messages, paths) is escaped:
one record is one line, whatever a client or an upstream put into it.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
)
from zope.interface import implementer

from .config.model import LogFormat
from .record import Outcome, Record

_log = Logger(namespace="gateway")

#: syslog(3)'s priorities.
_PRIORITIES: Final = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
_AS_EXPECTED: Final = frozenset({Outcome.FINISHED, Outcome.CLIENT_GONE, Outcome.REPLAYED})
#: Twisted's own chatter about factories and ports starting and stopping.
_NOISE: Final = (
    "log_legacy",
    "twisted.internet",
    "twisted.protocols",
    "twisted.web",
    "twisted.application",
)


@implementer(ILogObserver)
class StreamObserver:
    """Writes log records to a stream that is captured when the observer is made.

    Captured, because Twisted replaces ``sys.stderr`` by a stream that logs: it would feed itself.
    """

    def __init__(self, stream: TextIO, *, priorities: bool) -> None:
        self._stream = stream
        self._priorities = priorities
        self._second = -1
        self._stamp = ""

    def __call__(self, event: LogEvent) -> None:
        """Write one record."""
        level = event.get("log_level", LogLevel.info)
        namespace = event.get("log_namespace", "")
        if level <= LogLevel.info and str(namespace).startswith(_NOISE):
            return
        text = _text(event)
        if self._priorities:
            prefix = f"<{_PRIORITIES.get(level, 6)}>"
            text = "".join(f"{prefix}{line}\n" for line in text.splitlines())
        else:
            text = f"{self._time(event)} {text}\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody can be told that nobody can be told

    def _time(self, event: LogEvent) -> str:
        """The local time with its offset from UTC, made once a second."""
        second = int(event.get("log_time", 0.0))
        if second != self._second:
            self._second = second
            moment = datetime.datetime.fromtimestamp(second).astimezone()
            self._stamp = moment.strftime("%Y-%m-%dT%H:%M:%S%z")
        return self._stamp


def _text(event: LogEvent) -> str:
    text = event["line"] if "line" in event else formatEvent(event)
    failure = event.get("log_failure")
    return f"{text}\n{failure.getTraceback()}" if failure is not None else text


def observer(
    log_format: LogFormat, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
) -> StreamObserver:
    """The observer for `log_format`; ``auto`` is systemd's form where systemd reads our stderr."""
    stream = sys.stderr if stream is None else stream
    priorities = log_format is LogFormat.SYSTEMD
    if log_format is LogFormat.AUTO:
        priorities = _journal_reads(stream, environ)
    return StreamObserver(stream, priorities=priorities)


def _journal_reads(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is what ``$JOURNAL_STREAM`` names (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def log_record(record: Record) -> None:
    """One line for a settled exchange: what was asked, how it ended, and why if it went wrong.

    Of a batch's results there may be a hundred thousand: they are told of together, elsewhere.
    """
    intent, usage = record.intent, record.usage
    if intent.dialect == "anthropic_batch":
        return
    parts = [
        record.outcome.value,
        str(record.status_sent or "-"),
        f"{intent.method} {intent.path}",
        f"model={escape(record.model_served or intent.model_requested or '-')}",
        f"tokens={_known(usage.input_tokens)}/{_known(usage.output_tokens)}",
        f"events={_known(record.events)}",
        f"head={_seconds(record.head_ms)}",
        f"first={_seconds(record.first_event_ms)}",
        f"total={_seconds(record.duration_ms)}",
    ]
    if record.phase is not None and record.outcome is not Outcome.FINISHED:
        parts.append(f"phase={record.phase.value}")
    if record.error is not None:
        parts.append(f"error={record.error.value}")
    if record.error_detail:
        parts.append(f"({escape(record.error_detail)})")
    parts += [f"upstream={intent.upstream}", f"id={intent.id}"]
    level = LogLevel.info if record.outcome in _AS_EXPECTED else LogLevel.warn
    _log.emit(level, "{line}", line=" ".join(parts))


def escape(text: str) -> str:
    """`text` without line breaks, control and other unprintable characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


def _seconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.3f}s"
