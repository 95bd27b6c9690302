"""Plain values: durations, sizes, numbers, switches, choices, paths.

A parser takes the text of a value and returns what it means, or raises `BadValue` with what is
wrong and what would be right.  The functions with arguments make parsers for a range.  ``0`` is
another word for ``off`` wherever ``off`` has a meaning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from .problem import BadValue, listed, shown

T = TypeVar("T")
N = TypeVar("N", int, float)
E = TypeVar("E", bound=StrEnum)

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(?P<unit>[A-Za-z]*)\s*")

#: What people write for these.
_MEANT = re.compile(
    r"(?P<ms>ms|msecs?|milli[a-z]*)|(?P<s>s|secs?|seconds?)|(?P<m>m|mins?|minutes?)"
    r"|(?P<h>h|hrs?|hours?)|(?P<d>d|days?)",
    re.IGNORECASE,
)
_SUCH = "one such as 250ms, 10s, 5m or 7d"

_BYTES = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
#: More processes than this are hardly ever meant.
MOST_WORKERS = 256

_NUMBER = re.compile(r"[0-9]{1,15}")
_SIZE = re.compile(rf"(?P<number>{_NUMBER.pattern})(?P<unit>[A-Za-z]*)")


def duration(low: str, high: str, *, instead_of_off: str) -> Callable[[str], float]:
    """A parser for durations from `low` to `high`, in seconds, that cannot be off.

    `instead_of_off` says what to write instead of ``off``.
    """
    ranged = _seconds_from(low, high)

    def parse(text: str) -> float:
        if is_off(text):
            raise BadValue(f"{shown(text)} is not possible here, {instead_of_off}")
        return ranged(text)

    return parse


def duration_or(off: T, low: str, high: str) -> Callable[[str], float | T]:
    """A parser for durations from `low` to `high`, in seconds; ``off`` and ``0`` give `off`."""
    ranged = _seconds_from(low, high, also=" or off")

    def parse(text: str) -> float | T:
        return off if is_off(text) else ranged(text)

    return parse


def seconds(text: str, right: str = _SUCH) -> float:
    """A duration in seconds: a number with its unit (``250ms 10s 5m 2h 7d``), or several of these,
    as in ``1h30m``.  `right` is what to write instead of something quite different.

    Also what ``gatewayctl`` takes for a duration.
    """
    milliseconds, place = 0.0, 0
    while found := _PART.match(text, place):
        number, unit = found["number"], found["unit"]
        if unit not in _MILLISECONDS:
            meant = _MEANT.fullmatch(unit)
            if unit and not meant:  # 1e3s
                break
            lacks = "has an unknown unit" if unit else "lacks a unit of time"
            example = f"{number}{(meant and meant.lastgroup) or 's'}" if len(number) < 8 else "10s"
            raise BadValue(f"{shown(text)} {lacks}, write {example} (units are ms, s, m, h and d)")
        milliseconds += float(number) * _MILLISECONDS[unit]
        place = found.end()
    if place < len(text) or not text:
        raise BadValue(f"{shown(text)} is not a duration, write {right}")
    return milliseconds / 1000


def _seconds_from(low: str, high: str, also: str = "") -> Callable[[str], float]:
    """A parser for durations from `low` to `high`, in seconds."""
    return _ranged(partial(seconds, right=f"one from {low} to {high}{also}"), low, high, also)


def size(low: str, high: str, *, instead_of_off: str = "") -> Callable[[str], int]:
    """A parser for sizes from `low` to `high`, in bytes, that cannot be off.

    `instead_of_off` says what turns off what somebody may want to turn off here.
    """
    ranged = _ranged(byte_count, low, high)
    right = f"write {low} to {high}{instead_of_off and '; '}{instead_of_off}"

    def parse(text: str) -> int:
        if is_off(text):
            raise BadValue(f"{shown(text)} is not possible here, {right}")
        return ranged(text)

    return parse


def byte_count(text: str) -> int:
    """A size (``64KiB 32MiB 1GiB``, or a number of bytes) in bytes."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise BadValue(f"{shown(text)} is not a size, write one such as 64KiB, 32MiB or 65536")
    unit = found["unit"]
    if unit not in _BYTES:
        meant = f"{unit[0].upper()}iB"
        example = f"{found['number']}{meant}" if meant in _BYTES else "32MiB"
        raise BadValue(
            f"{shown(text)} has an unknown unit, write {example} (units are KiB, MiB, GiB and TiB)"
        )
    return int(found["number"]) * _BYTES[unit]


def size_or_off(low: str, high: str) -> Callable[[str], int]:
    """A parser for sizes from `low` to `high`, in bytes; ``off`` and ``0`` give 0."""
    ranged = _ranged(byte_count, low, high, also=" or off")

    def parse(text: str) -> int:
        return 0 if is_off(text) else ranged(text)

    return parse


def workers(text: str) -> int:
    """A number of processes; ``auto`` is one for each core that this one may use."""
    if text == "auto":
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    if not is_off(text) and not _NUMBER.fullmatch(text):
        raise BadValue(f"{shown(text)} is not a number of processes, write auto or 0 to 256")
    return 0 if is_off(text) else integer(0, MOST_WORKERS)(text)


def integer(low: int, high: int) -> Callable[[str], int]:
    """A parser for whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not _NUMBER.fullmatch(text):
            raise BadValue(f"{shown(text)} is not a whole number, write {low} to {high}")
        return int(text)

    return _ranged(read, str(low), str(high))


def switch(text: str) -> bool:
    """``on`` or ``off``."""
    if text != "on" and not is_off(text):
        raise BadValue(f"{shown(text)} is neither of the two, write on or off")
    return text == "on"


def choice(kind: type[E]) -> Callable[[str], E]:
    """A parser for the values of an enumeration."""
    names = [member.value for member in kind]

    def parse(text: str) -> E:
        meant = "off" if is_off(text) else text
        if meant not in names:
            raise BadValue(f"{shown(text)} is unknown, write {listed(names)}")
        return kind(meant)

    return parse


def abort_or_drain(low: str, high: str) -> Callable[[str], float]:
    """A parser for ``abort``, which gives 0, and ``drain:DURATION``, in seconds."""
    ranged = _seconds_from(low, high)

    def parse(text: str) -> float:
        if text == "abort":
            return 0.0
        word, colon, length = text.partition(":")
        if word != "drain" or not colon:
            raise BadValue(f"{shown(text)} is unknown, write abort or drain:30s")
        return ranged(length)

    return parse


def absolute_path(text: str) -> Path:
    """A path that means the same whatever the current folder is."""
    if not text.startswith("/"):
        raise BadValue(f"{shown(text)} is not an absolute path, write one that begins with /")
    return Path(text)


def is_off(text: str) -> bool:
    """Whether a value says that something is turned off."""
    return text in ("off", "0")


def _ranged(read: Callable[[str], N], low: str, high: str, also: str = "") -> Callable[[str], N]:
    """A parser that reads a number and checks that it is from `low` to `high`."""
    lowest, highest = read(low), read(high)

    def parse(text: str) -> N:
        value = read(text)
        if not lowest <= value <= highest:
            raise BadValue(f"{shown(text)} is out of range, write {low} to {high}{also}")
        return value

    return parse
