"""What caches saved, in US dollars, by today's prices.

Told by the rows that read from a cache or wrote to one, each at the prices of the moment at which
it began.  What a provider reported as the cost does not matter here: it says nothing of what it
would have been without a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ..record import Value
from .charge import CHARGE_COLUMNS, charge_of_row
from .pricer import Pricer


@dataclass(slots=True)
class Savings:
    """Of one group of requests."""

    usd: Decimal | None = None  #: None while no row has a price
    unknown: int = 0  #: rows that are not in it, for want of a price


def savings(pricer: Pricer, rows: Iterable[Mapping[str, Value]], by: str) -> dict[Value, Savings]:
    """What was saved, by the value of the column `by`; `rows` as `queries.cached` gives them."""
    groups: dict[Value, Savings] = {}
    missing = dict.fromkeys(CHARGE_COLUMNS)
    for row in rows:
        group = groups.setdefault(row[by], Savings())
        charge = charge_of_row({**missing, **row})
        rates = pricer.rates(charge)
        if rates is None:
            group.unknown += 1
        else:
            group.usd = (group.usd or Decimal()) + rates.saved(charge.usage)
    return groups
