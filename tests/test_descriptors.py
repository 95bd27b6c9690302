"""Connections never take more descriptors than there are, and whoever is turned away is told."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address

from gateway.assembly import share
from gateway.config import Config, Gateway
from gateway.config.model import Ledger
from gateway.descriptors import HIGHEST, RESERVE, Descriptors, raise_limit
from tests.world import CHAT, CHAT_WHOLE, LAST, SSE_HEAD, Client, World, chunked

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#: Of a limit of 128, 64 are for connections and 16 of these for those without a stream.
FILES = 128


@pytest.fixture
def world() -> World:
    return World(files=FILES, idle_timeout=None, max_streams=1000)


def begin(world: World) -> Client:
    """A client that has connected, and sent a request for a stream."""
    return world.client().send(CHAT)


def refused(client: Client) -> bool:
    return client.raw().startswith(b"HTTP/1.1 503 ")


def fill(world: World) -> list[Client]:
    """Streams, until one is refused; the last one is that."""
    clients = [begin(world)]
    while not refused(clients[-1]):
        assert len(clients) < FILES
        clients.append(begin(world))
    return clients


def accepts(world: World) -> bool:
    """Whether a connection that has been accepted is served."""
    return world.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1)) is not None


def test_a_stream_that_does_not_fit_is_refused_with_a_row(world: World) -> None:
    """O8, D7: in the shape of its API, with Retry-After and Connection: close."""
    *streams, last = fill(world)
    assert len(streams) == 24  # two descriptors each, of the 48 that are not set apart
    response = last.response()
    assert response.status == 503
    assert response.get(b"retry-after") == b"5"
    assert response.get(b"connection") == b"close"
    assert b'"error"' in response.body
    assert world.record.outcome == "rejected"
    assert world.record.error == "overloaded"


def test_what_fits_again_is_served_again(world: World) -> None:
    """O8: what does not fit is turned away before anything breaks."""
    first, *_, last = fill(world)
    last.wire.lose()
    world.endpoint.wires[0].deliver(SSE_HEAD + chunked(b"data: [DONE]\n\n") + LAST)
    first.wire.lose()
    assert not refused(begin(world))


def test_connections_that_have_no_stream_take_a_quarter_at_most(world: World) -> None:
    """O8: a burst leaves the room that its streams need; the port is not read meanwhile."""
    clients = [world.client() for _ in range(16)]
    assert not world.port.reading
    assert not accepts(world)
    assert world.descriptors is not None
    assert world.descriptors.turned_away == 1
    clients[0].send(CHAT)
    assert world.port.reading
    assert accepts(world)


def test_ports_are_read_again_once_a_connection_has_ended(world: World) -> None:
    """O8: what does not fit is turned away before anything breaks."""
    clients = [world.client() for _ in range(16)]
    assert not world.port.reading
    clients[0].wire.lose()
    assert world.port.reading


def test_upstream_connections_that_wait_make_room_first(world: World) -> None:
    """O8: before a client's connection is closed."""
    pairs = [(begin(world), world.up) for _ in range(2)]
    for _, upstream in pairs:
        upstream.deliver(OK)
    assert world.pool.idle == 2
    for _ in range(FILES):
        if not world.pool.idle:
            break
        world.client()
    assert all(upstream.aborted for _, upstream in pairs)
    assert not any(client.wire.closing for client, _ in pairs)


def test_the_longest_waiting_client_makes_room_next(world: World) -> None:
    """O8: connections that wait for a next request are nobody's loss."""
    waiting = []
    for _ in range(20):
        waiting.append(world.client().send(CHAT_WHOLE))
        world.up.deliver(OK)
    for _ in range(FILES):
        if waiting[0].wire.closing:
            break
        assert not refused(begin(world))
    assert waiting[0].wire.closing
    assert not waiting[-1].wire.closing


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["connect", "send", "whole", "answer", "leave"]), max_size=150))
def test_whatever_comes_connections_keep_to_their_room(steps: list[str]) -> None:
    """O8: clients, upstreams in use and upstreams that wait, together."""
    world = World(files=24, idle_timeout=None, max_streams=1000)  # room for 12
    fresh: list[Client] = []
    busy: list[Client] = []
    for step in steps:
        if step == "connect" and world.port.reading and accepts(world):
            fresh.append(world.client())
        elif step == "send" and fresh:
            busy.append(fresh.pop(0).send(CHAT))
        elif step == "whole" and fresh:
            client = fresh.pop(0).send(CHAT_WHOLE)
            busy.append(client)
        elif step == "answer" and world.endpoint.wires:
            for wire in world.endpoint.wires:
                if not wire.lost and not wire.aborted and wire.read():
                    wire.deliver(OK)
                    break
        elif step == "leave" and busy:
            busy.pop(0).wire.lose()
        world.clock.advance(0)
        upstreams = sum(not wire.lost for wire in world.endpoint.wires)
        clients = len(world.site.open_channels)
        assert clients + upstreams <= 12
        assert world.descriptors is not None
        assert clients + upstreams <= world.descriptors.used
    assert world.port.reading or len(world.site.open_channels) > 0


def test_a_small_limit_is_shared_with_the_ledger() -> None:
    """O8: half of it at least is for connections, and never all of it."""
    assert Descriptors(1024).room == 1024 - RESERVE
    assert Descriptors(100).room == 50


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """O8: what does not fit is turned away before anything breaks."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 524288))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert raise_limit() == 524288
    assert asked == [(524288, 524288)]


@pytest.mark.parametrize("hard", [resource.RLIM_INFINITY, 1 << 30])
def test_the_soft_limit_is_not_raised_without_end(
    hard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: some libraries walk over all descriptors that there could be."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert raise_limit() == HIGHEST
    assert asked == [(HIGHEST, hard)]


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """O8: what does not fit is turned away before anything breaks."""

    def refuse(*_: object) -> None:
        raise OSError("not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_limit() == 1024


def test_a_worker_has_its_part_of_what_holds_for_all() -> None:
    """O8: rounded up."""
    gateway = Gateway((), Path("/"), max_streams=10, max_buffered=7, dedup_memory=9)
    config = share(Config("x", gateway, Ledger(Path("/l"))), 3)
    assert config.gateway.max_streams == 4
    assert config.gateway.max_buffered == 3
    assert config.gateway.dedup_memory == 3
