"""What is asked of a database, held against what the same questions get from a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from gateway.config.model import Postgres
from gateway.ledger import LedgerError
from gateway.ledger.postgres import cost_writing, reading
from gateway.ledger.postgres.server import Server as Connection
from gateway.record import COLUMNS, Outcome, Usage, Value
from tests.ledger.helpers import BEGAN, an_intent
from tests.postgres.conftest import MakeGateway
from tests.postgres.database import Server, guarded
from tests.postgres.gateways import Gateway

NAMES = ", ".join(COLUMNS)


@pytest.fixture
def shipped(database: Postgres, make_gateway: MakeGateway) -> Gateway:
    """A gateway whose rows are in the file and at the server."""
    gateway = make_gateway(database)
    models = ("Zeta", "alpha", "Ärger", "a-b", "a.b", None)
    for number in range(60):
        intent = an_intent(
            started_at=BEGAN + number * 1800.000001,
            model_requested=models[number % 6],
            tenant=f"team-{number % 3}",
            stream=number % 2 == 0,
        )
        assert gateway.ledger.open(intent).called
        if number % 7:
            gateway.settle(
                intent,
                outcome=Outcome.REJECTED if number % 11 == 0 else Outcome.FINISHED,
                model_served=None,
                usage=Usage(input_tokens=number**8, output_tokens=None if number % 4 else 3),
                cost_usd=None if number % 5 else number / 7,
            )
    pytest_twisted.blockon(Deferred.fromCoroutine(gateway.shipped()))
    return gateway


def in_the_file(
    path: Path, statement: str, values: tuple[str | int, ...]
) -> list[dict[str, Value]]:
    """What SQLite says."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(statement, values)]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (f"SELECT {NAMES} FROM requests ORDER BY started_at, id", ()),
        (f"SELECT {NAMES} FROM requests ORDER BY started_at DESC, id DESC LIMIT ?", (7,)),
        (
            f"SELECT {NAMES} FROM requests WHERE started_at >= ? AND started_at < ? "
            "ORDER BY started_at",
            ("2026-09-21T20", "2026-09-22"),
        ),
        ("SELECT id FROM requests WHERE started_at >= ? ORDER BY id", ("",)),
        ("SELECT id FROM requests WHERE id >= ? AND id < ? ORDER BY id", ("0", "0g")),
        (
            "SELECT coalesce(model_served, model_requested) AS model, count(*) AS requests, "
            "sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, "
            "sum(cost_usd) AS cost_usd, sum(CASE WHEN output_tokens IS NULL THEN 1 ELSE 0 END) "
            "AS unknown FROM requests WHERE 1 = 1 AND (model_served = ? OR model_requested = ?) "
            "GROUP BY 1 ORDER BY requests DESC, 1",
            ("alpha", "alpha"),
        ),
        (
            "SELECT model_requested, count(*) AS n FROM requests "
            "WHERE model_requested IS NOT NULL GROUP BY 1 ORDER BY n, 1 DESC",
            (),
        ),
        ("SELECT 'all' AS all_of_them, sum(output_tokens) AS s FROM requests GROUP BY 1", ()),
        ("SELECT sum(cost_usd) AS s, sum(keepalives) AS k, min(started_at) AS m FROM requests", ()),
        ("SELECT count(*) AS n FROM requests WHERE path LIKE '/v1/%' AND outcome IS NULL", ()),
        (
            "SELECT tenant, coalesce(outcome, 'open') AS outcome FROM requests WHERE id IN "
            "(SELECT id FROM requests WHERE tenant IN (?, ?)) ORDER BY id",
            ("team-1", "team-2"),
        ),
        ("SELECT id FROM requests WHERE outcome = ?", ("x' OR '1' = '1",)),
    ],
)
async def test_a_question_has_the_same_answer_as_from_a_file(
    shipped: Gateway, database: Postgres, statement: str, values: tuple[str | int, ...]
) -> None:
    with reading(database) as reader:
        told = list(reader.rows(statement, values))
    expected = in_the_file(shipped.path, statement, values)
    assert told == [pytest.approx(row) for row in expected]
    assert [[type(value) for value in row.values()] for row in told] == [
        [type(value) for value in row.values()] for row in expected
    ]


async def test_several_questions_are_read_side_by_side(
    shipped: Gateway, database: Postgres
) -> None:
    statement = "SELECT id FROM requests ORDER BY id"
    with reading(database) as reader:
        assert reader.place == database.place
        one, two = reader.rows(statement), reader.rows(statement)
        assert [next(one), next(two)] == [next(reader.rows(statement))] * 2
        assert len([*one, *two]) == 118


async def test_the_newest_row_is_named_by_the_reader(shipped: Gateway, database: Postgres) -> None:
    with reading(database) as reader:
        (row,) = reader.rows(f"SELECT started_at FROM requests ORDER BY {reader.newest} LIMIT 1")
    newest = "SELECT max(started_at) AS started_at FROM requests"
    assert [row] == in_the_file(shipped.path, newest, ())


def test_nothing_is_written_by_reading(server: Server, database: Postgres) -> None:
    Connection(database).connect()
    server.query(database, "CREATE SEQUENCE numbers")
    with pytest.raises(LedgerError, match="read-only transaction"), reading(database) as reader:
        list(reader.rows("SELECT nextval('numbers')"))


async def test_what_is_settled_later_is_seen_by_the_next_question(
    shipped: Gateway, database: Postgres
) -> None:
    """As `gatewayctl requests --follow` asks."""
    statement = "SELECT count(*) AS n FROM requests WHERE outcome = 'killed'"
    with reading(database) as reader:
        assert list(reader.rows(statement)) == [{"n": 0}]
        shipped.settle(*shipped.begin(2), outcome=Outcome.KILLED)
        await shipped.shipped()
        assert list(reader.rows(statement)) == [{"n": 2}]


async def test_costs_are_set_of_settled_rows_alone(
    server: Server, shipped: Gateway, database: Postgres
) -> None:
    """A row that is open has its cost when it is settled."""
    (settled,), (still_open,) = shipped.begin(), shipped.begin()
    shipped.settle(settled)
    await shipped.shipped()
    with cost_writing(database) as ledger:
        ledger.write([(0.25, "list/1", settled.id), (0.5, "list/1", still_open.id)])
        ledger.write([])
        told = list(
            ledger.reader.rows(
                "SELECT id, cost_usd, price_snapshot FROM requests WHERE id >= ? ORDER BY outcome",
                (min(settled.id, still_open.id),),
            )
        )
    assert told == [
        {"id": settled.id, "cost_usd": 0.25, "price_snapshot": "list/1"},
        {"id": still_open.id, "cost_usd": None, "price_snapshot": None},
    ]


def test_a_database_without_a_ledger_says_so(database: Postgres) -> None:
    with pytest.raises(LedgerError) as caught, reading(database):
        pass
    assert str(caught.value) == (
        f"{database.place}: there is no ledger yet; "
        "a gateway with this configuration makes it at start"
    )


def test_a_server_that_is_not_there_is_told_of(server: Server, database: Postgres) -> None:
    server.stop()
    with pytest.raises(LedgerError, match=r"^postgresql://.*No such file or directory"):
        reading(database).__enter__()


def test_a_server_that_goes_while_it_is_read_is_told_of(server: Server, database: Postgres) -> None:
    Connection(database).connect()

    def read() -> None:
        with reading(database) as reader:
            server.stop()
            list(reader.rows("SELECT 1"))

    with pytest.raises(LedgerError, match=r"^postgresql://.*the ledger cannot be used"):
        read()


def test_a_wrong_password_is_not_repeated(server: Server, database: Postgres) -> None:
    """H8: not in any of the exceptions, either."""
    with pytest.raises(LedgerError, match="password authentication failed") as caught:
        reading(guarded(database, "not-the-password-5b1f")).__enter__()
    error: BaseException | None = caught.value
    while error is not None:
        assert "not-the-password" not in f"{error!r}{error}"
        error = error.__context__
