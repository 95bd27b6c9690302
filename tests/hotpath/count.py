"""Counts what an event, a request and a held stream cost now, beside the budget; for whoever makes
them cheaper::

    python -m tests.hotpath.count [--top 40] [--files] [--work NAME] [--write]

``--top`` says which functions are called most, by calls per unit, and of a held stream which lines
allocate most; system calls are shown as the units' sequences of them.  ``--files`` sums the calls
up by the files that they are made in or, of Python functions, defined in.  ``--write`` makes the
figures the budget.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.hotpath import calls, held, system_calls
from tests.hotpath.budget import Budget, running
from tests.hotpath.works import HELD, SENT, WORKS, Work


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, and write if that is asked for."""
    parser = argparse.ArgumentParser(description="Counts what an event and a request cost.")
    works = (*WORKS, HELD)
    names = [work.name for work in works]
    parser.add_argument("--work", choices=names, help="this one only")
    parser.add_argument("--top", type=int, default=0, metavar="N", help="show the N most called")
    parser.add_argument("--files", action="store_true", help="show the calls of each file")
    parser.add_argument("--write", action="store_true", help="make the figures the budget")
    options = parser.parse_args(arguments)
    budget = Budget.read()
    figures = {name: dict(budget.figures.get(name, {})) for name in names}
    print(f"Python {running()}; the budget was counted with {budget.python}")
    for work in works:
        if options.work not in (None, work.name):
            continue
        counted, top = _counted(work, options.top, files=options.files)
        print(f"\n{work.name}")
        for key, figure in counted.items():
            old = figures[work.name].get(key)
            beside = "no budget yet" if old is None else f"budget {old:g}"
            print(f"{figure:8g}  {key} per {work.unit} ({beside})")
        print(*top, sep="\n", end="\n" if top else "")
        figures[work.name].update(counted)
    if options.write:
        Budget(running(), figures).write()
    return 0


def _counted(work: Work, top: int, *, files: bool) -> tuple[dict[str, float], list[str]]:
    """The work's figures, and the lines of what is called, or allocated, most."""
    if work is HELD:
        with tempfile.TemporaryDirectory() as folder:
            kept = held.count(Path(folder))
        return kept.figures(), kept.top(top)
    with tempfile.TemporaryDirectory() as folder:
        found = calls.count(work, Path(folder))
    figures, lines = found.figures(), found.top(top)
    if files:
        lines += found.files()
    if work in SENT:
        try:
            with tempfile.TemporaryDirectory() as folder:
                told = system_calls.count(work, Path(folder))
        except system_calls.NotTraced as error:
            print(f"system calls are not counted: {error}", file=sys.stderr)
        else:
            figures |= told.figures()
            lines += told.top(top)
    return figures, lines


if __name__ == "__main__":
    sys.exit(main())
