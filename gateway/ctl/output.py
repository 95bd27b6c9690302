"""How results are printed: tables that fit a terminal, JSON with an object a line, CSV.

What comes out of a ledger was sent by clients and upstreams: it must not steer a terminal.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ..record import Value

Row = Mapping[str, Value]

#: How narrow a column may become where a line is too long: at first, when all others have become
#: as narrow as they may at first, and when nothing else helps.
Floors = tuple[int, int, int]

RIGID: Floors = (sys.maxsize, sys.maxsize, sys.maxsize)
#: A name that is still told from others when the rest has given what it has; less than the last of
#: these would say nothing.
NAME: Floors = (20, 20, 8)

#: Terminals narrower than this get lines that are too long for them.
_LEAST = 80


class Format(Enum):
    """See the module's text."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    cell: Callable[[Row], str]
    right: bool = False  #: numbers stand to the right
    floors: Floors = RIGID
    shorten: Callable[[str, int], str] | None = None  #: how a cell is cut, if not at its end


class Table:
    """Rows as lines of one width; on a terminal, those that come later are cut to the widths of the
    first.  Who reads a file or a pipe gets every cell whole.
    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        self._columns = columns
        self._lines = [[column.cell(row) for column in columns] for row in rows]
        titles = [column.title for column in columns]
        self._widths = [max(map(len, cells)) for cells in zip(titles, *self._lines, strict=True)]
        self._cuts = sys.stdout.isatty()
        if self._cuts:
            room = max(_LEAST, shutil.get_terminal_size((120, 24)).columns) - 2 * (len(columns) - 1)
            for floors in zip(*(column.floors for column in columns), strict=True):
                self._narrow(room, floors)

    def _narrow(self, room: int, floors: Sequence[int]) -> None:
        """Take from the widest columns what is too much, as far as each one's floor allows."""
        widths = self._widths
        while sum(widths) > room:
            above = [index for index, floor in enumerate(floors) if widths[index] > floor]
            if not above:
                break
            widths[max(above, key=widths.__getitem__)] -= 1

    def print(self, *, header: bool = True) -> None:
        """All of it."""
        if header:
            self._print([column.title for column in self._columns], titles=True)
        for line in self._lines:
            self._print(line)

    def add(self, row: Row) -> None:
        """Print one more row."""
        self._print([column.cell(row) for column in self._columns])

    def _print(self, cells: Sequence[str], *, titles: bool = False) -> None:
        told = []
        for column, cell, width in zip(self._columns, cells, self._widths, strict=True):
            shown = cell
            if self._cuts and column.floors != RIGID:
                shorten = column.shorten if column.shorten and not titles else cut
                shown = shorten(cell, width)
            told.append(shown.rjust(width) if column.right else shown.ljust(width))
        print("  ".join(told).rstrip())


def print_json(rows: Iterable[Row]) -> None:
    """One object a line."""
    for row in rows:
        print(json.dumps(row))


class CsvWriter:
    """Comma-separated values (RFC 4180, but lines end in a line feed alone); NULL is empty."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(names)

    def add(self, row: Row) -> None:
        """Print one row."""
        self._writer.writerow([_csv(row[name]) for name in self._names])


def _csv(value: Value) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    return printable(value) if isinstance(value, str) else value


def shown(value: Value, instead: str) -> str:
    """A value in a table, or what stands there if it is NULL."""
    return instead if value is None else printable(str(value))


def printable(text: str) -> str:
    """Text without what steers a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def count(value: Value, instead: str = "?") -> str:
    """A number of tokens, in full up to six digits; ``1.234M``, ``12.35G`` beyond."""
    if value is None or isinstance(value, str) or abs(value) < 1_000_000:
        return shown(value, instead)
    size, unit = (10**9, "G") if abs(value) >= 10**9 else (10**6, "M")
    scaled = value / size
    return f"{scaled:.{max(0, 4 - len(str(int(abs(scaled)))))}f}{unit}"


def dollars(value: Value, *, partial: bool = False, instead: str = "?") -> str:
    """US dollars; ``+`` where there is more that is not known."""
    if not isinstance(value, int | float):
        return instead
    told = f"{value:.2f}" if abs(value) >= 100 else f"{value:.4f}"
    return f"{told}+" if partial else told


def share(part: Value, whole: Value, instead: str = "?") -> str:
    """A share in percent; `instead` where it is not known, ``-`` where the whole is 0."""
    if not isinstance(part, int | float) or not isinstance(whole, int | float):
        return instead
    return f"{100 * part / whole:.1f}%" if whole else "-"


def plural(number: int, thing: str) -> str:
    """``1 request``, ``2 requests``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def cut(cell: str, width: int) -> str:
    """A cell cut to a width, with a sign that it was."""
    return cell if len(cell) <= width else f"{cell[: width - 1]}\N{HORIZONTAL ELLIPSIS}"
