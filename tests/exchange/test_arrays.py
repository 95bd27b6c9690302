"""Gemini's streams without ``alt=sse``, one JSON array each, on their way through an exchange."""

from __future__ import annotations

import json

import pytest

from gateway.record import Usage
from tests.matrix.dialects import WAYS
from tests.world import LAST, World, chunked

ARRAY = WAYS["gemini array"]
OBJECT = WAYS["gemini whole"]
JSON_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def with_text(piece: bytes, text: str) -> bytes:
    """A piece of the array with another text in it."""
    opening = b"[" if piece.startswith(b"[") else b"\n,\r\n"
    response = json.loads(piece.removeprefix(opening))
    response["candidates"][0]["content"]["parts"][0]["text"] = text
    return opening + json.dumps(response).encode()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_array_with_an_element_of_more_than_is_held_finishes(position: int) -> None:
    """A8, D3, E4: an image with the finish reason and the usage behind it, say."""
    pieces = list(ARRAY.pieces)
    pieces[position] = with_text(pieces[position], "]}" * 50_000)
    array = b"".join(pieces) + ARRAY.close
    world = World()
    client = world.client().send(ARRAY.request)
    world.up.deliver(JSON_HEAD)
    for at in range(0, len(array), 16_384):
        world.up.deliver(chunked(array[at : at + 16_384]))
    world.up.deliver(LAST)
    assert client.response().body == array
    assert client.response().whole
    record = world.record
    assert (record.outcome, record.stop_reason, record.usage) == ("finished", "STOP", ARRAY.usage)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_object_in_place_of_an_array_is_passed_on_and_read(size: int) -> None:
    """D9, A8: it is no stream that could be cut short; HTTP tells its end."""
    body = b"".join(OBJECT.pieces)
    world = World()
    client = world.client().send(ARRAY.request)
    world.up.deliver(JSON_HEAD)
    for at in range(0, len(body), size):
        world.up.deliver(chunked(body[at : at + size]))
    world.up.deliver(LAST)
    assert (client.response().body, client.response().whole) == (body, True)
    record = world.record
    assert (record.outcome, record.stop_reason, record.usage) == ("finished", "STOP", OBJECT.usage)


def test_an_object_in_place_of_an_array_that_is_cut_is_broken_off() -> None:
    """E7: nothing can be said into it."""
    world = World()
    client = world.client().send(ARRAY.request)
    world.up.deliver(JSON_HEAD + chunked(OBJECT.pieces[0]))
    world.up.reset()
    assert client.wire.aborted
    assert not client.response().whole
    assert (world.record.outcome, world.record.usage) == ("upstream_failed", Usage())
