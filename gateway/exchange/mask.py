"""Hides the gateway's own key in what an upstream answers, which goes on to a client.

Providers tell a wrong key back, the careful ones in part; the client is not to learn it.  Asterisks
take its place, as many as it has bytes, so that lengths and framing stay.  A compressed answer is
not looked into.
"""

from __future__ import annotations

from .forward import Pairs


class KeyMask:
    """Takes an answer piece by piece; what could be the beginning of the key waits for the next."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._stars = b"*" * len(key)
        self._held = b""

    def whole(self, data: bytes) -> bytes:
        """`data`, of which nothing more comes, without the key."""
        return data.replace(self._key, self._stars)

    def feed(self, data: bytes) -> bytes:
        """The next piece, as far as it can go on."""
        data = self.whole(self._held + data)
        cut = len(data) - self._beginning(data)
        self._held = data[cut:]
        return data[:cut]

    def finish(self) -> bytes:
        """What was held back, at the end of the answer."""
        held, self._held = self._held, b""
        return held

    def _beginning(self, data: bytes) -> int:
        """How many bytes at the end of `data` the key could begin with."""
        for size in range(min(len(self._key) - 1, len(data)), 0, -1):
            if data.endswith(self._key[:size]):
                return size
        return 0


def masked(mask: KeyMask | None, reason: bytes, pairs: Pairs) -> tuple[bytes, Pairs]:
    """A head's reason and fields as the client may see them."""
    if mask is None:
        return reason, pairs
    # Asterisks may stand in a field's name, too (RFC 9110, 5.6.2).
    return mask.whole(reason), [(mask.whole(name), mask.whole(value)) for name, value in pairs]
