"""Writing to a stream that may have no room, without ever waiting for it.

A pipe, a terminal or a socket whose reader stalls would otherwise stall the whole gateway.  Setting
``O_NONBLOCK`` on an inherited descriptor is no way out: the flag belongs to the open file
description, which the shell and other processes share and do not expect to fail.  So a pipe or a
terminal is opened again through ``/proc/self/fd``, which makes a description of our own; a socket
is asked every time by ``MSG_DONTWAIT``; a file on a disk has room or fails.  Where opening again is
refused (another user's terminal, no ``/proc``), `select.poll` says whether there is room for
``PIPE_BUF`` bytes, and no more than that are written.

What a stream takes only a part of is finished before anything else: a record is written whole, or
it is lost whole.  At most one is kept unfinished.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import stat
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TextIO

#: What a pipe is asked to hold, in bytes: as much as Linux gives to anybody.
PIPE_SIZE: Final = 1 << 20


class Sink(Protocol):
    """Somewhere that log records are written to."""

    def write(self, text: str) -> bool:
        """Write a record; False if it is lost.  Neither waits nor raises."""


class StreamSink:
    """A stream that is no descriptor: memory, or a file that is changed when it is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> bool:
        """See `Sink`."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True


class DescriptorSink:
    """A descriptor, by a function that writes what it can of some bytes and says how many.

    It raises `BlockingIOError` where that is none, and other kinds of OSError where it never will
    be any.
    """

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write
        self._rest = b""

    def write(self, text: str) -> bool:
        """See `Sink`."""
        if self._rest and not self._finish():
            return False
        data = text.encode("utf-8", "backslashreplace")
        try:
            taken = self._write(data)
        except OSError:
            return False
        if taken < len(data):
            self._rest = data[taken:]
            self._finish()
        return True

    def _finish(self) -> bool:
        """Write what is left of the record before, as far as that goes; whether all of it went."""
        try:
            while self._rest:
                self._rest = self._rest[self._write(self._rest) :]
        except OSError:
            return False
        return True


def sink_for(stream: TextIO) -> Sink:
    """The way to write to `stream`, by what it is."""
    try:
        descriptor = stream.fileno()
        stream.flush()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):
        return StreamSink(stream)
    if stat.S_ISSOCK(mode):
        sock = socket.socket(fileno=os.dup(descriptor))
        return DescriptorSink(lambda data: sock.send(data, socket.MSG_DONTWAIT))
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return DescriptorSink(_own_description(descriptor) or _polled(descriptor))
    return DescriptorSink(partial(os.write, descriptor))


def _own_description(descriptor: int) -> Callable[[bytes], int] | None:
    """A function that writes to the same pipe or terminal without waiting, if there can be one."""
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # no pipe, or the user's pipes have all the memory they may
        if fcntl.fcntl(own, fcntl.F_GETPIPE_SZ) < PIPE_SIZE:
            fcntl.fcntl(own, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return partial(os.write, own)


def _polled(descriptor: int) -> Callable[[bytes], int]:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def write(data: bytes) -> int:
        if not poll.poll(0):
            raise BlockingIOError
        return os.write(descriptor, data[: select.PIPE_BUF])

    return write
