"""A gateway in front of an upstream that keeps what it gets, and the counts at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.desync.case import Case, Expect, Level
from tests.desync.runner import Report, Runner
from tests.desync.upstream import Upstream
from tests.process.gateway_process import GatewayProcess

_SECTIONS = """
[upstream recording]
url = {url}
dialect = generic
[route all]
path = /*
upstream = recording
"""


class Tally:
    """How many cases of each kind went right."""

    def __init__(self) -> None:
        self.run: Counter[tuple[str, Level, Expect]] = Counter()
        self.right: Counter[tuple[str, Level, Expect]] = Counter()

    def add(self, direction: str, report: Report) -> None:
        """Count a case."""
        case: Case = report.case
        kind = (direction, case.level, case.expect)
        self.run[kind] += 1
        self.right[kind] += not report.faults

    def lines(self) -> Iterator[str]:
        """A line for each kind of case that was run."""
        for kind in sorted(self.run):
            direction, level, expect = kind
            counts = f"{self.right[kind]:4} of {self.run[kind]:4} right"
            yield f"{direction:9} {level:7} {expect:10} {counts}"


TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """The counts that are shown when all is done."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A gateway that sends every path to a recording upstream."""
    upstream = Upstream()
    sections = _SECTIONS.format(url=upstream.url)
    with GatewayProcess(tmp_path_factory.mktemp("desync"), sections) as gateway:
        yield Runner(gateway, upstream)
    upstream.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the counts, if any case was run."""
    tally = config.stash.get(TALLY, None)
    if tally is not None:
        terminalreporter.section("malformed HTTP")
        for line in tally.lines():
            terminalreporter.write_line(line)
