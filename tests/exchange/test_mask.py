"""The gateway's own key in an upstream's error answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Secret
from gateway.exchange.mask import KeyMask
from tests.canaries import OWN_KEY
from tests.world import CHAT, UPSTREAM, World, chunked

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


def test_an_answer_that_is_no_error_is_not_touched() -> None:
    """D9: a model may say what it likes."""
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(KEY), KEY))
    assert client.response().body == KEY


@given(st.lists(st.sampled_from([b"a", b"b", b"ab", b"aab", b"aaba", b"x"])))
def test_pieces_are_masked_like_the_whole(pieces: list[bytes]) -> None:
    key = b"aaba"
    mask = KeyMask(key)
    out = b"".join([mask.feed(piece) for piece in pieces]) + mask.finish()
    assert out == KeyMask(key).whole(b"".join(pieces))
