"""What a worker is told before it starts, in a file that it inherits.

The file is in memory, has no name and is written once a generation: the text that was validated is
what its workers read, the replacement of one that dies much later, too.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from .plan import VERSION

#: The descriptors of a worker.  0 is /dev/null, 1 and 2 are the supervisor's or pipes to it.
CONTROL: Final = 3  #: the connection to the supervisor
ASSIGNMENT: Final = 4
STACKS: Final = 5  #: where its threads' stacks are written when it is stuck
LISTENERS: Final = 6  #: the first of its listening sockets

_MOST: Final = 1 << 24


class AssignmentError(Exception):
    """A worker does not understand what it was told; the text says what helps."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all workers of a generation have in common."""

    source: str  #: the configuration's file, as it is called in messages
    text: str  #: what stood in it
    workers: int
    listen: tuple[str, ...]  #: the endpoint strings of the sockets, in the order of descriptors
    log: str  #: ``stderr`` or ``stdout``, which are the supervisor's, or ``pipe``

    def to_file(self) -> int:
        """The descriptor of a new file that holds it."""
        descriptor = os.memfd_create("gateway-assignment", os.MFD_CLOEXEC)
        data = json.dumps({"version": VERSION, "assignment": asdict(self)}).encode()
        os.ftruncate(descriptor, len(data))
        os.pwrite(descriptor, data, 0)
        return descriptor

    @classmethod
    def from_file(cls, descriptor: int) -> Self:
        """Read it; other processes may do so at the same time.  Raises `AssignmentError`."""
        data: dict[str, Any] = json.loads(os.pread(descriptor, _MOST, 0))
        fields = data.get("assignment", {})
        if data.get("version") != VERSION or not cls.__dataclass_fields__.keys() <= fields.keys():
            raise AssignmentError(
                "the running gateway is too different from the installed one, restart it"
            )
        known = {name: fields[name] for name in cls.__dataclass_fields__}
        return cls(**{**known, "listen": tuple(known["listen"])})
