"""OpenAI's other dialects on their way through an exchange."""

from __future__ import annotations

import json

import pytest

from gateway.sse import parse
from tests.dialects.streams import CREATED, DELTAS, IMAGE_USAGE, RESPONSE_USAGE, completed, image
from tests.world import LAST, SSE_HEAD, World, chunked, post

RESPONSES = post("/v1/responses", b'{"model":"m","stream":true,"input":"x"}')
IMAGES = post("/v1/images/generations", b'{"model":"m","stream":true,"prompt":"x"}')


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_response_with_long_instructions_finishes(size: int) -> None:
    """A8: its last event may be longer than what is held back of any."""
    world = World()
    client = world.client().send(RESPONSES)
    last = completed(instructions="x" * size)
    stream = CREATED + DELTAS + last
    pieces = [stream[i : i + 16384] for i in range(0, len(stream), 16384)]
    world.up.deliver(SSE_HEAD)
    for piece in pieces:
        world.up.deliver(chunked(piece))
    world.up.deliver(LAST)
    response = client.response()
    assert response.whole
    assert response.body == stream
    assert (world.record.outcome, world.record.stop_reason) == ("finished", "completed")
    assert world.record.intent.dialect == "openai_responses"
    assert world.record.usage.input_tokens == RESPONSE_USAGE["input_tokens"]


def test_an_image_of_more_than_is_held_finishes() -> None:
    """D3, A8: one event of 300 kB."""
    world = World()
    client = world.client().send(IMAGES)
    stream = image("x" * 300_000)
    world.up.deliver(SSE_HEAD)
    for at in range(0, len(stream), 16384):
        world.up.deliver(chunked(stream[at : at + 16384]))
    world.up.deliver(LAST)
    assert client.response().body == stream
    assert world.record.outcome == "finished"
    assert world.record.usage.output_tokens == IMAGE_USAGE["output_tokens"]


def test_a_response_that_is_cut_ends_in_two_events_that_go_on_from_it() -> None:
    """E3: with its id and the next numbers, and nothing that looks like a good end."""
    world = World()
    client = world.client().send(RESPONSES)
    world.up.deliver(SSE_HEAD + chunked(CREATED + DELTAS))
    world.up.reset()
    response = client.response()
    assert response.whole
    assert response.body.startswith(CREATED + DELTAS)
    events = list(parse(response.body.removeprefix(CREATED + DELTAS)))
    assert [name for name, _ in events] == [b"error", b"response.failed"]
    told = [json.loads(data) for _, data in events]
    assert [data["sequence_number"] for data in told] == [4, 5]
    assert told[1]["response"]["id"] == "resp_7"
    assert (world.record.outcome, world.record.stop_reason) == ("upstream_failed", "incomplete")
