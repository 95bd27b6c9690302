"""Measure what an event and a request cost each proxy, side by side in one run.

All proxies run at the same time on one core, the load and the upstream on another.  Every round
gives every work to every proxy in turn, so that what disturbs the machine disturbs all of them.
The figure is CPU time as the system accounts it, user and system, children included, divided by
the events or requests that reached the client whole.  It is not wall-clock time, which says little
on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from .processes import TICK, BenchError, cpu_seconds, free_port, listening
from .proxies import PROXIES, Proxy, go, start
from .report import Sample, failures, results, table
from .works import WORKS, Work

#: Seconds after a work in which a proxy's last doings for it (rows, closes) still count.
_SETTLE: Final = 0.5
#: Seconds that a work may take.
_WORK_LIMIT: Final = 300.0


def measure(
    proxies: Sequence[Proxy], works: Sequence[Work], rounds: int, cores: tuple[int, int]
) -> Iterator[Sample]:
    """Do every work `rounds` times with every proxy; a sample for each.  Raises `BenchError`."""
    proxy_core, load_core = cores
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        load = _build(folder)
        port = free_port()
        upstream = [str(load), "upstream", "-listen", f"127.0.0.1:{port}"]
        stack.enter_context(
            listening("upstream", upstream, port=port, core=load_core, folder=folder)
        )
        running: list[tuple[str, str, int]] = []
        for proxy in proxies:
            started = start(proxy, folder, proxy_core, port, load)
            url = f"http://127.0.0.1:{started.port}/v1/chat/completions"
            running.append((proxy.name, url, stack.enter_context(started.process)))
        for work in works:
            for _, url, _ in running:
                _ask(load, url, work.shortened(), load_core)
        for number in range(rounds):
            for work in works:
                for name, url, pid in running:
                    before = cpu_seconds(pid)
                    client = _ask(load, url, work, load_core)
                    time.sleep(_SETTLE)
                    yield Sample(work, name, number, cpu_seconds(pid) - before, client)


def _build(folder: Path) -> Path:
    load = folder / "load"
    done = subprocess.run(
        [go(), "build", "-buildvcs=false", "-o", str(load), "."],
        cwd=Path(__file__).parent / "load",
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BenchError(f"the load program cannot be built:\n{done.stderr.strip()}")
    return load


def _ask(load: Path, url: str, work: Work, core: int) -> Mapping[str, Any]:
    """Run ``load client``; its report."""
    command = [str(load), "client", "-url", url, *work.arguments()]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_WORK_LIMIT,
            preexec_fn=partial(os.sched_setaffinity, 0, {core}),
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{work.name} did not end within {_WORK_LIMIT:g} s") from error
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")
    report: Mapping[str, Any] = json.loads(done.stdout)
    return report


# The command.


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average_1min": os.getloadavg()[0],
    }


def _named(known: Mapping[str, object], what: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = list(dict.fromkeys(text.split(",")))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"there is no {what} {name!r}; there are {', '.join(known)}"
                )
        return names

    return parse


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds, 1 or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run",
        description=__doc__,
        epilog="works:\n" + "\n".join(f"  {work.name:5} {work.doc}" for work in WORKS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        metavar="WORK,…",
        type=_named(WORKS, "work"),
        default=list(WORKS),
        help="do these works (default: all of them)",
    )
    parser.add_argument(
        "--proxies",
        metavar="NAME,…",
        type=_named(PROXIES, "proxy"),
        default=list(PROXIES),
        help=f"measure these (default: {','.join(PROXIES)})",
    )
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=_count,
        default=3,
        help="how often each work is done; the table shows medians (default: %(default)s)",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write everything measured to FILE, too"
    )
    return parser


def _cores() -> tuple[int, int]:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for the proxies, one for the load")
    return usable[0], usable[1]


def _run(options: argparse.Namespace) -> int:
    proxies = [PROXIES[name] for name in options.proxies]
    works = [WORKS[name] for name in options.only]
    cores = _cores()
    about = machine()
    versions = {proxy.name: proxy.version() for proxy in proxies}
    for name, text in versions.items():
        print(f"{name}: {text}")
    print(f"load average before: {about['load_average_1min']:.2f}", flush=True)
    samples = []
    for sample in measure(proxies, works, options.rounds, cores):
        samples.append(sample)
        if sys.stderr.isatty():
            done = f"round {sample.round + 1}: {sample.work.name} {sample.proxy}"
            print(f"\r\033[K{done}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    found = results(samples)
    failed = failures(samples)
    print(
        f"\n{table(found)}\n\nmedians of {options.rounds} rounds; step: {TICK * 1000:g} ms of CPU"
    )
    for line in failed:
        print(line, file=sys.stderr)
    if options.json is not None:
        everything = {
            "machine": about,
            "proxies": versions,
            "rounds": options.rounds,
            "works": {work.name: {"doc": work.doc, **work.options} for work in works},
            "results": [result.as_json() for result in found],
            "samples": [sample.as_json() for sample in samples],
        }
        try:
            options.json.write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise BenchError(f"--json {options.json}: cannot be written: {error}") from error
    return 1 if failed else 0


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def main() -> int:
    """The command line; 0, or 1 with a line that says what is wrong."""
    signal.signal(signal.SIGTERM, _terminated)  # so that what was started is ended
    try:
        return _run(_parser().parse_args())
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
