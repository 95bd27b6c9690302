"""The listening port: what it accepts, and when not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.protocol import Factory, Protocol

from gateway.net.port import StreamPort
from tests.net.watching import Told, Watching


class Building(Factory):
    """Builds protocols that note what they are told, or none."""

    noisy = False

    def __init__(self) -> None:
        self.built: list[Told] = []
        self.peers: list[object] = []
        self.refuses = False

    def buildProtocol(self, addr: object) -> Protocol | None:
        self.peers.append(addr)
        if self.refuses:
            return None
        self.built.append(Told())
        return self.built[-1]


class Door:
    """A port on a socket, and clients of it."""

    def __init__(self, sock: socket.socket) -> None:
        self.reactor = Watching()
        self.factory = Building()
        self.name = sock.getsockname()
        self.family = sock.family
        self.port = StreamPort(sock, self.factory, self.reactor)
        self.port.startListening()
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        client = socket.socket(self.family)
        client.settimeout(5)
        client.connect(self.name)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.port.stopListening()
        for protocol in self.factory.built:
            protocol.transport.abortConnection()  # type: ignore[union-attr]
        self.reactor.turn()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(socket.create_server(("127.0.0.1", 0)))
    yield door
    door.close()


def test_a_connection_has_its_transport_and_both_addresses(door: Door) -> None:
    """D1: of the client and of the listener."""
    client = door.connect()
    door.reactor.turn()
    [protocol] = door.factory.built
    transport = protocol.transport
    assert transport is not None
    assert transport.getPeer() == IPv4Address("TCP", *client.getsockname())
    assert transport.getHost() == IPv4Address("TCP", *client.getpeername())
    assert transport.getTcpNoDelay()  # type: ignore[attr-defined]
    client.sendall(b"hello")
    door.reactor.turn()
    assert protocol.received == b"hello"


def test_behind_a_wildcard_address_each_connection_has_its_own() -> None:
    """D1: the one that the client connected to."""
    door = Door(socket.create_server(("0.0.0.0", 0)))
    door.name = ("127.0.0.1", door.name[1])
    door.connect()
    door.reactor.turn()
    [protocol] = door.factory.built
    assert protocol.transport is not None
    assert protocol.transport.getHost() == IPv4Address("TCP", *door.name)
    door.close()


def test_a_unix_socket_is_accepted_on_as_well(tmp_path: Path) -> None:
    """D1: its clients have no address."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    sock.listen()
    door = Door(sock)
    door.connect()
    door.reactor.turn()
    assert door.factory.peers == [UNIXAddress(None)]
    door.close()


def test_one_connection_is_accepted_in_a_turn(door: Door) -> None:
    """O3: another process that shares the socket has the next."""
    door.connect(), door.connect()
    door.reactor.turn()
    assert len(door.factory.built) == 1
    door.reactor.turn()
    assert len(door.factory.built) == 2


def test_a_connection_that_nobody_wants_is_closed(door: Door) -> None:
    """O8: by a factory that builds no protocol."""
    door.factory.refuses = True
    client = door.connect()
    door.reactor.turn()
    assert client.recv(1) == b""


def test_a_paused_port_leaves_connections_in_the_queue(door: Door) -> None:
    """O8: and takes them when it goes on."""
    door.port.pauseProducing()
    door.connect()
    door.reactor.turn()
    assert door.factory.built == []
    door.port.resumeProducing()
    door.reactor.turn()
    assert len(door.factory.built) == 1


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_port_that_cannot_accept_rests_and_does_not_spin(door: Door, number: int) -> None:
    """O8: the socket stays ready all the while."""
    door.connect()
    accept = mock.Mock(side_effect=OSError(number, "exhausted"))
    real = door.port._socket
    door.port._socket = mock.Mock(accept=accept, close=lambda: None)
    for _ in range(10):
        door.reactor.turn()
    assert accept.call_count == 1
    door.port._socket = real
    door.reactor.advance(1)
    door.reactor.turn()
    assert len(door.factory.built) == 1


def test_a_port_that_rests_and_is_paused_does_not_go_on_by_itself(door: Door) -> None:
    """O8: whoever paused it resumes it."""
    door.connect()
    real = door.port._socket
    door.port._socket = mock.Mock(accept=mock.Mock(side_effect=OSError(errno.EMFILE, "no")))
    door.reactor.turn()
    door.port._socket = real
    door.port.pauseProducing()
    door.reactor.advance(1)
    door.reactor.turn()
    assert door.factory.built == []
    door.port.resumeProducing()
    door.reactor.turn()
    assert len(door.factory.built) == 1


def test_a_stopped_port_closes_its_own_copy_alone() -> None:
    """O3: another copy of the socket goes on accepting."""
    sock = socket.create_server(("127.0.0.1", 0))
    first, second = Door(sock.dup()), Door(sock)
    first.port.stopListening()
    second.connect()
    second.reactor.turn()
    assert len(second.factory.built) == 1
    assert first.reactor.readers == []
    second.close()
