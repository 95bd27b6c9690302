"""System calls per unit of a work, of a worker's main thread, as strace tells them.

A unit begins when the one before has reached the client whole.  What is counted are the turns of
the reactor, a wait and what follows it, in which something is done with a TCP connection; so
timers and the control connection do not count.  Nor does what other threads cause: ``futex``, of
the interpreter's lock, and a ``read`` of the pipe by which they wake the reactor.  Where a turn had
other work besides, its unit is larger by chance: what counts is the size that four units of five do
not exceed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

from tests.hotpath.works import SECTIONS, Work
from tests.process.gateway_process import PATIENCE, eventually
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until_gone
from tests.process.workers_gateway import WorkersGateway

_WARM: Final = 10
_UNITS: Final = 100
#: The share of the units that are not larger than what is told.
_SHARE: Final = 0.8
#: Characters of the data that strace shows: enough to tell a unit's beginning.
_SHOWN: Final = 12

#: Loaded by every Python process of the gateway: this user's strace may attach itself where a
#: kernel lets parents alone do so (PR_SET_PTRACER, PR_SET_PTRACER_ANY; prctl(2)).
_TRACEABLE: Final = """
import ctypes
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
"""


class NotTraced(Exception):
    """A process cannot be traced here; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """The calls of each unit, by their names, in their order."""

    units: list[tuple[str, ...]]

    def figures(self) -> dict[str, float]:
        """The figure, by its key in the budget."""
        sizes = sorted(map(len, self.units))
        return {"system_calls": float(sizes[int(_SHARE * len(sizes))])}

    def top(self, count: int) -> list[str]:
        """Lines of what units were most often."""
        shapes = Counter(" ".join(unit) for unit in self.units)
        return [f"{n:4} of {len(self.units)}: {shape}" for shape, n in shapes.most_common(count)]


def left_out(error: NotTraced) -> NoReturn:
    """Leave the test out, or have it fail in CI."""
    reason = f"not tested: system calls of the hot path; {error}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def count(work: Work, folder: Path) -> SystemCalls:
    """Do the work through a gateway in `folder`, with one worker, and count.

    Raises `NotTraced`.
    """
    if shutil.which("strace") is None:
        raise NotTraced("strace is not installed (apt-get install strace)")
    upstream = ScriptedUpstream()
    sections = SECTIONS.format(url=upstream.url)
    gateway = WorkersGateway(folder, sections, "workers = 1")
    site = folder / "site" / "sitecustomize.py"
    site.write_text(site.read_text() + _TRACEABLE)
    doing = _stream if work.stream else _requests
    try:
        with gateway, doing(gateway.port, upstream, work) as unit:
            ((_, pid),) = gateway.workers()
            unit()
            if not work.stream:
                gateway.new_rows()  # the price of a model is asked for once, in a thread
            for _ in range(_WARM):
                unit()
            with traced(pid, folder / "trace"):
                for _ in range(_UNITS):
                    unit()
    finally:
        upstream.close()
    begin = work.piece if work.stream else work.request
    return SystemCalls(units_of((folder / "trace").read_text(), begin))


@contextlib.contextmanager
def _stream(port: int, upstream: ScriptedUpstream, work: Work) -> Iterator[Callable[[], None]]:
    """A unit is the next event of one stream."""
    upstream.play(read_request, send(work.head), until_gone)
    with _client(port) as client:
        client.sendall(work.request)
        received = b""
        ends = work.head.partition(b"\r\n\r\n")[2]
        while not received.endswith(ends):
            received += client.recv(65536)

        def unit() -> None:
            upstream.peers[0].send(work.piece)
            assert _exactly(client, len(work.piece)) == work.piece

        yield unit


@contextlib.contextmanager
def _requests(port: int, upstream: ScriptedUpstream, work: Work) -> Iterator[Callable[[], None]]:
    """A unit is a request and its answer, both on connections that are kept."""
    answer = work.head + work.piece
    upstream.play(*(read_request, send(answer)) * (1 + _WARM + _UNITS), until_gone)
    with _client(port) as client:

        def unit() -> None:
            client.sendall(work.request)
            received = b""
            while not received.endswith(work.piece):
                received += client.recv(65536)

        yield unit
    assert len(upstream.peers) == 1, "the connection to the upstream was not kept"


def _client(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        assert piece, f"the connection ended behind {data!r}"
        data += piece
    return data


@contextlib.contextmanager
def traced(pid: int, trace: Path) -> Iterator[None]:
    """Have strace write what the main thread asks of the kernel; raises `NotTraced`."""
    options = ["-qq", "-yy", "-s", str(_SHOWN), "-e", "signal=none", "-o", str(trace)]
    tracer = subprocess.Popen(
        ["strace", *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True
    )
    status = Path(f"/proc/{pid}/status")

    def attached() -> bool:
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            said = tracer.stderr.read().strip()
            raise NotTraced(f"this user's strace cannot attach itself to a process ({said})")
        return f"TracerPid:\t{tracer.pid}" in status.read_text()

    with tracer:
        try:
            eventually(attached, "strace is attached")
            yield
        finally:
            tracer.send_signal(signal.SIGINT)


_CALL: Final = re.compile(r"^(\w+)\(")
_OF_THREADS: Final = re.compile(r"^futex\(|^read\(\d+<pipe:")
_WAITS: Final = ("epoll_wait", "epoll_pwait")


def units_of(trace: str, begin: bytes) -> list[tuple[str, ...]]:
    """The calls of the units in what strace wrote, but for the first and the last.

    A unit begins with the turn that reads what begins as `begin` does.
    """
    shown = begin[:_SHOWN].decode("ascii").encode("unicode_escape").decode("ascii")
    read = re.compile(rf'^(?:recv|read)\w*\(.*"{re.escape(shown)}"')
    units: list[tuple[str, ...]] = [()]
    for turn in _turns(trace.splitlines()):
        if any(map(read.match, turn)):
            units.append(())
        if any("<TCP" in line for line in turn[1:]):
            own = [line for line in turn if not _OF_THREADS.match(line)]
            units[-1] += tuple(match[1] for line in own if (match := _CALL.match(line)))
    found = units[2:-1]
    assert len(found) > _UNITS // 2, f"strace shows {len(found)} units of {_UNITS}:\n{trace[:2000]}"
    return found


def _turns(lines: list[str]) -> Iterator[list[str]]:
    turn: list[str] = []
    for line in lines:
        if line.startswith(_WAITS):
            yield turn
            turn = []
        turn.append(line)
    yield turn
