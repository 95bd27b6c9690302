"""Heads that say again what the last one said mean what they would mean alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http1 import HeadLimits, RemoteError, RequestHead, RequestHeads
from gateway.http1.head import parse_request
from gateway.http1.repeats import LONGEST

LIMITS = HeadLimits()


def head(*fields: bytes, target: bytes = b"/v1/messages") -> bytes:
    """A head without its blank line."""
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", b"Host: a", *fields])


def alone(block: bytes) -> RequestHead | str:
    """What a head means on a connection of its own."""
    try:
        return parse_request(block, LIMITS)
    except RemoteError as error:
        return str(error)


_LENGTHS = [
    b"Content-Length: 5",
    b"Content-Length: 12345",
    b"content-length:\t0",
    b"Content-Length: 007 \t",
    b"Content-Length: ",
    b"Content-Length: +5",
    b"Content-Length: 5 5",
    b"Content-Length: 5\xb2",
    b"Content-Length: 5, 5",
    b"X-Content-Length: 5",
    b"Content_Length: 5",
]
_OTHERS = [
    b"A: b",
    b"A: 1",
    b"A: 12",
    b"B: Content-Length: 5",
    b"B: 1",
    b"A b",
    b"Connection: close",
]
_LINES = st.lists(st.sampled_from(_LENGTHS + _OTHERS), max_size=4)


@settings(max_examples=400)
@given(blocks=st.lists(_LINES, min_size=2, max_size=6))
def test_every_head_means_what_it_means_alone(blocks: list[list[bytes]]) -> None:
    """H1: no memory of the head before can make a request another one."""
    heads = RequestHeads(LIMITS)
    for lines in blocks:
        block = head(*lines)
        try:
            found: RequestHead | str = heads.read(block)
        except RemoteError as error:
            found = str(error)
        assert found == alone(block)


def test_a_head_that_comes_again_is_the_same() -> None:
    heads = RequestHeads(LIMITS)
    block = head(b"Content-Length: 5", b"A: b")
    first = heads.read(block)
    assert not heads.repeated

    assert heads.read(bytes(bytearray(block))) is first
    assert heads.repeated


@pytest.mark.parametrize("length", [b"0", b"6", b"1234567"])
def test_a_head_that_tells_another_length_alone_is_a_repeated_one(length: bytes) -> None:
    heads = RequestHeads(LIMITS)
    heads.read(head(b"content-length: 15", b"A: b"))
    again = heads.read(head(b"content-length: %b" % length, b"A: b"))

    assert heads.repeated
    assert again.fields.pairs == ((b"Host", b"a"), (b"content-length", length), (b"A", b"b"))


@pytest.mark.parametrize(
    "other",
    [
        head(b"Content-Length: 5", b"A: c"),
        head(b"Content-Length: 5", b"A: b", b"C: d"),
        head(b"Content-Length: 5"),
        head(b"content-Length: 5", b"A: b"),
        head(b"Content-Length: 5", b"A: b", target=b"/v1/other"),
        head(b"Transfer-Encoding: chunked", b"A: b"),
    ],
)
def test_a_head_that_differs_in_anything_else_is_none(other: bytes) -> None:
    heads = RequestHeads(LIMITS)
    heads.read(head(b"Content-Length: 5", b"A: b"))
    heads.read(other)

    assert not heads.repeated


def test_a_digit_behind_a_head_without_a_length_is_no_length() -> None:
    heads = RequestHeads(LIMITS)
    heads.read(head(b"A: b"))
    assert heads.read(head(b"A: b1")).fields.get(b"a") == b"b1"
    assert not heads.repeated


def test_a_long_head_is_not_kept() -> None:
    """What idle connections hold is bounded."""
    heads = RequestHeads(LIMITS)
    for length, kept in ((LONGEST, True), (LONGEST + 1, False)):
        block = head(b"A: ").ljust(length, b"b")
        heads.read(block)
        heads.read(block)
        assert heads.repeated is kept
