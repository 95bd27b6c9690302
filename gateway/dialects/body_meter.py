"""What the meters of answers that are one JSON object have in common: they read at the end."""

from __future__ import annotations

from .base import Meter
from .jsonpick import Windows


class BodyMeter(Meter):
    """Keeps a body, or the beginning and the end of a very long one, until somebody asks.

    HTTP alone tells whether such a body is whole.
    """

    def __init__(self) -> None:
        self._windows = Windows()

    def feed(self, block: bytes) -> None:
        """Take the next piece of the body."""
        self._windows.feed(block)

    def end(self) -> None:
        """The body is whole."""
        self.complete = True
