"""A process that makes gateways by forking: the imports are done once, a start takes a moment.

Run as ``python -m tests.kill.zygote``.  Each line on its standard input asks for one gateway:
``CONFIG LOG FAULT COUNT``.  It answers with the process id, and reaps what ends.  What is forked is
what ``twistd -n gateway --config CONFIG`` runs; with a `FAULT`, it kills itself with SIGKILL the
COUNT-th time that it comes to that point.  The points are put in from outside: the gateway itself
has no switches for them.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.scripts.twistd import run

from gateway import tap
from gateway.ledger import SqliteLedger, spool
from gateway.ledger.rows import Row
from gateway.ledger.spool import Spool
from gateway.ledger.store import Store
from gateway.record import Intent, Record

__all__ = ["tap"]  # imported for twistd, before the fork


class Countdown:
    """Kills this process when it has been called so many times."""

    def __init__(self, count: int) -> None:
        self._left = count

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if self._left <= 0:
            die()


def die() -> NoReturn:
    """SIGKILL, which no code of ours can do anything about."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process outlived SIGKILL")


def between_intent_and_dispatch(now: Countdown) -> None:
    """The ledger has taken an intent; its exchange is about to ask the upstream."""
    original = SqliteLedger.open

    def open_(self: SqliteLedger, intent: Intent) -> Deferred[None]:
        return original(self, intent).addCallback(now)

    SqliteLedger.open = open_  # type: ignore[method-assign]


def between_end_and_settle(now: Countdown) -> None:
    """A stream has ended, the client has its last byte; the ledger is about to hear of it."""
    original = SqliteLedger.settle

    def settle(self: SqliteLedger, record: Record) -> None:
        now()
        original(self, record)

    SqliteLedger.settle = settle  # type: ignore[method-assign]


def inside_a_transaction(now: Countdown) -> None:
    """The writer thread has bound the rows of a batch, and not committed."""
    original = Store._write

    def write(
        self: Store, db: sqlite3.Connection, opened: Sequence[Row], settled: Sequence[Row]
    ) -> None:
        original(self, db, opened, settled)
        now()

    Store._write = write  # type: ignore[method-assign]


def before_a_file_is_emptied(now: Countdown) -> None:
    """The rows of one of the spool's files are in the database, and still in the file."""
    original = Spool.clear

    def clear(self: Spool, number: int) -> None:
        now()
        original(self, number)

    Spool.clear = clear  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[Countdown], None]] = {
    "intent": between_intent_and_dispatch,
    "settle": between_end_and_settle,
    "commit": inside_a_transaction,
    "clear": before_a_file_is_emptied,
}


def become_a_gateway(config: str, log: str, fault: str, count: int) -> None:
    """Run ``twistd`` to its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    spool.TURN_SIZE = 4000  # a few requests, so that the files take turns in every round
    if fault in FAULTS:
        FAULTS[fault](Countdown(count))
    sys.argv = ["twistd", "-n", "--pidfile=", "gateway", "--config", config]
    run()


def main(lines: Any = sys.stdin) -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    for line in lines:
        config, log, fault, count = line.split()
        pid = os.fork()
        if not pid:
            become_a_gateway(config, log, fault, int(count))
            return
        print(pid, flush=True)


if __name__ == "__main__":
    main()
