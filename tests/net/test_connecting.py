"""Connecting: what comes of an attempt, and what endpoints of Twisted's make of it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gateway.net.connecting import AddressEndpoint, TcpReactor
from tests.net.watching import Told, Watching


class Quiet(Factory):
    noisy = False

    def buildProtocol(self, addr: object) -> Told:
        return Told()


class Distant(socket.socket):
    """A socket to which a connection on this machine looks like one that takes its time."""

    _is_asked = False

    def connect_ex(self, address: Any) -> int:
        if self._is_asked:
            return errno.EALREADY
        self._is_asked = True
        return super().connect_ex(address)


class There(socket.socket):
    """A socket of a system that says of each connection on this machine: it is there already."""

    def connect_ex(self, address: Any) -> int:
        return super().connect_ex(address) or errno.EISCONN


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """An address where nothing comes of any attempt."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(3)]
    for client in waiting:  # they fill its queue
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    yield listener.getsockname()
    for sock in (listener, *waiting):
        sock.close()


def attempt(reactor: Watching, host: str, port: int) -> list[Any]:
    """What came of it, once it has."""
    return outcome_of(AddressEndpoint(host, port, reactor).connect(Quiet()), reactor)


def outcome_of(connected: Deferred[Any], reactor: Watching) -> list[Any]:
    found: list[Any] = []
    connected.addBoth(found.append)
    for _ in range(1000):
        if found:
            break
        reactor.turn()
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_has_a_transport_that_works(host: str) -> None:
    """D1: both ways."""
    reactor = Watching()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        [protocol] = attempt(reactor, host, listener.getsockname()[1])
        peer, _ = listener.accept()
    peer.settimeout(5)
    protocol.transport.write(b"question")
    assert peer.recv(100) == b"question"
    peer.sendall(b"answer")
    reactor.turn()
    assert protocol.received == b"answer"
    assert protocol.transport.getTcpNoDelay()
    assert protocol.transport.getPeer().port == peer.getsockname()[1]
    assert protocol.transport.getHost().port == peer.getpeername()[1]
    peer.close()
    protocol.transport.abortConnection()
    reactor.turn()
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


def test_a_refusal_is_told_as_one() -> None:
    """E1: the row says connect_refused."""
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    [failure] = attempt(reactor, "127.0.0.1", port)
    assert isinstance(failure, Failure)
    assert failure.check(ConnectionRefusedError)
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


@pytest.mark.parametrize("port_is_open", [True, False])
def test_what_comes_of_a_distant_address_is_told_once_it_is_known(
    port_is_open: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E1: nothing is known at once of any address but this machine's."""
    monkeypatch.setattr("gateway.net.connecting.socket.socket", Distant)
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        if not port_is_open:
            listener.close()
        connected = AddressEndpoint(host, port, reactor).connect(Quiet())
        assert not connected.called
        [outcome] = outcome_of(connected, reactor)
    if port_is_open:
        assert isinstance(outcome, Told)
        outcome.transport.abortConnection()  # type: ignore[union-attr]
        reactor.turn()
    else:
        assert outcome.check(ConnectionRefusedError)
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


def test_a_refusal_is_told_as_one_where_the_reactor_sees_an_error_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E1: epoll calls a refused attempt lost, and the row says connect_refused all the same."""
    monkeypatch.setattr("gateway.net.connecting.socket.socket", Distant)
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host, port = closed.getsockname()
    connected = AddressEndpoint(host, port, reactor).connect(Quiet())
    [attempt] = reactor.writers
    reactor.removeWriter(attempt)
    attempt.connectionLost(Failure(ConnectionLost()))
    [failure] = outcome_of(connected, reactor)
    assert failure.check(ConnectionRefusedError)


def test_an_address_with_a_scope_that_is_nowhere_is_told_as_a_failure() -> None:
    """E1: the system does not return that as a number, but raises it."""
    reactor = Watching()
    [failure] = attempt(reactor, "fe80::1%nowhere", 1)
    assert failure.check(ConnectError)
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


def test_a_connection_that_is_called_there_already_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """D1: as the BSDs answer who asks again for what has come about."""
    monkeypatch.setattr("gateway.net.connecting.socket.socket", There)
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        [protocol] = attempt(reactor, *listener.getsockname())
    assert isinstance(protocol, Told)
    protocol.transport.abortConnection()  # type: ignore[union-attr]
    reactor.turn()


def test_an_attempt_that_is_cancelled_leaves_nothing_behind(deaf: tuple[str, int]) -> None:
    """A2: a client that leaves while its upstream is being connected to."""
    reactor = Watching()
    connected = AddressEndpoint(*deaf, reactor).connect(Quiet())
    assert reactor.writers
    connected.cancel()
    [failure] = outcome_of(connected, reactor)
    assert failure.check(ConnectingCancelledError)
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


# By the endpoints of Twisted's that are given a reactor.


def by_twisted(reactor: Watching, host: str, port: int) -> Deferred[Any]:
    connected: Deferred[Any] = TCP4ClientEndpoint(TcpReactor(reactor), host, port, 7).connect(
        Quiet()
    )
    return connected


def test_an_endpoint_of_twisteds_is_given_the_connection() -> None:
    """D1: with what it puts around a protocol."""
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        [protocol] = outcome_of(by_twisted(reactor, *listener.getsockname()), reactor)
        peer, _ = listener.accept()
    peer.sendall(b"answer")
    reactor.turn()
    assert protocol.received == b"answer"
    peer.close()
    protocol.transport.abortConnection()
    reactor.turn()
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


def test_an_endpoint_of_twisteds_is_told_of_a_refusal() -> None:
    """E1: as it would be by the reactor."""
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host, port = closed.getsockname()
    [failure] = outcome_of(by_twisted(reactor, host, port), reactor)
    assert failure.check(ConnectionRefusedError)
    assert reactor.getDelayedCalls() == []


def test_an_attempt_of_twisteds_that_takes_too_long_is_given_up(deaf: tuple[str, int]) -> None:
    """E2: by its own timeout."""
    reactor = Watching()
    found: list[Any] = []
    by_twisted(reactor, *deaf).addBoth(found.append)
    reactor.turn()
    assert found == []
    reactor.advance(7)
    assert found[0].check(TimeoutError)
    assert reactor.readers == reactor.writers == []


def test_an_attempt_of_twisteds_that_is_cancelled_leaves_nothing_behind(
    deaf: tuple[str, int],
) -> None:
    """A2: a client that leaves while its upstream is being connected to."""
    reactor = Watching()
    connected = by_twisted(reactor, *deaf)
    connected.cancel()
    [failure] = outcome_of(connected, reactor)
    assert failure.check(ConnectingCancelledError)
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


def test_all_else_is_the_reactors_own() -> None:
    """E1: an endpoint that resolves names finds what it needs."""
    reactor = Watching()
    assert TcpReactor(reactor).seconds() == reactor.seconds()
