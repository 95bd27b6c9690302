"""Rows of a ledger priced once more: after a price was added or corrected, or the meter was.

Tokens are read again from ``usage_raw`` as far as it tells them (see `recount`), else taken from
the columns.  Where no price is known now, the row stays as it is: running this without the extra
``prices`` does not throw away what was known with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..ledger.costs import Cost, CostWriter, priceable
from ..ledger.queries import Filter
from ..record import Outcome, Usage, Value
from .charge import CHARGE_COLUMNS, Charge, charge_of_row
from .pricer import Pricer
from .recount import recounted

_COLUMNS = ("id", "outcome", "stop_reason", *CHARGE_COLUMNS, "cost_usd", "price_snapshot")


@dataclass(slots=True)
class Repricing:
    """What was done."""

    requests: int = 0  #: rows that were looked at
    changed: int = 0  #: rows whose cost or snapshot is another now
    unchanged: int = 0
    unknown: int = 0  #: rows that have no known price now; they stay as they are
    before_usd: float = 0.0  #: the sum of their costs, as far as they were known
    after_usd: float = 0.0
    unpriced: Counter[tuple[str, str]] = field(default_factory=Counter)  #: by upstream and model


def reprice(
    pricer: Pricer, ledger: CostWriter, which: Filter, *, dry_run: bool = False
) -> Repricing:
    """Price rows again; with `dry_run` only say what would change.  Raises `LedgerError`."""
    done = Repricing()
    for page in priceable(ledger.reader, _COLUMNS, which):
        costs = [cost for row in page if (cost := _cost(pricer, row, done))]
        if costs and not dry_run:
            ledger.write(costs)
    return done


def _cost(pricer: Pricer, row: Mapping[str, Value], done: Repricing) -> Cost | None:
    """What the row is to say, if it says something else."""
    before = row["cost_usd"]
    known = float(before) if isinstance(before, int | float) else 0.0
    charge = _charge(row)
    price = None if row["outcome"] == Outcome.REPLAYED else pricer.price(charge)
    done.requests += 1
    done.before_usd += known
    done.after_usd += known if price is None else price.cost_usd
    if price is None:
        done.unknown += 1
        done.unpriced[charge.upstream, charge.models[0] if charge.models else "-"] += 1
        return None
    if (before, row["price_snapshot"]) == (price.cost_usd, price.snapshot):
        done.unchanged += 1
        return None
    done.changed += 1
    return Cost(price.cost_usd, price.snapshot, str(row["id"]))


def _charge(row: Mapping[str, Value]) -> Charge:
    charge = charge_of_row(row)
    if charge.usage_raw is None:
        return charge
    whole = row["stop_reason"] not in (None, "incomplete")
    usage = recounted(charge.dialect, charge.usage_raw, whole=whole)
    return charge if usage in (None, Usage()) else replace(charge, usage=usage)
