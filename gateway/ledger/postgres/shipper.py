"""Rows on their way from the outbox to the server, in a thread of their own.

The thread takes a batch from the outbox, has the server commit it, takes its entries out, and goes
on until nothing waits; then it looks again every `Pace.poll` seconds.  Whatever goes wrong, the
rows stay where they are and it tries again, with a pause that doubles.  Nobody waits for it but
`stop`, and that within a bound.

The log has a line when the server is reached, when it is lost and why, when it is back and how many
rows waited; while it is lost one each time the backlog is ten times as long, and one now and then
while a long backlog is shipped.

A row that the server refuses for what is in it must not hold up those behind it: the batch is
halved until it stands alone, then it is told of and stays in the outbox until the next start.  If
that becomes many rows, something else is wrong, and shipping waits instead.

`Shipper`'s methods are called in the reactor's thread; what the thread has to tell, it tells there.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from ...config.model import Postgres
from ...journal.kinds import Kind
from ..interface import LedgerError, LedgerReactor
from .outbox import BATCH, Outbox, Row
from .server import DEADLINE, RowsRefused, Server, ServerError

_log = Logger(namespace="gateway.ledger")

#: A backlog of so many rows is told of, and each that is ten times as long.
_BACKLOG = 1000

#: So many different reasons are told of in one outage.
_REASONS = 5

#: More rows than this are not passed over.
_SET_ASIDE = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds, and how many rows are shipped at a time."""

    poll: float = 0.5  #: between two looks for new rows
    first_pause: float = 1.0  #: before the first attempt after a failure
    longest_pause: float = 60.0
    deadline: float = DEADLINE  #: for one batch
    progress: float = 10.0  #: between two lines about a long backlog
    stop: float = 5.0  #: for what is still there when the gateway stops
    batch: int = BATCH


class Shipper:
    """See the module's text."""

    def __init__(
        self, path: Path, database: Postgres, reactor: LedgerReactor, pace: Pace | None = None
    ) -> None:
        """Nothing is touched before `start`; the file at `path` must be a ledger by then."""
        self.waiting = 0  #: rows that the server does not have yet, when last counted
        self.shipped = 0  #: rows that the server has committed since the start, some twice
        self.refused = 0  #: rows that the server refused for what is in them
        self.connected = False  #: whether the last attempt went well
        self._path = path
        self._place = database.place
        self._reactor = reactor
        self._pace = pace or Pace()
        self._outbox = Outbox(path)
        self._server = Server(database, self._pace.deadline)
        self._aside: set[str] = set()
        self._told: set[str] = set()  # troubles that the log has, since the server was there
        self._told_backlog = _BACKLOG
        self._lost_since: float | None = None
        self._progress_at = 0.0
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._stop_timer: IDelayedCall | None = None
        self._stop_waiters: list[Deferred[None]] = []
        # A daemon: looking up a name may hang, which must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ledger-shipper", daemon=True)
        self._running = False

    def start(self) -> None:
        """Begin to ship; to be called when the ledger has been started."""
        self._running = True
        self._thread.start()

    def stop(self) -> Deferred[None]:
        """Ship what is there, within a bound; always fires with None.

        To be called when the ledger has stopped.  What is left is shipped after the next start.
        """
        if not self._running:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._stop_waiters.append(waiter)
        if not self._stopping.is_set():
            self._stop_timer = self._reactor.callLater(self._pace.stop, self._stop_late)
            self._stopping.set()
        return waiter

    def _stop_late(self) -> None:
        self._stop_timer = None
        self._given_up.set()
        self._server.cut()
        self._finish()

    def _ended(self) -> None:
        self._thread.join()
        self._finish()

    def _finish(self) -> None:
        if not self._running:
            return
        self._running = False
        if self._stop_timer is not None:
            self._stop_timer.cancel()
            self._stop_timer = None
        if self.waiting:
            self._say(
                LogLevel.warn,
                "{count} rows wait in {path} and are shipped after the next start",
                count=self.waiting,
            )
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _say(self, level: LogLevel, text: str, **values: object) -> None:
        told = {"place": self._place, "path": str(self._path), "kind": Kind.DATABASE, **values}
        _log.emit(level, f"{{place}}: {text}", **told)

    # In the thread.

    def _run(self) -> None:
        pause = self._pace.first_pause
        while not self._given_up.is_set():
            last = self._stopping.is_set()
            try:
                idle = self._ship()
            except Exception as error:  # whatever it is, the rows stay and somebody hears of it
                self._trouble(error)
                if last:
                    break
                # Not all gateways of a database at the same moment.
                self._stopping.wait(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, self._pace.longest_pause)
                continue
            pause = self._pace.first_pause
            if idle:
                if last:
                    break
                self._stopping.wait(self._pace.poll)
        self._server.close()
        self._outbox.close()
        self._reactor.callFromThread(self._ended)

    def _ship(self) -> bool:
        """Ship one batch; True if nothing waits, or if another process ships."""
        if not self._outbox.take():
            return True
        if not self._server.connected:
            self._server.connect()
        if not self.connected:
            self.waiting = self._outbox.waiting()
        batch = self._outbox.batch(self._pace.batch)
        if batch is None:
            self._well()
            self.waiting = 0
            return True
        self._deliver(batch.rows)
        self._well()
        self._outbox.done(batch, self._aside)
        self.shipped += len(batch.rows)
        self.waiting = max(0, self.waiting - len(batch.rows))
        now = time.monotonic()
        if now >= self._progress_at:
            self._progress_at = now + self._pace.progress
            self.waiting = self._outbox.waiting()
            if self.waiting >= _BACKLOG:
                self._tell(LogLevel.info, "{count} rows still wait", count=self.waiting)
        return False

    def _deliver(self, rows: Sequence[Row]) -> None:
        """Have the server commit these rows, all but those that it refuses."""
        if not rows:
            return
        try:
            self._server.ship(rows)
        except RowsRefused as refusal:
            if len(rows) > 1:
                middle = len(rows) // 2
                self._deliver(rows[:middle])
                self._deliver(rows[middle:])
                return
            row_id = str(rows[0]["id"])
            if row_id not in self._aside:
                if len(self._aside) == _SET_ASIDE:
                    raise ServerError(
                        f"{self._place}: more than {_SET_ASIDE} rows are refused ({refusal})"
                    ) from None
                self._aside.add(row_id)
                self.refused += 1
                self._tell(
                    LogLevel.error,
                    "the row of request {id} is refused ({why}); it stays in {path}",
                    id=row_id,
                    why=str(refusal),
                )
        else:
            self._aside.difference_update(str(row["id"]) for row in rows)

    def _well(self) -> None:
        """Say that the server is there, if that is news."""
        if self.connected:
            return
        self.connected = True
        if self._lost_since is None:
            self._tell(LogLevel.info, "connected; {count} rows wait", count=self.waiting)
        else:
            self._tell(
                LogLevel.info,
                "back again after {seconds:.0f} s; {count} rows waited",
                seconds=time.monotonic() - self._lost_since,
                count=self.waiting,
            )
        self._told.clear()
        self._told_backlog = _BACKLOG
        self._progress_at = time.monotonic() + self._pace.progress

    def _trouble(self, error: Exception) -> None:
        """Say what is wrong, once, and how much waits."""
        if self.connected or self._lost_since is None:
            self._lost_since = time.monotonic()
        self.connected = False
        self._server.close()
        if isinstance(error, ServerError | LedgerError):
            why = str(error).removeprefix(f"{self._place}: ")
            with contextlib.suppress(sqlite3.Error):
                self.waiting = self._outbox.waiting()
        else:
            why = f"rows cannot be shipped ({type(error).__name__}: {error})"
            self._outbox.close_database()
        if why not in self._told and len(self._told) < _REASONS:
            self._told.add(why)
            self._tell(LogLevel.error, "{why}; rows wait in {path}", why=why)
        if self.waiting >= self._told_backlog:
            while self.waiting >= self._told_backlog:
                self._told_backlog *= 10
            self._tell(LogLevel.warn, "{count} rows wait in {path}", count=self.waiting)

    def _tell(self, level: LogLevel, text: str, **values: object) -> None:
        self._reactor.callFromThread(self._say, level, text, **values)
