"""Measure what an event, a request, a stream cost each proxy, side by side in one run.

All proxies run at the same time on one core, the load and the upstream on another.  Every round
gives every work to every proxy in turn, so that what disturbs the machine disturbs all of them.
The first figure is CPU time as the system accounts it, user and system, children included, divided
by what reached the client whole.  Wall-clock times say little on a machine that does other things
as well; those of the load without a proxy are measured beside them.
"""

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from . import files, plot, tables
from .account import TICK
from .gateway import Setting
from .measure import Bench, Cores
from .processes import BenchError, raise_file_limit
from .proxies import proxies
from .proxy import ROOT, Proxy
from .report import failures, results
from .works import WORKS, Kind

#: Open files that a proxy of 5,000 held streams needs.
_FILES: Final = 11_000


def _say(text: str) -> None:
    """Progress: a line that is replaced on a terminal, one of many elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _about(setting: Setting) -> dict[str, str]:
    """When and on what the figures were measured."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "Date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "Machine": f"{os.cpu_count()} cores, {_processor()}, {platform.platform()}",
        "Load average before": f"{os.getloadavg()[0]:.2f}",
        "Gateway": setting.doc(),
        "Command": f"``{shlex.join(['python', '-m', 'bench.run', *sys.argv[1:]])}``",
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


def _names(text: str) -> list[str]:
    return [name for name in dict.fromkeys(text.split(",")) if name]


def _named(known: Mapping[str, object], what: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = _names(text)
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"there is no {what} {name!r}; there are {', '.join(known)}"
                )
        return names

    return parse


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 1 or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    known = proxies(Setting())
    lines = ["works:", *(f"  {work.name:15} {work.doc}" for work in WORKS.values())]
    lines += ["", "proxies:", *(f"  {name}" for name in known)]
    parser = argparse.ArgumentParser(
        prog="python -m bench.run",
        description=__doc__,
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", metavar="WORK,…", type=_named(WORKS, "work"), help="do these works alone")
    add("--proxies", metavar="NAME,…", type=_named(known, "proxy"), help="measure these alone")
    help_ = "how often each work is done; the tables show medians (default: %(default)s)"
    add("--rounds", metavar="N", type=_count, default=3, help=help_)
    add("--workers", metavar="N", type=_count, help="the gateway's key workers")
    add(
        "--reactor",
        metavar="NAME",
        default="gateway",
        help="the gateway's reactor, as twistd --reactor names it (default: %(default)s, which"
        " workers have)",
    )
    help_ = "a further line of the gateway's section [gateway]; may be repeated"
    add("--line", metavar="KEY=VALUE", action="append", default=[], help=help_)
    cache = ROOT / ".bench"
    help_ = "where peers are installed (default: %(default)s)"
    add("--cache", metavar="DIR", type=Path, default=cache, help=help_)
    help_ = "a folder to be made, for the proxies' files and logs (default: one that is removed)"
    add("--folder", metavar="DIR", type=Path, help=help_)
    add("--install", action="store_true", help="install the peers and measure nothing")
    add("--json", metavar="FILE", type=Path, help="write everything measured to FILE")
    add("--csv", metavar="FILE", type=Path, help="write the figures to FILE")
    add("--rst", metavar="FILE", type=Path, help="put the results into the page FILE")
    add("--svg", metavar="FILE", type=Path, help="draw the results into FILE")
    return parser


def _cores() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for the proxies, one for the load")
    return Cores(usable[0], usable[1])


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
            yield Path(folder)
        return
    try:
        wanted.mkdir(parents=True)
    except OSError as error:
        raise BenchError(f"--folder {wanted}: cannot be made: {error}") from error
    yield wanted.resolve()


def _installed(
    wanted: list[Proxy], cache: Path, left_out: dict[str, str]
) -> dict[str, tuple[str, str]]:
    """Version and doc of those proxies that are there; the others are left out."""
    found = {}
    for proxy in wanted:
        _say(f"looking for {proxy.name}")
        try:
            proxy.install(cache)
            found[proxy.name] = (proxy.version(cache), proxy.doc)
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            left_out[proxy.name] = str(error)
    return found


def _run(options: argparse.Namespace) -> int:
    setting = Setting(options.workers, options.reactor, tuple(options.line))
    if options.svg is not None:
        plot.check()
    known = proxies(setting)
    wanted = [known[name] for name in options.proxies or known]
    works = [WORKS[name] for name in options.only or WORKS]
    about = _about(setting)
    options.cache.mkdir(parents=True, exist_ok=True)
    left_out: dict[str, str] = {}
    there = _installed(wanted, options.cache, left_out)
    if options.install:
        _say("")
        print("\n".join([*(f"{name}: {text}" for name, (text, _) in there.items())]))
        print("\n".join(f"left out: {what}: {why}" for what, why in left_out.items()))
        return 0
    limit = raise_file_limit()
    if limit < _FILES and any(work.kind is Kind.HELD for work in works):
        works = [work for work in works if work.kind is not Kind.HELD]
        left_out["H"] = f"the machine allows {limit} open files (ulimit -Hn), {_FILES} are needed"
    with _folder(options.folder) as folder:
        bench = Bench(_cores(), folder, options.cache.resolve(), _say, left_out)
        measured = [proxy for proxy in wanted if proxy.name in there]
        samples = list(bench.measure(measured, works, options.rounds))
    _say("")
    found = results(samples)
    failed = failures(samples)
    left_out |= {f"a sample of {line.partition(',')[0]}": line for line in failed}
    run = files.Run(about, there, options.rounds, left_out, samples, found)
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print("\n".join(f"{name}: {text}" for name, (text, _) in there.items()))
    print(f"\n{tables.text(found)}\n\n{files.rounds_in_words(options.rounds)}; ", end="")
    print(f"the system counts CPU time in steps of {TICK * 1000:g} ms")
    for what, why in left_out.items():
        print(f"left out: {what}: {why}", file=sys.stderr)
    if options.json is not None:
        files.write(options.json, files.as_json(run))
    if options.csv is not None:
        files.write(options.csv, files.as_csv(run))
    if options.svg is not None:
        plot.draw(found, options.svg)
    if options.rst is not None:
        files.write_rst(options.rst, run, options.svg)
    # What peers cannot do is for the report; what the gateway cannot do is a fault.
    ours = [sample for sample in samples if sample.proxy.startswith("gateway")]
    return 1 if failures(ours) else 0


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
