"""The one thread that writes the database: group commit, trying again, and what has to be done.

It takes everything that is queued and writes it in one transaction, so that a busy gateway pays for
a commit per batch, not per row.  When nobody waits for the database, it lets rows gather for
`LINGER` first: being woken is what a row would cost most.  Its Python is short: rows come ready to
be bound, and SQLite works without the interpreter's lock.

What it could not write it keeps, and tries again until it can or is told to give up; intents that
somebody waits for only while the store is merely locked.  Between batches it does its `Chores`.

It touches no Deferred, no counter and no log: after every attempt one `Report` goes to the reactor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from msgspec import Struct
from twisted.internet.defer import Deferred

from ..record import Intent
from .chores import Chores
from .interface import LedgerReactor
from .rows import Row
from .store import Store, is_locked

#: Seconds for which rows gather that are safe in the spool already.
LINGER = 0.03

#: How many rows of a kind are written at a time, and the seconds until the next.  A thread that is
#: busy without a break would have the reactor wait for the interpreter's lock at each of its calls.
_SLICE = 100
_BREATH = 0.002

#: Seconds between attempts on a store that fails: at first, and after a while.  Less than an intent
#: waits, so that each intent gets its attempt.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Opening(Struct, eq=False):
    """An intent on its way into the store.

    `acknowledged` is for one that is in the spool: its request may have been sent.  Otherwise
    `waiter` is the reactor's and None once it has fired, and `abandoned` is set by the reactor when
    it has failed the waiter, and read by the thread, which may be writing the row just then.
    """

    intent: Intent
    row: Row
    acknowledged: bool = False
    deadline: float = 0.0
    waiter: Deferred[None] | None = None
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Turned:
    """A file of the spool has had its turn; what was queued before it is all that it holds."""

    number: int


@dataclass(frozen=True, slots=True)
class Report:
    """How one attempt went.  Every queued row is told of in exactly one report."""

    written: tuple[Opening, ...] = ()  #: their rows are in the store
    settled: int = 0  #: settled rows that are in the store
    refused: tuple[Opening, ...] = ()  #: not written, will not be
    discarded: int = 0  #: abandoned openings that were not written
    killed: int = 0  #: open rows of dead processes that were settled
    error: str | None = None  #: why the attempt failed


class Writer:
    """See the module's text.  All methods are called in the reactor's thread."""

    def __init__(
        self,
        store: Store,
        chores: Chores,
        reactor: LedgerReactor,
        on_report: Callable[[Report], None],
        on_end: Callable[[], None],
    ) -> None:
        """`on_report` and `on_end` are called in the reactor's thread."""
        self._store = store
        self._chores = chores
        self._reactor = reactor
        self._on_report = on_report
        self._on_end = on_end
        self._queue: SimpleQueue[Opening | Row | Turned | None] = SimpleQueue()
        self._hurry = threading.Event()  # somebody waits
        self._given_up = threading.Event()
        self._openings: list[Opening] = []
        self._settled: list[Row] = []
        self._turned: list[Turned] = []
        # A daemon: a store that hangs in the kernel must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, item: Opening | Row | Turned) -> None:
        """Queue an intent or a settled row; of one id, the intent first."""
        self._queue.put(item)
        # isinstance would ask Python of a row whether it is a Struct of that kind.
        if type(item) is Opening and not item.acknowledged:
            self._hurry.set()

    def finish(self) -> None:
        """Close the store and call `on_end`; to be called when everything has been reported on."""
        self._queue.put(None)
        self._hurry.set()

    def hurry(self) -> None:
        """Let nothing gather any more."""
        self._hurry.set()

    def give_up(self) -> None:
        """Close the store after the attempt that is under way, whatever is left."""
        self._given_up.set()
        self._hurry.set()

    def join(self) -> None:
        """Wait for the thread, which has called `on_end` as the last thing that it does."""
        self._thread.join()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._given_up.is_set():
            if self._take():
                break
            try:
                report = self._attempt()
            except Exception as error:  # whatever it is, the rows are kept and the reactor hears it
                locked = is_locked(error)  # SQLite has waited already
                pause = _FIRST_PAUSE if locked else min(2 * pause, _LONGEST_PAUSE)
                self._report(Report((), 0, self._refused(locked), 0, 0, _text(error)))
                self._given_up.wait(pause)
            else:
                pause = _FIRST_PAUSE
                if report is not None:
                    self._report(report)
        self._store.close(complete=not (self._openings or self._settled))
        self._reactor.callFromThread(self._on_end)

    def _take(self) -> bool:
        """Add everything that is queued to the batch, wait if it is empty; True at the end."""
        wait = not self._openings and not self._settled
        try:
            while True:
                item = self._queue.get(wait, self._chores.due_in() if wait else None)
                if wait:
                    wait = False
                    self._hurry.wait(LINGER)
                    self._hurry.clear()
                if isinstance(item, tuple):
                    self._settled.append(item)
                elif isinstance(item, Opening):
                    self._openings.append(item)
                elif item is None:
                    return True
                else:
                    self._turned.append(item)
        except Empty:
            return False

    def _attempt(self) -> Report | None:
        """Write the batch, or a slice of it, then do what is due; None if nothing is to be told."""
        kept = [opening for opening in self._openings if not opening.abandoned]
        discarded, self._openings = len(self._openings) - len(kept), kept
        wanted, settled = kept[:_SLICE], self._settled[:_SLICE]
        if discarded:
            self._report(Report(discarded=discarded))
        done = Report(tuple(wanted), len(settled))
        if wanted or settled:
            self._store.write([opening.row for opening in wanted], settled)
            del self._openings[: len(wanted)], self._settled[: len(settled)]
            self._report(done)
        if self._openings or self._settled:
            time.sleep(_BREATH)
            return None
        while self._turned:
            self._store.spool.clear(self._turned[0].number)
            del self._turned[0]
        killed = self._chores.do()
        return Report(killed=killed) if killed else None

    def _refused(self, locked: bool) -> tuple[Opening, ...]:
        """Take out of the batch what need not be tried again: its requests are not sent."""
        if locked:
            return ()
        refused = tuple(opening for opening in self._openings if not opening.acknowledged)
        self._openings = [opening for opening in self._openings if opening.acknowledged]
        return refused

    def _report(self, report: Report) -> None:
        self._reactor.callFromThread(self._on_report, report)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
