"""What a connection had: gone when it ends, with nothing left to the garbage collector."""

from __future__ import annotations

import gc
import socket
import weakref
from collections.abc import Iterator

import pytest

from gateway.config.model import Family, Upstream, Url
from gateway.net.connecting import AddressEndpoint
from gateway.net.port import StreamPort
from gateway.upstream.connection import Connection
from gateway.upstream.pool import Pool
from tests.net.watching import Watching
from tests.world import World


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_clients_connection_is_freed_when_it_ends() -> None:
    world, reactor = World(), Watching()
    listener = socket.create_server(("127.0.0.1", 0))
    name = listener.getsockname()
    port = StreamPort(listener, world.site, reactor)
    port.startListening()
    with socket.create_connection(name):
        reactor.turn()
        [channel] = map(weakref.ref, world.site.open_channels)
        assert channel() is not None
    reactor.turn()
    assert channel() is None
    port.stopListening()


@pytest.mark.usefixtures("no_collector")
def test_a_connection_to_an_upstream_is_freed_when_it_ends() -> None:
    reactor = Watching()
    found: list[weakref.ref[Connection]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        upstream = Upstream("up", Url("http", host, port, ""), Family.GENERIC)
        pool = Pool(upstream, AddressEndpoint(host, port, reactor), reactor)
        pool.connect().addCallback(lambda made: found.append(weakref.ref(made)))
        peer, _ = listener.accept()
    [connection] = found
    assert connection() is not None
    peer.close()
    reactor.turn()
    assert connection() is None
