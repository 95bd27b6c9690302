"""``load client``, run for one work: its report, and a look at the proxy where it asks for one."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from .processes import BenchError
from .works import Work

#: Seconds that a work may take.
_LIMIT: Final = 180.0

#: What ``load client`` printed last: the report of `bench/load/report.go`.
Report = Mapping[str, Any]


def build(go: str, folder: Path) -> Path:
    """Build the load program into `folder` with the Go tool at `go`; raises `BenchError`."""
    load = folder / "load"
    done = subprocess.run(
        [go, "build", "-buildvcs=false", "-o", str(load), "."],
        cwd=Path(__file__).parent / "load",
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the load program cannot be built:\n{done.stderr.strip()}")
    return load


def run(
    load: Path,
    url: str,
    work: Work,
    cores: Collection[int],
    *,
    header: Mapping[str, str],
    loose: bool,
    look: Callable[[str], None],
) -> Report:
    """Do `work` at `url` from `cores`; `look` is called with each phase that the client names.

    Raises `BenchError` if the client cannot do it at all, or does not end.
    """
    command = [str(load), "client", "-url", url, *work.arguments()]
    if loose:
        command.append("-loose")
    for name, value in header.items():
        command += ["-header", f"{name}: {value}"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(os.sched_setaffinity, 0, cores),
    )
    ended_late = threading.Event()

    def end() -> None:
        ended_late.set()
        process.kill()

    timer = threading.Timer(_LIMIT, end)
    timer.start()
    lines: list[str] = []
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            phase = phase_of(line)
            if phase is None:
                lines.append(line)
                continue
            look(phase)
            process.stdin.write("\n")
            process.stdin.flush()
        _, errors = process.communicate()
    except BrokenPipeError:
        errors = "it ended while it was looked at"
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if ended_late.is_set():
        raise BenchError(f"{work.name} did not end within {_LIMIT:g} s")
    return parse(lines, process.returncode, errors)


def phase_of(line: str) -> str | None:
    """The phase that a line of the client's names, if it does."""
    read = json.loads(line)
    phase: str | None = read.get("phase")
    return phase


def parse(lines: Sequence[str], code: int, errors: str) -> Report:
    """The report among the lines that name no phase; raises `BenchError` if there is none."""
    if code or len(lines) != 1:
        said = errors.strip() or "(nothing)"
        raise BenchError(f"load client ended with {code} and said: {said[-1000:]}")
    report: Report = json.loads(lines[0])
    return report
