"""Heads cut out of a stream: whatever the pieces are, at once where waiting is of no use."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1 import HeadBuffer, HeadLimits, RemoteError, buffer, grammar
from gateway.http1.head import parse_request_line, parse_status_line

LIMITS = HeadLimits(total=4096, line=1024, fields=20)
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d"


def requests(limits: HeadLimits = LIMITS) -> HeadBuffer:
    """As the listening side has it."""
    return HeadBuffer(limits, parse_request_line, tolerate_blank_line=True)


@given(cuts=st.lists(st.integers(0, len(HEAD) + 4)), rest=st.binary(max_size=20))
def test_a_head_is_found_however_it_is_cut(cuts: list[int], rest: bytes) -> None:
    data = HEAD + b"\r\n\r\n" + rest
    heads = requests()
    edges = [0, *sorted(cuts), len(data)]
    found = None
    for start, end in itertools.pairwise(edges):
        if found is None:
            found = heads.feed(data[start:end])
            behind = end
    assert found == HEAD
    assert heads.take_rest() + data[behind:] == rest


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\nHost: a\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", 400),
        (b"GET / HTTP/1.1\rHost: a", 400),
        (b"GET /\x00", 400),
        (b"\x16\x03\x01\x00\xc8\x01", 400),
        (b"GET /\r\n", 400),
        (b"hello\r\n", 400),
        (b" GET / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.2\r\n", 505),
        (b"PRI * HTTP/2.0\r\n", 505),
        (b"CONNECT a:443 HTTP/1.1\r\n", 501),
        (b"\r\n\r\n", 400),
        (b"\n", 400),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_cannot_become_a_request_is_refused_before_the_head_has_ended(
    data: bytes, status: int, size: int
) -> None:
    """H1: whoever speaks something else does not end a head, but waits for an answer."""
    heads = requests()
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    with pytest.raises(RemoteError) as caught:
        list(map(heads.feed, pieces))
    assert caught.value.status == status


def test_what_cannot_become_a_response_is_refused_before_the_head_has_ended() -> None:
    for data in (b"ICY 200 OK\r\n", b"HTTP/2.0 200 OK\r\n", b"\r\n", b"HTTP/1.1 200 O\x00"):
        with pytest.raises(RemoteError):
            HeadBuffer(LIMITS, parse_status_line).feed(data)


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"GET /" + b"a" * 1100, 414), (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 900, 431)],
)
def test_a_head_is_bounded(data: bytes, status: int) -> None:
    with pytest.raises(RemoteError) as caught:
        requests().feed(data)
    assert caught.value.status == status


def test_one_blank_line_before_each_request_is_forgiven() -> None:
    heads = requests()
    assert heads.feed(b"\r") is None
    assert heads.feed(b"\n" + HEAD + b"\r\n\r\n") == HEAD
    assert heads.feed(b"\r\n" + HEAD + b"\r\n\r\n\r") == HEAD
    assert heads.feed(heads.take_rest() + b"\n" + HEAD + b"\r\n\r\n") == HEAD
    with pytest.raises(RemoteError):
        heads.feed(b"\r\n\r\n" + HEAD)


def test_a_blank_line_that_came_alone_does_not_take_the_next_ones_place() -> None:
    """H1: some clients send one behind each body, and its read has nothing else in it."""
    heads = requests()
    for _ in range(3):
        assert heads.feed(b"\r\n") is None
        assert heads.feed(HEAD + b"\r\n\r\n") == HEAD


class Counting(bytearray):
    """Bytes that count how many of them are looked at and moved."""

    work = 0

    def find(self, sub: bytes, start: int, end: int) -> int:  # type: ignore[override]
        """Note the range that is searched."""
        Counting.work += max(min(end, len(self)) - start, 0)
        return super().find(sub, start, end)

    def __getitem__(self, key: object) -> bytes:  # type: ignore[override]
        """Note what is copied."""
        part = bytes(super().__getitem__(key))  # type: ignore[call-overload]
        Counting.work += len(part)
        return part


class CountingPattern:
    """A pattern whose searches are counted."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    def search(self, data: bytearray, start: int, end: int) -> re.Match[bytes] | None:
        """Note the range that is searched."""
        Counting.work += min(len(data), end) - start
        return self._pattern.search(data, start, end)


def test_a_head_that_drips_in_is_not_looked_at_again_for_each_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H1: 64 KiB byte by byte are a few looks at each byte, not thousands."""
    monkeypatch.setattr(buffer, "bytearray", Counting, raising=False)
    monkeypatch.setattr(grammar, "MISPLACED", CountingPattern(grammar.MISPLACED))
    monkeypatch.setattr(Counting, "work", 0)
    line = b"GET /" + b"a" * 16_000 + b" HTTP/1.1"
    head = b"\r\n".join([line, b"Host: a", *[b"A: " + b"b" * 8_000] * 6])
    heads = requests(HeadLimits())
    for byte in head + b"\r\n\r":
        assert heads.feed(bytes([byte])) is None
        assert Counting.work < 12 * len(head)
    assert heads.feed(b"\n") == head
    assert 60_000 < len(head) < Counting.work
