"""Counters of a process that serves, filled once a request, at its end.

`Meter.count` is a link of the completion chain, behind the ledger's: what it costs, it costs each
request, so it adds to plain dicts and makes nothing.  `gateway.admin.snapshot` reads them.

Models are texts of clients and of upstreams.  Only those that used tokens or money are told apart,
so that nobody fills the table with requests that are refused, and only `MODELS` of them; the rest
are `OTHER`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import Final

from ..record import Record
from .families import BUCKETS

#: How many models a process tells apart.
MODELS: Final = 200
#: Stands for all further ones.
OTHER: Final = "other"
#: Stands where no model is known.
UNKNOWN: Final = "unknown"
#: Characters of a model's name that are shown.
_LONGEST: Final = 120
#: Answers that can be asked for again and whose usage was counted, remembered so that it is not
#: counted twice.
_REMEMBERED: Final = 1000

Where = tuple[str, str]


class Place:
    """The counters of a route and its upstream."""

    __slots__ = (
        "durations", "errors", "events", "first_events", "heads", "keepalives", "outcomes",
        "paused", "paused_ms", "request_bytes", "response_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], int] = {}  #: by outcome and dialect
        self.errors: dict[str, int] = {}
        self.request_bytes = 0
        self.response_bytes = 0
        self.events = 0
        self.keepalives = 0
        self.paused = 0  #: requests
        self.paused_ms = 0.0
        self.heads = Histogram()
        self.first_events = Histogram()
        self.durations = Histogram()


class Histogram:
    """How many of `BUCKETS` times there were, and their sum.  Times in milliseconds."""

    __slots__ = ("counts", "sum_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum_ms = 0.0

    def add(self, milliseconds: float) -> None:
        """One more."""
        self.counts[bisect_left(_BUCKETS_MS, milliseconds)] += 1
        self.sum_ms += milliseconds

    def told(self) -> list[float]:
        """As `gateway.admin.sums.Samples` has it, in seconds."""
        return [*self.counts, self.sum_ms / 1000]


_BUCKETS_MS: Final = tuple(1000 * seconds for seconds in BUCKETS)


class Meter:
    """See the module's text."""

    def __init__(self, models: int = MODELS) -> None:
        """`models` is how many are told apart."""
        self.places: dict[Where, Place] = {}
        #: By model: tokens of input, cache_read, cache_write, output, reasoning.
        self.tokens: dict[str, list[int]] = {}
        self.dollars: dict[str, float] = {}
        self._models = models
        self._names: dict[str, str] = {}  # as they come: as they are shown
        self._counted: OrderedDict[str, None] = OrderedDict()

    def count(self, record: Record) -> None:
        """A request has ended."""
        intent = record.intent
        where = (intent.route, intent.upstream)
        place = self.places.get(where)
        if place is None:
            place = self.places[where] = Place()
        how = (str(record.outcome), intent.dialect)
        place.outcomes[how] = place.outcomes.get(how, 0) + 1
        if record.error is not None:
            code = record.error.value
            place.errors[code] = place.errors.get(code, 0) + 1
        place.request_bytes += intent.request_bytes
        place.response_bytes += record.response_bytes or 0
        place.events += record.events or 0
        place.keepalives += record.keepalives or 0
        if record.paused_ms:
            place.paused += 1
            place.paused_ms += record.paused_ms
        if record.head_ms is not None:
            place.heads.add(record.head_ms)
        if record.first_event_ms is not None:
            place.first_events.add(record.first_event_ms)
        if record.attempts and record.duration_ms is not None:
            place.durations.add(record.duration_ms)
        usage = record.usage
        if usage.input_tokens or usage.output_tokens or record.cost_usd:
            self._spent(record)

    def _spent(self, record: Record) -> None:
        """Add tokens and dollars, of an answer that is given several times only once."""
        if record.response_id is not None:
            known = record.response_id in self._counted
            if known and record.replay:
                return
            self._counted[record.response_id] = None
            if len(self._counted) > _REMEMBERED:
                self._counted.popitem(last=False)
        asked = record.model_served or record.intent.model_requested or UNKNOWN
        model = self._names.get(asked) or self._named(asked)
        tokens = self.tokens.get(model)
        if tokens is None:
            tokens = self.tokens[model] = [0, 0, 0, 0, 0]
        usage = record.usage
        read = usage.cache_read_tokens or 0
        written = usage.cache_write_tokens or 0
        reasoning = usage.reasoning_tokens or 0
        tokens[0] += max(0, (usage.input_tokens or 0) - read - written)
        tokens[1] += read
        tokens[2] += written
        tokens[3] += max(0, (usage.output_tokens or 0) - reasoning)
        tokens[4] += reasoning
        if record.cost_usd:
            self.dollars[model] = self.dollars.get(model, 0.0) + record.cost_usd

    def _named(self, asked: str) -> str:
        """A model that was not seen before, as it is shown."""
        if len(self._names) >= self._models:
            return OTHER
        shown = asked[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
        self._names[asked] = shown
        return shown
