"""Stacks that a profiler has sampled, collapsed as flame graphs have them, and shares of them.

A line is a stack and how often it was seen: the thread, then its functions from the outermost in,
with semicolons between (``thread (7): MainThread;run (app.py:12);feed (gateway/sse.py:95) 3``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from .parts import part_of

_FUNCTION: Final = re.compile(r"(?P<name>.*) \((?P<file>.*?)(?::\d+)?\)")
_MAIN: Final = "MainThread"


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its qualified name, and its file from the package on."""

    name: str
    file: str


#: The functions of a stack, from the outermost in.
Stack = tuple[Function, ...]


def of_main_thread(text: str) -> Counter[Stack]:
    """The stacks of the main thread among collapsed ones; raises ValueError for what is none."""
    found: Counter[Stack] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *functions = stack.split(";")
        if not functions or not count.isdecimal():
            raise ValueError(f"this is no collapsed stack: {line[:200]!r}")
        if thread.endswith(f": {_MAIN}"):
            found[tuple(map(_function, functions))] += int(count)
    return found


def _function(text: str) -> Function:
    match = _FUNCTION.fullmatch(text)
    return Function(text, "") if match is None else Function(match["name"], match["file"])


def by_part(stacks: Mapping[Stack, int]) -> Counter[str]:
    """How often each part of the gateway was at work.

    A sample belongs to the innermost function that a part has; so what is called of Python's
    library or of C belongs to whoever called it.
    """
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        found[part_of(function.file for function in reversed(stack))] += count
    return found


def by_function(stacks: Mapping[Stack, int]) -> Counter[Function]:
    """How often each function was seen as the innermost: its own time, with what it calls of C."""
    found: Counter[Function] = Counter()
    for stack, count in stacks.items():
        found[stack[-1]] += count
    return found


def together(many: Iterable[Mapping[Stack, int]]) -> Counter[Stack]:
    """All of them as one."""
    found: Counter[Stack] = Counter()
    for stacks in many:
        found.update(stacks)
    return found


def as_text(stacks: Mapping[Stack, int]) -> str:
    """The stacks collapsed again, without threads and lines, as flame graphs are drawn from."""
    lines = (
        f"{';'.join(f'{one.name} ({one.file})' for one in stack)} {count}"
        for stack, count in stacks.items()
    )
    return "".join(f"{line}\n" for line in sorted(lines))
