"""Streams whose readers stall lose records, whole ones; nobody waits."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal import StreamObserver
from gateway.journal.sink import PIPE_SIZE, sink_for
from tests.journal.fakes import through

LINE = "x" * 1000 + "\n"


class Pipe:
    """A pipe that nobody reads unless asked to; its writing end blocks, as inherited ones do."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.stream = os.fdopen(writing, "w")

    def read(self) -> str:
        """Everything that is there."""
        parts = []
        try:
            while part := os.read(self.reading, 1 << 20):
                parts.append(part)
        except BlockingIOError:
            pass
        return b"".join(parts).decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self.reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def write_until_full(sink: object, line: str = LINE) -> int:
    """How many lines were taken before one was not."""
    for taken in range(1_000_000):
        if not sink.write(line):  # type: ignore[attr-defined]
            return taken
    raise AssertionError("it takes everything")


def test_a_pipe_that_nobody_reads_loses_whole_records(pipe: Pipe) -> None:
    """O6: what a pipe took a part of is finished before anything else."""
    sink = sink_for(pipe.stream)
    taken = write_until_full(sink)
    assert taken > 10
    read = pipe.read()
    while sink.write("next\n") and not read.endswith("next\n"):
        read += pipe.read()
    assert read == LINE * taken + "next\n"


def test_a_pipe_is_made_to_hold_more(pipe: Pipe) -> None:
    sink_for(pipe.stream)
    assert fcntl.fcntl(pipe.stream, fcntl.F_GETPIPE_SZ) == PIPE_SIZE


def test_a_pipe_that_others_share_stays_as_it_is(pipe: Pipe) -> None:
    """O6: they would not expect their writes to fail."""
    write_until_full(sink_for(pipe.stream))
    assert os.get_blocking(pipe.stream.fileno())


def test_where_a_pipe_cannot_be_opened_again_nothing_waits_either(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O6: another user's terminal, or no /proc."""

    def refused(path: str, flags: int) -> int:
        raise PermissionError(path)

    monkeypatch.setattr("gateway.journal.sink.os.open", refused)
    sink = sink_for(pipe.stream)
    long = "y" * 10_000 + "\n"  # more than is written at a time
    taken = write_until_full(sink, long)
    assert taken > 1
    read = pipe.read()
    assert sink.write("next\n")
    assert (read + pipe.read()) == long * taken + "next\n"


def test_a_pipe_without_a_reader_loses_records(pipe: Pipe) -> None:
    sink = sink_for(pipe.stream)
    os.close(pipe.reading)
    try:
        assert not sink.write(LINE)
    finally:
        pipe.reading = os.open("/dev/null", os.O_RDONLY)


def test_a_socket_that_nobody_reads_loses_whole_records() -> None:
    """O6: what systemd gives a service as its standard error."""
    ours, theirs = socket.socketpair()
    with ours, theirs, os.fdopen(os.dup(theirs.fileno()), "w") as stream:
        ours.setblocking(False)
        sink = sink_for(stream)
        taken = write_until_full(sink)
        assert os.get_blocking(stream.fileno())
        read = b""
        while not read.endswith(b"next\n"):
            try:
                read += ours.recv(1 << 20)
            except BlockingIOError:
                assert sink.write("next\n")
        assert read.decode() == LINE * taken + "next\n"


def test_a_terminal_that_is_stopped_loses_records() -> None:
    """O6: Ctrl-S, or a terminal that has hung."""
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0), os.fdopen(theirs, "w") as stream:
        assert write_until_full(sink_for(stream)) >= 1
        assert os.get_blocking(stream.fileno())


def test_a_file_is_written_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        stream.write("before\n")
        assert sink_for(stream).write("after\ud800\n")
        assert (tmp_path / "log").read_text() == "before\nafter\\ud800\n"


def test_a_full_disk_loses_records() -> None:
    with open("/dev/full", "w") as stream:
        assert not sink_for(stream).write(LINE)


def test_what_is_lost_is_told_before_the_next_record(pipe: Pipe) -> None:
    """O6: all that is counted is told."""
    observer = StreamObserver(pipe.stream, priorities=True)
    log = through(observer)
    while observer.dropped < 7:
        log.info("{line}", line="z" * 10_000)
    read = pipe.read()
    log.info("there again")
    *before, again = (read + pipe.read()).splitlines()
    assert before[-1].startswith("<4>")
    assert again == "<6>there again"
    told = [re.match(r"<4>(\d+) log records were lost: ", line) for line in before]
    assert sum(int(found[1]) for found in told if found) == observer.dropped == 7


def test_memory_is_written_as_any_stream() -> None:
    stream = io.StringIO()
    assert sink_for(stream).write("there\n")
    assert stream.getvalue() == "there\n"
