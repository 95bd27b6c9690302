"""A client that leaves: its upstream is let go at once, or read on for what the answer costs."""

from __future__ import annotations

import pytest

from tests.transcripts import CHAT_EVENTS
from tests.world import CHAT, CHAT_WHOLE, LAST, SSE_HEAD, World, chunked, post


def left_in_mid_stream(**route: object) -> World:
    world = World(keepalive_after=1.0, keepalive_interval=1.0, **route)  # type: ignore[arg-type]
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS[:2]))
    client.wire.lose()
    return world


def test_by_default_the_upstream_is_let_go_at_once_and_the_row_says_so() -> None:
    """A13: nothing more is paid for."""
    world = left_in_mid_stream()
    assert world.up.aborted
    assert world.record.outcome == "client_gone"
    assert world.record.error_detail == "the upstream's answer was aborted"
    assert world.record.usage.output_tokens is None


def test_drain_reads_on_to_the_usage_and_the_row_says_so() -> None:
    """A13: the client is gone all the same; its connection to the upstream is used again."""
    world = left_in_mid_stream(on_disconnect=30.0)
    assert not world.ledger.records
    world.clock.advance(5)
    world.up.deliver(chunked(*CHAT_EVENTS[2:]) + LAST)
    record = world.record
    assert record.outcome == "client_gone"
    assert record.error_detail == "the upstream's answer was read on, to its end"
    assert record.usage.output_tokens is not None
    assert not world.up.aborted
    world.client().send(CHAT_WHOLE)
    assert len(world.endpoint.wires) == 1


def test_drain_has_its_bound() -> None:
    """A13: beats do not count, nobody hears them."""
    world = left_in_mid_stream(on_disconnect=30.0)
    world.clock.pump([1] * 29)
    assert not world.ledger.records
    world.clock.pump([1] * 2)
    assert world.record.outcome == "client_gone"
    assert world.record.error_detail == (
        "the upstream's answer was read on, for what came of it within 30 s"
    )
    assert world.record.keepalives == 0
    assert world.up.aborted
    assert world.idle()


def test_a_client_that_did_not_read_does_not_hold_up_the_reading_on() -> None:
    """A13, D5: what paused for it goes on."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT)
    client.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    event = b"data: " + b"x" * 10_000 + b"\n\n"
    while world.up.reading:
        world.up.deliver(chunked(event))
    client.wire.reset()
    assert world.up.reading
    world.up.deliver(chunked(*CHAT_EVENTS) + LAST)
    assert world.record.usage.output_tokens is not None


@pytest.mark.parametrize("after", ["terminal event", "end"])
def test_a_client_that_has_everything_has_not_left(after: str) -> None:
    """A2: nothing is left to be read on for."""
    world = World(on_disconnect=30.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + (LAST if after == "end" else b""))
    client.wire.lose()
    assert world.record.outcome == "finished"


def test_nothing_is_read_on_of_a_request_that_has_not_been_sent_whole() -> None:
    """A13: the upstream could not answer it."""
    world = World(on_disconnect=30.0)
    client = world.client()
    client.send(post("/v1/files", b"x" * 100)[:-50])
    client.wire.lose()
    assert world.record.outcome == "client_gone"
    world.clock.advance(0)
    assert world.idle()


def test_those_that_are_read_on_for_count_as_streams() -> None:
    world = left_in_mid_stream(on_disconnect=30.0)
    world.door._max_streams = 1
    response = world.client().send(CHAT).response()
    assert response.status == 503


def test_stopping_ends_the_reading_on() -> None:
    """O4: within the drain, like every end."""
    world = left_in_mid_stream(on_disconnect=30.0)
    (exchange,) = world.services.running
    exchange.drain()
    assert world.record.outcome == "client_gone"
    assert not world.services.reading_on
