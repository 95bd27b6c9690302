"""py-spy, which looks at the stacks of a process that runs, from outside and many times a second.

It stops the process for each look.  Without that it would read stacks that change meanwhile: what
calls much and deeply is lost then, and what sits in one function of C is seen too often.  Frames of
C are not asked for: Debian's Python has no names for most of them, and the user's and the system's
time are in the system's own account.

Looks come at random intervals, so that they do not fall in step with a load that has a period.
A thread that is asleep is not counted.  Source: py-spy's README.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from .peers.install import pinned, python_packages
from .processes import BenchError
from .stacks import Stack, of_main_thread

#: Looks a second.  More of them cost the process more stops than they are worth.
RATE: Final = 200
#: Seconds that it may take to find its way into the process, and to write what it saw.
_LIMIT: Final = 30.0

_NAME: Final = "py-spy"
_BEGUN: Final = "Sampling process"
_ERRORS: Final = re.compile(r"Samples: \d+ Errors: (\d+)")
_BEHIND: Final = re.compile(r"([\d.]+)s behind in sampling")
_ADVICE: Final = (
    "it has to be allowed to trace processes that it has not started: as root, in a container "
    "with the capability SYS_PTRACE, elsewhere with sysctl kernel.yama.ptrace_scope=0"
)


@dataclass(slots=True)
class Recording:
    """What was seen of a process; filled once it is over."""

    stacks: Counter[Stack] = field(default_factory=Counter)  #: of its main thread
    errors: int = 0  #: looks in which a stack could not be read
    behind: float = 0.0  #: seconds by which looks came late, at most


def install(cache: Path) -> list[str]:
    """The command that runs py-spy, installed into `cache` if it is not there.

    Raises `BenchError` if it cannot be had.
    """
    python_packages(_NAME, cache)
    return [str(cache / _NAME / "bin" / _NAME)]


def version() -> str:
    """Which py-spy that is."""
    return f"{_NAME} {pinned(_NAME, _NAME)}"


@contextmanager
def recording(command: Sequence[str], pid: int, *, core: int, folder: Path) -> Iterator[Recording]:
    """Look at the process `pid` for the length of a ``with``, from `core`.

    Raises `BenchError`, with what py-spy said, if that cannot be done.
    """
    log, output = folder / f"{_NAME}.log", folder / f"{_NAME}.txt"
    output.unlink(missing_ok=True)
    arguments = ["record", "--pid", str(pid), "--rate", str(RATE), "--threads", "--function"]
    arguments += ["--format", "raw", "--output", str(output)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(os.sched_setaffinity, 0, {core}),
            start_new_session=True,
        )
    found = Recording()
    try:
        _wait_until_begun(process, log)
        yield found
        process.send_signal(signal.SIGINT)
        process.wait(_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{_NAME} did not write what it saw within {_LIMIT:g} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    _read(found, output, log)


def _wait_until_begun(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _LIMIT
    while _BEGUN not in log.read_text(errors="replace"):
        if process.poll() is not None:
            raise BenchError(f"{_NAME} cannot look at the gateway: {_said(log)}; {_ADVICE}")
        if time.monotonic() > deadline:
            raise BenchError(f"{_NAME} did not begin within {_LIMIT:g} s: {_said(log)}")
        time.sleep(0.02)


def _read(found: Recording, output: Path, log: Path) -> None:
    try:
        found.stacks = of_main_thread(output.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"{_NAME} wrote nothing of use: {error}; it said: {_said(log)}") from error
    said = log.read_text(errors="replace")
    found.errors = sum(map(int, _ERRORS.findall(said)))
    found.behind = max(map(float, _BEHIND.findall(said)), default=0.0)


def _said(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return " ".join(filter(None, lines))[-500:] or "it said nothing"
