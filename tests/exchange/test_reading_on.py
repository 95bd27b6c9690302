"""Clients that leave while their answer is still coming: ``on_disconnect``, abort or drain."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest

from gateway.config.model import KeepaliveMode
from gateway.exchange.exchange import Exchange
from gateway.record import Usage
from tests.conftest import LoggedFailures
from tests.matrix.dialects import WAYS
from tests.transcripts import CHAT_BODY, CHAT_EVENTS
from tests.world import CHAT, CHAT_WHOLE, LAST, SSE_HEAD, World, chunked, until_paused

TOLD = Usage(input_tokens=9, cache_read_tokens=4, output_tokens=3, reasoning_tokens=0)


def test_abort_closes_the_upstream_at_once_and_the_row_says_so() -> None:
    """A13, A2: whoever reads the row knows that its usage may be missing."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.wire.lose()
    assert world.up.aborted
    assert world.record.outcome == "client_gone"
    assert world.record.error_detail == "the upstream's answer was aborted"


def test_a_drain_reads_on_to_the_end_for_the_usage() -> None:
    """A13, A8: the connection can be used again after it."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.raw()
    client.wire.lose()
    assert not world.ledger.records
    world.clock.advance(29)
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    record = world.record
    assert (record.outcome, record.phase, record.error) == ("client_gone", "relay", None)
    assert (record.usage, record.usage_source, record.stop_reason) == (TOLD, "provider", "stop")
    assert record.error_detail == "the upstream's answer was read on, to its end"
    assert client.raw().endswith(chunked(CHAT_EVENTS[0]))
    assert world.pool.idle == 1
    world.clock.advance(10)
    assert world.idle()


def test_a_drain_has_a_bound() -> None:
    """A13: what came until then is counted."""
    world = World(on_disconnect=30.0)
    way = WAYS["anthropic"]
    client = world.client().send(way.request)
    world.up.deliver(SSE_HEAD + chunked(way.pieces[0]))
    client.wire.lose()
    for _ in range(29):
        world.clock.advance(1)
        world.up.deliver(chunked(way.pieces[1]))
    assert not world.up.aborted
    assert not world.ledger.records
    world.clock.advance(1)
    assert world.up.aborted
    record = world.record
    assert (record.outcome, record.usage) == ("client_gone", way.first_usage)
    assert record.stop_reason == "incomplete"
    assert record.error_detail == (
        "the upstream's answer was read on, for what came of it within 30 s"
    )
    world.clock.advance(0)
    assert world.idle()


ENDS: list[Callable[[World], None]] = [
    lambda world: world.up.reset(),
    lambda world: world.up.lose(),
    lambda world: world.up.deliver(b"nonsense\r\n"),
    lambda world: world.clock.advance(20),
    lambda world: next(iter(world.services.running)).drain(),
]


@pytest.mark.parametrize("end", ENDS, ids=["reset", "FIN", "malformed", "idle timeout", "stopped"])
def test_whatever_ends_a_drain_the_client_had_left_first(end: Callable[[World], None]) -> None:
    """A13, A4: the first end latches; the deadlines of the upstream still run."""
    world = World(on_disconnect=30.0, idle_timeout=20.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.wire.reset()
    end(world)
    record = world.record
    assert (record.outcome, record.error) == ("client_gone", None)
    world.clock.advance(0)
    assert world.idle()


def test_a_drain_waits_for_a_head_too() -> None:
    """A13: nothing is written any more, no head and no keepalive."""
    world = World(on_disconnect=30.0, keepalive=KeepaliveMode.DELAYED, keepalive_after=5.0)
    client = world.client().send(CHAT)
    client.wire.lose()
    world.clock.advance(20)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    record = world.record
    assert (record.outcome, record.status_upstream, record.status_sent) == (
        "client_gone",
        200,
        None,
    )
    assert (record.usage, record.keepalives) == (TOLD, 0)
    assert client.raw() == b""


def test_a_drain_reads_a_body_that_is_no_stream() -> None:
    """A13: it has a price like any other."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT_WHOLE)
    length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CHAT_BODY)
    world.up.deliver(length + CHAT_BODY[:20])
    client.wire.lose()
    world.up.deliver(CHAT_BODY[20:])
    assert world.record.usage == Usage(input_tokens=9, output_tokens=3)
    assert world.pool.idle == 1


def test_an_upstream_that_was_paused_for_its_client_is_read_on() -> None:
    """A13, D5: nobody is left whose pace would count."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.wire.stalled = True
    until_paused(world.up)
    client.wire.reset()
    assert world.up.reading
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    assert (world.record.outcome, world.record.usage) == ("client_gone", TOLD)


def test_nothing_is_read_on_behind_a_terminal_event() -> None:
    """A13, A2: everything is known by then."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS))
    client.wire.lose()
    assert world.up.aborted
    assert (world.record.outcome, world.record.usage) == ("finished", TOLD)


@pytest.mark.parametrize("asked", [False, True])
def test_there_is_nothing_to_drain_before_the_upstream_has_been_asked(asked: bool) -> None:
    """A13: while it is being connected to, or the request's body has not come whole."""
    world = World(on_disconnect=30.0)
    if not asked:
        world.never_connect()
    head, _, body = WAYS["openai_transcription"].request.partition(b"\r\n\r\n")
    client = world.client().send(head + b"\r\n\r\n" + body[:-10] if asked else CHAT)
    client.wire.lose()
    assert world.record.outcome == "client_gone"
    assert all(wire.aborted for wire in world.endpoint.wires)
    world.clock.advance(0)
    assert world.idle()


def test_streams_that_are_drained_count_as_open() -> None:
    """A13: clients that leave and come back cannot have more than `max_streams` of them."""
    world = World(on_disconnect=30.0, max_streams=1)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.wire.lose()
    refused = world.client().send(CHAT).response()
    assert refused.status == 503
    assert 0 < int(refused.get(b"retry-after") or b"0") <= 60


def test_an_error_of_our_own_during_a_drain_is_told_as_one(
    logged_failures: LoggedFailures,
) -> None:
    """A13, A3: it is not blamed on the client."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.wire.lose()
    [exchange] = world.services.running
    assert isinstance(exchange, Exchange)
    with mock.patch.object(exchange._connection, "_take_body", side_effect=ZeroDivisionError):
        world.up.deliver(chunked(CHAT_EVENTS[1]))
    assert (world.record.outcome, world.record.error) == ("internal_error", "bug")
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
