"""Reading a JSON object that is too long to be held, from its beginning and its end.

Providers put what counts behind what is long: Gemini its usage behind an image, Ollama its counts
behind the tokens of a context.  The meters of both call this from `Meter.feed_part`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .jsonpick import Windows


class LongObject:
    """Collects the parts of one object after the other; `head` and `tail` are as in `Windows`."""

    def __init__(self, head: Iterable[str], tail: Mapping[str, bytes]) -> None:
        self._head: Final = tuple(head)
        self._tail: Final = tail
        self._windows: Windows | None = None

    def feed(self, part: bytes, *, last: bool) -> list[bytes]:
        """Take the next part; with the `last` one, return documents that tell what the object does.

        What leads the object (a field's name, a comma) is dropped, if it comes with the first part.
        """
        if self._windows is None:
            self._windows = Windows()
            part = part[max(part.find(b"{"), 0) :]
        self._windows.feed(part)
        if not last:
            return []
        windows, self._windows = self._windows, None
        return windows.documents(self._head, self._tail)
