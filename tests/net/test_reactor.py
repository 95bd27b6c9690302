"""What a turn of the gateway's reactor does with its events; turned by hand, installed nowhere."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from gateway.net.reactor import BEGINNINGS, GatewayReactor
from gateway.net.transport import StreamTransport
from tests.conftest import LoggedFailures

from .watching import Told

ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)


class Turned(GatewayReactor):
    """A reactor whose turns are the test's."""

    def close(self) -> None:
        """Give back what it has open of its own."""
        self._poller.close()
        for own in self._internalReaders:
            own.connectionLost(None)


@pytest.fixture
def reactor() -> Iterator[Any]:
    reactor = Turned()  # type: ignore[no-untyped-call]
    yield reactor
    reactor.close()


class Descriptor:
    """One end of a connection that notes what the reactor has it do."""

    def __init__(self, reading: Callable[[], object] = lambda: None) -> None:
        """`reading` is what reading comes to, besides."""
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.calls: list[str] = []
        self.reason: BaseException | None = None
        self._reading = reading

    def fileno(self) -> int:
        return self.sock.fileno()

    def logPrefix(self) -> str:
        return "-"

    def doRead(self) -> object:
        self.calls.append("read")
        self.sock.recv(100)
        return self._reading()

    def doWrite(self) -> None:
        self.calls.append("write")

    def connectionLost(self, reason: Failure) -> None:
        self.calls.append("lost")
        self.reason = reason.value

    def close(self) -> None:
        self.sock.close()
        self.peer.close()


Connect = Callable[..., Descriptor]

#: So often a reactor reads before it has to do something else.
ENOUGH = 1000


@pytest.fixture
def connect(reactor: Any) -> Iterator[Connect]:
    """Makes descriptors that are watched for something to read, of which there is a byte."""
    made: list[Descriptor] = []

    def connect(reading: Callable[[], object] = lambda: None) -> Descriptor:
        made.append(Descriptor(reading))
        reactor.addReader(made[-1])
        made[-1].peer.send(b"x")
        return made[-1]

    yield connect
    for descriptor in made:
        descriptor.close()


def test_a_turn_begins_a_few_of_those_that_come_at_once_and_reads_all_that_goes_on(
    reactor: Any,
) -> None:
    """D1: so streams that flow wait for few of many new requests; each of those has its turn."""
    pairs = [socket.socketpair() for _ in range(2 * BEGINNINGS + 2)]
    transports = []
    for sock, peer in pairs:
        sock.setblocking(False)
        transports.append(StreamTransport(sock, Told(), reactor, ADDRESS, ADDRESS))
        transports[-1].start()
        peer.send(b"x")
    *new, flowing = transports
    for transport in new:
        transport.begins(True)
    seen = []
    for _ in range(3):
        reactor.doPoll(0)
        seen.append(sum(bool(cast(Told, transport.protocol).received) for transport in new))
        assert cast(Told, flowing.protocol).received == b"x"
    assert seen == [BEGINNINGS, 2 * BEGINNINGS, 2 * BEGINNINGS + 1]
    for sock, peer in pairs:
        sock.close()
        peer.close()


class Unceasing(Told):
    """A protocol whose peer sends the next byte as soon as one has come."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__()
        self._peer = peer

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self._peer.send(b"x")


def test_who_always_has_something_to_begin_keeps_nobody_from_beginning(reactor: Any) -> None:
    """D1: who had to wait goes first in the next turn, so that each has its share of them."""
    pairs = [socket.socketpair() for _ in range(BEGINNINGS + 2)]
    protocols = [Unceasing(peer) for _, peer in pairs]
    for (sock, peer), protocol in zip(pairs, protocols, strict=True):
        sock.setblocking(False)
        transport = StreamTransport(sock, protocol, reactor, ADDRESS, ADDRESS)
        transport.start()
        transport.begins(True)
        peer.send(b"x")
    for _ in range(len(pairs)):
        reactor.doPoll(0)
    assert [len(protocol.reads) for protocol in protocols] == [BEGINNINGS] * len(pairs)
    for sock, peer in pairs:
        sock.close()
        peer.close()


def test_an_error_while_reading_ends_that_connection_alone_and_is_logged(
    reactor: Any, connect: Connect, logged_failures: LoggedFailures
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    others = [connect(), connect()]
    broken = connect(fail)
    others.append(connect())
    reactor.doPoll(0)
    assert broken.calls == ["read", "lost"]
    assert isinstance(broken.reason, ZeroDivisionError)
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    for descriptor in (broken, *others):
        descriptor.peer.send(b"y")
    reactor.doPoll(0)
    assert broken.calls == ["read", "lost"]
    assert [other.calls for other in others] == [["read", "read"]] * 3


def test_a_connection_that_reading_finds_lost_is_ended(reactor: Any, connect: Connect) -> None:
    descriptor = connect(lambda: ConnectionLost())
    reactor.doPoll(0)
    assert descriptor.calls == ["read", "lost"]
    assert isinstance(descriptor.reason, ConnectionLost)
    assert descriptor not in reactor.getReaders()


def test_what_an_earlier_event_of_the_same_turn_removed_is_left_alone(
    reactor: Any, connect: Connect
) -> None:
    """Which of the two comes first is the kernel's."""
    pair: list[Descriptor] = []
    pair.append(connect(lambda: reactor.removeReader(pair[1])))
    pair.append(connect(lambda: reactor.removeReader(pair[0])))
    reactor.doPoll(0)
    assert sorted(descriptor.calls for descriptor in pair) == [[], ["read"]]


def test_what_can_be_written_to_as_well_is_read_and_written(reactor: Any, connect: Connect) -> None:
    descriptor = connect()
    reactor.addWriter(descriptor)
    reactor.doPoll(0)
    assert descriptor.calls == ["read", "write"]


def test_what_can_only_be_written_to_is_written(reactor: Any, connect: Connect) -> None:
    descriptor = connect()
    reactor.removeReader(descriptor)
    reactor.addWriter(descriptor)
    reactor.doPoll(0)
    assert descriptor.calls == ["write"]


def test_a_hangup_without_anything_to_read_ends_the_connection(
    reactor: Any, connect: Connect
) -> None:
    descriptor = connect()
    reactor.removeReader(descriptor)
    reactor.addWriter(descriptor)
    descriptor.peer.close()
    reactor.doPoll(0)
    assert descriptor.calls == ["lost"]
    assert isinstance(descriptor.reason, ConnectionLost)


class Poller:
    """An epoll that notes how long it is asked to wait, and has no events."""

    def __init__(self, error: type[OSError] | None = None) -> None:
        self.waits: list[float] = []
        self._error = error

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        if self._error is not None:
            raise self._error
        return []


def test_without_a_timeout_it_waits_for_ever(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As epoll_wait(2) has it: -1; one that is given is in seconds."""
    poller = Poller()
    with monkeypatch.context() as patch:
        patch.setattr(reactor, "_poller", poller)
        for timeout in (None, 0.0, 2.5):
            reactor.doPoll(timeout)
    assert poller.waits == [-1, 0.0, 2.5]


def test_a_signal_while_it_waits_ends_the_turn(
    reactor: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = connect()
    with monkeypatch.context() as patch:
        patch.setattr(reactor, "_poller", Poller(InterruptedError))
        reactor.doPoll(None)
    assert descriptor.calls == []
    reactor.doPoll(0)
    assert descriptor.calls == ["read"]


def always_readable(
    reactor: Any, connect: Connect, reading: Callable[[], object] = lambda: None
) -> Descriptor:
    """A descriptor that has another byte whenever one was read, `ENOUGH` times."""

    def again() -> None:
        reading()
        descriptor.peer.send(b"x")
        if len(descriptor.calls) == ENOUGH:
            reactor.crash()

    descriptor = connect(again)
    return descriptor


def test_a_timer_runs_while_there_is_always_something_to_read(
    reactor: Any, connect: Connect
) -> None:
    busy = always_readable(reactor, connect)
    reactor.callLater(0, reactor.stop)
    reactor.run(installSignalHandlers=False)
    assert len(busy.calls) < ENOUGH


@pytest.mark.parametrize("how", ["stop", "callFromThread", "crash"])
def test_what_is_asked_of_the_reactor_is_done_while_there_is_always_something_to_read(
    reactor: Any, connect: Connect, how: str
) -> None:
    """By a handler, by another thread, and in need."""

    def ask() -> None:
        if len(busy.calls) == 5:
            if how == "callFromThread":
                reactor.callFromThread(reactor.stop)
            else:
                getattr(reactor, how)()

    busy = always_readable(reactor, connect, ask)
    reactor.run(installSignalHandlers=False)
    assert 5 <= len(busy.calls) <= 6  # a loop that was stopped may turn to its end
