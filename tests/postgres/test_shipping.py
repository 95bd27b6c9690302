"""Rows on their way to a real server, with nothing in between that breaks."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Postgres
from gateway.ledger.postgres import schema
from gateway.ledger.postgres.server import Server as Connection
from gateway.ledger.postgres.server import encoded
from gateway.record import COLUMNS, Usage, UsageSource, Value
from tests.ledger.helpers import rows
from tests.postgres.conftest import MakeGateway
from tests.postgres.database import Server, guarded, program
from tests.process.gateway_process import PATIENCE, ROOT

EVERYTHING = f"SELECT {', '.join(COLUMNS)} FROM requests ORDER BY id"


async def test_a_row_is_at_the_server_as_it_is_in_the_file(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: every column, every kind of value, to the last bit."""
    gateway = make_gateway(database)
    (intent,) = gateway.begin()
    gateway.settle(
        intent,
        error_detail='tab\t, "quotes", back\\slash, \\u0041, ünï, 日本, 😀',
        usage=Usage(0, 2**53 + 1, None, 2**63 - 1),
        usage_source=UsageSource.PROVIDER,
        usage_raw='{"a": [1, "\\u0000"]}',
        cost_usd=0.1 + 0.2,
        duration_ms=1e-300,
        paused_ms=123456789.123456789,
    )
    await gateway.shipped()
    assert server.query(database, EVERYTHING) == sorted(
        rows(gateway.path), key=lambda row: str(row["id"])
    )


async def test_a_row_is_at_the_server_while_its_request_runs(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: a request that is open is open there too, and is settled there when it is here."""
    gateway = make_gateway(database)
    (intent,) = gateway.begin()
    await gateway.shipped()
    assert server.query(database, "SELECT id, outcome, model_served FROM requests") == [
        {"id": intent.id, "outcome": None, "model_served": None}
    ]
    gateway.settle(intent)
    await gateway.shipped()
    assert server.query(database, "SELECT id, outcome, model_served FROM requests") == [
        {"id": intent.id, "outcome": "finished", "model_served": "gpt-small-2026"}
    ]


async def test_what_a_dead_gateway_left_open_is_killed_at_the_server_too(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: the next start settles it here, and that is shipped like every change."""
    gateway = make_gateway(database)
    gateway.begin()
    await gateway.stop()
    assert server.query(database, "SELECT outcome FROM requests") == [{"outcome": None}]
    await make_gateway(database).shipped()
    assert server.query(database, "SELECT outcome FROM requests") == [{"outcome": "killed"}]


async def test_a_stop_ships_what_is_there(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: a gateway that is stopped leaves nothing behind for a machine that may not come back."""
    gateway = make_gateway(database)
    gateway.settle(*gateway.begin(700))
    await gateway.stop()
    assert server.query(database, "SELECT outcome, count(*) FROM requests GROUP BY 1") == [
        {"outcome": "finished", "count": 700}
    ]
    assert gateway.entries() == 0


async def test_several_gateways_write_to_one_database(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: that starts empty, so that all of them want to make its tables at once."""
    gateways = [make_gateway(database, name) for name in "abcd"]
    for gateway in gateways:
        gateway.settle(*gateway.begin(300))
    for gateway in gateways:
        await gateway.shipped()
    told = server.query(
        database, "SELECT instance, outcome, count(*) FROM requests GROUP BY 1, 2 ORDER BY 1"
    )
    assert told == [{"instance": n, "outcome": "finished", "count": 300} for n in "abcd"]


async def test_of_two_processes_with_one_file_one_ships_and_the_other_takes_over(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: workers share a file; which of them ships does not matter, but that one does."""
    first = make_gateway(database)
    await first.until(lambda: first.shipper.connected, "the first one ships")
    second = make_gateway(database, start=False)
    second.shipper.start()
    first.settle(*first.begin(10))
    await first.shipped()
    assert not second.shipper.connected
    await first.shipper.stop()
    first.settle(*first.begin(10))
    await first.shipped()
    assert (first.shipper.shipped, second.shipper.shipped) == (10, 10)
    await second.shipper.stop()


async def test_a_row_that_is_settled_at_the_server_stays_as_it_is(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: whatever comes late, an open row or another end."""
    gateway = make_gateway(database)
    gateway.settle(*gateway.begin())
    await gateway.shipped()
    (row,) = server.query(database, EVERYTHING)
    connection = Connection(database)
    connection.connect()
    for outcome in (None, "killed"):
        connection.ship([{**row, "outcome": outcome, "model_served": "another"}])
    connection.close()
    assert server.query(database, EVERYTHING) == [row]


async def test_a_text_with_a_nul_is_shipped_without_it(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: PostgreSQL's text cannot have one; the row must not wait for that for ever."""
    gateway = make_gateway(database)
    (intent,) = gateway.begin()
    gateway.settle(intent, model_served="a\0b\\u0000c")
    await gateway.shipped()
    assert server.query(database, "SELECT model_served FROM requests") == [
        {"model_served": "a\N{REPLACEMENT CHARACTER}b\\u0000c"}
    ]


async def test_a_password_opens_the_database_and_is_told_to_nobody(
    server: Server, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """H8: also not where the server refuses it."""
    database = guarded(server.new_database(), "not-the-password-5b1f")
    server.query(database, "GRANT ALL ON SCHEMA public TO guarded")
    gateway = make_gateway(database)
    await gateway.until(lambda: log_lines, "the log says that it is refused")
    assert log_lines == [
        f"postgresql:///{database.database}?host={server.folder}: connection failed: "
        f'connection to server on socket "{server.folder}/.s.PGSQL.5432" failed: FATAL: password '
        f'authentication failed for user "guarded"; rows wait in {gateway.path}'
    ]
    await gateway.stop()
    right = make_gateway(guarded(database))
    right.settle(*right.begin())
    await right.shipped()
    assert server.query(database, "SELECT count(*) FROM requests") == [{"count": 1}]
    assert not [line for line in log_lines if "not-the-password" in line or "canary" in line]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # A server that crashes would forget what it has said to be committed.
        ("synchronous_commit", "on"),
        # A transaction whose gateway is gone would hold up its rows.
        ("idle_in_transaction_session_timeout", "30s"),
        ("statement_timeout", "30s"),
    ],
)
async def test_a_transaction_does_not_rely_on_the_server_s_settings(
    server: Server, database: Postgres, make_gateway: MakeGateway, name: str, value: str
) -> None:
    """A7: an administrator may have set synchronous_commit to off for all."""
    connection = Connection(database)
    connection.connect()
    connection.close()
    server.query(database, f"ALTER DATABASE {database.database} SET synchronous_commit = off")
    server.query(database, "CREATE TABLE seen (value text)")
    server.query(
        database,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"INSERT INTO seen VALUES (current_setting('{name}')); RETURN NEW; END $$",
    )
    server.query(
        database,
        "CREATE TRIGGER note BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION note()",
    )
    gateway = make_gateway(database)
    gateway.begin()
    await gateway.shipped()
    assert server.query(database, "SELECT value FROM seen") == [{"value": value}]


def test_gateways_that_start_together_do_not_disturb_one_another(server: Server) -> None:
    """A7: one of them makes the tables, the others wait for it and find them."""
    for _ in range(3):
        database = server.new_database()
        together = threading.Barrier(8)
        failures: list[Exception] = []

        def start(
            database: Postgres = database,
            together: threading.Barrier = together,
            failures: list[Exception] = failures,
        ) -> None:
            connection = Connection(database)
            together.wait(PATIENCE)
            try:
                connection.connect()
            except Exception as error:
                failures.append(error)
            connection.close()

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert failures == []
        assert server.query(database, "SELECT version FROM gateway_ledger") == [
            {"version": schema.VERSION}
        ]


def test_the_table_has_every_column_of_a_row(server: Server, database: Postgres) -> None:
    connection = Connection(database)
    connection.connect()
    connection.close()
    told = server.query(
        database,
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'requests'",
    )
    assert {row["column_name"] for row in told} == set(COLUMNS)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(COLUMNS),
            st.none()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"])),
        ),
        max_size=3,
    )
)
@settings(max_examples=300, deadline=None)
def test_what_a_file_can_hold_is_json_without_loss(rows: list[dict[str, Value]]) -> None:
    """A7: but for the NUL character, which PostgreSQL does not have."""
    expected = [
        {name: v.replace("\0", "\ufffd") if isinstance(v, str) else v for name, v in row.items()}
        for row in rows
    ]
    data = encoded(rows)
    assert json.loads(data) == expected
    assert "\\u0000" not in data.replace("\\\\", "")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_server_that_is_not_installed_is_told_of_and_fails_only_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(outcome, match=r"not tested: rows in PostgreSQL; .*install postgresql"):
        program("initdb")


def test_ci_installs_the_server() -> None:
    assert "missing+=(postgresql)" in (ROOT / ".ci" / "run").read_text()
