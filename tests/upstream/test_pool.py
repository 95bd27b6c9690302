"""Connections to an upstream: which are used again, which never, and how attempts end."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gateway.config.model import Family, Upstream, Url
from gateway.http1 import Framing, ResponseHead
from gateway.upstream.connection import MAX_INTERIM, Connection
from gateway.upstream.errors import UpstreamError
from gateway.upstream.pool import Pool
from gateway.upstream.receiver import TakeBody
from tests.world import MemoryEndpoint, Wire

UPSTREAM = Upstream("up", Url("http", "a", 80, ""), Family.GENERIC, pool_size=2)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Heard:
    """A receiver that keeps what it hears."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.body = b""
        self.error: UpstreamError | None = None

    def request_written(self) -> None:
        self.calls.append("written")

    def upload_paused(self) -> None:
        self.calls.append("paused")

    def upload_resumed(self) -> None:
        self.calls.append("resumed")

    def interim_received(self, head: ResponseHead) -> None:
        self.calls.append(str(head.status))

    def head_received(self, head: ResponseHead, framing: Framing) -> TakeBody:
        self.calls.append(f"head {head.status}")
        return self.take

    def take(self, data: bytes) -> None:
        self.body += data

    def body_follows(self) -> None:
        self.calls.append("follows")

    def response_ended(self) -> None:
        self.calls.append("ended")

    def upstream_failed(self, error: UpstreamError) -> None:
        self.calls.append("failed")
        self.error = error

    def bug_found(self, failure: Failure) -> None:
        self.calls.append("bug")


class Upstreams:
    """A pool and its far side."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = MemoryEndpoint(self.clock)
        self.pool = Pool(UPSTREAM, self.endpoint, self.clock)

    def ask(self, method: bytes = b"GET", body: list[bytes] | None = None) -> tuple[Wire, Heard]:
        heard = Heard()
        connection = self.pool.take()
        if connection is None:
            made: list[Any] = []
            self.pool.connect().addCallback(made.append)
            connection = made[0]
        assert isinstance(connection, Connection)
        connection.send(method, b"%b / HTTP/1.1\r\n\r\n" % method, body or [], heard)
        wire = connection.transport
        assert isinstance(wire, Wire)
        return wire, heard


def code_of(failure: Failure) -> str:
    assert isinstance(failure.value, UpstreamError)
    return failure.value.code


def test_a_whole_response_is_followed_by_another_on_the_same_connection() -> None:
    ups = Upstreams()
    wire, heard = ups.ask()
    wire.deliver(OK)
    assert heard.calls == ["written", "head 200", "ended"]
    assert heard.body == b"{}"
    again, heard = ups.ask()
    assert again is wire
    again.deliver(OK)
    assert heard.calls[-1] == "ended"


@pytest.mark.parametrize(
    ("method", "response"),
    [
        (b"GET", OK + b"X"),
        (b"GET", OK.replace(b"\r\n", b"\r\nConnection: Close\r\n", 1)),
        (b"GET", OK.replace(b"\r\n", b"\r\nConnection: foo, close\r\n", 1)),
        (b"GET", OK.replace(b"1.1", b"1.0")),
        (b"HEAD", OK),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\nPOISON"),
    ],
)
def test_a_connection_that_may_hold_something_else_is_never_used_again(
    method: bytes, response: bytes
) -> None:
    """Excess bytes, a close in any spelling, HTTP/1.0, a body where none may be."""
    ups = Upstreams()
    wire, heard = ups.ask(method)
    wire.deliver(response)
    assert heard.calls[-1] == "ended"
    assert wire.aborted
    assert ups.pool.idle == 0


def test_bytes_on_an_idle_connection_end_it() -> None:
    ups = Upstreams()
    wire, _ = ups.ask()
    wire.deliver(OK)
    wire.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
    assert wire.aborted
    assert ups.pool.idle == 0


def test_a_body_that_goes_on_behind_the_heads_read_is_told_of_once() -> None:
    ups = Upstreams()
    wire, heard = ups.ask()
    head, body = OK[:-2], OK[-2:]
    wire.deliver(head[:9])
    wire.deliver(head[9:])
    assert heard.calls == ["written", "head 200", "follows"]
    wire.deliver(body[:1])
    wire.deliver(body[1:])
    assert heard.calls == ["written", "head 200", "follows", "ended"]


def test_a_connection_closed_while_idle_is_forgotten() -> None:
    ups = Upstreams()
    wire, _ = ups.ask()
    wire.deliver(OK)
    wire.lose()
    assert ups.pool.idle == 0
    assert not ups.clock.getDelayedCalls()


def test_idle_connections_are_closed_after_their_time_and_the_newest_is_taken_first() -> None:
    ups = Upstreams()
    (first, _), (second, _) = ups.ask(), ups.ask()
    first.deliver(OK)
    ups.clock.advance(3)
    second.deliver(OK)
    ups.clock.advance(1)
    assert first.aborted
    assert not second.aborted
    third, _ = ups.ask()
    assert third is second
    third.deliver(OK)
    ups.clock.advance(4)
    assert second.aborted
    ups.clock.advance(0)
    assert not ups.clock.getDelayedCalls()


def test_no_more_connections_are_kept_than_the_pools_size() -> None:
    ups = Upstreams()
    wires = [ups.ask()[0] for _ in range(4)]
    for wire in wires:
        wire.deliver(OK)
    assert ups.pool.idle == UPSTREAM.pool_size
    ups.pool.close()
    assert all(wire.aborted for wire in wires)


def test_a_response_that_ends_before_the_request_is_written_ends_the_connection() -> None:
    ups = Upstreams()
    heard = Heard()
    made: list[Any] = []
    ups.pool.connect().addCallback(made.append)
    wire = ups.endpoint.wires[0]
    wire.stalled = True
    made[0].send(b"POST", b"POST / HTTP/1.1\r\n\r\n", [b"x" * 70000, b"y" * 70000], heard)
    assert b"y" not in wire.unread
    wire.deliver(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert heard.calls == ["head 413", "ended"]
    assert wire.aborted


def test_a_close_delimited_body_ends_with_a_clean_close_and_with_nothing_else() -> None:
    ups = Upstreams()
    wire, heard = ups.ask()
    wire.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
    wire.lose()
    assert (heard.body, heard.calls[-1]) == (b"abc", "ended")
    wire, heard = ups.ask()
    wire.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
    wire.reset()
    assert heard.error is not None
    assert heard.error.code == "reset"


def test_what_precedes_a_fault_in_a_body_is_delivered_first() -> None:
    """E3: however the reads fell."""
    ups = Upstreams()
    wire, heard = ups.ask()
    wire.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    assert heard.body == b"abc"
    assert heard.calls[-1] == "failed"


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1),
    ],
)
def test_a_switch_of_protocols_and_endless_interim_responses_are_refused(interim: bytes) -> None:
    ups = Upstreams()
    wire, heard = ups.ask()
    wire.deliver(interim)
    assert heard.error is not None
    assert heard.error.code == "malformed"


def test_after_an_abort_nothing_is_heard() -> None:
    ups = Upstreams()
    wire, heard = ups.ask()
    wire.protocol.abort()  # type: ignore[attr-defined]
    wire.lose(ConnectionDone())
    assert heard.calls == ["written"]


def test_a_pause_stops_reading_and_a_paused_connection_can_be_dropped() -> None:
    """D5: and what is kept is never kept paused."""
    ups = Upstreams()
    wire, _ = ups.ask()
    connection = wire.protocol
    assert isinstance(connection, Connection)
    connection.pause()
    connection.pause()
    assert not wire.reading
    connection.dataReceived(OK)  # TLS can hold bytes that were decrypted before the pause
    assert wire.reading
    assert ups.pool.idle == 1


def test_an_attempt_that_is_refused_fails_with_its_cause() -> None:
    ups = Upstreams()
    ups.endpoint.answer = lambda: Failure(Refused())
    failures: list[Failure] = []
    ups.pool.connect().addErrback(failures.append)
    assert code_of(failures[0]) == "connect_refused"
    assert not ups.clock.getDelayedCalls()


def test_an_attempt_times_out_and_a_late_connection_is_not_kept() -> None:
    """E2: also when TCP was there and TLS is not."""
    ups = Upstreams()
    ups.pool.upstream = Upstream("up", Url("https", "a", 443, ""), Family.GENERIC)
    failures: list[Failure] = []
    ups.pool.connect().addErrback(failures.append)
    ups.clock.advance(9.9)
    assert not failures
    ups.clock.advance(0.1)
    assert code_of(failures[0]) == "connect_timeout"
    assert ups.endpoint.wires[0].aborted
    ups.clock.advance(0)
    assert not ups.clock.getDelayedCalls()


def test_the_body_is_written_as_the_socket_takes_it() -> None:
    ups = Upstreams()
    made: list[Any] = []
    ups.pool.connect().addCallback(made.append)
    wire = ups.endpoint.wires[0]
    wire.stalled = True
    heard = Heard()
    made[0].send(b"POST", b"head", [b"a" * 60000, b"b" * 60000, b"c" * 60000], heard)
    assert len(wire.unread) == 4 + 120000
    assert heard.calls == []
    assert wire.read()[-1:] == b"b"
    assert wire.read() == b"c" * 60000
    assert heard.calls == ["written"]
    assert wire.producer is None


def test_a_connection_writes_nothing_of_its_own() -> None:
    transport = StringTransport()
    connection = Connection(
        secure=False,
        limits=Pool(UPSTREAM, MemoryEndpoint(Clock()), Clock())._limits,
        on_idle=lambda _: None,
        on_closed=lambda _: None,
    )
    connection.makeConnection(transport)  # type: ignore[no-untyped-call]
    assert transport.value() == b""
