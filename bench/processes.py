"""Processes of the benchmark: started on one core, timed by the system's account, ended by pid."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

#: Seconds that a process may take to listen, and to end when it is asked to.
_START_LIMIT: Final = 20.0
_END_LIMIT: Final = 10.0

#: Seconds of one step in which the system counts CPU time.
TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark cannot go on; the text says why and what would be right."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def listening(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    core: int,
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run `command` on `core` for the length of a ``with``; its pid, once it listens on `port`.

    What it prints goes to ``NAME.log`` in `folder`.  Raises `BenchError`, with the end of that, if
    it does not come to listen.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environ or {})},
            preexec_fn=partial(os.sched_setaffinity, 0, {core}),
        )
    try:
        _wait_for(name, process, port, log)
        yield process.pid
    finally:
        _end(process)


def _wait_for(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pass
        else:
            return
        if process.poll() is not None:
            what = f"ended with {process.returncode}"
        elif time.monotonic() > deadline:
            what = f"did not listen on port {port} within {_START_LIMIT:g} s"
        else:
            time.sleep(0.02)
            continue
        said = log.read_text(errors="replace")[-2000:].strip()
        raise BenchError(f"{name} {what}; it said:\n{said or '(nothing)'}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its descendants, ended ones included (proc(5))."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # it has ended since it was listed
        # The name, in parentheses, may hold anything; after it come the state and the parent.
        fields = stat.rpartition(")")[2].split()
        number = int(entry.name)
        ticks[number] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
        children.setdefault(int(fields[1]), []).append(number)
    total, ask = 0, [pid]
    while ask:
        number = ask.pop()
        total += ticks[number]
        ask += children.get(number, [])
    return total * TICK
