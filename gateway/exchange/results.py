"""Rows for the results of a batch, which are many in one answer.

Each result gets a row of its own, beside the row of the request that fetched it.  The row's id
follows from the upstream, the batch and the result's key, and what is settled in the ledger stays
as it is: so a result counts once, however often it is fetched, by whom, and after whatever crash.
No intent announces these rows: an open one would be settled as killed if the process died, and then
never get its usage.

Invariants
- The bytes are passed on first, by `BodyRelay`; nothing here changes them.
- A turn of the reactor makes `SLICE` rows at most, and `UNDER_WAY` are on their way to the ledger
  at a time.  While more than `HIGH` results wait, the upstream is not read.
- A ledger without room is waited for, so long as `PATIENCE`: accounting must not stop an answer for
  good.  After that, the rest of this answer's results get no rows, which the row and the log tell.
  They are still there to be fetched again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ..dialects.base import Meter, Reading, Result, ResultsMeter
from ..record import Intent, Outcome, Phase, Record, Usage, UsageSource, derived_id
from .completion import complete
from .deadlines import Moments
from .mask import KeyMask
from .recipient import Recipient
from .relay import BodyRelay
from .services import Services

_log = Logger(namespace="gateway.exchange")

#: Rows that are made in one turn of the reactor: well under a millisecond.
SLICE: Final = 4
#: Rows on their way to the ledger at a time: in the thread that prices them, which competes with
#: the reactor.  Four times as many were hardly faster, and neighbours waited for them.
UNDER_WAY: Final = 16
#: Results that may wait before the upstream is read no more, and those at which it is again.
HIGH: Final = 512
LOW: Final = 128
#: Seconds between two looks for room in the ledger, and those for which it is waited for.
LOOK: Final = 0.1
PATIENCE: Final = 10.0


class ResultRows:
    """The results of one answer on their way into the ledger."""

    def __init__(
        self,
        services: Services,
        intent: Intent,
        dialect: str,
        results_of: str,
        credentials: Sequence[bytes] = (),
    ) -> None:
        """`intent` is the fetching request's; `dialect` and `results_of` are what
        `Dialect.results` and `Peek.results_of` tell; `credentials` are the request's, which no row
        may tell.
        """
        self.lost = 0  #: results that got no row because the ledger had no room
        self._services = services
        self._intent = replace(intent, dialect=dialect, stream=False, answer_of=intent.id)
        self._results_of = results_of
        self._credentials = credentials
        self._hold: Callable[[], None] = _nothing
        self._release: Callable[[], None] = _nothing
        self._waiting: deque[Result] = deque()
        self._under_way = 0
        self._made = 0
        self._next: IDelayedCall | None = None
        self._without_room: float | None = None  # since when
        self._over = False  # no more will come

    def pace(self, hold: Callable[[], None], release: Callable[[], None]) -> None:
        """From now on `hold` stops the upstream from being read, and `release` has it read."""
        self._hold, self._release = hold, release
        if len(self._waiting) > HIGH:
            hold()

    def put(self, results: Sequence[Result]) -> None:
        """Take what a read has brought."""
        if self.lost:
            self.lost += len(results)
            return
        self._waiting.extend(results)
        if self._waiting:
            self._services.results.add(self)
            self._soon()
            if len(self._waiting) > HIGH:
                self._hold()

    def finish(self) -> None:
        """No more will come, and the upstream is not ours any more."""
        self._over = True
        self._hold = self._release = _nothing
        self._tell()

    def flush(self) -> None:
        """Make the rows of all that waits, at once: the process is about to end."""
        while self._waiting:
            self._settle(self._waiting.popleft())
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _soon(self, seconds: float = 0) -> None:
        if self._next is None:
            self._next = self._services.clock.callLater(seconds, self._work)

    def _work(self) -> None:
        """Make some rows; go on in a later turn of the reactor."""
        self._next = None
        if not self._services.ledger.has_room():
            self._wait_for_room()
            return
        self._without_room = None
        for _ in range(min(SLICE, UNDER_WAY - self._under_way, len(self._waiting))):
            self._settle(self._waiting.popleft())
        if len(self._waiting) <= LOW:
            self._release()
        if self._waiting and self._under_way < UNDER_WAY:
            self._soon()

    def _wait_for_room(self) -> None:
        now = self._services.clock.seconds()
        if self._without_room is None:
            self._without_room = now
        if now - self._without_room < PATIENCE:
            self._soon(LOOK)
            return
        self.lost = len(self._waiting)
        self._waiting.clear()
        self._release()
        self._tell()

    def _settle(self, result: Result) -> None:
        self._under_way += 1
        self._made += 1
        intent, reading = self._intent, result.reading
        id = derived_id(intent.upstream, self._results_of, result.key)
        record = Record(
            intent=replace(intent, id=id),
            ended_at=self._services.wall(),
            outcome=Outcome.FINISHED,
            phase=Phase.DONE,
            error_detail=reading.usage_problem,
            model_served=reading.model,
            stop_reason=reading.stop_reason,
            usage=reading.usage,
            usage_source=UsageSource.NONE if reading.usage == Usage() else UsageSource.PROVIDER,
            usage_raw=reading.usage_raw,
        )
        record = self._services.redactor.record(record, self._credentials)
        complete(record, self._services.links).addCallback(self._settled)

    def _settled(self, record: Record) -> None:
        self._under_way -= 1
        if self._waiting and self._without_room is None:
            self._soon()
        self._tell()

    def _tell(self) -> None:
        """Say how many there were, once all of it is done."""
        if not self._over or self._waiting or self._under_way:
            return
        self._services.results.discard(self)
        made, self._made = self._made, 0
        if made:
            _log.info(
                "request {id}: {results} of {batch} given to the ledger, which keeps the first row "
                "of each",
                id=self._intent.answer_of,
                results="1 result" if made == 1 else f"{made} results",
                batch=self._results_of,
            )
        if self.lost:
            _log.error(
                "request {id}: {count} results of {batch} were not counted, because the ledger "
                "took no rows; they are when the results are fetched again",
                id=self._intent.answer_of,
                count=self.lost,
                batch=self._results_of,
            )


class ResultsRelay(BodyRelay):
    """Passes results on as they come, and has rows made of them."""

    def __init__(
        self,
        request: Recipient,
        meter: Meter,
        results: ResultsMeter,
        rows: ResultRows,
        moments: Moments,
        clock: IReactorTime,
        mask: KeyMask | None = None,
    ) -> None:
        """`meter` is `results`, or feeds it."""
        super().__init__(request, meter, moments, clock, mask, streamed=False)
        self._results = results
        self._rows = rows

    def feed(self, data: bytes) -> None:
        """One read of the upstream's body."""
        super().feed(data)
        self._rows.put(self._results.take())

    def upstream_ended(self) -> None:
        """The body is whole."""
        super().upstream_ended()
        self._rows.put(self._results.take())

    def reading(self) -> Reading:
        """What the meter saw, and what the ledger did not take."""
        reading, lost = super().reading(), self._rows.lost
        if not lost:
            return reading
        told = f"{lost} results were not counted: the ledger took no rows; fetch them again"
        return replace(reading, usage_problem=told)


def _nothing() -> None:
    """There is nothing to hold."""
