"""Events that are too long to be held: how their parts reach a meter, and how a meter reads them.

An image is one event of several MB, and a ``response.completed`` repeats the instructions and tools
of its request; usage stands near the end of both.  `show` gives a meter what one read of a stream
brought; a meter that reads long events keeps a `LongEvent` while one lasts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from ..jsonstream import Scanner
from ..sse import BOM, EventScanner
from .base import Meter
from .jsonpick import Windows

_DATA: Final = re.compile(rb"(?:\A|[\r\n])data:")


def show(meter: Meter, block: bytes, scanner: EventScanner | Scanner) -> None:
    """Feed `meter` with what `scanner.feed` just returned."""
    whole = scanner.whole
    if whole is None:
        meter.feed(block)
        return
    before, after = block[: whole.start].removeprefix(BOM), block[whole.stop :]
    if before:
        meter.feed_part(before, last=bool(after) or not scanner.in_long_event)
    if whole.stop > whole.start:
        meter.feed(block[whole])
    if after:
        meter.feed_part(after.removeprefix(BOM), last=False)


class LongEvent:
    """The beginning and the end of one event's data, of its first line: nearly all have just one.

    JSON has no line ends of its own that would have to stay as they are (RFC 8259, section 7).
    """

    def __init__(self) -> None:
        self._windows = Windows()
        self._in_data = False
        self._over = False

    def feed(self, part: bytes) -> None:
        """Take its next part; the first has the beginning of its data."""
        if not self._in_data:
            begin = _DATA.search(part)
            if begin is None:
                return
            self._in_data = True
            part = part[begin.end() :]
        if not self._over:
            # Two searches for a byte each cost far less than one for either.
            for end in (part.find(b"\n"), part.find(b"\r")):
                if end >= 0:
                    part, self._over = part[:end], True
            self._windows.feed(part)

    def documents(
        self, head: Iterable[str], tail: Mapping[str, bytes], *, inner: Iterable[str] = ()
    ) -> list[bytes]:
        """See `gateway.dialects.jsonpick.Windows.documents`."""
        return self._windows.documents(head, tail, inner=inner)
