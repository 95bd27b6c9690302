"""Records on their way to the ledger get their costs.

Nearly all of them at once, in the reactor's thread: where the price of a model is known and is a
multiplication (see `quick`), as it is after its first request in half an hour.

For the others `Pricer` is asked, whose list prices take 0.2 s to load and then 0.15 ms of Python
each: too much for the reactor at a thousand requests a second, so a thread of its own does it, not
the ledger's writer, for whose intents requests wait.  A thread that computes without a break would
keep the reactor from the interpreter's lock for 5 ms at a time (``sys.getswitchinterval``), so this
one gives the lock away after every record; the reactor's wakening then takes 0.2 ms in the median,
measured, and not 5.  The hop to the thread and back costs as much as the price itself.

Accounting does not wait for prices: where too many records wait already, further ones go on without
a price, are counted, and can be priced later from their rows.
"""

from __future__ import annotations

import time
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from ..journal.kinds import Kind
from ..record import Record, Usage
from .pricer import MISSING, Pricer

_log = Logger(namespace="gateway.prices")

#: How many records may wait for their prices.
LIMIT: Final = 5000


class PriceLink:
    """A link of the completion chain (see `gateway.exchange.completion`).

    All methods are called in the reactor's thread.
    """

    def __init__(self, pricer: Pricer, reactor: Any, limit: int = LIMIT) -> None:
        self.skipped = 0  #: records that went on without a price because too many waited
        self.pricer = pricer  #: which its thread asks, but for what goes `quickly`
        self._reactor = reactor
        self._limit = limit
        self._pool = ThreadPool(0, 1, name="prices")
        self._started = False
        self._waiting = 0
        self._stop_waiters: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin; until then, and after `stop`, records go on as they are.

        Says in the log, once, if there are no list prices.
        """
        if self.pricer.missing:
            _log.info("{what}", what=MISSING)
        self._pool.start()
        self._started = True

    def price(self, record: Record) -> Record | Deferred[Record]:
        """The record with its cost, at once where nothing has to be asked.  Never fails."""
        if record.usage_raw is None and record.usage == Usage():
            return record
        quick = self.pricer.quickly(record) if self._started else None
        if quick is not None:
            return quick
        if not self._started or self._waiting >= self._limit:
            self.skipped += 1
            return record
        self._waiting += 1
        return deferToThreadPool(self._reactor, self._pool, self._priced, record).addBoth(
            self._done, record
        )

    def stop(self) -> Deferred[None]:
        """Fires when every record has gone on and the thread has ended."""
        if not self._started:
            return succeed(None)
        if not self._waiting:
            self._end()
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._stop_waiters.append(waiter)
        return waiter

    def _priced(self, record: Record) -> Record:
        """In the thread."""
        try:
            return self.pricer.priced_record(record)
        finally:
            time.sleep(0)

    def _done(self, result: Record | Failure, record: Record) -> Record:
        self._waiting -= 1
        if self._stop_waiters and not self._waiting:
            # After the links behind this one have had the record.
            self._reactor.callLater(0, self._end)
        if isinstance(result, Failure):
            what, kind = "request {id}: it could not be priced", Kind.INTERNAL_ERROR
            _log.failure(what, result, id=record.intent.id, kind=kind)
            return record
        return result

    def _end(self) -> None:
        if self._waiting or not self._started:
            return
        self._started = False
        self._pool.stop()
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)
