"""What the commands of the benchmark share: arguments, progress, and how one begins and ends."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from .gateway import Setting
from .measure import Cores
from .processes import BenchError, raise_file_limit
from .proxy import ROOT
from .works import Kind, Work

#: Open files that a proxy of 5,000 held streams needs.
_FILES: Final = 11_000


def say(text: str) -> None:
    """Progress: a line that is replaced on a terminal, one of many elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def about(module: str, setting: Setting) -> dict[str, str]:
    """When and on what the command that is `module` measured, and its arguments."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "Date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "Machine": f"{os.cpu_count()} cores, {_processor()}, {platform.platform()}",
        "Load average before": f"{os.getloadavg()[0]:.2f}",
        "Gateway": setting.doc(),
        "Command": f"``{shlex.join(['python', '-m', module, *sys.argv[1:]])}``",
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def named(known: Mapping[str, object], what: str) -> Callable[[str], list[str]]:
    """A type of arguments: names of `known`, each a `what`, between commas."""

    def parse(text: str) -> list[str]:
        names = [name for name in dict.fromkeys(text.split(",")) if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"there is no {what} {name!r}; there are {', '.join(known)}"
                )
        return names

    return parse


def number(text: str) -> int:
    """A type of arguments: a number, 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 1 or more")
    return int(text)


def cores() -> Cores:
    """The cores that are used; raises `BenchError` if there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for the proxies, one for the load")
    return Cores(usable[0], usable[1])


@contextmanager
def folder_at(wanted: Path | None) -> Iterator[Path]:
    """A folder for the proxies' files and logs: `wanted`, which is made, or one that is removed."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
            yield Path(folder)
        return
    try:
        wanted.mkdir(parents=True)
    except OSError as error:
        raise BenchError(f"--folder {wanted}: cannot be made: {error}") from error
    yield wanted.resolve()


def possible(works: Sequence[Work], left_out: dict[str, str]) -> list[Work]:
    """Those works for which this process may have enough files open; the others are left out."""
    limit = raise_file_limit()
    if limit >= _FILES or not any(work.kind is Kind.HELD for work in works):
        return list(works)
    left_out["H"] = f"the machine allows {limit} open files (ulimit -Hn), {_FILES} are needed"
    return [work for work in works if work.kind is not Kind.HELD]


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def command(run: Callable[[], int]) -> int:
    """`run`, as a command; 1 with a line that says what is wrong if that raises `BenchError`."""
    signal.signal(signal.SIGTERM, _terminated)  # so that what was started is ended
    try:
        return run()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
