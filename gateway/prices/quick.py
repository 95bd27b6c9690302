"""Costs of records in the reactor's thread: a look into a table, and a multiplication.

`QuickPrices` remembers by which rule the requests of an upstream and a model are priced.  It knows
nothing by itself: the thread of `link` prices the first request of a model and has it `learn`, so
that nothing is looked up or imported in the reactor's thread.  What it cannot tell for certain
(usage with a cost or a price of its own, batches, prices that are not linear) is not its business:
`priced_record` says None, and the record goes the long way.

One thread may call `learn` while another calls `priced_record`: both touch the table by single
operations of a dict.
"""

from __future__ import annotations

import datetime
from typing import Final

from msgspec.structs import replace

from ..nature import BATCH_RESULT
from ..record import Outcome, Record
from .linear import Rule, Verdict
from .usage_raw import has_extras

#: Seconds for which a rule holds: prices change with the half hour, none faster.
PERIOD: Final = 1800
#: How many rules are remembered; names of models come from clients and upstreams.
_MOST_RULES: Final = 2000

#: The upstream, the model served, the model requested, the number of the period.
Key = tuple[str, str | None, str | None, int]


class QuickPrices:
    """The table.  Its counters are written by `priced_record` alone."""

    def __init__(self) -> None:
        self.priced = 0
        self.unpriced = 0
        self._rules: dict[Key, Rule] = {}

    def priced_record(self, record: Record) -> Record | None:
        """The record with its cost, or as it is where none is known; None if it is to be asked for.

        The record has usage.
        """
        intent = record.intent
        rule = self._rules.get(key_of(record))
        if rule is None or rule is Verdict.ASK or intent.dialect == BATCH_RESULT:
            return None
        if record.usage_raw is not None and has_extras(record.usage_raw):
            return None
        if record.outcome is Outcome.REPLAYED:
            return record  # what is answered from a copy was paid for once
        if isinstance(rule, Verdict):
            self.unpriced += 1
            return record
        output = record.usage.output_tokens
        if output is None and intent.dialect.endswith("_embeddings"):
            output = 0
        cost = rule.cost(record.usage, output)
        if cost is None:
            return None
        self.priced += 1
        return replace(record, cost_usd=cost, price_snapshot=rule.snapshot)

    def knows(self, key: Key) -> bool:
        """Whether a rule was learnt for it."""
        return key in self._rules

    def learn(self, key: Key, rule: Rule) -> None:
        """Remember a rule, in place of the oldest where there are too many."""
        if len(self._rules) >= _MOST_RULES:
            del self._rules[next(iter(self._rules))]
        self._rules[key] = rule


def key_of(record: Record) -> Key:
    """What the rule for a record follows from."""
    intent = record.intent
    # A row tells the time to the nearest microsecond, and pricing it again is to give the same.
    period = int((intent.started_at + 5e-7) // PERIOD)
    return (intent.upstream, record.model_served, intent.model_requested, period)


def start_of(key: Key) -> datetime.datetime:
    """The moment at which the key's period begins."""
    return datetime.datetime.fromtimestamp(key[3] * PERIOD, datetime.UTC)
