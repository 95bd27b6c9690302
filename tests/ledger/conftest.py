"""A ledger that is started for a test and stopped after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_twisted
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from gateway.config.model import Durability
from gateway.ledger import SqliteLedger
from tests.ledger.helpers import BEGAN, ThreadedClock


class MakeLedger(Protocol):
    """Makes a ledger in the test's folder and starts it."""

    def __call__(
        self,
        *,
        queue_limit: int = 100,
        start: bool = True,
        durability: Durability = Durability.POWER,
        **options: Any,
    ) -> SqliteLedger: ...


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is kept; its folder does not exist yet."""
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def reactor() -> Any:
    """The reactor that all tests share, imported late: pytest-twisted chooses it."""
    from twisted.internet import reactor

    return reactor


@pytest.fixture
def clock(reactor: Any) -> ThreadedClock:
    """Time as the ledger's timers know it."""
    return ThreadedClock(reactor)


@pytest.fixture
def make_ledger(path: Path, clock: ThreadedClock) -> Iterator[MakeLedger]:
    """Ledgers of one file, stopped in the end whatever happened to them."""
    made: list[SqliteLedger] = []

    def make(
        *,
        queue_limit: int = 100,
        start: bool = True,
        durability: Durability = Durability.POWER,
        **options: Any,
    ) -> SqliteLedger:
        ledger = SqliteLedger(
            path, durability, "test", clock, queue_limit, wall=lambda: BEGAN + 60, **options
        )
        made.append(ledger)
        if start:
            ledger.start()
        return ledger

    yield make
    for ledger in made:
        pytest_twisted.blockon(ledger.stop())
    assert clock.getDelayedCalls() == []


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> SqliteLedger:
    """A ledger that runs, and whose intents wait for the database."""
    return make_ledger()


@pytest.fixture
def spooled(make_ledger: MakeLedger) -> SqliteLedger:
    """A ledger that runs, and whose intents are in the spool before the database has them."""
    return make_ledger(durability=Durability.PROCESS)


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What the ledger logs during the test, as text."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "gateway.ledger":
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)
