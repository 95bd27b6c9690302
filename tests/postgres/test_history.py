"""The admin listener's questions, asked of a database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, execute

from gateway.admin.history import History
from gateway.config.model import Config, Postgres
from gateway.ledger import LedgerError
from gateway.ledger.postgres import reading
from gateway.record import Usage
from tests.admin.asked import a_config
from tests.ledger.helpers import BEGAN, an_intent
from tests.postgres.conftest import MakeGateway


@pytest.fixture
def config(database: Postgres, make_gateway: MakeGateway, tmp_path: Path) -> Config:
    """A configuration whose rows are at the server."""
    gateway = make_gateway(database)
    for number in range(6):
        intent = an_intent(started_at=BEGAN + number)
        assert gateway.ledger.open(intent).called
        gateway.settle(intent, usage=Usage(number, None, None, None, 1))
    pytest_twisted.blockon(Deferred.fromCoroutine(gateway.shipped()))
    own = a_config(tmp_path)
    return replace(own, ledger=replace(own.ledger, postgres=database))


async def test_rows_and_sums_come_from_the_database(config: Config) -> None:
    asked = History(config, execute)
    requests = await asked.requests(b"last=2")
    usage = await asked.usage(b"by=route")
    assert [row["input_tokens"] for row in requests["requests"]] == [4, 5]
    [row] = usage["usage"]
    assert (row["route"], row["requests"], row["output_tokens"]) == ("chat", 6, 6)


def test_a_statement_that_takes_too_long_is_given_up(config: Config, database: Postgres) -> None:
    with (
        pytest.raises(LedgerError, match=r"no answer within 0\.05 s, ask for less"),
        reading(database, 0.05) as reader,
    ):
        list(reader.rows("SELECT pg_sleep(20)"))
