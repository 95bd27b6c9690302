"""Who uses a ledger, and the proof that somebody does not any more: locks that die with a process.

An instance (one gateway, whatever the number of its processes) holds the lock of the ledger; each
of its writing processes holds that of its own spool (`gateway.ledger.spool`).  The kernel gives a
lock back when its holder's last descriptor is closed, so a lock that can be had is proof of a death
and no clock or process id has to be believed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .interface import LedgerError


class InstanceLock:
    """At most one instance has a ledger: the lock on a file beside it."""

    def __init__(self, path: Path, owner: str) -> None:
        """`path` is the ledger's; `owner` is told to another instance that finds it in use."""
        self._path = path
        self._owner = owner
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock; raises `LedgerError` if another instance has it, and OSError."""
        descriptor = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not lock(descriptor):
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise LedgerError(
                f"{self._path}: another gateway uses this ledger ({holder or 'unknown'}); "
                "stop it, or give this one another state_dir or [ledger] url"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self._owner}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; its file stays, as removing it would race with who waits for it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; False if another process has it locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
