"""One key of a section: what `gateway.config.schema` is a table of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Key:
    """A key: how its value is read, and what it is if the file does not say.

    A key without `default` is absent by default, or worked out from others; `example` then shows
    what it looks like.  A key with `many` takes several lines; its parser reads one of them to a
    tuple, and its value is all of these together.
    """

    parse: Callable[[str], Any]
    doc: str
    default: str | None = None
    example: str | None = None
    required: bool = False
    many: bool = False
    field: str | None = None  #: the model's name for it, where it is another

    @property
    def default_value(self) -> Any:
        """The parsed default, or None."""
        return None if self.default is None else self.parse(self.default)


def one(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """A parser of one line for a key with `many`, from a parser of one value."""
    return lambda text: (parse(text),)
