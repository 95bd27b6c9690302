"""The operator's own prices: which ``[prices NAME]`` holds for a request, and what it comes to.

Of the sections that fit, one that names the upstream comes before one that does not, then the
pattern with the most literal characters, then the latest ``valid_from`` that has begun.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from decimal import Decimal

from ..config.model import Prices
from .charge import Charge
from .linear import Amounts, Rule, linear
from .rates import Rates

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """One pattern of one section.  Greater entries come first."""

    rank: tuple[bool, int, datetime.date]
    pattern: re.Pattern[str]
    prices: Prices
    snapshot: str


class OwnPrices:
    """All sections.  Immutable."""

    def __init__(self, sections: Iterable[Prices]) -> None:
        entries = [
            _Entry(
                rank=(
                    bool(prices.upstreams),
                    len(model.replace("*", "")),
                    prices.valid_from or datetime.date.min,
                ),
                pattern=_compiled(model),
                prices=prices,
                snapshot=_snapshot(prices),
            )
            for prices in sections
            for model in prices.models
        ]
        self._entries = sorted(entries, key=lambda entry: entry.rank, reverse=True)

    def knows(self, upstream: str) -> bool:
        """Whether any section could hold for a request to this upstream."""
        return any(_is_for(entry.prices, upstream) for entry in self._entries)

    def price(self, charge: Charge) -> tuple[Decimal | None, str] | None:
        """Dollars and the name of the prices; None if no section holds.

        The dollars are None where a section holds but the tokens are not known.
        """
        entry = self._find(charge)
        if entry is None:
            return None
        cost, share = _cost(entry.prices, charge), _share(entry.prices, charge)
        return (None if cost is None or share is None else cost * share, entry.snapshot)

    def rates(self, charge: Charge) -> Rates | None:
        """What a million tokens of input cost, by kind; None if no section holds."""
        entry = self._find(charge)
        if entry is None:
            return None
        amounts, share = _amounts(entry.prices), _share(entry.prices, charge)
        if share is None:
            return None
        return Rates(
            input=amounts.input * share,
            cache_read=amounts.cache_read * share,
            cache_write=amounts.cache_write * share,
            cache_write_1h=amounts.cache_write_1h * share,
        )

    def rule(self, charge: Charge) -> Rule | None:
        """How requests like it are priced on its day, batches aside; None if no section holds."""
        entry = self._find(charge)
        return None if entry is None else linear(entry.snapshot, [_amounts(entry.prices)])

    def _find(self, charge: Charge) -> _Entry | None:
        """The section for the model that answered, or else for the one that was asked for."""
        day = charge.began.astimezone(datetime.UTC).date()
        for model in charge.models:
            for entry in self._entries:
                begun = entry.prices.valid_from is None or entry.prices.valid_from <= day
                if begun and _is_for(entry.prices, charge.upstream) and entry.pattern.match(model):
                    return entry
        return None


def _is_for(prices: Prices, upstream: str) -> bool:
    return not prices.upstreams or upstream in prices.upstreams


def _share(prices: Prices, charge: Charge) -> Decimal | None:
    """What part of these prices holds; None if that is not known."""
    return prices.batch if charge.batched else Decimal(1)


def _cost(prices: Prices, charge: Charge) -> Decimal | None:
    usage = charge.usage
    total_in, total_out = usage.input_tokens, charge.output_tokens
    if total_in is None or total_out is None:
        return None
    # What was not told of a part is that there is none, as the provider's own bill has it.
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    written_1h, reasoning = usage.cache_write_1h_tokens or 0, usage.reasoning_tokens or 0
    plain = total_in - read - written
    if plain < 0 or written_1h > written or reasoning > total_out:
        return None
    amounts = _amounts(prices)
    return (
        plain * amounts.input
        + read * amounts.cache_read
        + (written - written_1h) * amounts.cache_write
        + written_1h * amounts.cache_write_1h
        + (total_out - reasoning) * amounts.output
        + reasoning * amounts.reasoning
    ) / _MILLION


def _amounts(prices: Prices) -> Amounts:
    """A section's prices; what has none of its own costs what it is a part of."""
    write = _or(prices.cache_write, prices.input)
    return Amounts(
        beyond=-1,
        input=prices.input,
        cache_read=_or(prices.cache_read, prices.input),
        cache_write=write,
        cache_write_1h=_or(prices.cache_write_1h, write),
        output=prices.output,
        reasoning=_or(prices.reasoning, prices.output),
    )


def _or(price: Decimal | None, instead: Decimal) -> Decimal:
    return instead if price is None else price


def _compiled(model: str) -> re.Pattern[str]:
    """Possessive runs are not needed: names are short, and patterns are the operator's."""
    literal = ".*".join(map(re.escape, re.split(r"\*+", model)))
    return re.compile(rf"{literal}\Z", re.IGNORECASE | re.DOTALL)


def _snapshot(prices: Prices) -> str:
    """The section's name and a digest of what it says: an edited price is another one."""
    digest = hashlib.sha256(repr(astuple(prices)).encode()).hexdigest()[:8]
    return f"{prices.name}/{prices.valid_from or 'always'}/{digest}"
