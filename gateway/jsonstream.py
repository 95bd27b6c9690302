"""Cutting streams of JSON documents that are not server-sent events, wherever reads split them.

Two kinds: lines that are a document each (NDJSON, as Ollama streams), and one JSON array (RFC 8259,
section 5) whose elements come one by one (as Google's APIs stream without ``alt=sse``).

The scanners have what `gateway.sse.EventScanner` has, a line or an element taking the place of an
event, so that a relay can use any of them and may speak at a boundary.  As there, no byte is ever
changed: everything that `feed` returns, and at last `finish`, is the input; what is held is bounded
by the limit and one read, and what is longer is passed on as it comes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Final

#: What opens or closes something, or a string, which is only quoted if its last byte was seen.
#: Possessive, so that a string of any length costs no memory.
_TOKEN: Final = re.compile(rb'[\[\]{}]|"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
#: The rest of a string that an earlier read began.
_REST: Final = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)

_QUOTE, _OPEN_ARRAY, _OPENING, _CLOSING = b'"', b"[", b"[{", b"]}"


class Scanner(ABC):
    """Passes complete documents on, holds an unfinished one back, and counts."""

    #: Nothing here has ids; see `gateway.sse.EventScanner.saw_id`.
    saw_id: Final = False

    def __init__(self, hold_limit: int = 65536) -> None:
        #: Bytes held back: the beginning of a document whose end has not come.
        self.held = 0
        #: Complete documents passed on.
        self.events = 0
        #: Whether the last byte passed on is inside a document longer than the limit.
        self.in_long_event = False
        #: Which part of what `feed` last returned is whole documents; None for all of it.  What
        #: stands before it belongs to a long one begun earlier, what stands behind begins one.
        self.whole: slice | None = None
        self._limit = hold_limit
        self._tail: list[bytes] = []  # joined only at a boundary, so that a trickle stays linear
        self._ragged = False  # whether the stream ended inside a document

    @property
    def first_event_seen(self) -> bool:
        """Whether a document has been passed on whole."""
        return self.events > 0

    @property
    def at_boundary(self) -> bool:
        """Whether what was passed on ends between documents: enough for a last word of our own.

        Call `discard` first where bytes are held.
        """
        return not (self.in_long_event or self._ragged)

    @property
    def injectable(self) -> bool:
        """Whether a document of ours may be written now, with the upstream's going on after it."""
        return self.at_boundary

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the upstream; return what may be passed on now, perhaps nothing.

        What is returned ends at a boundary unless `in_long_event`.
        """
        self.whole = None
        if not data:
            return b""
        first, last = self._scan(data)
        before = block = after = b""
        if self.in_long_event:
            before = data[:first] if first else data
            data = data[len(before) :]
            last -= len(before)
            self.in_long_event = not first
        if last > 0:
            block = b"".join(self._tail) + data[:last]
            data = data[last:]
            self._tail, self.held = [], 0
        if data:
            self._tail.append(data)
            self.held += len(data)
        if self.held > self._limit:
            after = b"".join(self._tail)
            self._tail, self.held = [], 0
            self.in_long_event = True
        if before or after:
            self.whole = slice(len(before), len(before) + len(block))
        return before + block + after

    def finish(self) -> bytes:
        """The upstream ended cleanly: give out what was held."""
        tail = b"".join(self._tail)
        self._ragged = self._ragged or bool(tail)
        self.discard()
        return tail

    def discard(self) -> int:
        """Drop what was held, before an error of ours; return how many bytes that were."""
        dropped = self.held
        self._tail, self.held = [], 0
        return dropped

    @abstractmethod
    def _scan(self, data: bytes) -> tuple[int, int]:
        """The offsets after the first and the last boundary that data has; 0 for none.

        Adds the documents that end in data to `events`: all of them are about to be passed on.
        """


class LineScanner(Scanner):
    """Cuts at line feeds; a CR before one is white space.  Blank lines are no documents.

    A last line without a line feed is whole all the same if the stream ends cleanly: clients read
    it, so `finish` gives out a document there, not a piece.
    """

    def __init__(self, hold_limit: int = 65536) -> None:
        super().__init__(hold_limit)
        self._blank = True  # whether the line that has not ended is, so far

    def _scan(self, data: bytes) -> tuple[int, int]:
        *ended, rest = data.split(b"\n")
        for line in ended:
            if not self._blank or line.strip():
                self.events += 1
            self._blank = True
        self._blank = self._blank and not rest.strip()
        return data.find(b"\n") + 1, data.rfind(b"\n") + 1


class ArrayScanner(Scanner):
    """Cuts behind each object (or array) that is an element of the one array.

    The brackets around them are held: the opening one until the first element is whole, so that it
    follows from `events` alone what is open; the closing one until `finish`, so that an array that
    turns out not to be whole can still be left open.  A body that is not an array is passed on as
    it comes, without a boundary.
    """

    def __init__(self, hold_limit: int = 65536) -> None:
        super().__init__(hold_limit)
        #: Whether the array has come to its closing bracket.
        self.closed = False
        #: Whether this is no array.
        self.alien = False
        #: Where in what `feed` was last given elements end.
        self.ends: list[int] = []
        self._depth = 0
        self._opened = False
        self._in_string = False
        self._escaped = False  # whether the string was split behind a backslash

    def feed(self, data: bytes) -> bytes:
        """See `Scanner.feed`."""
        self.ends = []
        if not self._opened and not self.alien:
            begun = data.lstrip()
            self.alien = self.in_long_event = bool(begun) and not begun.startswith(_OPEN_ARRAY)
        if not self.alien:
            return super().feed(data)
        data = self.finish() + data
        self.whole = slice(len(data), len(data))
        return data

    def _scan(self, data: bytes) -> tuple[int, int]:
        start = 0
        if self._in_string:
            # A byte that a backslash escapes is not looked at; it may be a quote.
            rest = _REST.match(data, int(self._escaped))
            assert rest is not None  # it can match nothing
            if not self._string_ends(rest, data):
                return 0, 0
            start = rest.end()
        for token in _TOKEN.finditer(data, start):
            if self.closed:
                break
            sign = token[0][:1]
            if sign == _QUOTE:
                self._string_ends(token, data)
            elif sign in _OPENING:
                self._depth += 1
                self._opened = True
            elif sign in _CLOSING:
                self._depth -= 1
                self.closed = self._depth == 0
                if self._depth == 1:
                    self.ends.append(token.end())
        self.events += len(self.ends)
        return (self.ends[0], self.ends[-1]) if self.ends else (0, 0)

    def _string_ends(self, string: re.Match[bytes], data: bytes) -> bool:
        """Note whether a string ends in data, or else where it is split."""
        self._in_string = not string[1]
        self._escaped = self._in_string and string.end() < len(data)
        return not self._in_string
