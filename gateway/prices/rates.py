"""What a cache saved: its tokens at the price of plain input, less what they did cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..record import Usage


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for a million tokens of input, by kind."""

    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal

    def saved(self, usage: Usage) -> Decimal:
        """US dollars; negative where writing the cache cost more than reading it saved."""
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        written_1h = min(usage.cache_write_1h_tokens or 0, written)
        return (
            read * (self.input - self.cache_read)
            + (written - written_1h) * (self.input - self.cache_write)
            + written_1h * (self.input - self.cache_write_1h)
        ) / 1_000_000
