"""The spool: where a process notes each row before it goes on, and what is left if it dies.

A row is appended with one write(2), which takes microseconds and waits for no lock: from then on
the kernel has it, whatever becomes of the process.  The writer thread brings the rows into the
database, some milliseconds later or, while the database is locked or broken, when that is over.

A spool is two files, ``NAME.0`` and ``NAME.1``, that take turns.  When the one in use has grown to
`TURN_SIZE` and the other is empty, rows go to the other; when all rows of the first are in the
database, the thread empties it.  So nothing is emptied that is still being written to, no file is
made or removed while the process runs, and a spool is seldom larger than twice `TURN_SIZE`.

A file's first line names the columns, so that a gateway of another version can read it; every other
line is ``[0, values of an opening]`` or ``[1, values of a settled row]`` in JSON.  A line that was
cut off by a full disk is not JSON, was never acknowledged, and is passed over.

``NAME.0`` is locked while its process lives.  `dead_spools` finds those that nobody holds any more.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..record import new_id
from .identity import lock
from .rows import Row
from .schema import OPENED, SETTLED

#: Bytes at which a file has had its turn: some hundred requests.
TURN_SIZE = 1 << 20

_encode = msgspec.json.Encoder().encode
_HEADER = _encode({"opened": OPENED, "settled": SETTLED}) + b"\n"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


def directory_of(path: Path) -> Path:
    """Where the spools of the ledger at `path` are."""
    return path.with_name(f"{path.name}.spool")


class Spool:
    """This process's spool.  Raises OSError where it cannot be made or written."""

    def __init__(self, directory: Path) -> None:
        """Make one in `directory`, which is made if need be."""
        directory.mkdir(mode=0o700, exist_ok=True)
        self.name = new_id()
        self._paths = [directory / f"{self.name}.{number}" for number in (0, 1)]
        self._files: list[int] = []
        try:
            # Locked before it has the name that `dead_spools` looks for.
            first = directory / f"{self.name}.new"
            for path in (first, self._paths[1]):
                self._files.append(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600))
                _write(self._files[-1], _HEADER)
            lock(self._files[0])
            first.rename(self._paths[0])
        except BaseException:
            self.close()
            raise
        self._current = 0
        self._size = 0  # of the current file's rows
        self._other_is_empty = True
        self._torn = False  # the current file ends in the middle of a line

    def open(self, row: Row) -> None:
        """Note an opening; what raises OSError was not noted."""
        self._append(_encode((0, *row)))

    def settle(self, row: Row) -> None:
        """Note a settled row; what raises OSError was not noted."""
        self._append(_encode((1, *row)))

    def _append(self, line: bytes) -> None:
        line = b"\n%b\n" % line if self._torn else b"%b\n" % line
        self._torn = True  # until it is known better
        _write(self._files[self._current], line)
        self._torn = False
        self._size += len(line)

    def turn(self) -> int | None:
        """Whether the file in use has had its turn, and then its number.

        It is to be given to `clear` when all rows noted up to now are in the database.
        """
        if self._size < TURN_SIZE or not self._other_is_empty:
            return None
        had, self._current = self._current, 1 - self._current
        self._size, self._other_is_empty, self._torn = 0, False, False
        return had

    def clear(self, number: int) -> None:
        """Empty a file that has had its turn; may be called in another thread."""
        os.ftruncate(self._files[number], len(_HEADER))
        self._other_is_empty = True

    def close(self, *, remove: bool = True) -> None:
        """Let go of the files, and remove them if all their rows are in the database."""
        if remove:
            _remove(self._paths)
        files, self._files = self._files, []
        for descriptor in files:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of `data` or raise OSError: a file system that is full may take a part."""
    if os.write(descriptor, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class DeadSpool:
    """What a process that died has left behind, claimed by this one until it is closed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._paths = [path, path.with_suffix(".1")]
        self._descriptor = descriptor

    def rows(self) -> tuple[list[Row], list[Row]]:
        """All openings and all settled rows that it holds, in the columns of this version."""
        opened: list[Row] = []
        settled: list[Row] = []
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                _read(path.read_bytes(), opened, settled)
        return opened, settled

    def remove(self) -> None:
        """Remove its files: its rows are in the database."""
        _remove(self._paths)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def dead_spools(directory: Path) -> Iterator[DeadSpool]:
    """Claim, one after the other, the spools that no living process holds."""
    for path in sorted(directory.glob("*.0")):
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            continue  # somebody else was faster
        spool = DeadSpool(path, descriptor)
        try:
            # It may have been claimed and removed between our opening and our locking it.
            if lock(descriptor) and path.exists():
                yield spool
        finally:
            spool.close()


def living_spools(directory: Path) -> list[str]:
    """The names of all spools, which are those of the living once the dead ones were removed."""
    return [path.stem for path in directory.glob("*.0")]


def _remove(paths: list[Path]) -> None:
    for path in reversed(paths):  # the first is the one by which a spool is found
        path.unlink(missing_ok=True)


def _read(data: bytes, opened: list[Row], settled: list[Row]) -> None:
    header, *lines = data.split(b"\n")
    try:
        columns = msgspec.json.decode(header, type=dict[str, list[str]])
    except msgspec.DecodeError:
        return  # the disk was full when it was made: nothing can stand behind it
    kinds = ((columns["opened"], OPENED, opened), (columns["settled"], SETTLED, settled))
    for line in lines:
        try:
            kind, *values = msgspec.json.decode(line)
            there, here, rows = kinds[kind]
            told = dict(zip(there, values, strict=True))
        except (msgspec.DecodeError, TypeError, ValueError, IndexError):
            continue
        rows.append(tuple(told.get(name) for name in here))
