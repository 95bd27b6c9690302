"""The schema applied to a file's sections: every key known, single, and parsed.

What comes out are tables of values, with the lines where they stand; what they mean together is for
`build` and `checks`.  A value that is wrong is reported and replaced by its default, so that the
layers above can go on and find what else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .ini import Entry, Section
from .key import Key
from .problem import BadValue, Report, listed, nearest
from .schema import NAMED, SECTIONS, title

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

#: Names of upstreams whose prefix route would stand in the way of paths that mean something else.
_RESERVED = frozenset({"v1", "v1alpha", "v1beta"})

#: The name of the simulated provider, which no section may have or refer to.
DEMO: Final = "demo"
OF_DEMO: Final = (
    "the simulated provider, which demo = on in [gateway] serves with the policy of [defaults]"
)

#: Stands for a value that was reported; None is a value (``off``).
_WRONG = object()


@dataclass(frozen=True, slots=True)
class Table:
    """A section's values by key: those of the file, and the defaults for all others."""

    kind: str
    name: str
    line: int
    lines: Mapping[str, int] = field(default_factory=dict)  #: of the keys that the file has
    explicit: Mapping[str, Any] = field(default_factory=dict)  #: those of them that parsed

    @property
    def title(self) -> str:
        """What stands in the header."""
        return f"{self.kind} {self.name}".strip()

    def __getitem__(self, key: str) -> Any:
        """The value of a key, or its default (None if there is none)."""
        if key in self.explicit:
            return self.explicit[key]
        return SECTIONS[self.kind][key].default_value

    def report(self, report: Report, key: str, what: str) -> None:
        """Note a problem with a key, where it stands or else at the header."""
        report.add(self.lines.get(key, self.line), self.title, key, what)


def read_tables(sections: Sequence[Section], report: Report) -> list[Table]:
    """A table for each section that is known, in the order of the file; doubled ones once."""
    tables: dict[str, Table] = {}
    for section in sections:
        kind, _, name = section.title.partition(" ")
        problem = _header_problem(kind, name)
        if problem:
            report.add(section.line, section.title, "", problem)
            if kind not in SECTIONS:
                continue
        earlier = tables.get(section.title)
        if earlier:
            what = f"this section stands on line {earlier.line} already, write all its keys there"
            report.add(section.line, section.title, "", what)
        table = _read_table(section, kind, name, earlier is None, report)
        # Also one with a wrong name: what refers to it needs no problem of its own.
        tables.setdefault(section.title, table)
    return list(tables.values())


def _header_problem(kind: str, name: str) -> str | None:
    if kind not in SECTIONS:
        meant = nearest(kind, SECTIONS)
        right = (
            f"did you mean {title(meant)}?" if meant else f"write {listed(map(title, SECTIONS))}"
        )
        return f"unknown section, {right}"
    if kind not in NAMED:
        return f"this section has no name, write [{kind}]" if name else None
    if not name:
        return f"the name is missing, write [{kind} NAME]"
    if not _NAME.fullmatch(name):
        return "not a valid name, write letters, digits, dots, dashes and underscores only"
    if kind == "upstream" and name == DEMO:
        return f"the path /{name}/ is that of {OF_DEMO}, choose another name"
    if kind == "upstream" and name in _RESERVED:
        return f"the path /{name}/ has a meaning of its own, choose another name"
    return None


def _read_table(section: Section, kind: str, name: str, complete: bool, report: Report) -> Table:
    """A section's table; one that has to be `complete` lacks no required key."""
    keys = SECTIONS[kind]
    lines: dict[str, int] = {}
    explicit: dict[str, Any] = {}
    for entry in section.entries:
        key = keys.get(entry.key)
        if key is None:
            report.add(entry.line, section.title, entry.key, _unknown_key(entry.key, kind))
            continue
        if entry.key in lines:
            what = f"this key stands on line {lines[entry.key]} already, keep one of the two"
            report.add(entry.line, section.title, entry.key, what)
        value = _value(section.title, entry, key, report)
        lines.setdefault(entry.key, entry.line)
        if value is not _WRONG:
            explicit[entry.key] = value
    for missing, key in keys.items():
        if complete and key.required and missing not in lines:
            what = f"this key is missing, write one such as {missing} = {key.example}"
            report.add(section.line, section.title, missing, what)
    return Table(kind, name, section.line, lines, explicit)


def _unknown_key(name: str, kind: str) -> str:
    keys = SECTIONS[kind]
    meant = nearest(name, keys)
    elsewhere = [title(other) for other, known in SECTIONS.items() if name in known]
    if elsewhere:
        right = f"it belongs into {listed(elsewhere)}"
    elif meant:
        right = f"did you mean {meant}?"
    else:
        right = f"write {listed(keys)}"
    return f"unknown key, {right}"


def _value(section: str, entry: Entry, key: Key, report: Report) -> Any:
    """The parsed value of an entry, or `_WRONG` after reporting what is wrong with it."""
    if not entry.sound:
        return _WRONG
    if not entry.value:
        what = "there is no value, write one or leave the key out"
        report.add(entry.line, section, entry.key, what)
        return _WRONG
    if key.many:
        return _many(section, entry, key, report)
    (line, text), *further = entry.value
    if further:
        what = (
            "an indented line continues the value above, "
            "write the value on one line and begin the next key at the beginning of its own"
        )
        report.add(further[0][0], section, entry.key, what)
        return _WRONG
    try:
        return key.parse(text)
    except BadValue as error:
        report.add(line, section, entry.key, str(error))
        return _WRONG


def _many(section: str, entry: Entry, key: Key, report: Report) -> Any:
    """All items of all lines, no two alike, or `_WRONG`; each problem at its own line."""
    items: list[Any] = []
    sound = True
    for line, text in entry.value:
        try:
            parsed = key.parse(text)
        except BadValue as error:
            report.add(line, section, entry.key, str(error))
            sound = False
            continue
        for item in parsed:
            if item in items:
                report.add(line, section, entry.key, "this stands here twice, write it once")
                sound = False
            items.append(item)
    return tuple(items) if sound else _WRONG
