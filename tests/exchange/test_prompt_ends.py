"""A response's stream is over with its last event, whether or not the upstream closes its body."""

from __future__ import annotations

import pytest

from gateway.exchange.exchange import LAST_WORDS
from tests.dialects.streams import CREATED, completed, numbered, response
from tests.matrix.dialects import WAYS
from tests.world import LAST, SSE_HEAD, World, chunked

RESPONSES = WAYS["openai_responses"]
FAILED = numbered("response.failed", 2, response=response("failed", error={"message": "no"}))


@pytest.mark.parametrize("kind", ["completed", "incomplete"])
def test_a_response_is_whole_for_its_client_with_its_last_event(kind: str) -> None:
    """E6, A1: clients read to the end of the body, which an upstream may keep open."""
    world = World()
    client = world.client().send(RESPONSES.request)
    last = completed(2).replace(b"completed", kind.encode())
    world.up.deliver(SSE_HEAD + chunked(*RESPONSES.pieces[:2], last))
    world.clock.advance(LAST_WORDS)
    answer = client.response()
    assert (answer.body, answer.whole) == (b"".join((*RESPONSES.pieces[:2], last)), True)
    assert world.up.aborted
    assert (world.record.outcome, world.record.usage) == ("finished", RESPONSES.usage)
    world.clock.advance(0)
    world.client().send(RESPONSES.request)
    assert len(world.endpoint.wires) == 2


def test_a_last_event_of_more_than_is_held_is_the_last_too() -> None:
    """E6, A8: it repeats its request's instructions."""
    world = World()
    client = world.client().send(RESPONSES.request)
    last = completed(2, instructions="x" * 200_000)
    world.up.deliver(SSE_HEAD + chunked(CREATED))
    for at in range(0, len(last), 50_000):
        world.up.deliver(chunked(last[at : at + 50_000]))
        world.clock.advance(0)
    world.clock.advance(LAST_WORDS)
    assert client.response().whole
    assert client.response().body == CREATED + last
    assert world.record.outcome == "finished"


def test_an_upstream_that_ends_its_body_soon_is_used_again() -> None:
    """E6: nothing is thrown away that costs a handshake."""
    world = World()
    client = world.client().send(RESPONSES.request)
    world.up.deliver(SSE_HEAD + chunked(*RESPONSES.pieces))
    world.up.deliver(LAST)
    world.clock.advance(0)
    assert client.response().whole
    assert not world.up.aborted
    assert world.pool.idle == 1


def test_an_upstreams_last_words_are_passed_on() -> None:
    """D3: some send what they send behind chat completions; and the end comes once."""
    world = World()
    client = world.client().send(RESPONSES.request)
    world.up.deliver(SSE_HEAD + chunked(*RESPONSES.pieces))
    world.clock.advance(LAST_WORDS / 2)
    world.up.deliver(chunked(b"data: [DONE]\n\n"))
    world.clock.advance(LAST_WORDS)
    assert client.response().body == b"".join(RESPONSES.pieces) + b"data: [DONE]\n\n"
    assert client.response().whole
    assert world.record.outcome == "finished"


def test_an_error_event_may_be_followed_by_what_failed() -> None:
    """E5: it is complete with the one, and over with the other."""
    world = World()
    client = world.client().send(RESPONSES.request)
    assert RESPONSES.error_piece is not None
    world.up.deliver(SSE_HEAD + chunked(RESPONSES.pieces[0], RESPONSES.error_piece))
    world.clock.advance(1)
    assert not world.ledger.records
    world.up.deliver(chunked(FAILED))
    world.clock.advance(LAST_WORDS)
    answer = client.response()
    assert answer.body == RESPONSES.pieces[0] + RESPONSES.error_piece + FAILED
    assert answer.whole
    assert (world.record.outcome, world.record.error) == ("upstream_failed", "provider_error_event")


@pytest.mark.parametrize("way", ["openai_chat", "anthropic", "openai_speech", "ollama"])
def test_other_streams_end_when_their_upstream_ends_them(way: str) -> None:
    """E6: their clients do not wait for more, and the connection can be used again."""
    world = World()
    client = world.client().send(WAYS[way].request)
    head = SSE_HEAD.replace(b"text/event-stream", WAYS[way].media_type)
    world.up.deliver(head + chunked(*WAYS[way].pieces))
    world.clock.advance(1)
    assert not world.ledger.records
    world.up.deliver(LAST)
    assert client.response().whole
    assert world.pool.idle == 1


def test_a_client_that_leaves_with_the_last_event_has_it_all() -> None:
    """A2: it is finished, as for every terminal event."""
    world = World()
    client = world.client().send(RESPONSES.request)
    world.up.deliver(SSE_HEAD + chunked(*RESPONSES.pieces))
    client.wire.lose()
    world.clock.advance(0)
    assert world.record.outcome == "finished"
    assert world.up.aborted
    assert world.idle()
