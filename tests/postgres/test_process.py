"""A gateway as it is run, with ``[ledger] url = postgresql://…``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.config.model import Postgres
from gateway.ledger import LedgerError
from gateway.ledger.postgres import reading, shipper_for
from tests.postgres.database import GUARDED, PASSWORD, Server
from tests.process.gateway_process import GatewayProcess, eventually, gatewayctl
from tests.process.raw_client import PATHS, RawClient, prompt

PLACE = Postgres("/run/postgresql", 5432, "ledger", "gateway")


def ask(gateway: GatewayProcess) -> None:
    """One request to the simulated provider, to its end."""
    with RawClient(gateway.port) as client:
        client.post(f"/demo{PATHS['openai_chat']}", prompt(stream=True)).rest()


def at_the_server(server: Server, database: Postgres) -> list[dict[str, object]]:
    """How its requests ended; none while there is no table."""
    try:
        return server.query(database, "SELECT outcome, upstream FROM requests ORDER BY id")
    except psycopg.errors.UndefinedTable:
        return []


def test_rows_of_a_gateway_are_at_the_server_also_after_an_outage(
    server: Server, database: Postgres, tmp_path: Path
) -> None:
    """A7: started without the server, stopped with it, and killed in between."""
    server.query(database, f"GRANT ALL ON SCHEMA public TO {GUARDED}")
    url = f"postgresql://{GUARDED}@/{database.database}?host={server.folder}"
    gateway = GatewayProcess(
        tmp_path,
        f"[ledger]\nurl = {url}\npassword = env:PGPW\n",
        "demo = on",
        {"PGPW": PASSWORD},
    )
    finished = {"outcome": "finished", "upstream": "demo"}
    server.stop()
    with gateway:
        ask(gateway)
        eventually(lambda: "rows wait in" in gateway.output, "the log tells of the server")
        server.start()
        eventually(lambda: at_the_server(server, database) == [finished], "the row is there")
    with gateway:  # the first one was killed
        ask(gateway)
        gateway.stop()
        assert at_the_server(server, database) == [finished] * 2
    told = gatewayctl(
        tmp_path, "requests", "--json", "--config", str(gateway.config), PGPW=PASSWORD
    )
    assert told.code == 0, told.output
    assert [json.loads(line)["outcome"] for line in told.output.splitlines()] == ["finished"] * 2
    assert PASSWORD not in gateway.output
    assert f"and from there to postgresql:///{database.database}" in gateway.output


def test_without_psycopg_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, reactor: Any
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for attempt in (lambda: shipper_for(Path("/l.sqlite"), PLACE, reactor), lambda: reading(PLACE)):
        with pytest.raises(LedgerError) as caught:
            attempt()
        text = str(caught.value)
        assert text.startswith(f"{PLACE.place}: a ledger in PostgreSQL takes the package psycopg")
        assert "run pip install 'txgateway[postgres]'" in text
