"""Connecting: what an endpoint of Twisted's makes of it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gateway.net.connecting import TcpReactor
from tests.net.watching import Told, Watching


class Quiet(Factory):
    noisy = False

    def buildProtocol(self, addr: object) -> Told:
        return Told()


def attempt(reactor: Watching, host: str, port: int, timeout: float = 30) -> list[Any]:
    """What came of it, once it has."""
    return outcome_of(connecting(reactor, host, port, timeout), reactor)


def connecting(reactor: Watching, host: str, port: int, timeout: Any = 30) -> Deferred[Any]:
    kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
    connected: Deferred[Any] = kind(TcpReactor(reactor), host, port, timeout).connect(Quiet())
    return connected


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


def test_an_attempt_that_takes_too_long_is_given_up() -> None:
    """E2: by its own timeout."""
    reactor = Watching()
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(3)]
    for client in waiting:  # they fill its queue
        client.setblocking(False)
        client.connect_ex(deaf.getsockname())
    connected = connecting(reactor, "127.0.0.1", deaf.getsockname()[1], timeout=7)
    found: list[Any] = []
    connected.addBoth(found.append)
    reactor.turn()
    assert found == []
    reactor.advance(7)
    assert found[0].check(TimeoutError, TCPTimedOutError)
    assert reactor.readers == reactor.writers == []
    for sock in (deaf, *waiting):
        sock.close()


def test_an_attempt_without_a_timeout_of_its_own_sets_no_timer() -> None:
    """One that is cancelled stays with the reactor until it would have been due."""
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = connecting(reactor, "127.0.0.1", listener.getsockname()[1], timeout=None)
        assert reactor.getDelayedCalls() == []
        [protocol] = outcome_of(connected, reactor)
    assert protocol.transport.connected
    protocol.transport.abortConnection()
    reactor.turn()


def test_an_attempt_that_is_cancelled_leaves_nothing_behind() -> None:
    """A2: a client that leaves while its upstream is being connected to."""
    reactor = Watching()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = connecting(reactor, *listener.getsockname())
        connected.cancel()
        [failure] = outcome_of(connected, reactor)
    assert failure.check(ConnectingCancelledError)
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []


def test_all_else_is_the_reactors_own() -> None:
    """E1: an endpoint that resolves names finds what it needs."""
    reactor = Watching()
    assert TcpReactor(reactor).seconds() == reactor.seconds()
