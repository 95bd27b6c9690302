"""Tell where the gateway's CPU time goes in the works of the benchmark, by part and by function.

Each work is done as `bench.run` does it: the gateway on one core, load and upstream on another,
with the same configuration and the same load: first with nobody looking, for the system's account
of user and system time, then with py-spy looking at the stacks, until there are enough samples.
py-spy is installed where the benchmark's peers are.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from . import files, profile_page, sampling
from .command import about, command, cores, folder_at, named, number, possible, say
from .processes import BenchError
from .proxy import ROOT
from .stacks import as_text
from .watching import MOST, SETTING, Watching
from .works import WORKS

_WORKS: Final = ("S10k", "S50k", "U", "U200", "B", "H", "stalled", "S50k-tls", "U-tls")


def _parser() -> argparse.ArgumentParser:
    known = {name: work for name, work in WORKS.items() if not work.saturating}
    lines = ["works (* if none are named):"]
    lines += [
        f"{'*' if work.name in _WORKS else ' '} {work.name:15} {work.doc}"
        for work in known.values()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile",
        description=__doc__,
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", metavar="WORK,…", type=named(known, "work"), help="look at these works alone")
    help_ = f"looks that find it at work, at least (default: %(default)s; {MOST} passes at most)"
    add("--samples", metavar="N", type=number, default=2_000, help=help_)
    help_ = "where py-spy is installed (default: %(default)s)"
    add("--cache", metavar="DIR", type=Path, default=ROOT / ".bench", help=help_)
    help_ = "a folder to be made, for files and logs (default: one that is removed)"
    add("--folder", metavar="DIR", type=Path, help=help_)
    help_ = "write each work's stacks to DIR/WORK.txt, collapsed as flame graphs are drawn from"
    add("--stacks", metavar="DIR", type=Path, help=help_)
    add("--rst", metavar="FILE", type=Path, help="put the profile into the page FILE")
    return parser


def _run(options: argparse.Namespace) -> int:
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    say(f"looking for {sampling.version()}")
    program = sampling.install(cache)
    left_out: dict[str, str] = {}
    works = possible([WORKS[name] for name in options.only or _WORKS], left_out)
    lines = about("bench.profile", SETTING)
    lines["Looked at by"] = f"{sampling.version()}, {sampling.RATE} times a second"
    used = cores()
    # Where there is a third core, the load has its own for itself.
    third = sorted(os.sched_getaffinity(0) - {*used.all})
    watching = Watching(program, used, third[0] if third else used.load, cache, say)
    profiles = []
    with folder_at(options.folder) as folder:
        for work in works:
            own = folder / work.name
            own.mkdir()
            try:
                profiles.append(watching.profile(work, own, options.samples))
            except BenchError as error:
                left_out[work.name] = str(error).replace(f"{folder}/", "")
    say("")
    for what, why in left_out.items():
        print(f"left out: {what}: {why}", file=sys.stderr)
    if not profiles:
        raise BenchError("there is no profile of any work")
    print("\n".join(f"{name}: {value}" for name, value in lines.items()))
    print(f"\n{profile_page.text(profiles)}")
    if options.stacks is not None:
        for profile in profiles:
            files.write(options.stacks / f"{profile.work.name}.txt", as_text(profile.stacks))
    if options.rst is not None:
        part = profile_page.as_rst(lines, profiles, left_out)
        files.write_part(options.rst, part, "bench.profile")
    return 1 if left_out else 0


def main() -> int:
    """The command line; 0, or 1 with a line that says what is wrong."""
    return command(lambda: _run(_parser().parse_args()))


if __name__ == "__main__":
    sys.exit(main())
