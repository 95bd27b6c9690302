"""What is told: the text of a log record, and the line of a settled request.

What comes from outside (models, messages, paths) is escaped: one record is one line, whatever a
client or an upstream put into it; only a traceback makes more.
"""

from __future__ import annotations

import time
from typing import Final

from twisted.logger import LogEvent, Logger, LogLevel, formatEvent

from ..nature import BATCH_RESULT, uses_tokens
from ..record import Outcome, Record
from .kinds import Kind

_log = Logger(namespace="gateway")

_AS_EXPECTED: Final = frozenset({Outcome.FINISHED, Outcome.CLIENT_GONE, Outcome.REPLAYED})
#: Which tell the phase by themselves.
_TO_THE_END: Final = frozenset({Outcome.FINISHED, Outcome.REPLAYED})
#: Twisted's own chatter about factories and ports starting and stopping.
_NOISE: Final = (
    "log_legacy",
    "twisted.internet",
    "twisted.protocols",
    "twisted.web",
    "twisted.application",
)
#: syslog(3)'s priorities.
_PRIORITIES: Final = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}


def log_record(record: Record) -> None:
    """One line for a settled exchange: what was asked, how it ended, and why if it went wrong.

    Of a batch's results there may be a hundred thousand: they are told of together, elsewhere.
    """
    intent, usage = record.intent, record.usage
    if intent.dialect == BATCH_RESULT:
        return
    asked, answered = usage.input_tokens, usage.output_tokens
    lacking = ""
    if asked is None or answered is None:
        lacking = "?" if _uses_tokens(record) else "-"
    line = (
        f"{record.outcome} {record.status_sent or '-'} {intent.method} {intent.path} "
        f"model={escape(record.model_served or intent.model_requested or '-')} "
        f"tokens={lacking if asked is None else asked}/{lacking if answered is None else answered} "
        f"events={'?' if record.events is None else record.events} "
        f"head={_seconds(record.head_ms)} first={_seconds(record.first_event_ms)} "
        f"total={_seconds(record.duration_ms)}"
    )
    if record.phase is not None and record.outcome not in _TO_THE_END:
        line += f" phase={record.phase}"
    if record.error is not None:
        line += f" error={record.error}"
    if record.error_detail:
        line += f" ({escape(record.error_detail)})"
    line += f" upstream={intent.upstream}"
    if intent.answer_of is not None:
        line += f" answer_of={intent.answer_of}"
    line += f" id={intent.id}"
    expected = record.outcome in _AS_EXPECTED
    # Not by `Logger.emit`, which looks for the level among all levels, for longer than all the rest
    # takes here.
    _log.observer(
        {
            "log_logger": _log,
            "log_level": LogLevel.info if expected else LogLevel.warn,
            "log_namespace": _log.namespace,
            "log_source": None,
            "log_format": "{line}",
            "log_time": time.time(),
            "line": line,
            "record": record,
            "kind": Kind.REQUEST if expected else Kind.REQUEST_FAILED,
        }
    )


def is_noise(event: LogEvent) -> bool:
    """Whether a record is left out of every format."""
    if not str(event.get("log_namespace", "")).startswith(_NOISE):  # asked first: comparing
        return False  # levels takes longer than this
    return bool(event.get("log_level", LogLevel.info) <= LogLevel.info)


def priority(event: LogEvent) -> int:
    """A record's level as syslog(3) counts them."""
    return _PRIORITIES.get(event.get("log_level", LogLevel.info), 6)


def text_of(event: LogEvent) -> str:
    """A record's text, with its traceback if it comes with the failure itself."""
    text: str = event["line"] if "line" in event else formatEvent(event)
    failure = event.get("log_failure")
    return f"{text}\n{failure.getTraceback()}" if failure is not None else text


def escape(text: str) -> str:
    """`text` without line breaks, control and other unprintable characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _uses_tokens(record: Record) -> bool:
    intent = record.intent
    return uses_tokens(
        {
            "outcome": record.outcome,
            "attempts": record.attempts,
            "method": intent.method,
            "dialect": intent.dialect,
            "answer_of": intent.answer_of,
        }
    )


def _seconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.3f}s"
