"""The gateway's reading of a message beside those of h11 and llhttp, and what differs.

`differences` compares the three readings of an example.  Each difference is either one that
`tests.http1.allowed` lists, or a defect: of the gateway, or of the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.http1.allowed import OTHERWISE, REFUSED, TAKEN, Allowed
from tests.http1.examples import Example
from tests.http1.readers import OTHERS, Reading, Verdict, by_gateway

#: Examples are also read in pieces: this many, or of one byte each if there are fewer bytes.
_PIECES: Final = 256


@dataclass(frozen=True, slots=True)
class Difference:
    """What the gateway and another reader (or itself, reading in pieces) see otherwise."""

    reader: str
    what: str
    entry: Allowed | None  #: the entry that allows it


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the gateway read an example, and who read it otherwise."""

    ours: Reading
    differences: tuple[Difference, ...]

    @property
    def disallowed(self) -> list[str]:
        """What no entry allows."""
        return [f"{d.reader}: {d.what}" for d in self.differences if d.entry is None]


def compare(example: Example) -> Comparison:
    """Read `example` in every way."""
    ours = by_gateway(example)
    found = []
    in_pieces = by_gateway(example, len(example.data) // _PIECES + 1)
    if not _same(ours, in_pieces) or ours.verdict is not in_pieces.verdict:
        found.append(Difference("in pieces", f"{_told(ours)}, {_told(in_pieces)}", None))
    for name, read in OTHERS.items():
        theirs = read(example)
        entries, why = _judged(ours, theirs)
        if entries is not None:
            what = f"the gateway {_told(ours)}, {name} {_told(theirs)}"
            found.append(Difference(name, what, _entry(entries, why, example)))
    return Comparison(ours, tuple(found))


def _same(one: Reading, other: Reading) -> bool:
    return (one.start, one.fields, one.body, one.whole, one.behind) == (
        other.start,
        other.fields,
        other.body,
        other.whole,
        other.behind,
    )


def _judged(ours: Reading, theirs: Reading) -> tuple[tuple[Allowed, ...] | None, str]:
    """The list in which the difference has to be, if there is one, and what the refuser says."""
    if ours.verdict is not Verdict.READ:
        read = theirs.verdict is Verdict.READ
        if ours.start:  # we refused the body, where they may still wait
            read = theirs.whole or len(theirs.body) > len(ours.body)
        return ((*REFUSED, *OTHERWISE) if read else None), ours.why
    if theirs.verdict is Verdict.READ:
        return (None if _same(ours, theirs) else OTHERWISE), ""
    # As long as we wait for the rest, and have passed on no more of the body, nothing is taken.
    taken = ours.whole or len(ours.body) > len(theirs.body)
    return ((*TAKEN, *OTHERWISE) if taken else None), theirs.why


def _entry(entries: Iterable[Allowed], why: str, example: Example) -> Allowed | None:
    for entry in entries:
        if re.fullmatch(entry.says, why, re.DOTALL) and entry.shown(example):
            return entry
    return None


def _told(reading: Reading) -> str:
    if reading.verdict is Verdict.REFUSED:
        return f"refuses ({reading.why}; body before: {reading.body!r})"
    if reading.verdict is Verdict.WAITING:
        return "waits for the head's end"
    end = f"whole, then {reading.behind!r}" if reading.whole else "not whole"
    return f"reads {reading.start} {dict(reading.fields)} body {reading.body!r}, {end}"
