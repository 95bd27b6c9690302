"""Header fields as they came, and which of them a proxy does not pass on (RFC 9110, 7.6.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView
from functools import lru_cache
from itertools import compress
from typing import Final

#: Fields that concern one connection alone, whether Connection names them or not.
HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"trailer",
        b"proxy-authenticate",
        b"proxy-authorization",
    )
)

#: Fields that Connection cannot take away: a message without them means something else.
END_TO_END: Final = frozenset(
    (b"host", b"content-length", b"authorization", b"x-api-key", b"x-goog-api-key")
)


class Fields:
    """Fields in the order, case and number in which they came, looked up without regard to case."""

    __slots__ = ("_first", "distinct", "get", "names", "pairs")

    #: Their names in lower case, each once.
    names: KeysView[bytes]
    #: Whether no field came more than once.
    distinct: bool
    #: The first value of a field (given in lower case), None if there is none.
    get: Callable[[bytes], bytes | None]

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.pairs = pairs = tuple(pairs)
        # From the last one on, so that of a field's lines the first one stays.
        self._first = first = {name.lower(): value for name, value in reversed(pairs)}
        self.names = first.keys()
        self.get = first.get
        self.distinct = len(first) == len(pairs)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        # Names only: values hold credentials.
        return f"<Fields {b' '.join(name for name, _ in self.pairs).decode('latin-1')}>"

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field `name` (given in lower case), in order."""
        first = self.get(name)
        if first is None:
            return []
        if self.distinct:
            return [first]
        return [value for key, value in self.pairs if key.lower() == name]

    def elements(self, name: bytes) -> list[bytes]:
        """The lower-cased elements of a list field over all its lines (RFC 9110, 5.6.1)."""
        return list(_elements(tuple(self.get_all(name)))) if name in self._first else []

    def end_to_end(self, *drop: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
        """What a proxy passes on: no hop-by-hop field, none named by Connection or in `drop`.

        Names are compared as servers of the CGI family see them, to whom ``Transfer_Encoding`` is
        ``Transfer-Encoding``.
        """
        names = tuple([name for name, _ in self.pairs])
        connection = tuple(self.get_all(b"connection"))
        return list(compress(self.pairs, _passed_on(names, drop, connection)))


NO_FIELDS: Final = Fields(())


@lru_cache(maxsize=64)
def _elements(values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """See `Fields.elements`; lines are one list, as if there were commas between them."""
    parts = b",".join(values).lower().split(b",")
    return tuple([element for part in parts if (element := part.strip(b" \t"))])


@lru_cache(maxsize=64)
def _passed_on(
    names: tuple[bytes, ...], drop: tuple[frozenset[bytes], ...], connection: tuple[bytes, ...]
) -> tuple[bool, ...]:
    """Which of these a proxy passes on, by their place: see `Fields.end_to_end`.

    A client sends the same names with all of its requests, and an upstream with its answers.  No
    value is kept here but those of Connection.
    """
    named = {name.replace(b"_", b"-") for name in _elements(connection)}
    gone = HOP_BY_HOP.union(*drop, named - END_TO_END)
    return tuple([name.lower().replace(b"_", b"-") not in gone for name in names])
