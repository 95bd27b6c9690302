"""Measure what an event, a request, a stream cost each proxy, side by side in one run.

All proxies run at the same time on one core, the load and the upstream on another.  Every round
gives every work to every proxy in turn, so that what disturbs the machine disturbs all of them.
The first figure is CPU time as the system accounts it, user and system, children included, divided
by what reached the client whole.  Wall-clock times say little on a machine that does other things
as well; those of the load without a proxy are measured beside them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from . import files, plot, tables
from .account import TICK
from .command import about, command, cores, folder_at, named, number, possible, say
from .gateway import Setting
from .measure import Bench
from .processes import BenchError
from .proxies import proxies
from .proxy import ROOT, Proxy
from .report import failures, results
from .works import WORKS


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
    add("--only", metavar="WORK,…", type=named(WORKS, "work"), help="do these works alone")
    add("--proxies", metavar="NAME,…", type=named(known, "proxy"), help="measure these alone")
    help_ = "how often each work is done; the tables show medians (default: %(default)s)"
    add("--rounds", metavar="N", type=number, default=3, help=help_)
    add("--workers", metavar="N", type=number, help="the gateway's key workers")
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


def _installed(
    wanted: list[Proxy], cache: Path, left_out: dict[str, str]
) -> dict[str, tuple[str, str]]:
    """Version and doc of those proxies that are there; the others are left out."""
    found = {}
    for proxy in wanted:
        say(f"looking for {proxy.name}")
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
    measured_on = about("bench.run", setting)
    options.cache.mkdir(parents=True, exist_ok=True)
    left_out: dict[str, str] = {}
    there = _installed(wanted, options.cache, left_out)
    if options.install:
        say("")
        print("\n".join([*(f"{name}: {text}" for name, (text, _) in there.items())]))
        print("\n".join(f"left out: {what}: {why}" for what, why in left_out.items()))
        return 0
    works = possible(works, left_out)
    with folder_at(options.folder) as folder:
        bench = Bench(cores(), folder, options.cache.resolve(), say, left_out)
        measured = [proxy for proxy in wanted if proxy.name in there]
        samples = list(bench.measure(measured, works, options.rounds))
    say("")
    found = results(samples)
    failed = failures(samples)
    left_out |= {f"a sample of {line.partition(',')[0]}": line for line in failed}
    run = files.Run(measured_on, there, options.rounds, left_out, samples, found)
    print("\n".join(f"{name}: {value}" for name, value in measured_on.items()))
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


def main() -> int:
    """The command line; 0, or 1 with a line that says what is wrong."""
    return command(lambda: _run(_parser().parse_args()))


if __name__ == "__main__":
    sys.exit(main())
