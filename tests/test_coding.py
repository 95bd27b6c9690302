"""Coded request bodies: read within bounds, refused when they are not what they say."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.coding import CodingError, TooLarge, UnknownCoding, decoded
from tests.world import World

BODY = b'{"model":"m","stream":true,"messages":[]}'


@given(st.binary(max_size=5000), st.integers(1, 50))
def test_what_was_coded_is_read_however_it_was_cut(body: bytes, step: int) -> None:
    for coding, coded in ((b"gzip", gzip.compress(body)), (b"deflate", zlib.compress(body))):
        pieces = [coded[at : at + step] for at in range(0, len(coded), step)]
        assert decoded(pieces, [coding], 5000) == body


def test_a_bomb_is_not_unpacked() -> None:
    """H1: a thousand bytes that stand for a hundred million."""
    bomb = gzip.compress(b"\0" * 100_000_000)
    with pytest.raises(TooLarge):
        decoded([bomb], [b"gzip"], 1_000_000)


@pytest.mark.parametrize("body", [b"nonsense", gzip.compress(BODY)[:-5], b""])
def test_what_is_not_whole_or_not_coded_is_refused(body: bytes) -> None:
    with pytest.raises(CodingError):
        decoded([body], [b"gzip"], 1000)


@pytest.mark.parametrize("codings", [[b"br"], [b"gzip", b"gzip"], []])
def test_other_codings_are_not_known(codings: list[bytes]) -> None:
    with pytest.raises(UnknownCoding):
        decoded([BODY], codings, 1000)


def coded_post(body: bytes, coding: bytes = b"gzip") -> bytes:
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Encoding: %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (coding, len(body), body)
    )


def test_a_coded_request_is_looked_into_and_forwarded_as_it_came() -> None:
    world = World()
    coded = gzip.compress(BODY)
    world.client().send(coded_post(coded))
    (intent,) = world.ledger.intents
    assert (intent.model_requested, intent.stream) == ("m", True)
    sent = world.up.read()
    assert b"Content-Encoding: gzip\r\n" in sent
    assert sent.endswith(coded)


def test_a_bomb_is_a_413_and_nonsense_a_400() -> None:
    """H1: in the dialect's shape, with a row, and no upstream is asked."""
    world = World(max_body=100_000)
    assert (
        world.client().send(coded_post(gzip.compress(b"\0" * 10_000_000))).response().status == 413
    )
    assert world.client().send(coded_post(b"nonsense")).response().status == 400
    assert [r.error for r in world.ledger.records] == ["body_too_large", "bad_request"]
    assert not world.endpoint.wires


def test_a_coding_that_is_not_known_is_passed_on_without_a_look() -> None:
    world = World()
    world.client().send(coded_post(b"who knows", b"br"))
    (intent,) = world.ledger.intents
    assert intent.model_requested is None
    assert world.up.read().endswith(b"who knows")
