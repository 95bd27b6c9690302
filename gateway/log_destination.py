"""Where twistd's options send the log; wherever it is, secrets are taken out on the way.

twistd takes a function's name and calls it without arguments, so what the function needs is kept in
this module: `choose` is called once, when the options are read, `observer` by twistd.  A process
that is not twistd's asks for `of_process` instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import ILogObserver, LegacyLogObserverWrapper
from twisted.python.logfile import LogFile
from twisted.python.reflect import namedAny
from twisted.python.usage import UsageError

from . import journal
from .config import Config
from .config.model import LogFormat
from .redact import Redactor, redacting

#: The file that twistd writes to where nothing else is said and it leaves the terminal.
_DEFAULT_FILE = "twistd.log"


def _not_chosen() -> ILogObserver:
    return redacting(journal.observer(LogFormat.AUTO), Redactor())


_make: Callable[[], ILogObserver] = _not_chosen
#: Our own observer, if it is not somebody else's that writes the log.
_writing: journal.LossyObserver | None = None


def choose(options: Mapping[str, Any], config: Config) -> str:
    """Note what twistd's `options` ask for; the name of the function that makes the observer.

    Raises `UsageError` if they name a logger that there is not.
    """
    global _make
    redactor = Redactor.of(config)
    given = None  # looked up now: our own stands in its place afterwards
    if name := options.get("logger"):
        try:
            given = namedAny(name)
        except Exception as error:
            raise UsageError(f"--logger {name} cannot be imported: {error}") from None

    def make() -> ILogObserver:
        log_format = config.gateway.log
        made = _destination(options, log_format) if given is None else _new_style(given())
        return _noted(made, redactor)

    _make = make
    return f"{__name__}.observer"


def of_workers(options: Mapping[str, Any]) -> str:
    """Where workers log, by what twistd's `options` asked for before `choose`: ``stderr`` or
    ``stdout``, which are this process's, or ``pipe``, through which it reads what they log."""
    if options.get("logger") or options.get("syslog"):
        return "pipe"
    if options.get("logfile") == "-":
        return "stdout"
    return "stderr" if options.get("nodaemon") and not options.get("logfile") else "pipe"


def observer() -> ILogObserver:
    """The log observer, for twistd."""
    return _make()


def of_process(config: Config, destination: str, labels: Mapping[str, str | int]) -> ILogObserver:
    """The log observer of a worker, which writes to `destination`, as `of_workers` tells it.

    What goes through a pipe has its priority in front, for the one who reads it.  `labels` say in
    every record which ``worker`` of which ``generation`` it is from.
    """
    made: journal.LossyObserver
    if destination == "pipe":
        made = journal.StreamObserver(sys.stderr, priorities=True, labels=labels)
    else:
        stream = sys.stdout if destination == "stdout" else sys.stderr
        made = journal.observer(config.gateway.log, stream, labels=labels)
    return _noted(made, Redactor.of(config))


def dropped() -> int:
    """How many log records of this process were lost, because whoever reads them did not."""
    return 0 if _writing is None else _writing.dropped


def note(made: ILogObserver) -> ILogObserver:
    """`made`, which writes this process's log from now on: `dropped` tells what it loses."""
    global _writing
    _writing = made if isinstance(made, journal.LossyObserver) else None
    return made


def _noted(made: ILogObserver, redactor: Redactor) -> ILogObserver:
    return redacting(note(made), redactor)


def _destination(options: Mapping[str, Any], log_format: LogFormat) -> ILogObserver:
    if options.get("syslog"):
        from twisted.python.syslog import SyslogObserver

        return _new_style(SyslogObserver(options.get("prefix") or "twisted").emit)
    name = options.get("logfile")
    if name == "-":
        return journal.observer(log_format, sys.stdout)
    if name or not options.get("nodaemon"):
        file_format = log_format if log_format is LogFormat.JSON else LogFormat.TEXT
        return journal.observer(file_format, LogFile.fromFullPath(name or _DEFAULT_FILE))
    return journal.observer(log_format)


def _new_style(made: Any) -> ILogObserver:
    return made if ILogObserver.providedBy(made) else LegacyLogObserverWrapper(made)
