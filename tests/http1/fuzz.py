"""Compare the gateway's HTTP parser with h11 and llhttp on many generated messages.

    python -m tests.http1.fuzz --examples 100000

Ends with 1 at the first difference that no entry of `tests.http1.allowed` allows, after Hypothesis
has made it small; else prints the result as `docs/fuzzing.rst` has it.  A seed gives the same
examples again with the same versions of Python and Hypothesis.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.http1.allowed import OTHERWISE, REFUSED, TAKEN, Allowed
from tests.http1.differential import Comparison, compare
from tests.http1.examples import Example, examples
from tests.http1.readers import OTHERS

#: Examples between two signs of progress.  Hypothesis forgets what it made from one to the next.
_BATCH = 5_000


class Tally:
    """What was seen so far."""

    def __init__(self) -> None:
        self.examples = 0
        self.agreed = 0
        self.verdicts: Counter[str] = Counter()
        self.entries: Counter[tuple[Allowed, str]] = Counter()

    def add(self, comparison: Comparison) -> None:
        """Count an example whose differences are all allowed."""
        self.examples += 1
        self.agreed += not comparison.differences
        self.verdicts[comparison.ours.verdict] += 1
        for difference in comparison.differences:
            assert difference.entry is not None
            self.entries[difference.entry, difference.reader] += 1


def _batch(tally: Tally, number: int, size: int) -> None:
    """Compare `size` examples.  Raises AssertionError at one that differs and must not."""

    @seed(number)
    @settings(
        max_examples=size,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(example=examples())
    def run(example: Example) -> None:
        comparison = compare(example)
        assert not comparison.disallowed, f"{example}\n{comparison.disallowed}"
        tally.add(comparison)

    run()


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _result(tally: Tally, commit: str, command: str, seconds: float) -> Iterator[str]:
    """The lines of the result, in reStructuredText."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("h11", "httptools", "hypothesis"))
    rows = (
        ("date", datetime.datetime.now(datetime.UTC).date().isoformat()),
        ("on top of commit", commit),
        ("command", f"``{command}``"),
        ("versions", f"Python {platform.python_version()}, {packages}"),
        ("examples", f"{tally.examples:,}, in {seconds:.0f} seconds"),
        ("read by the gateway", f"{tally.verdicts['read']:,}"),
        ("refused by it", f"{tally.verdicts['refused']:,}"),
        ("not whole heads", f"{tally.verdicts['waiting']:,}"),
        ("read or refused alike by all three", f"{tally.agreed:,}"),
        ("with allowed differences", f"{tally.examples - tally.agreed:,}"),
        ("with disallowed differences", "0"),
    )
    yield from (".. list-table::", "   :stub-columns: 1", "")
    for name, value in rows:
        yield from (f"   * - {name}", f"     - {value}")
    for title, entries in (
        ("What the gateway refuses and another reads", REFUSED),
        ("What the gateway reads and another refuses", TAKEN),
        ("Where another frames the body otherwise", OTHERWISE),
    ):
        yield from ("", title, "~" * len(title), "")
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 25 20 45 5 5", "")
        yield from ("   * - difference", "     - rule", "     - why")
        yield from (f"     - {name}" for name in OTHERS)
        for entry in entries:
            yield from (f"   * - {entry.name}", f"     - {entry.rule}", f"     - {entry.why}")
            yield from (f"     - {tally.entries[entry, name]:,}" for name in OTHERS)


def main(arguments: Sequence[str]) -> int:
    """Run the comparison; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.http1.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--examples", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first batch's (%(default)s)")
    options = parser.parse_args(arguments)
    tally = Tally()
    commit = _commit()
    began = time.monotonic()
    number = options.seed
    while tally.examples < options.examples:
        try:
            _batch(tally, number, min(_BATCH, options.examples - tally.examples))
        except AssertionError as error:
            print(f"\nseed {number}:", error, *getattr(error, "__notes__", ()), sep="\n")
            return 1
        number += 1
        share = tally.examples / options.examples
        seconds = time.monotonic() - began
        progress = f"\r{tally.examples:,} examples, {share:.0%}, {seconds:.0f} s"
        print(progress, end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    command = f"{parser.prog} {' '.join(arguments)}".strip()
    print(*_result(tally, commit, command, seconds), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
