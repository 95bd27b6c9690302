"""The transport that sends at once: order, pauses and ends, on real sockets turned by hand."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from gateway.net.transport import BUFFER, BULK, READ, StreamTransport

from .watching import Told, Watching

ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)


@implementer(IPushProducer)
class Producer:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pauseProducing(self) -> None:
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        self.asked.append("resume")

    def stopProducing(self) -> None:
        self.asked.append("stop")


class Line:
    """A transport under test and the socket at the other end of its connection."""

    def __init__(self, *, buffer: int | None = None, local: bool = False) -> None:
        """`local`: not over TCP, which takes its time to open a window that was full."""
        if local:
            sock, self.peer = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.peer = socket.create_connection(listener.getsockname())
                sock, _ = listener.accept()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        self.peer.settimeout(5)
        self.reactor = Watching()
        self.protocol = Told()
        self.transport = StreamTransport(sock, self.protocol, self.reactor, ADDRESS, ADDRESS)
        self.transport.start()

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, the transport sending what it still has to."""
        data = b""
        while len(data) < size:
            self.reactor.turn()
            data += self.peer.recv(size - len(data))
        return data

    def until_lost(self) -> None:
        """Turn until the protocol has heard of the end."""
        for _ in range(10_000):
            if self.protocol.reasons:
                return
            self.reactor.turn()
        pytest.fail("the protocol was not told of the connection's end")

    def close(self) -> None:
        self.peer.close()
        self.transport.abortConnection()
        self.reactor.turn()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


@pytest.fixture
def narrow() -> Iterator[Line]:
    """A connection whose buffers in the kernel are small."""
    line = Line(buffer=4096, local=True)
    yield line
    line.close()


def test_what_is_written_is_with_the_peer_before_the_reactor_turns(line: Line) -> None:
    """D1: an event does not wait for the next turn."""
    line.transport.write(b"event")
    assert line.peer.recv(100) == b"event"
    assert line.reactor.writers == []


@given(
    pieces=st.lists(st.binary(max_size=30_000), max_size=8),
    reads=st.lists(st.integers(1, 30_000), max_size=8),
)
def test_bytes_arrive_whole_and_in_order_however_the_peer_reads(
    pieces: list[bytes], reads: list[int]
) -> None:
    """D3: whatever the socket takes of each write."""
    line = Line(buffer=4096, local=True)
    everything = b"".join(pieces)
    received = b""
    for number, piece in enumerate(pieces):
        line.transport.write(piece)
        if number < len(reads) and line.transport.connected:
            line.peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                received += line.peer.recv(reads[number])
            line.reactor.turn()
    line.peer.settimeout(5)
    received += line.read(len(everything) - len(received))
    assert received == everything
    line.reactor.turn()
    assert line.reactor.writers == []
    line.close()


def test_a_producer_is_paused_once_and_resumed_when_all_has_gone(narrow: Line) -> None:
    """D5: a slow reader's producer says nothing until its words have been taken."""
    producer = Producer()
    narrow.transport.registerProducer(producer, True)
    size = 8 * BUFFER
    for _ in range(8):
        narrow.transport.write(b"x" * BUFFER)
    assert producer.asked == ["pause"]
    narrow.read(size)
    narrow.reactor.turn()
    assert producer.asked == ["pause", "resume"]
    narrow.transport.unregisterProducer()


def test_nothing_is_read_while_reading_is_paused(line: Line) -> None:
    """D5: the kernel slows the other side down."""
    line.transport.pauseProducing()
    line.peer.sendall(b"later")
    line.reactor.turn()
    assert line.protocol.received == b""
    line.transport.resumeProducing()
    line.reactor.turn()
    assert line.protocol.received == b"later"


def test_reads_are_larger_while_more_comes_than_they_take() -> None:
    """D5: and as large as before once they bring less; none is larger than BULK."""
    line = Line(local=True, buffer=4 * BULK)
    line.peer.sendall(b"x" * (READ + BULK + 10))
    for _ in range(3):
        line.reactor.turn()
    line.peer.sendall(b"x" * (READ + 1))
    for _ in range(2):
        line.reactor.turn()
    assert line.protocol.reads == [READ, BULK, 10, READ, 1]
    line.close()


def test_a_close_comes_behind_all_that_was_written(narrow: Line) -> None:
    """D9: the last bytes of an answer are not cut by the connection's end."""
    narrow.transport.write(b"y" * 500_000)
    narrow.transport.loseConnection()
    assert narrow.read(500_000) == b"y" * 500_000
    narrow.until_lost()
    assert narrow.peer.recv(1) == b""
    assert [reason.type for reason in narrow.protocol.reasons] == [ConnectionDone]


def test_a_close_with_nothing_to_say_comes_in_the_next_turn(line: Line) -> None:
    """D9: and not from within the call."""
    line.transport.loseConnection()
    assert line.protocol.reasons == []
    line.until_lost()
    assert line.peer.recv(1) == b""


def test_the_end_is_with_the_peer_before_the_reactor_turns(line: Line) -> None:
    """D4: a client that reuses connections must not take this one for its next request."""
    line.transport.write(b"the last bytes")
    line.transport.loseConnection()
    assert line.peer.recv(100) == b"the last bytes"
    assert line.peer.recv(1) == b""
    line.transport.write(b"too late")
    line.until_lost()
    assert [reason.type for reason in line.protocol.reasons] == [ConnectionDone]


def test_an_abort_resets_the_connection_whatever_is_queued(line: Line) -> None:
    """E7: a body that must not look whole ends in a reset."""
    line.transport.write(b"z" * 20_000_000)
    line.transport.abortConnection()
    assert line.protocol.reasons == []
    line.until_lost()
    assert [reason.type for reason in line.protocol.reasons] == [ConnectionAborted]
    with pytest.raises(ConnectionResetError):
        line.read(20_000_000)


def test_the_peers_end_is_told_once_and_stops_the_producer(line: Line) -> None:
    """A4: three signals, one event."""
    producer = Producer()
    line.transport.registerProducer(producer, True)
    line.peer.close()
    line.until_lost()
    line.transport.abortConnection()
    line.transport.loseConnection()
    line.transport.write(b"to nobody")
    line.reactor.turn()
    assert len(line.protocol.reasons) == 1
    assert producer.asked == ["stop"]
    assert line.reactor.readers == line.reactor.writers == []


def test_a_send_that_fails_is_told_by_the_reactor_and_not_by_the_write(line: Line) -> None:
    """A4: no protocol hears of an end while it is writing, also where it does not read."""
    line.transport.pauseProducing()
    line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.peer.close()
    for _ in range(1000):
        line.transport.write(b"anybody?")
        if line.reactor.writers:
            break
    assert line.protocol.reasons == []
    line.until_lost()
    assert [reason.type for reason in line.protocol.reasons] == [ConnectionLost]


def test_a_producer_that_comes_too_late_is_stopped(line: Line) -> None:
    """A4: nobody produces for a connection that is gone."""
    line.peer.close()
    line.until_lost()
    producer = Producer()
    line.transport.registerProducer(producer, True)
    assert producer.asked == ["stop"]


def test_only_one_producer_registers_at_a_time(line: Line) -> None:
    """D5: who is paused has to be clear."""
    line.transport.registerProducer(Producer(), True)
    with pytest.raises(RuntimeError, match="is registered"):
        line.transport.registerProducer(Producer(), True)
    line.transport.unregisterProducer()


def test_what_is_handed_over_to_hears_what_comes_from_then_on(line: Line) -> None:
    """D1: a wrapper that has done its work is passed by, at the end as well."""
    inner = Told()
    line.peer.send(b"before")
    line.reactor.turn()
    line.transport.hand_over(inner)
    line.peer.send(b"behind")
    line.reactor.turn()
    line.peer.close()
    for _ in range(10_000):
        if inner.reasons:
            break
        line.reactor.turn()
    assert (line.protocol.received, line.protocol.reasons) == (b"before", [])
    assert inner.received == b"behind"
    assert len(inner.reasons) == 1
