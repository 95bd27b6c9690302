"""The one thread that writes the ledger: group commit, and trying again.

It takes everything that is queued and writes it in one transaction, so that a busy gateway pays for
a commit per batch, not per row.  Its Python is short: rows come ready to be bound, and SQLite works
without the interpreter's lock.

What it could not write it keeps, and tries again until it can or is told to give up; settled rows
are kept for ever, intents only while the store is merely locked and their exchanges still wait.  It
touches no Deferred, no counter and no log: after every attempt one `Report` goes to the reactor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from twisted.internet.defer import Deferred

from ..record import Intent
from .interface import LedgerReactor
from .rows import Row
from .store import Store, is_locked

#: Seconds between attempts on a store that fails: at first, and after a while.  Less than an intent
#: waits, so that each intent gets its attempt.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


@dataclass(slots=True, eq=False)
class Opening:
    """An intent on its way into the store.

    `waiter` is the reactor's and None once it has fired.  `abandoned` is set by the reactor when
    it has failed the waiter, and read by the thread, which may be writing the row just then.
    """

    intent: Intent
    row: Row
    deadline: float
    waiter: Deferred[None] | None
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """How one attempt went.  Every queued item is told of in exactly one report."""

    written: tuple[Opening, ...] = ()  #: their rows are in the store
    settled: int = 0  #: settled rows that are in the store
    refused: tuple[Opening, ...] = ()  #: not written, will not be
    discarded: int = 0  #: abandoned openings that were not written
    error: str | None = None  #: why the attempt failed


class Writer:
    """See the module's text.  All methods are called in the reactor's thread."""

    def __init__(
        self,
        store: Store,
        reactor: LedgerReactor,
        on_report: Callable[[Report], None],
        on_end: Callable[[], None],
    ) -> None:
        """`on_report` and `on_end` are called in the reactor's thread."""
        self._store = store
        self._reactor = reactor
        self._on_report = on_report
        self._on_end = on_end
        self._queue: SimpleQueue[Opening | Row | None] = SimpleQueue()
        self._given_up = threading.Event()
        # A daemon: a store that hangs in the kernel must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, item: Opening | Row) -> None:
        """Queue an intent or a settled row; of one id, the intent first."""
        self._queue.put(item)

    def finish(self) -> None:
        """Close the store and call `on_end`; to be called when everything has been reported on."""
        self._queue.put(None)

    def give_up(self) -> None:
        """Close the store after the attempt that is under way, whatever is left."""
        self._given_up.set()

    def join(self) -> None:
        """Wait for the thread, which has called `on_end` as the last thing that it does."""
        self._thread.join()

    def _run(self) -> None:
        openings: list[Opening] = []
        settled: list[Row] = []
        pause = _FIRST_PAUSE
        while not self._given_up.is_set():
            if self._take(openings, settled):
                break
            wanted = [opening for opening in openings if not opening.abandoned]
            discarded = len(openings) - len(wanted)
            openings = wanted
            if not openings and not settled:
                if discarded:
                    self._report(Report(discarded=discarded))
                continue
            try:
                self._store.write([opening.row for opening in openings], settled)
            except Exception as error:  # whatever it is, the rows are kept and the reactor hears it
                text = str(error) or type(error).__name__
                if is_locked(error):
                    pause = _FIRST_PAUSE  # SQLite has waited already
                    self._report(Report(discarded=discarded, error=text))
                else:
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    self._report(Report((), 0, tuple(openings), discarded, text))
                    openings = []
                self._given_up.wait(pause)
            else:
                pause = _FIRST_PAUSE
                self._report(Report(tuple(openings), len(settled), (), discarded))
                openings, settled = [], []
        self._store.close()
        self._reactor.callFromThread(self._on_end)

    def _take(self, openings: list[Opening], settled: list[Row]) -> bool:
        """Add everything that is queued to the batch, wait if it is empty; True at the end."""
        wait = not openings and not settled
        try:
            while True:
                item = self._queue.get(block=wait)
                wait = False
                if isinstance(item, Opening):
                    openings.append(item)
                elif item is None:
                    return True
                else:
                    settled.append(item)
        except Empty:
            return False

    def _report(self, report: Report) -> None:
        self._reactor.callFromThread(self._on_report, report)
