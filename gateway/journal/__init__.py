"""The log: to the journal with fields, to a terminal as text, elsewhere as JSON; never waiting.

`line` says what is told, `kinds` what kinds of it there are, and `native`, `stream` and `jsonlines`
how it is written; `lossy` and `sink` see to it that a reader that stalls loses records instead of
stalling the gateway.  Observers made here stand behind `gateway.redact.redacting`:
`gateway.log_destination` puts them there.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from typing import TextIO

from ..config.model import LogFormat
from .jsonlines import JsonObserver
from .kinds import Kind
from .line import escape, log_record
from .lossy import LossyObserver
from .native import SOCKET, NativeObserver
from .stream import StreamObserver

__all__ = [
    "JsonObserver", "Kind", "LossyObserver", "NativeObserver", "StreamObserver", "escape",
    "log_record", "observer",
]  # fmt: skip


def observer(
    log_format: LogFormat,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    labels: Mapping[str, str | int] | None = None,
    journal: str = SOCKET,
) -> LossyObserver:
    """The observer for `log_format`; ``auto`` is systemd's form where systemd reads our stderr.

    `labels` say in every record which ``worker`` of which ``generation`` it is from.  `journal` is
    another path than the journal's socket in tests.
    """
    stream = sys.stderr if stream is None else stream
    if log_format is LogFormat.AUTO:
        log_format = LogFormat.SYSTEMD if _journal_reads(stream, environ) else LogFormat.TEXT
    if log_format is LogFormat.JSON:
        return JsonObserver(stream, labels)
    if log_format is LogFormat.TEXT:
        return StreamObserver(stream, priorities=False, labels=labels)
    if _is_socket(journal):
        return NativeObserver(journal, labels)
    return StreamObserver(stream, priorities=True, labels=labels)


def _journal_reads(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is what ``$JOURNAL_STREAM`` names (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
