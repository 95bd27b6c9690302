"""Token counts as a provider tells them: which are believed, and why the others are not.

A count is believed if it is a whole number from 0 to `MOST`.  One that is not spoils the usage
object that it stands in: a provider that reports nonsense in one field is not trusted in the next,
and a wrong number in the ledger is worse than none.  JSON knows no integers (RFC 8259, section 6),
so 12.0 is the whole number 12; true is no number, and "12" is none either.

The meters call `told` for each usage object that they meet and `believe` once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

#: The largest count that is believed, in tokens.
MOST: Final = 10**9
#: The longest usage object that is looked at and kept, in bytes of JSON.
RAW_LIMIT: Final = 16 * 1024

_JSON_NAMES: Final = {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}


class Unbelievable(ValueError):
    """A usage object cannot be true; the text names the field and what is wrong with it."""


def told(usage: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """The named fields that a usage object has, null left out.  ``a.b`` is the field b of a.

    An empty ``a`` of any type has no fields: some servers write an empty object as an array.
    """
    found: dict[str, object] = {}
    for outer, parts in _places(names):
        value = usage.get(outer)
        if value is None:
            continue
        if not parts:
            found[outer] = value
        elif isinstance(value, dict):
            for name, inner in parts:
                if (part := value.get(inner)) is not None:
                    found[name] = part
        elif value:
            found.update(dict.fromkeys([name for name, _ in parts], value))
    return found


@cache  # what a dialect's module names, again and again
def _places(names: tuple[str, ...]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The fields to look at; of one that has fields to look at, their names, long and short."""
    places: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        outer, _, inner = name.partition(".")
        if inner:
            places.setdefault(outer, []).append((name, inner))
        else:
            places[outer] = []
    return [*places.items()]


def believe(counts: Mapping[str, object]) -> dict[str, int]:
    """The counts as whole numbers.

    Raises `Unbelievable` for the first that is not a whole number of tokens from 0 to `MOST`.
    """
    believed: dict[str, int] = {}
    for name, value in counts.items():
        believed[name] = (
            value if type(value) is int and 0 <= value <= MOST else _tokens(name, value)
        )
    return believed


def part_of(
    total: int | None, parts: Mapping[str, int], names: tuple[str, ...], whole: str
) -> None:
    """Check that the named parts do not exceed the total that they are part of.

    Raises `Unbelievable` if they do.  A total or a part that was not told is not checked.
    """
    if total is None:
        return
    left = total
    for name in names:
        left -= parts.get(name, 0)
    if left < 0:
        named = " + ".join(name for name in names if name in parts)
        raise Unbelievable(f"{named} is more than {whole}, which includes it")


def _tokens(name: str, value: object) -> int:
    """The number that a count stands for which is no such number itself."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        kind = _JSON_NAMES.get(type(value), "a fraction")
        raise Unbelievable(f"{name} is {kind}, not a whole number of tokens")
    if value < 0:
        raise Unbelievable(f"{name} is negative")
    if value > MOST:
        raise Unbelievable(f"{name} is more than {MOST}")
    return value
