"""What is wrong with a configuration, and where: said once, in one shape, by every layer.

A problem's text names what is wrong and, after a comma, what would be right.  It never repeats a
value that could be a secret; see `shown`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

#: Longer values are not repeated in a problem: keys of APIs are long, useful quotations short, and
#: no key of the schema is longer.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.  `section` and `key` are empty where a problem belongs to none."""

    file: str
    line: int  #: from 1; 1 too where the file as a whole is meant
    section: str
    key: str
    what: str

    def __str__(self) -> str:
        place = f"[{self.section}]" if self.section else ""
        where = f"{place} {self.key}".strip()
        return f"{self.file}:{self.line}: {where}{': ' if where else ''}{self.what}"


class ConfigError(Exception):
    """A configuration cannot be used; `problems` are all that was found, in the order of lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class BadValue(ValueError):
    """A value that its key cannot have.  Its text goes into a `Problem` as it is."""

    def __init__(self, what: str) -> None:
        # It may quote the file, and is read on terminals: nothing in it may steer one.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in what))


class Report:
    """Collects the problems of one file while the layers go through it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []

    def add(self, line: int, section: str, key: str, what: str) -> None:
        """Note one problem; nothing is raised, so that all the others are found too."""
        if len(key) > _SHOWN:  # no key of any section: a pasted secret may end in "=", too
            key = ""
        self._problems.append(Problem(self._file, line, section, key, what))

    def raise_problems(self) -> None:
        """Raise `ConfigError` if there is any problem."""
        if self._problems:
            raise ConfigError(sorted(self._problems, key=lambda problem: problem.line))


def shown(text: str) -> str:
    """A value as a problem may quote it: in quotes, or only "the value" where it is long."""
    return f"'{text}'" if len(text) <= _SHOWN else "the value"


def listed(names: Iterable[str], word: str = "or") -> str:
    """``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote `name` most likely meant."""
    found = get_close_matches(name.lower(), list(known), n=1)
    return found[0] if found else None
