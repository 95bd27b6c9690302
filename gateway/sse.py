"""Cutting a byte stream at the boundaries of server-sent events, wherever reads happen to split it.

The wire's rules are WHATWG HTML, section 9.2 ("Server-sent events"): UTF-8, one byte order mark at
the very start, lines that end in LF, CRLF or CR, an event that ends with a blank line.

`EventScanner` decides what of a stream may be passed on at once, so that the gateway can speak at
an event boundary; `parse` and `payloads` read whole events for the meters.  Nothing here looks into
an event's data, and no byte is ever changed: everything that `EventScanner.feed` returns, and at
last `EventScanner.finish`, is the input.  There is no limit on the length of a line or an event.

The relay calls `EventScanner.feed` once for every read, which makes it the hottest Python in the
gateway.  Hence its shape: a few C-level calls for reads that hold exactly whole events, `_feed` for
the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: The byte order mark that one stream may begin with.
BOM: Final = b"\xef\xbb\xbf"

_LF: Final = 0x0A
_CR: Final = 0x0D
_ENDS: Final = (b"\n\n", b"\n\r\n")
_DATA_LINE: Final = re.compile(rb"^data(?::|$)", re.MULTILINE)
_ID_LINE: Final = re.compile(rb"^id(?::|$)", re.MULTILINE)
_FIELD: Final = re.compile(rb"[\r\n](data|id)(?=[:\r\n])")
_SEAM: Final = 5  #: one byte less than the longest match of `_FIELD`, its lookahead included


class EventScanner:
    """Passes complete events on, holds an unfinished one back, and counts.

    An event longer than `hold_limit` bytes is passed on as it comes; until its blank line the
    stream is "inside a long event", and nothing can be said into it.
    """

    __slots__ = (
        "_begun", "_bom", "_carry", "_last", "_limit", "_long_has_data", "_ragged", "_settled",
        "_tail", "events", "held", "in_long_event", "saw_id", "whole",
    )  # fmt: skip

    def __init__(self, hold_limit: int = 65536) -> None:
        #: Bytes held back: the beginning of an event whose end has not come.
        self.held = 0
        #: Complete events passed on that had a ``data`` field: those that a client dispatches.
        self.events = 0
        #: Whether an event passed on had an ``id`` line.
        self.saw_id = False
        #: Whether the last byte passed on is inside an event longer than the limit.
        self.in_long_event = False
        #: Which part of what `feed` last returned is whole events; None for all of it.  Less than
        #: all where a byte order mark or a piece of a long event was passed on.
        self.whole: slice | None = None
        self._limit = hold_limit
        self._tail: list[bytes] = []  # joined only at a boundary, so that a trickle stays linear
        self._last = _LF  # the last byte seen; a stream begins like a new line
        self._begun = False  # whether it is known if a byte order mark leads the stream
        self._bom = 0  # length of a byte order mark that leads the tail
        self._settled = False  # begun, nothing held, LF was last, `whole` is None
        self._ragged = False  # whether the stream ended inside an event
        self._carry = b""  # the last bytes of a long event, where a field's name may be split
        self._long_has_data = False

    @property
    def first_event_seen(self) -> bool:
        """Whether an event that a client dispatches has been passed on whole."""
        return self.events > 0

    @property
    def at_boundary(self) -> bool:
        """Whether what was passed on ends between events: enough for a last word of our own.

        Call `discard` first where bytes are held.
        """
        return not (self.in_long_event or self._ragged)

    @property
    def injectable(self) -> bool:
        """Whether an event of ours may be written now, with the upstream's bytes going on after it.

        Beyond `at_boundary` this needs that no LF can come which belongs to a CR passed on, and
        that no byte order mark is held, which must stay first.  A mark that comes only after
        something of ours was written is no mark any more: drop it with ``removeprefix(BOM)``.
        """
        if not self.at_boundary:
            return False
        if self._tail:
            return self._begun and not self._bom
        return self._last == _LF

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the upstream; return what may be passed on now, perhaps nothing.

        What is returned ends at an event boundary unless `in_long_event`.  An event that ends in
        a CR is returned at once; an LF that follows belongs to that end and is returned at once.
        """
        if not (self._settled and data.endswith(_ENDS)):
            return self._feed(data)
        block = data if _CR not in data else _with_lf(data)
        blank = len(block) - 2  # where the last two line feeds begin
        end = block.find(b"\n")  # of the first line
        if block.startswith(b"data:"):
            if end == blank:
                self.events += 1
                return data
            lines = block.count(b"\n")
            # Two lines for each event that begins so leave no line for anything else.
            if lines == 2 * (block.count(b"\n\ndata:") + 1):
                self.events += lines >> 1
                return data
        elif (
            block.startswith(b"event:")
            and block.startswith(b"data:", end + 1)
            and block.find(b"\n", end + 1) == blank
        ):
            self.events += 1
            return data
        self._account(block)
        return data

    def finish(self) -> bytes:
        """The upstream ended cleanly: give out what was held.  No client dispatches that part."""
        tail = b"".join(self._tail)
        self._ragged = self._ragged or bool(tail)
        self.discard()
        return tail

    def discard(self) -> int:
        """Drop what was held, before an error event; return how many bytes that were."""
        dropped = self.held
        self._tail, self.held, self._bom = [], 0, 0
        self._last = _LF
        return dropped

    def _feed(self, data: bytes) -> bytes:
        """`feed` for reads that do not consist of whole events, or do not find us between two."""
        self._settled = False
        self.whole = None
        if not self._begun:
            data = self._begin(data)
        if not data:
            return b""
        bom, before, after = self._bom, b"", b""
        if self.in_long_event:
            before, data = self._end_long(data)
        block = self._cut(data) if data else b""
        if self.held > self._limit:
            after = self._begin_long()
        if before or after or (bom and block):
            start = len(before) + (bom if block else 0)
            self.whole = slice(start, len(before) + len(block))
        self._settled = self.whole is None and not self._tail and self._last == _LF
        return before + block + after

    def _begin(self, data: bytes) -> bytes:
        """See whether a byte order mark leads the stream; return what follows it."""
        start = b"".join(self._tail) + data
        if len(start) < len(BOM) and BOM.startswith(start):
            self._tail, self.held = [start] if start else [], len(start)
            return b""
        self._begun = True
        if start.startswith(BOM):
            self._tail, self.held, self._bom = [BOM], len(BOM), len(BOM)
            return start[len(BOM) :]
        self._tail, self.held = [], 0
        return start

    def _cut(self, data: bytes) -> bytes:
        """Hold what follows the last boundary in data; return what goes before it, and the tail."""
        end = _last_boundary(data) or self._seam(data)
        self._last = data[-1]
        if not end:
            self._tail.append(data)
            self.held += len(data)
            return b""
        self._tail.append(data[:end])
        block = b"".join(self._tail)
        self._account(block[self._bom :])
        self._bom = 0
        rest = data[end:]
        self._tail, self.held = [rest] if rest else [], len(rest)
        return block

    def _seam(self, data: bytes) -> int:
        """The offset after a boundary made by earlier bytes and the first of these; 0 for none."""
        if data[0] == _CR and self._last in (_LF, _CR):
            return 2 if data[1:2] == b"\n" else 1
        if data[0] == _LF:
            # After a CR, this LF is the other half of the line's end.  The line was blank if the CR
            # ended what was passed on.
            between_events = not (self._tail or self.in_long_event)
            return int(self._last == _LF or between_events)
        return 0

    def _begin_long(self) -> bytes:
        """Give up holding: pass the tail on as the beginning of a long event."""
        opening = b"".join(self._tail)
        self.in_long_event = True
        self._long_has_data = False
        self._carry = b"\n"
        self._account_long(opening[self._bom :])
        self._tail, self.held, self._bom = [], 0, 0
        return opening

    def _end_long(self, data: bytes) -> tuple[bytes, bytes]:
        """Split data where the long event ends: its part, and what follows if it does end."""
        end = self._seam(data) or _first_boundary(data)
        part = data[:end] if end else data
        self._account_long(part)
        self._last = part[-1]
        if end:
            self.in_long_event = False
            self.events += self._long_has_data
        return part, data[len(part) :]

    def _account(self, block: bytes) -> None:
        """Count the events of a block that consists of whole ones; look for ``id`` lines."""
        if block.find(b"\r") >= 0:
            block = _with_lf(block)
        if not self.saw_id and (block.startswith(b"id") or block.rfind(b"\nid") >= 0):
            self.saw_id = _ID_LINE.search(block) is not None
        for event in block.split(b"\n\n"):
            if event.find(b"\ndata:") >= 0 or _DATA_LINE.search(event):
                self.events += 1

    def _account_long(self, part: bytes) -> None:
        """Look for ``data`` and ``id`` lines in the next part of a long event."""
        for text in (self._carry + part[:_SEAM], part):
            if text.find(b"\n") >= 0 or text.find(b"\r") >= 0:
                names = set(_FIELD.findall(text))
                self._long_has_data |= b"data" in names
                self.saw_id |= b"id" in names
        self._carry = (self._carry + part[-_SEAM:])[-_SEAM:]


def parse(block: bytes, *, at_start: bool = False) -> Iterator[tuple[bytes | None, bytes]]:
    """The events of a block as (event type or None, data): WHATWG HTML, section 9.2.6.

    Only what a client would dispatch: events with at least one ``data`` field, closed by a blank
    line.  `at_start` says that the block is the stream's beginning, where a byte order mark is
    skipped.
    """
    if at_start:
        block = block.removeprefix(BOM)
    if block.find(b"\r") >= 0:
        block = _with_lf(block)
    for event in block.split(b"\n\n")[:-1]:  # what follows the last blank line is unfinished
        name = b""
        data: list[bytes] = []
        for line in event.split(b"\n"):
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
        if data:
            yield name or None, b"\n".join(data)


def payloads(block: bytes) -> list[bytes]:
    """The data of every event that `parse` would find; quick for events of one ``data`` line."""
    if (
        block.startswith(b"data: ")
        and block.endswith(b"\n\n")
        and block.find(b"\r") < 0
        and block.count(b"\n") == 2 * (block.count(b"\n\ndata: ") + 1)  # as in `feed`
    ):
        return block[6:-2].split(b"\n\ndata: ")
    return [data for _, data in parse(block)]


def _with_lf(block: bytes) -> bytes:
    """The block with all its lines ended by LF."""
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _last_boundary(data: bytes) -> int:
    """The offset after the last blank line that lies whole in data; 0 for none."""
    at = data.rfind(b"\n\n")
    if data.find(b"\r") >= 0:
        at = max(at, data.rfind(b"\n\r"), data.rfind(b"\r\r"))
    return _after(data, at)


def _first_boundary(data: bytes) -> int:
    """The offset after the first blank line that lies whole in data; 0 for none."""
    found = [at for blank in (b"\n\n", b"\n\r", b"\r\r") if (at := data.find(blank)) >= 0]
    return _after(data, min(found, default=-1))


def _after(data: bytes, at: int) -> int:
    """The offset after the two bytes of a boundary, and after an LF that belongs to its CR."""
    if at < 0:
        return 0
    return at + 3 if data[at + 1] == _CR and data[at + 2 : at + 3] == b"\n" else at + 2
