"""How many bytes of request bodies all connections together may hold (``max_buffered``)."""

from __future__ import annotations


class BodyBudget:
    """A counter with a limit; whoever takes bytes gives them back when it lets go of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> bool:
        """Claim `size` bytes; False, and nothing claimed, if that would exceed the limit."""
        if self.held + size > self.limit:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """Return `size` bytes that were taken before."""
        self.held -= size
