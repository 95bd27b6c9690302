"""One answer as it was given to the first client, for others to be given from its first byte on.

Its body is held whole as long as the answer is `kept`: then anybody can still be given all of it.
Afterwards only what the slowest of its readers has not had yet is held.  Beats are no part of it.

A recording does nothing by itself: `gateway.dedup.store.Store` fills, trims and forgets it, and
knows how many bytes all of them hold; readers take from it what they can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from ..http1 import Framing
from ..record import Record

#: Bytes that a recording counts for besides its body and head: its record, its place.
OVERHEAD: Final = 1024
#: Bytes that each field of its head counts for besides its name and value.
FIELD_OVERHEAD: Final = 128


class End(Enum):
    """How an answer ended."""

    WHOLE = "whole"
    CLOSED = "whole, and the connection is to be closed"
    BROKEN = "broken visibly"


@dataclass(frozen=True, slots=True)
class Head:
    """The answer's head, as the first client got it."""

    status: int
    reason: bytes
    pairs: tuple[tuple[bytes, bytes], ...]
    framing: Framing


class Reader(Protocol):
    """A client that is given the recording."""

    offset: int  #: bytes of the body that it has been given

    def cut(self) -> None:
        """What it needs is held no longer: it takes all of that at once, or leaves."""


class Source(Protocol):
    """Where an answer that is still under way comes from."""

    def weigh(self) -> None:
        """A reader came, left, or takes more or less than before."""

    def drain(self) -> None:
        """End the answer now, because the gateway is stopping."""

    @property
    def terminal_passed(self) -> bool:
        """Whether nothing that counts can follow what there is."""


R = TypeVar("R", bound=Reader)


class Recording(Generic[R]):
    """See the module's text."""

    def __init__(self, key: bytes, id: str) -> None:
        """`id` is that of the request whose answer it is."""
        self.key = key
        self.id = id
        self.head: Head | None = None
        self.end: End | None = None
        self.record: Record | None = None  #: the exchange's, once that is over
        self.source: Source | None = None  #: None once nothing more comes
        self.readers: list[R] = []
        #: Called once, when `record` is there.
        self.when_settled: list[Callable[[], None]] = []
        self.kept = True
        self.completed: float | None = None  #: when it was stored, by the store's clock
        self.size = 0  #: bytes of the body so far
        self._data = bytearray()
        self._base = 0  # how many bytes have been forgotten

    @property
    def overhead(self) -> int:
        """Bytes that it takes besides its body."""
        pairs = () if self.head is None else self.head.pairs
        return OVERHEAD + sum(len(name) + len(value) + FIELD_OVERHEAD for name, value in pairs)

    @property
    def held(self) -> int:
        """Bytes that it takes now."""
        return len(self._data)

    def append(self, data: bytes) -> None:
        """Add to the body."""
        self._data += data
        self.size += len(data)

    def read(self, offset: int, most: int) -> bytes:
        """At most so many bytes of the body from `offset` on, which no reader has gone below."""
        begin = offset - self._base
        assert begin >= 0, "it was forgotten before it was read"
        return bytes(self._data[begin : begin + most])

    def trim(self) -> int:
        """Forget what every reader has had, unless it is kept; how many bytes were freed."""
        if self.kept:
            return 0
        needed = min((reader.offset for reader in self.readers), default=self.size)
        freed = needed - self._base
        if freed:
            del self._data[:freed]
            self._base = needed
        return freed

    def behind(self, reader: R) -> int:
        """How many bytes are there that the reader has not been given."""
        return self.size - reader.offset
