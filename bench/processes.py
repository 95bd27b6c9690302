"""Processes of the benchmark: started on their cores, ended by pid, and programs to be found."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from .account import family

#: Seconds that a process may take to listen, and to end when it is asked to.
_START_LIMIT: Final = 60.0
_END_LIMIT: Final = 10.0


class BenchError(Exception):
    """The benchmark cannot go on, or not with this; the text says why and what would be right."""


def program(name: str, advice: str) -> str:
    """The path of a program: beside this Python, on the path, or where Debian keeps servers."""
    beside = Path(sys.executable).parent
    folders = os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath), "/usr/sbin"])
    found = shutil.which(name, path=folders)
    if found is None:
        raise BenchError(f"{name} is not installed: {advice}")
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def raise_file_limit() -> int:
    """Allow this process and those it starts as many open files as the machine does; how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


@contextmanager
def listening(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    cores: Collection[int],
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run `command` on `cores` for the length of a ``with``; its pid, once it listens on `port`.

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
            preexec_fn=partial(os.sched_setaffinity, 0, cores),
            start_new_session=True,
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
    """End a process and all that it has started in its session, also if they are paused."""
    process.terminate()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_LIMIT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def pause(pid: int) -> None:
    """Let a process and its descendants do nothing at all until `go_on`."""
    _signal(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """Let them go on."""
    _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    for member in family(pid):
        with suppress(ProcessLookupError):
            os.kill(member, number)
