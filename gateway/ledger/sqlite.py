"""The SQLite ledger as the reactor sees it: the bound, the deadlines, and who has to be told what.

Durability.  With ``process`` an intent is noted in the spool and answered at once: the database
follows.  With ``power`` it is answered when the database has it on the disk.  Settled rows are
noted in the spool either way, and follow into the database.

The bound.  An intent is refused when `queue_limit` rows are waiting already.  An accepted intent
has a place for its settled row set aside (`open_rows` counts them), so that row is taken however
long the queue is.  Memory is bounded by `queue_limit` and the number of exchanges.  Settled rows
that never had an intent (what the gateway itself refused) have no such place; they are taken up to
twice the limit, because work is to be refused before rows are lost, and dropped beyond it.

The deadline, where intents wait.  One that is not written within `OPEN_TIMEOUT` is abandoned: its
Deferred fails and its request is not sent.  Intents wait in the order of their deadlines, so one
timer, set for the oldest, serves all.  The writer drops an abandoned intent that it has not written
yet.  One that it was writing at that moment is found out when the report comes in, and its row is
settled as ``rejected`` with ``ledger_unavailable`` unless its exchange has said how it ended.  (If
the process dies between these two, the next start settles the row as ``killed``.)

Everything here runs in the reactor's thread.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..config.model import Durability
from ..journal.kinds import Kind
from ..record import ErrorCode, Intent, Outcome, Phase, Record, timestamp
from . import damage
from .chores import Chores
from .interface import LedgerReactor, LedgerUnavailable
from .rows import Row, intent_values, record_values
from .spool import Spool
from .store import Store
from .writer import Opening, Report, Turned, Writer

_log = Logger(namespace="gateway.ledger")

#: Seconds that an intent may wait for the store.
OPEN_TIMEOUT = 2.0

#: Seconds that the store has for what is queued when the ledger stops; by then no intent waits.
STOP_TIMEOUT = 10.0


class SqliteLedger:
    """A `gateway.ledger.interface.Ledger` in one SQLite file."""

    def __init__(
        self,
        path: Path,
        durability: Durability,
        instance: str,
        reactor: LedgerReactor,
        queue_limit: int = 10_000,
        *,
        retention: float | None = None,
        alone: bool = True,
        ship: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is touched before `start`.

        `instance` is who another process is told holds the file; `queue_limit` is in rows;
        `retention` is how many seconds rows are kept, None for ever; `alone` and `ship` are as
        `Store` has them; `wall` is the time of day in seconds since the epoch.
        """
        self.queued = 0  #: rows handed to the writer and not yet reported on
        self.written = 0  #: rows written since the start, intents and settled ones
        self.refused = 0  #: intents that were failed with `LedgerUnavailable`
        self.dropped = 0  #: settled rows that could not be taken
        self.recovered = 0  #: rows of dead processes that were settled as killed
        self._path = path
        self._reactor = reactor
        self._limit = queue_limit
        self._wall = wall
        self._durability = durability
        self._retention = retention
        owner = f"process {os.getpid()}, instance {instance}"
        self._store = Store(path, durability, owner, alone=alone, ship=ship)
        self._spool: Spool  # the store's, once that is open
        self._spool_fails = False
        self._behind = 0.0  # since when rows wait and none was written, by the reactor's clock
        self._writer: Writer | None = None  # while started and not ended
        self._stopping = False  # no more intents
        self._finished = False  # no more rows at all
        self._reserved: dict[str, Opening] = {}
        self._waiting: deque[Opening] = deque()
        self._timer: IDelayedCall | None = None
        self._stop_timer: IDelayedCall | None = None
        self._stop_waiters: list[Deferred[None]] = []
        self._troubles: set[str] = set()

    @property
    def open_rows(self) -> int:
        """Accepted intents whose settled row has not come yet."""
        return len(self._reserved)

    @property
    def lag(self) -> float:
        """For how many seconds rows have waited since any was written; 0 if none waits."""
        return self._reactor.seconds() - self._behind if self.queued else 0.0

    def start(self) -> None:
        """See `Ledger.start`."""
        self._tell_killed(self._store.open(timestamp(self._wall())))
        self._spool = self._store.spool
        for aside in damage.quarantined(self._path):
            _log.critical(
                "ledger {path}: a damaged ledger was set aside as {aside}, and its rows are "
                "missing here; save what can be read of it (sqlite3's .recover), then take it away",
                path=str(self._path),
                aside=str(aside),
                kind=Kind.LEDGER_TROUBLE,
            )
        chores = Chores(self._store, self._retention, self._wall)
        self._writer = Writer(self._store, chores, self._reactor, self._reported, self._ended)
        self._writer.start()

    def _tell_killed(self, count: int) -> None:
        self.recovered += count
        if count:
            _log.warn(
                "{count} requests were open when their process died; they are settled as killed",
                count=count,
                kind=Kind.ROWS_KILLED,
            )

    def open(self, intent: Intent) -> Deferred[None]:
        """See `Ledger.open`."""
        if self._writer is None or self._stopping:
            return self._refusal("the ledger is not running")
        if self.queued >= self._limit:
            return self._refusal(f"{self._limit} rows are waiting to be written already")
        try:
            row = intent_values(intent, self._spool.name)
        except Exception:
            what, kind = "request {id}: its intent cannot be written", Kind.INTERNAL_ERROR
            _log.failure(what, id=intent.id, kind=kind)
            return self._refusal("the intent cannot be written")
        if self._durability is Durability.PROCESS:
            problem = self._spooled(self._spool.open, row)
            if problem is not None:
                return self._refusal(problem)
            opening = self._reserved[intent.id] = Opening(intent, row, acknowledged=True)
            self._put(self._writer, opening)
            return succeed(None)
        deadline = self._reactor.seconds() + OPEN_TIMEOUT
        waiter: Deferred[None] = Deferred(lambda _: self._abandon(opening))
        opening = Opening(intent, row, deadline=deadline, waiter=waiter)
        self._reserved[intent.id] = opening
        self._waiting.append(opening)
        if self._timer is None:
            self._timer = self._reactor.callLater(OPEN_TIMEOUT, self._look)
        self._put(self._writer, opening)
        return waiter

    def settle(self, record: Record) -> None:
        """See `Ledger.settle`."""
        opening = self._reserved.pop(record.intent.id, None)
        if record.error is ErrorCode.LEDGER_UNAVAILABLE:
            return  # its intent was refused or abandoned: what is left of it is seen to here
        if self._writer is None or self._finished:
            self.dropped += 1
            what, kind = "request {id}: settled after the ledger stopped", Kind.INTERNAL_ERROR
            _log.error(what, id=record.intent.id, kind=kind)
        elif opening is None and self.queued >= 2 * self._limit:
            self.dropped += 1
            self._trouble("the queue is full: rows of requests that were not sent are dropped")
        else:
            self._write(self._writer, record, opening)

    def has_room(self) -> bool:
        """See `Ledger.has_room`."""
        return self._writer is not None and self.queued < self._limit // 4

    def _write(self, writer: Writer, record: Record, opening: Opening | None = None) -> None:
        opened = None
        if opening is not None and opening.intent is record.intent:
            opened = opening.row  # else the body came by later, and the intent tells more now
        try:
            row = record_values(record, opened)
        except Exception:
            self.dropped += 1
            what, kind = "request {id}: its row cannot be written", Kind.INTERNAL_ERROR
            _log.failure(what, id=record.intent.id, kind=kind)
        else:
            problem = self._spooled(self._spool.settle, row)
            if problem is not None:
                self._trouble(problem)
            self._put(writer, row)

    def _spooled(self, note: Callable[[Row], None], row: Row) -> str | None:
        """Note a row in the spool; returns why that was not possible."""
        try:
            note(row)
        except OSError as error:
            self._spool_fails = True
            return f"the spool takes no rows ({error.strerror or error})"
        self._spool_fails = False
        return None

    def _put(self, writer: Writer, item: Opening | Row) -> None:
        if not self.queued:
            self._behind = self._reactor.seconds()
        self.queued += 1
        writer.put(item)
        number = self._spool.turn()
        if number is not None:
            writer.put(Turned(number))

    # What the writer tells.

    def _reported(self, report: Report) -> None:
        done = len(report.written) + report.settled
        self.written += done
        if done:
            self._behind = self._reactor.seconds()
        self.queued -= done + len(report.refused) + report.discarded
        self._tell_killed(report.killed)
        if report.error is not None:
            self._trouble(f"the store failed ({report.error})")
        elif done and self._troubles and not self._spool_fails and self.queued <= self._limit // 2:
            self._troubles.clear()
            kind = Kind.LEDGER_RECOVERED
            _log.info("ledger {path}: takes rows again", path=str(self._path), kind=kind)
        for opening in report.written:
            if opening.abandoned:
                self._undo(opening.intent)
            elif opening.waiter is not None:
                waiter, opening.waiter = opening.waiter, None
                waiter.callback(None)
        for opening in report.refused:
            self._refuse(opening, f"the store failed ({report.error})")
        while self._waiting and self._waiting[0].waiter is None:
            self._waiting.popleft()
        self._finish_writer()

    def _undo(self, intent: Intent) -> None:
        """The row of a request that was not sent is in the store after all: have it say so."""
        if self._writer is not None:
            record = Record(
                intent,
                ended_at=self._wall(),
                outcome=Outcome.REJECTED,
                phase=Phase.REQUEST,
                error=ErrorCode.LEDGER_UNAVAILABLE,
                error_detail="the intent was written too late; the request was not sent",
            )
            self._write(self._writer, record)

    # Intents that are not written in time.

    def _look(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        while self._waiting and self._waiting[0].deadline <= now:
            self._refuse(self._waiting.popleft(), f"not written within {OPEN_TIMEOUT:g} s")
        if self._waiting and self._timer is None:  # somebody who was told may have asked again
            self._timer = self._reactor.callLater(self._waiting[0].deadline - now, self._look)

    def _refuse(self, opening: Opening, why: str) -> None:
        if opening.waiter is not None:
            waiter = opening.waiter
            self._abandon(opening)
            waiter.errback(self._unavailable(why))

    def _abandon(self, opening: Opening) -> None:
        """Nobody will send this request any more."""
        opening.waiter = None
        opening.abandoned = True
        self._reserved.pop(opening.intent.id, None)

    def _refusal(self, why: str) -> Deferred[None]:
        return fail(self._unavailable(why))

    def _unavailable(self, why: str) -> LedgerUnavailable:
        self.refused += 1
        self._trouble(why)
        return LedgerUnavailable(why)

    def _trouble(self, what: str) -> None:
        """Log each kind of trouble once until it is over."""
        if what not in self._troubles:
            self._troubles.add(what)
            kind = Kind.LEDGER_TROUBLE
            _log.error("ledger {path}: {what}", path=str(self._path), what=what, kind=kind)

    # The end.

    def stop(self) -> Deferred[None]:
        """See `Ledger.stop`; may be called again, and without `start`."""
        if self._writer is None:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._stop_waiters.append(waiter)
        if not self._stopping:
            self._stopping = True
            self._writer.hurry()
            self._stop_timer = self._reactor.callLater(STOP_TIMEOUT, self._stop_late)
            self._finish_writer()
        return waiter

    def _finish_writer(self) -> None:
        """Once stopping: when all is written, what was settled in the meantime too."""
        if self._writer is not None and self._stopping and not self._finished and not self.queued:
            self._finished = True
            self._writer.finish()

    def _stop_late(self) -> None:
        """Stop waiting for the writer; it ends after its attempt, or with the process."""
        self._stop_timer = None
        if self._writer is None:
            return
        self._writer.give_up()
        _log.error(
            "ledger {path}: {count} rows were not written within {seconds:g} s of stopping",
            path=str(self._path),
            count=self.queued,
            seconds=STOP_TIMEOUT,
            kind=Kind.LEDGER_TROUBLE,
        )
        self._finish()

    def _ended(self) -> None:
        if self._writer is not None:
            self._writer.join()
            self._finish()

    def _finish(self) -> None:
        self._writer = None
        for timer in (self._timer, self._stop_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._stop_timer = None
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)
