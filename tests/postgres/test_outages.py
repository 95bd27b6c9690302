"""Servers that stop, crash, hang, refuse, and connections that are cut: nothing lost or doubled."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.config.model import Postgres
from gateway.ledger.postgres import schema
from gateway.ledger.postgres.outbox import BATCH, Batch
from gateway.ledger.postgres.server import Server as Connection
from gateway.record import Intent
from tests.postgres.conftest import MakeGateway
from tests.postgres.database import Server
from tests.postgres.gateways import QUICK, Gateway, Proxy
from tests.process.gateway_process import PATIENCE


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    with Proxy(server.folder / ".s.PGSQL.5432") as proxy:
        yield proxy


def ids_at(server: Server, database: Postgres, where: str = "true") -> list[str]:
    """The ids of rows that the server has."""
    return [
        str(row["id"])
        for row in server.query(database, f"SELECT id FROM requests WHERE {where} ORDER BY id")
    ]


def shippers() -> list[str]:
    """The threads that ship, in this process."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name == "ledger-shipper"]


async def work(gateway: Gateway, turns: int) -> list[Intent]:
    """Requests that come and go while something else happens: ten a turn, half of them settled."""
    done: list[Intent] = []
    for _ in range(turns):
        intents = gateway.begin(10)
        done += intents
        gateway.settle(*intents[:5])
        await gateway.written()
    return done


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_a_server_that_goes_and_comes_under_load_loses_and_doubles_nothing(
    server: Server,
    database: Postgres,
    make_gateway: MakeGateway,
    log_lines: list[str],
    how: signal.Signals,
) -> None:
    """A7: two gateways write on while the server is gone, again and again."""
    gateways = [make_gateway(database, name) for name in "ab"]
    done: list[Intent] = []
    for _ in range(3):
        for gateway in gateways:
            done += await work(gateway, 5)
        server.stop(how)
        for gateway in gateways:
            done += await work(gateway, 5)
            assert gateway.entries() > 0
        # Else a gateway that has no processor for a while sees two outages as one.
        for gateway in gateways:
            await gateway.disconnected()
        server.start()
        for gateway in gateways:
            done += await work(gateway, 5)
        for gateway in gateways:
            await gateway.connected()
    for gateway in gateways:
        await gateway.shipped()
    assert ids_at(server, database) == sorted(intent.id for intent in done)
    for intent in done:  # also those that are settled already
        gateways["ab".index(intent.instance)].settle(intent)
    for gateway in gateways:
        await gateway.shipped()
    assert ids_at(server, database, "outcome = 'finished'") == sorted(i.id for i in done)
    assert len(done) == 900
    assert "\n".join(log_lines).count("back again") == 6


async def test_the_log_tells_of_an_outage_once_and_how_many_rows_waited(
    server: Server, database: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A7: not once each second of it."""
    gateway = make_gateway(database)
    await gateway.connected()
    server.stop()
    gateway.settle(*gateway.begin(3))
    await gateway.written()
    await gateway.until(lambda: gateway.shipper.waiting == 3, "the rows are counted")
    assert not gateway.shipper.connected
    await gateway.until(lambda: len(log_lines) > 2, "reasons are told")
    server.start()
    await gateway.shipped()
    await gateway.until(lambda: "back again" in log_lines[-1], "it is told")
    place = f"{database.place}: "
    assert all(line.startswith(place) for line in log_lines)
    connected, *troubles, back = [line.removeprefix(place) for line in log_lines]
    assert connected == "connected; 0 rows wait"
    assert all(line.endswith(f"; rows wait in {gateway.path}") for line in troubles)
    assert len(troubles) == len(set(troubles))
    assert re.fullmatch(r"back again after \d+ s; 3 rows waited", back)


async def test_a_lost_answer_to_commit_doubles_nothing(
    server: Server, database: Postgres, proxy: Proxy, make_gateway: MakeGateway
) -> None:
    """A7: the rows are committed, the gateway cannot know it, and ships them again."""
    gateway = make_gateway(proxy.in_front_of(database), start=False)
    gateway.ledger.start()
    open_ones, settled = gateway.begin(7), gateway.begin(5)
    gateway.settle(*settled)
    await gateway.written()
    Connection(database).connect()  # makes the tables, which is a transaction too
    proxy.lose_commits = 3
    gateway.shipper.start()
    await gateway.shipped()
    assert (proxy.lost, proxy.lose_commits) == (3, 0)
    assert ids_at(server, database) == sorted(i.id for i in (*open_ones, *settled))
    assert ids_at(server, database, "outcome = 'finished'") == sorted(i.id for i in settled)


async def test_what_is_settled_between_a_lost_answer_and_the_next_attempt_is_settled_there(
    server: Server, database: Postgres, proxy: Proxy, make_gateway: MakeGateway
) -> None:
    """A7: the row that was shipped open, and is shipped again, is another by then."""
    gateway = make_gateway(proxy.in_front_of(database), pace=replace(QUICK, first_pause=0.3))
    await gateway.connected()
    proxy.lose_commits = 1
    intents = gateway.begin(3)
    await gateway.until(lambda: proxy.lost, "the answer is lost")
    assert ids_at(server, database, "outcome IS NULL") == sorted(i.id for i in intents)
    gateway.settle(*intents)
    await gateway.shipped()
    assert ids_at(server, database, "outcome = 'finished'") == sorted(i.id for i in intents)


@pytest.mark.deadline(180)
async def test_hours_of_outage_are_caught_up_with(
    server: Server, database: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A7: 20,000 rows wait when the server comes back, and the log tells how it goes on."""
    pace = replace(QUICK, progress=0.1)
    gateway = make_gateway(database, start=False, pace=pace)
    gateway.ledger.start()
    for _ in range(20):
        gateway.settle(*gateway.begin(1000))
        await gateway.written()
    server.stop()
    gateway.shipper.start()
    await gateway.until(lambda: gateway.shipper.waiting == 20_000, "they are counted")
    server.start()
    await gateway.shipped(patience=120)
    told = server.query(database, "SELECT count(*), count(outcome) AS settled FROM requests")
    assert told == [{"count": 20_000, "settled": 20_000}]
    await gateway.until(lambda: gateway.shipper.waiting == 0, "it knows that none waits")
    text = "\n".join(log_lines)
    assert f"20000 rows wait in {gateway.path}" in text
    assert "20000 rows waited" in text
    assert re.search(r": [0-9]+ rows still wait", text)


async def test_a_server_that_hangs_is_given_up(
    server: Server, database: Postgres, proxy: Proxy, make_gateway: MakeGateway
) -> None:
    """A7: no timeout of the server's or the kernel's would ever end that wait."""
    gateway = make_gateway(proxy.in_front_of(database), pace=replace(QUICK, deadline=0.2))
    await gateway.connected()
    proxy.silent = True
    gateway.settle(*gateway.begin())
    await gateway.until(lambda: gateway.shipper.waiting == 1, "the server is given up")
    proxy.silent = False
    await gateway.shipped()
    assert len(ids_at(server, database)) == 1


async def test_a_stop_does_not_wait_for_a_server_that_hangs(
    server: Server, database: Postgres, proxy: Proxy, make_gateway: MakeGateway
) -> None:
    """A7: what is left is shipped after the next start."""
    pace = replace(QUICK, stop=0.2)
    gateway = make_gateway(proxy.in_front_of(database), pace=pace)
    await gateway.connected()
    proxy.silent = True
    gateway.settle(*gateway.begin())
    await gateway.written()
    await gateway.stop()
    await gateway.until(lambda: not shippers(), "its thread has ended")
    assert ids_at(server, database) == []
    await make_gateway(database).shipped()
    assert len(ids_at(server, database)) == 1


async def test_a_stop_without_a_server_says_how_many_rows_wait(
    server: Server, database: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A7: and the next start, with the server, ships them."""
    server.stop()
    gateway = make_gateway(database)
    gateway.settle(*gateway.begin(4))
    await gateway.stop()
    assert log_lines[-1] == (
        f"{database.place}: 4 rows wait in {gateway.path} and are shipped after the next start"
    )
    server.start()
    await make_gateway(database).shipped()
    assert len(ids_at(server, database, "outcome = 'finished'")) == 4


async def test_what_comes_while_the_last_look_is_taken_is_shipped_before_the_stop(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A7: the look that finds nothing may have begun before the last row came."""
    gateway = make_gateway(database)
    outbox = gateway.shipper._outbox
    look, looked, go_on = outbox.batch, threading.Event(), threading.Event()

    def slow_look(limit: int = BATCH) -> Batch | None:
        found = look(limit)
        looked.set()
        go_on.wait(PATIENCE)
        return found

    outbox.batch = slow_look  # type: ignore[method-assign]
    await gateway.until(looked.is_set, "it has found nothing")
    gateway.settle(*gateway.begin())
    await gateway.ledger.stop()
    stopped = gateway.shipper.stop()
    go_on.set()
    await stopped
    assert len(ids_at(server, database, "outcome = 'finished'")) == 1


async def test_requests_do_not_wait_for_the_server(
    server: Server, database: Postgres, make_gateway: MakeGateway
) -> None:
    """A6: an intent is answered as ever, whether the server is there or not."""
    server.stop()
    gateway = make_gateway(database)
    assert all(gateway.ledger.open(intent).called for intent in gateway.begin(10))


async def test_a_database_of_a_newer_gateway_is_left_alone(
    server: Server, database: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A7: its layout may mean something else; the rows wait for a gateway that knows it."""
    Connection(database).connect()
    server.query(database, "UPDATE gateway_ledger SET version = 99")
    gateway = make_gateway(database)
    gateway.settle(*gateway.begin())
    await gateway.until(lambda: gateway.shipper.waiting == 1, "it is refused")
    assert log_lines == [
        f"{database.place}: this ledger was made by a newer gateway (its layout is version 99, "
        f"this gateway knows {schema.VERSION}); use that gateway, or another database; "
        f"rows wait in {gateway.path}"
    ]
    assert ids_at(server, database) == []


async def test_a_database_of_another_program_is_left_alone(
    server: Server, database: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    server.query(database, "CREATE TABLE requests (id integer)")
    gateway = make_gateway(database)
    await gateway.until(lambda: log_lines, "it is refused")
    assert "a table named requests of another program; give the ledger" in log_lines[0]
    assert server.query(database, "SELECT to_regclass('gateway_ledger')::text AS made") == [
        {"made": None}
    ]


async def test_a_database_that_cannot_hold_every_text_is_refused(
    server: Server, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    database = server.new_database("ENCODING 'LATIN1' TEMPLATE template0")
    gateway = make_gateway(database)
    await gateway.until(lambda: log_lines, "it is refused")
    assert "the database's encoding is LATIN1" in log_lines[0]


@pytest.fixture
def picky(server: Server, database: Postgres) -> Postgres:
    """A database whose administrator has forbidden a model."""
    Connection(database).connect()
    server.query(database, "ALTER TABLE requests ADD CHECK (model_served <> 'forbidden')")
    return database


async def test_a_row_that_the_server_refuses_does_not_hold_up_the_others(
    server: Server, picky: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A7: it is told of, stays, and is tried again after the next start."""
    gateway = make_gateway(picky, start=False)
    gateway.ledger.start()
    intents = gateway.begin(40)
    for number, intent in enumerate(intents):
        gateway.settle(intent, model_served="forbidden" if number in (7, 30) else "good")
    await gateway.written()
    gateway.shipper.start()
    await gateway.until(lambda: len(ids_at(server, picky)) == 38, "the others are there")
    gateway.settle(*gateway.begin(5))
    await gateway.until(lambda: len(ids_at(server, picky)) == 43, "those behind are there")
    await gateway.until(lambda: gateway.shipper.waiting == 0, "none waits")
    assert gateway.shipper.refused == 2
    refused = [line for line in log_lines if "is refused" in line]
    assert len(refused) == 2
    assert all(intents[number].id in "".join(refused) for number in (7, 30))
    assert not any("Failing row" in line for line in log_lines)  # which has all of its values
    await gateway.stop()
    server.query(picky, "ALTER TABLE requests DROP CONSTRAINT requests_model_served_check")
    await make_gateway(picky).shipped()
    assert len(ids_at(server, picky)) == 45


async def test_a_server_that_refuses_everything_is_waited_for(
    server: Server, picky: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A7: something else is wrong then, and no row is passed over for it."""
    gateway = make_gateway(picky, start=False)
    gateway.ledger.start()
    gateway.settle(*gateway.begin(150), model_served="forbidden")
    await gateway.written()
    gateway.shipper.start()
    await gateway.until(lambda: "more than 100 rows" in "".join(log_lines), "it waits")
    assert gateway.shipper.waiting == 150
    server.query(picky, "ALTER TABLE requests DROP CONSTRAINT requests_model_served_check")
    await gateway.shipped()
    assert len(ids_at(server, picky)) == 150


async def test_a_file_that_cannot_be_read_is_trouble_like_any_other(
    server: Server, database: Postgres, make_gateway: MakeGateway, log_lines: list[str]
) -> None:
    """A6: the thread goes on, and ships when the file is there."""
    gateway = make_gateway(database, start=False)
    gateway.path.parent.mkdir()
    gateway.shipper.start()
    await gateway.until(lambda: log_lines, "the log tells of it")
    assert "rows cannot be shipped (OperationalError: unable to open database file)" in log_lines[0]
    gateway.ledger.start()
    gateway.settle(*gateway.begin())
    await gateway.shipped()
    assert len(ids_at(server, database)) == 1
