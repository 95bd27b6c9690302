"""What a client's machine has acknowledged, asked of the kernel."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from gateway.front.progress import Progress, acknowledged

reactor: Any = _reactor

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


class Server(Protocol):
    """The one connection; `made` fires with its transport."""

    def __init__(self) -> None:
        self.made: Deferred[Any] = Deferred()
        self.factory = Factory.forProtocol(lambda: self)

    def connectionMade(self) -> None:
        self.made.callback(self.transport)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    port = reactor.listenTCP(0, server.factory, interface="127.0.0.1")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", port.getHost().port))
        yield sock
    pytest_twisted.blockon(port.stopListening())


async def until_it_stands(transport: Any) -> int:
    """The count, once it has not moved for some turns."""
    seen, same = acknowledged(transport), 0
    while same < 10:
        await deferLater(reactor, 0.005)
        now = acknowledged(transport)
        seen, same = now, same + 1 if now == seen else 0
    assert seen is not None
    return seen


@linux
async def test_what_a_client_takes_moves_the_count_long_before_the_transport_asks_for_more(
    server: Server, client: socket.socket
) -> None:
    """D5: and where it takes nothing, the count stands."""
    transport = await server.made
    progress = Progress(lambda: acknowledged(transport))
    progress.begin()
    transport.write(b"x" * 20_000_000)
    count = await until_it_stands(transport)
    assert 0 < count < 1_000_000
    assert progress.made()
    assert not progress.made()
    for _ in range(3):
        assert client.recv(16384)
    assert await until_it_stands(transport) > count
    assert progress.made()
    transport.abortConnection()


@linux
async def test_a_wrapped_transport_is_looked_through(server: Server, client: socket.socket) -> None:
    """D5: TLS is one."""
    transport = await server.made
    wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
    wrapper.transport = transport
    transport.write(b"x" * 100)
    assert await until_it_stands(transport) == 100
    assert acknowledged(wrapper) == 100
    transport.abortConnection()


async def test_nobody_can_tell_for_a_unix_socket(tmp_path: Path, server: Server) -> None:
    """D5: then there is no progress, and only a buffer that empties ends a pause."""
    port = reactor.listenUNIX(str(tmp_path / "socket"), server.factory)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "socket"))
        transport = await server.made
        assert acknowledged(transport) is None
        progress = Progress(lambda: acknowledged(transport))
        progress.begin()
        assert not progress.made()
        transport.abortConnection()
    await port.stopListening()


def test_nobody_can_tell_for_what_is_no_socket() -> None:
    assert acknowledged(object()) is None
