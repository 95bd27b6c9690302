"""Prices by which a cost is a few multiplications: so many dollars for a token of each kind.

Nearly all prices are like that, tiers by the length of the input included; then the reactor's
thread reckons a cost in two microseconds.  What is not (`Verdict.ASK`) goes the long way.

The result is to the last bit that of a reckoning in decimal numbers: amounts are whole multiples of
``1 / per`` dollars, sums of them are exact, and the one division at the end is correctly rounded,
as is ``float`` of a `Decimal`.  The limits on digits and counts keep the decimal reckoning that it
replaces exact as well, in the 28 digits that it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from ..dialects.counts import MOST
from ..record import Usage

_MILLION: Final = 1_000_000
#: Amounts from here on are too long: 6 products with counts up to 10^9 have to fit into 28 digits.
_LONGEST: Final = 10**18


class Verdict(Enum):
    """What is known of a price that is not linear."""

    UNKNOWN = "unknown"  #: there is none, whatever the tokens are
    ASK = "ask"  #: who has the price has to be asked each time


class Amounts(NamedTuple):
    """US dollars for a million tokens, by kind, of an input of more than `beyond` tokens."""

    beyond: int
    input: Decimal  #: neither read from nor written to a cache
    cache_read: Decimal
    cache_write: Decimal  #: for less than an hour
    cache_write_1h: Decimal
    output: Decimal  #: without reasoning
    reasoning: Decimal


@dataclass(frozen=True, slots=True)
class Linear:
    """See the module's text; made by `linear`."""

    snapshot: str  #: the name of the prices
    per: int
    #: As `Amounts`, in multiples of 1 / `per` dollars; the greatest `beyond` first, -1 last.
    steps: tuple[tuple[int, int, int, int, int, int, int], ...]

    def cost(self, usage: Usage, output: int | None) -> float | None:
        """US dollars; None where the tokens are not known, or contradict one another.

        `output` takes the place of what `usage` says of it.
        """
        total = usage.input_tokens
        if total is None or output is None or total > MOST or output > MOST:
            return None
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        hour, reasoning = usage.cache_write_1h_tokens or 0, usage.reasoning_tokens or 0
        plain = total - read - written
        if plain < 0 or hour > written or reasoning > output:
            return None
        for step in self.steps:
            if total > step[0]:
                return (
                    plain * step[1]
                    + read * step[2]
                    + (written - hour) * step[3]
                    + hour * step[4]
                    + (output - reasoning) * step[5]
                    + reasoning * step[6]
                ) / self.per
        return None


Rule = Linear | Verdict


def linear(snapshot: str, steps: Iterable[Amounts]) -> Rule:
    """The rule for these amounts; `Verdict.ASK` where they have too many digits to be exact."""
    ordered = sorted(steps, reverse=True)
    amounts = [amount for step in ordered for amount in step[1:]]
    exponents = [amount.as_tuple().exponent for amount in amounts]
    places = max((-e for e in exponents if isinstance(e, int)), default=0)
    if places > 18 or any(amount >= _LONGEST // 10 ** max(places, 0) for amount in amounts):
        return Verdict.ASK
    scale = 10 ** max(places, 0)
    return Linear(
        snapshot,
        scale * _MILLION,
        tuple(
            (
                step.beyond,
                int(step.input * scale),
                int(step.cache_read * scale),
                int(step.cache_write * scale),
                int(step.cache_write_1h * scale),
                int(step.output * scale),
                int(step.reasoning * scale),
            )
            for step in ordered
        ),
    )
