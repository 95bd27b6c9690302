"""Header fields as they came, and which of them a proxy does not pass on (RFC 9110, 7.6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
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

    __slots__ = ("_index", "_names", "pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.pairs = tuple(pairs)
        self._names = [name.lower() for name, _ in self.pairs]
        index: dict[bytes, list[bytes]] = {}
        for key, (_, value) in zip(self._names, self.pairs, strict=True):
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        self._index = index

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        # Names only: values hold credentials.
        return f"<Fields {b' '.join(name for name, _ in self.pairs).decode('latin-1')}>"

    @property
    def distinct(self) -> bool:
        """Whether no field came more than once."""
        return len(self._index) == len(self.pairs)

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field `name` (given in lower case), in order."""
        return self._index.get(name, [])

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field `name` (given in lower case)."""
        values = self._index.get(name)
        return values[0] if values else None

    def elements(self, name: bytes) -> list[bytes]:
        """The lower-cased elements of a list field over all its lines (RFC 9110, 5.6.1)."""
        values = self._index.get(name)
        if values is None:
            return []
        return [
            element
            for value in values
            for element in (part.strip(b" \t").lower() for part in value.split(b","))
            if element
        ]

    def end_to_end(self, *drop: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
        """What a proxy passes on: no hop-by-hop field, none named by Connection or in `drop`.

        Names are compared as servers of the CGI family see them, to whom ``Transfer_Encoding`` is
        ``Transfer-Encoding``.
        """
        gone = _not_passed_on(*drop)
        if b"connection" in self._index:
            named = {name.replace(b"_", b"-") for name in self.elements(b"connection")}
            gone = gone.union(named - END_TO_END)
        return [
            pair
            for name, pair in zip(self._names, self.pairs, strict=True)
            if name.replace(b"_", b"-") not in gone
        ]


@lru_cache(maxsize=64)
def _not_passed_on(*drop: frozenset[bytes]) -> frozenset[bytes]:
    """What a proxy that drops these does not pass on; few sets are dropped, again and again."""
    return HOP_BY_HOP.union(*drop)
