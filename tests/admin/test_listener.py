"""Where the admin listener is, and what becomes of it where it cannot be."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from treq.client import HTTPClient
from twisted.internet import reactor
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from zope.interface import implementer

from gateway.admin.errors import AdminError
from gateway.admin.fleet import LocalFleet, State
from gateway.admin.listener import AdminListener
from gateway.config import ConfigError, load
from gateway.redact import Redactor
from gateway.service import GatewayService
from tests.admin.asked import FakeFleet, a_config

TOKEN = "a-token-of-an-operator"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def problem(folder: Path, options: str) -> str:
    """The one problem of a configuration."""
    with pytest.raises(ConfigError) as caught:
        a_config(folder, options)
    [found] = caught.value.problems
    return str(found).partition(": ")[2]


# The configuration.


def test_without_a_word_it_is_on_loopback(tmp_path: Path) -> None:
    gateway = a_config(tmp_path).gateway
    assert (gateway.admin, gateway.admin_asked) == ("tcp:8081:interface=127.0.0.1", False)


def test_it_can_be_off(tmp_path: Path) -> None:
    gateway = a_config(tmp_path, "admin = off\n").gateway
    assert (gateway.admin, gateway.admin_asked) == (None, True)


@pytest.mark.parametrize(
    "place", ["tcp:8081", "tcp:8081:interface=192.0.2.1", "tcp6:8081", "systemd:INET:index=0"]
)
def test_beyond_loopback_it_takes_a_token(tmp_path: Path, place: str) -> None:
    """O1: whoever reaches it may read every row and stop the gateway."""
    assert problem(tmp_path, f"admin = {place}\n") == (
        "[gateway] admin: whoever reaches this may read all rows and stop the gateway: add "
        "admin_token, or listen on loopback only (interface=127.0.0.1)"
    )
    a_config(tmp_path, f"admin = {place}\nadmin_token = env:TOKEN\n", TOKEN=TOKEN)


@pytest.mark.parametrize(
    "place", ["tcp:1:interface=127.0.0.1", "tcp6:1:interface=\\:\\:1", "unix:/a"]
)
def test_on_this_machine_it_needs_none(tmp_path: Path, place: str) -> None:
    assert a_config(tmp_path, f"admin = {place}\n").gateway.admin == place


def test_it_is_not_one_of_listen(tmp_path: Path) -> None:
    """O1: two listeners on one port."""
    place = "tcp:8085:interface=127.0.0.1"
    assert problem(tmp_path, f"listen = {place}\nadmin = {place}\n") == (
        "[gateway] admin: listen has this one already, name another one"
    )


def test_a_token_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """O1: the environment variable is missing."""
    told = problem(tmp_path, "admin_token = env:TOKEN\n")
    assert told.startswith("[gateway] admin_token: the environment variable is not set")


def test_who_only_reads_rows_need_not_know_the_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        a_config(tmp_path, "admin_token = env:TOKEN\n")
    assert load(tmp_path / "gateway.ini", {}, secrets=False).gateway.admin_token is None
    asked = load(tmp_path / "gateway.ini", {"TOKEN": TOKEN}, secrets=False, admin=True)
    assert asked.gateway.admin_token is not None


def test_the_token_is_hidden_wherever_it_turns_up(tmp_path: Path) -> None:
    config = a_config(tmp_path, "admin_token = env:TOKEN\n", TOKEN=TOKEN)
    assert TOKEN not in Redactor.of(config).redact(f"somebody wrote {TOKEN} here")
    assert TOKEN not in repr(config)


# Listening.


@implementer(ILogObserver)
class _Lines(list[str]):
    def __call__(self, event: LogEvent) -> None:
        self.append(formatEvent(event))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged."""
    found = _Lines()
    globalLogPublisher.addObserver(found)
    yield found
    globalLogPublisher.removeObserver(found)


def test_a_port_that_was_asked_for_and_is_taken_stops_the_start(tmp_path: Path, taken: int) -> None:
    """O7: the message names the key, and what would be right."""
    config = a_config(tmp_path, f"admin = tcp:{taken}:interface=127.0.0.1\n")
    with pytest.raises(AdminError) as caught:
        AdminListener(config, FakeFleet(), Clock()).start()
    told = str(caught.value)
    assert told.startswith(f"[gateway] admin = tcp:{taken}:interface=127.0.0.1: ")
    assert "already in use" in told
    assert told.endswith("Stop it, or write another port or admin = off")


def test_a_port_that_is_only_the_default_is_done_without(
    tmp_path: Path, taken: int, lines: list[str]
) -> None:
    config = a_config(tmp_path, f"admin = tcp:{taken}:interface=127.0.0.1\n")
    config = replace(config, gateway=replace(config.gateway, admin_asked=False))
    listener = AdminListener(config, FakeFleet(), Clock())
    listener.start()
    assert listener.address is None
    assert any("there is no admin listener" in line for line in lines)
    assert listener.stop().called


def test_off_is_nothing_to_open(tmp_path: Path) -> None:
    listener = AdminListener(a_config(tmp_path, "admin = off\n"), FakeFleet(), Clock())
    listener.start()
    assert listener.address is None
    assert listener.stop().called


# A reload, as a supervisor does it.


async def asked(address: str, token: str | None = None) -> int:
    """The status of an answer."""
    client = HTTPClient(Agent(reactor))
    headers = Headers({} if token is None else {"Authorization": [f"Bearer {token}"]})
    response = await client.get(f"{address}/api/v1/status", headers=headers, timeout=20)
    await response.content()
    status: int = response.code
    return status


async def test_a_reload_keeps_the_socket_and_asks_for_the_new_token(tmp_path: Path) -> None:
    place = "admin = tcp:0:interface=127.0.0.1\n"
    listener = AdminListener(a_config(tmp_path, place), FakeFleet(), reactor)
    listener.start()
    address = listener.address
    assert address is not None
    assert await asked(address) == 200
    config = a_config(tmp_path, f"{place}admin_token = env:TOKEN\n", TOKEN=TOKEN)
    await listener.reload(config)
    assert listener.address == address
    assert await asked(address) == 401
    assert await asked(address, TOKEN) == 200
    await listener.stop()


async def test_a_reload_to_another_place_leaves_the_first(tmp_path: Path) -> None:
    listener = AdminListener(
        a_config(tmp_path, "admin = tcp:0:interface=127.0.0.1\n"), FakeFleet(), reactor
    )
    listener.start()
    first = listener.address
    assert first is not None
    await listener.reload(a_config(tmp_path, "admin = tcp:0:interface=127.0.0.1:backlog=5\n"))
    second = listener.address
    assert second is not None
    assert await asked(second) == 200
    with pytest.raises(ConnectionRefusedError):
        await asked(first)
    await listener.reload(a_config(tmp_path, "admin = off\n"))
    assert listener.address is None
    with pytest.raises(ConnectionRefusedError):
        await asked(second)
    await listener.stop()


async def test_a_reload_to_a_place_that_is_taken_changes_nothing(
    tmp_path: Path, taken: int
) -> None:
    """O1: what is wrong is told, and the old one keeps serving."""
    listener = AdminListener(
        a_config(tmp_path, "admin = tcp:0:interface=127.0.0.1\n"), FakeFleet(), reactor
    )
    listener.start()
    address = listener.address
    assert address is not None
    with pytest.raises(AdminError):
        listener.reload(a_config(tmp_path, f"admin = tcp:{taken}:interface=127.0.0.1\n"))
    assert listener.address == address
    assert await asked(address) == 200
    await listener.stop()


async def test_a_reload_makes_a_unix_socket_again_whose_file_was_removed(tmp_path: Path) -> None:
    """O3: though its address is the same as before."""
    path = tmp_path / "admin"
    config = a_config(tmp_path, f"admin = unix:{path}\nadmin_token = env:TOKEN\n", TOKEN=TOKEN)
    listener = AdminListener(config, FakeFleet(), reactor)
    listener.start()
    path.unlink()
    await listener.reload(config)
    with socket.socket(socket.AF_UNIX) as sock:
        assert sock.connect_ex(str(path)) == 0
    await listener.stop()
    assert not path.exists()


# One process.


def test_before_the_start_a_process_is_starting(tmp_path: Path) -> None:
    service = GatewayService(a_config(tmp_path, "admin = off\n"), Clock())
    stops: list[None] = []
    fleet = LocalFleet(service, "gateway.ini", 1.7e9, lambda: stops.append(None))
    status = fleet.status()
    assert (status.state, status.generation, status.streams) == (State.STARTING, 1, 0)
    assert not status.state.ready
    fleet.drain()
    assert stops == [], "there is nothing to drain yet"
