"""What a request costs: the provider's own word, else the operator's prices, else list prices."""

from __future__ import annotations

import datetime
import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final

from msgspec import structs
from twisted.logger import Logger

from ..config.model import Config
from ..config.price import OFF
from ..journal.kinds import Kind
from ..record import Record
from . import offline
from .charge import Charge, charge_of
from .linear import Rule, Verdict
from .offline import ListPrices
from .own import OwnPrices
from .quick import PERIOD, QuickPrices, key_of, start_of
from .rates import Rates
from .usage_raw import extras

__all__ = ["MISSING", "REPORTED", "Price", "Pricer", "Rates"]

_log = Logger(namespace="gateway.prices")

#: What `Price.snapshot` says where the provider itself reported the cost.
REPORTED: Final = "provider"
#: What people are told where `Pricer.missing`.
MISSING: Final = (
    "no list prices: the extra prices (the package genai-prices) is not installed; "
    "costs are known only where [prices NAME] or the provider tells them"
)
#: How many pairs of upstream and model without a price are named in the log.
_MOST_NAMED: Final = 100


@dataclass(frozen=True, slots=True)
class Price:
    """What a request cost, and by which prices."""

    cost_usd: float
    snapshot: str


class Pricer:
    """Prices requests.  To be used by one thread at a time, but for `quickly` and the counters."""

    def __init__(self, own: OwnPrices, listed: ListPrices | None = None) -> None:
        self.missing = False  #: list prices were wanted and are not installed
        self._priced = self._unpriced = 0
        self._quick = QuickPrices()
        self._own = own
        self._loaded = listed
        self._load: Callable[[], ListPrices | None] | None = None
        self._named: set[tuple[str, str]] = set()

    @classmethod
    def of(cls, config: Config) -> Pricer:
        """The prices of a configuration; the list prices are read when one is asked for."""
        wanted = any(upstream.prices != OFF for upstream in config.upstreams.values())
        pricer = cls(OwnPrices(config.prices))
        pricer.missing = wanted and not offline.installed()
        if wanted and not pricer.missing:
            pricer._load = partial(offline.load, config.upstreams)
        return pricer

    @property
    def priced(self) -> int:
        """Records that got a price."""
        return self._priced + self._quick.priced

    @property
    def unpriced(self) -> int:
        """Records that told their usage and whose cost is not known."""
        return self._unpriced + self._quick.unpriced

    @property
    def _listed(self) -> ListPrices | None:
        if self._load is not None:
            load, self._load = self._load, None
            self._loaded = load()
            gc.freeze()  # it stays: the collector need not go through it again and again
        return self._loaded

    def price(self, charge: Charge) -> Price | None:
        """What a request cost; None if that is not known.

        A section of the operator's own that holds is the last word on a model, also where it does
        not get the tokens that it needs.
        """
        told = extras(charge.usage_raw)
        if told.reported is not None:
            return _price(told.reported, REPORTED)
        found = self._own.price(charge)
        if found is not None:
            cost, snapshot = found
            return None if cost is None else _price(cost, snapshot)
        if self._listed is None:
            return None
        cost = self._listed.price(charge, told)
        return None if cost is None else _price(cost, self._listed.snapshot)

    def rates(self, charge: Charge) -> Rates | None:
        """What a million tokens of its input cost by kind; None if that is not known."""
        rates = self._own.rates(charge)
        return self._listed.rates(charge) if rates is None and self._listed is not None else rates

    def quickly(self, record: Record) -> Record | None:
        """As `priced_record`, in some 15 microseconds; None where that has to be asked.

        The record has usage.  May be called while another thread is in any other method.
        """
        return self._quick.priced_record(record)

    def priced_record(self, record: Record) -> Record:
        """The record with its cost, or as it is if that is not known.

        The next one of its model is priced `quickly`, if that can be.
        """
        charge = charge_of(record)
        if charge is None:
            return record
        price = self.price(charge)
        if price is None or price.snapshot != REPORTED:
            self._learn(record, charge)
        if price is None:
            self._unpriced += 1
            self._name(charge)
            return record
        self._priced += 1
        return structs.replace(record, cost_usd=price.cost_usd, price_snapshot=price.snapshot)

    def _learn(self, record: Record, charge: Charge) -> None:
        """Remember how requests like this one are priced.

        Not of one whose tokens are unknown: it would not be named in the log (see `_name`).
        """
        key = key_of(record)
        if not self._quick.knows(key) and _tokens_known(charge):
            self._quick.learn(key, self._rule(replace(charge, began=start_of(key))))

    def _rule(self, charge: Charge) -> Rule:
        own = self._own.rule(charge)
        if own is not None:
            return own
        if self._listed is None:
            return Verdict.UNKNOWN
        return self._listed.rule(charge, charge.began + datetime.timedelta(seconds=PERIOD))

    def _name(self, charge: Charge) -> None:
        """Say once of each model that it has no price, where prices are expected."""
        if not _tokens_known(charge):
            return  # not the price is missing
        expected = self._listed is not None and charge.upstream in self._listed.providers
        if not expected and not self._own.knows(charge.upstream):
            return
        what = (charge.upstream, charge.models[0] if charge.models else "")
        if what not in self._named and len(self._named) < _MOST_NAMED:
            self._named.add(what)
            _log.warn(
                "no price is known for the model {model!r} of upstream {upstream}: its cost is "
                "unknown; add a [prices NAME] section for it and run gatewayctl reprice",
                model=what[1],
                upstream=what[0],
                kind=Kind.NO_PRICE,
            )


def _tokens_known(charge: Charge) -> bool:
    return charge.usage.input_tokens is not None and charge.output_tokens is not None


def _price(dollars: Decimal, snapshot: str) -> Price:
    return Price(float(dollars), snapshot)
