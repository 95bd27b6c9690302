"""One server for all tests here, and for each of them a database and ledgers that ship to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from gateway.config.model import Postgres
from gateway.ledger.postgres.shipper import Pace
from tests.postgres.database import Server, running_server
from tests.postgres.gateways import QUICK, Gateway


class MakeGateway(Protocol):
    """Makes a gateway's ledger in a folder of its name, started; the same name is the same file."""

    def __call__(
        self, database: Postgres, name: str = "a", *, start: bool = True, pace: Pace = QUICK
    ) -> Gateway: ...


@pytest.fixture(scope="session")
def the_server() -> Iterator[Server]:
    """The server."""
    with running_server() as server:
        yield server


@pytest.fixture
def server(the_server: Server) -> Server:
    """The server, which runs at the beginning of every test."""
    the_server.ensure_running()
    return the_server


@pytest.fixture
def database(server: Server) -> Postgres:
    """A database that nobody has used."""
    return server.new_database()


@pytest.fixture
def reactor() -> Any:
    """The reactor that all tests share, imported late: pytest-twisted chooses it."""
    from twisted.internet import reactor

    return reactor


@pytest.fixture
def make_gateway(tmp_path: Path, reactor: Any) -> Iterator[MakeGateway]:
    """Gateways, stopped in the end whatever happened to them."""
    made: list[Gateway] = []

    def make(
        database: Postgres, name: str = "a", *, start: bool = True, pace: Pace = QUICK
    ) -> Gateway:
        gateway = Gateway(tmp_path / name / "ledger.sqlite", database, reactor, pace)
        made.append(gateway)
        if start:
            gateway.start()
        return gateway

    yield make
    for gateway in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(gateway.stop()))


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
