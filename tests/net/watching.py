"""A reactor that tests turn by hand: it watches descriptors as a real one does, and its clock."""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure


class Watching(Clock):
    """`turn` does what one turn of a reactor does."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def turn(self) -> None:
        """What is due, what can be read, what can be written."""
        self.advance(0)
        readable, writable, _ = select.select(self.readers, self.writers, [], 0)
        for descriptor in readable:
            if descriptor in self.readers:
                self._call(descriptor, descriptor.doRead)
        for descriptor in writable:
            if descriptor in self.writers:
                self._call(descriptor, descriptor.doWrite)

    def _call(self, descriptor: Any, method: Any) -> None:
        why = method()
        if why is not None:
            assert isinstance(why, (ConnectionDone, ConnectionLost))
            self.removeReader(descriptor)
            self.removeWriter(descriptor)
            descriptor.connectionLost(Failure(why))


class Told(Protocol):
    """Notes what a transport tells its protocol."""

    def __init__(self) -> None:
        self.received = b""
        self.reads: list[int] = []  # bytes of each
        self.reasons: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.reads.append(len(data))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.reasons.append(reason)
