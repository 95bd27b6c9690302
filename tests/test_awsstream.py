"""Cutting AWS event streams: frames in, headers and payloads out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.awsstream import Frame, FrameReader


def frame(headers: Mapping[str, str], payload: bytes, *, extra: bytes = b"") -> bytes:
    """A frame; `extra` stands before the headers, encoded."""
    coded = extra + b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + len(value).to_bytes(2, "big")
        + value.encode()
        for name, value in headers.items()
    )
    sizes = (16 + len(coded) + len(payload)).to_bytes(4, "big") + len(coded).to_bytes(4, "big")
    body = sizes + crc32(sizes).to_bytes(4, "big") + coded + payload
    return body + crc32(body).to_bytes(4, "big")


HEADERS = {":event-type": "chunk", ":message-type": "event"}
FRAMES = frame(HEADERS, b'{"a":1}') + frame({}, b"") + frame({"x": "y"}, b"\x00" * 30)
READ = [Frame(HEADERS, b'{"a":1}'), Frame({}, b""), Frame({"x": "y"}, b"\x00" * 30)]


def read(data: bytes, size: int, limit: int = 65536) -> list[Frame]:
    """The frames of data that comes in pieces of a size."""
    reader = FrameReader(limit)
    pieces = (data[i : i + size] for i in range(0, len(data), size))
    return list(itertools.chain.from_iterable(map(reader.feed, pieces)))


@pytest.mark.parametrize("size", range(1, len(FRAMES) + 1))
def test_a_frame_is_read_wherever_it_is_split(size: int) -> None:
    """A9: the prelude too."""
    assert read(FRAMES, size) == READ


def test_headers_that_are_not_text_are_passed_over() -> None:
    """A8: those of every type."""
    fixed = b"".join(
        b"\x01a" + bytes([kind]) + b"z" * size
        for kind, size in {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}.items()
    )
    data = frame(HEADERS, b"p", extra=fixed + b"\x01b\x06\x00\x03zzz")
    assert read(data, 7) == [Frame(HEADERS, b"p")]


@pytest.mark.parametrize("size", [1, 16, 40, 1000])
def test_a_frame_over_the_limit_is_passed_over(size: int) -> None:
    """A8: with the next one read."""
    data = frame({}, b"x" * 100) + frame(HEADERS, b"p")
    assert read(data, size, limit=80) == [Frame(HEADERS, b"p")]


def test_a_frame_that_is_damaged_is_passed_over() -> None:
    """A10: what its CRC does not prove is not believed."""
    damaged = bytearray(FRAMES)
    damaged[60] ^= 1
    assert read(bytes(damaged), 50) == READ[1:]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (FRAMES, None),
        (FRAMES[:60] + b"\xff" + FRAMES[61:], "frame 1 of the event stream has a CRC"),
        (FRAMES + FRAMES[:9] + b"\xff" * 9, "frame 4 of the event stream has a prelude"),
        (FRAMES[:9] + b"\xff" + FRAMES, "frame 1 of the event stream has a prelude"),
        (FRAMES[:-1], "frame 3 of the event stream has not come to its end"),
        (FRAMES + FRAMES[:5], "frame 4 of the event stream has not come to its end"),
        (frame({}, b"x" * 100)[:-1], "frame 1 of the event stream has not come to its end"),
        (frame({}, b"x" * 100), None),
        (b'{"message": "no"}', None),
        (b"{}", None),
        (b"", None),
    ],
)
def test_what_is_wrong_with_a_stream_is_told(data: bytes, problem: str | None) -> None:
    """A10: by the number of its frame, wherever it is split; what is no stream is not wrong."""
    for size in range(1, len(data) + 2):
        reader = FrameReader(80)
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size])
        reader.end()
        assert (reader.problem or "").startswith(problem or "")
        assert (reader.problem is None) == (problem is None)


def test_a_frame_as_long_as_the_limit_is_read() -> None:
    """A8: and one that is a byte longer is not."""
    data = frame({}, b"x" * 64)
    assert len(read(data, 7, limit=len(data))) == 1
    assert not read(data, 7, limit=len(data) - 1)


@pytest.mark.parametrize("data", [b'{"message": "no"}', b"\x00" * 40, FRAMES[1:]])
def test_what_is_no_event_stream_is_given_up(data: bytes) -> None:
    """A8: nothing that comes later is read."""
    assert read(data + FRAMES, 5) == []


@given(st.lists(st.binary(max_size=40) | st.sampled_from([FRAMES, frame({}, b"z" * 50)])))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_raise(pieces: list[bytes]) -> None:
    """A9: and no split changes what it reads."""
    data = b"".join(pieces)
    assert read(data, 11, limit=60) == read(data, max(len(data), 1), limit=60)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_headers_make_the_reader_raise(extra: bytes) -> None:
    """A8: a frame that is whole by its CRC may hold anything."""
    assert [found.payload for found in read(frame({}, b"p", extra=extra), 9)] == [b"p"]
