"""The gateway's own key in an upstream's error answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Secret
from gateway.exchange.mask import KeyMask
from tests.canaries import OWN_KEY, assert_clean
from tests.world import CHAT, LAST, SSE_HEAD, UPSTREAM, World, chunked

KEY = OWN_KEY.encode()
STARS = b"*" * len(KEY)


def world() -> World:
    return World(replace(UPSTREAM, api_key=Secret("env:KEY", OWN_KEY)))


@pytest.mark.parametrize("cut", range(0, len(KEY) + 12, 3))
def test_an_error_answer_tells_a_client_no_key_of_the_gateways(cut: int) -> None:
    """H8: in fields and body, wherever the reads are cut; lengths stay."""
    w = world()
    client = w.client().send(CHAT)
    body = b"wrong key " + KEY + b"!"
    head = b"HTTP/1.1 401 No\r\nX-Said: %b\r\nContent-Length: %d\r\n\r\n" % (KEY, len(body))
    w.up.deliver(head + body[:cut])
    w.up.deliver(body[cut:])
    response = client.response()
    assert response.whole
    assert response.get(b"x-said") == STARS
    assert response.body == b"wrong key " + STARS + b"!"


def test_what_only_begins_like_the_key_is_whole_at_the_end() -> None:
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
    w.up.deliver(chunked(b"half a " + KEY[:-1]) + b"0\r\n\r\n")
    assert client.response().body == b"half a " + KEY[:-1]


def test_a_stream_tells_no_key_either() -> None:
    """H8: an error inside a 200 may tell it back."""
    w = world()
    client = w.client().send(CHAT)
    event = b'data: {"error":{"message":"wrong key %b"}}\n\n'
    w.up.deliver(SSE_HEAD + chunked(event % KEY) + LAST)
    assert client.response().body == event % STARS
    assert_clean(repr(w.record), "the row")


def test_without_a_key_of_the_gateways_nothing_is_touched() -> None:
    """D9: byte for byte."""
    w = World()
    client = w.client().send(CHAT)
    w.up.deliver(b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%b" % (len(KEY), KEY))
    assert client.response().body == KEY


def test_no_part_of_an_answer_tells_the_key() -> None:
    """H8: reason, names of fields, interim answers."""
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(b"HTTP/1.1 103 Early %b\r\nX-Debug: %b\r\n\r\n" % (KEY, KEY))
    w.up.deliver(b"HTTP/1.1 401 bad key %b\r\nX-%b: y\r\nContent-Length: 0\r\n\r\n" % (KEY, KEY))
    raw = client.raw()
    assert raw.count(STARS) == 4
    assert_clean(raw, "the answer")


@pytest.mark.parametrize("cut", range(1, len(KEY), 5))
def test_an_event_too_long_to_be_held_is_masked_across_its_parts(cut: int) -> None:
    """H8, D3: what could begin the key waits for the next part; nothing is lost."""
    w = world()
    client = w.client().send(CHAT)
    event = b"data: " + b"x" * 70_000 + KEY + b"y" * 70_000 + b"\n\n"
    at = event.index(KEY) + cut
    w.up.deliver(SSE_HEAD + chunked(event[:at]))
    w.up.deliver(chunked(event[at:], b"data: [DONE]\n\n") + LAST)
    response = client.response()
    assert response.body == event.replace(KEY, STARS) + b"data: [DONE]\n\n"


def test_what_was_held_to_the_end_of_a_stream_is_masked() -> None:
    """H8: behind a terminal event, say."""
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(SSE_HEAD + chunked(b"data: [DONE]\n\n", b": " + KEY) + LAST)
    assert client.response().body == b"data: [DONE]\n\n: " + STARS


def test_a_key_that_protects_nothing_is_not_looked_for() -> None:
    """D9: local servers are given words such as ``ollama``, which stand in many texts."""
    w = World(replace(UPSTREAM, api_key=Secret("env:KEY", "ollama")))
    client = w.client().send(CHAT)
    w.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nI am ollama")
    assert client.response().body == b"I am ollama"


@given(st.lists(st.sampled_from([b"a", b"b", b"ab", b"aab", b"aaba", b"x"])))
def test_pieces_are_masked_like_the_whole(pieces: list[bytes]) -> None:
    key = b"aaba"
    mask = KeyMask(key)
    out = b"".join([mask.feed(piece) for piece in pieces]) + mask.finish()
    assert out == KeyMask(key).whole(b"".join(pieces))
