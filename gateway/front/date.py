"""The Date field of responses that have none (RFC 9110, 6.6.1), made once a second."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate


class HttpDate:
    """Call it for the current date as a field's value; `wall` is seconds since the epoch."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._second = -1
        self._value = b""

    def __call__(self) -> bytes:
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self._value = formatdate(second, usegmt=True).encode("ascii")
        return self._value
