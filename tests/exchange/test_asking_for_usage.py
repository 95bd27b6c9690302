"""``usage_injection = on``, on its way through an exchange: what is asked, what the client gets."""

from __future__ import annotations

import json
from typing import Any

import h11
import pytest

from gateway.record import Usage
from tests.matrix.dialects import WAYS
from tests.world import LAST, SSE_HEAD, World, chunked, post

CHAT = WAYS["openai_chat"]
EVENTS = CHAT.pieces
USAGE_CHUNK = EVENTS[3]
WITHOUT_USAGE = b"".join((*EVENTS[:3], EVENTS[4]))
ASKS: dict[str, Any] = {"model": "m", "stream": True, "messages": []}


def chat(**members: object) -> bytes:
    return post("/v1/chat/completions", json.dumps({**ASKS, **members}).encode())


def asked(world: World) -> Any:
    """The JSON that the upstream was asked with, by a strict parser of HTTP."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(world.up.read())
    body = b""
    while not isinstance(event := server.next_event(), h11.EndOfMessage):
        body += bytes(event.data) if isinstance(event, h11.Data) else b""
    return json.loads(body)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_the_usage_that_was_asked_for_is_counted_and_not_passed_on(path: str) -> None:
    """A14: all other bytes are the upstream's."""
    world = World(usage_injection=True)
    client = world.client().send(post(path, json.dumps(ASKS).encode()))
    assert asked(world) == {**ASKS, "stream_options": {"include_usage": True}}
    world.up.deliver(SSE_HEAD + chunked(*EVENTS) + LAST)
    response = client.response()
    assert (response.body, response.whole) == (WITHOUT_USAGE, True)
    record = world.record
    assert (record.outcome, record.usage, record.usage_source) == (
        "finished",
        CHAT.usage,
        "provider",
    )
    assert record.response_bytes == len(b"".join(EVENTS))


@pytest.mark.parametrize("size", [1, 5, 64, 1000])
def test_the_chunk_is_taken_out_wherever_reads_split_it(size: int) -> None:
    """A14, A9: and nothing else is."""
    world = World(usage_injection=True)
    client = world.client().send(chat())
    stream = b"".join(EVENTS)
    world.up.deliver(SSE_HEAD)
    for at in range(0, len(stream), size):
        world.up.deliver(chunked(stream[at : at + size]))
    world.up.deliver(LAST)
    assert client.response().body == WITHOUT_USAGE
    assert world.record.usage == CHAT.usage


def test_a_client_that_asked_for_usage_itself_gets_it() -> None:
    """A14: its request goes on as it is."""
    world = World(usage_injection=True)
    told = {"stream_options": {"include_usage": True}}
    client = world.client().send(chat(**told))
    assert asked(world) == {**ASKS, **told}
    world.up.deliver(SSE_HEAD + chunked(*EVENTS) + LAST)
    assert client.response().body == b"".join(EVENTS)


def test_other_options_of_the_client_stay() -> None:
    """A14: one that said no to usage is asked for all the same, and gets none."""
    world = World(usage_injection=True)
    client = world.client().send(chat(stream_options={"x": 1, "include_usage": False}))
    assert asked(world)["stream_options"] == {"x": 1, "include_usage": True}
    world.up.deliver(SSE_HEAD + chunked(*EVENTS) + LAST)
    assert client.response().body == WITHOUT_USAGE


@pytest.mark.parametrize("way", ["openai_chat whole", "openai_responses", "anthropic", "ollama"])
def test_what_cannot_be_asked_for_is_not(way: str) -> None:
    """A14: answers that are not streamed tell it anyway; other dialects have no such option."""
    world = World(usage_injection=True)
    world.client().send(WAYS[way].request)
    assert world.up.read().endswith(WAYS[way].request.partition(b"\r\n\r\n")[2])


def test_off_is_off() -> None:
    """A14: what the client did not ask for is not known, and nothing is taken out."""
    world = World()
    client = world.client().send(chat())
    assert asked(world) == ASKS
    world.up.deliver(SSE_HEAD + chunked(*EVENTS) + LAST)
    assert client.response().body == b"".join(EVENTS)


def test_an_answer_that_is_no_stream_is_left_alone() -> None:
    """A14: a server that refuses the option says so itself."""
    world = World(usage_injection=True)
    client = world.client().send(chat())
    body = CHAT.errors.answer
    world.up.deliver(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert (client.response().status, client.response().body) == (400, body)
    assert world.record.usage == Usage()


def test_a_stream_that_is_cut_behind_the_chunk_keeps_the_usage() -> None:
    """A14, E3: the error follows what the client was given."""
    world = World(usage_injection=True)
    client = world.client().send(chat())
    world.up.deliver(SSE_HEAD + chunked(*EVENTS[:4]))
    world.up.reset()
    passed = b"".join(EVENTS[:3])
    response = client.response()
    assert response.body.startswith(passed + b'data: {"error":')
    assert (world.record.usage, world.record.outcome) == (CHAT.usage, "upstream_failed")
