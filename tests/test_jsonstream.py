"""Cutting lines and arrays: bytes out are bytes in, and every boundary is one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jsonstream import ArrayScanner, LineScanner, Scanner

LINES = b'{"a":"\\n}"}\r\n\n{"b":[1,"\xc3\xa9"]}\n'
ARRAY = b'[{"a": "]}\\"\\\\"}\n,\r\n{"b": [1, {"c": "\xc3\xa9[{"}]}\n]\n'


def passed(scanner: Scanner, pieces: Iterable[bytes]) -> bytes:
    """What is passed on, without what is held at the end."""
    return b"".join(scanner.feed(piece) for piece in pieces)


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Data cut at these offsets."""
    points = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(points)]


# ---- lines ----


def test_whole_lines_are_passed_on_and_the_rest_is_held() -> None:
    """D1: as soon as their line feed comes."""
    scanner = LineScanner()
    assert scanner.feed(b'{"a":1}\n{"b"') == b'{"a":1}\n'
    assert (scanner.held, scanner.events, scanner.at_boundary) == (4, 1, True)
    assert scanner.feed(b":2}") == b""
    assert scanner.feed(b"\n") == b'{"b":2}\n'
    assert (scanner.held, scanner.events) == (0, 2)


def test_blank_lines_are_no_documents() -> None:
    """D3: they are passed on all the same, and counted nowhere."""
    scanner = LineScanner()
    assert passed(scanner, [b"\n", b" ", b"\r\n", b'{"a"', b":1}", b"\n\n"]) == (
        b'\n \r\n{"a":1}\n\n'
    )
    assert scanner.events == 1


# ---- arrays ----


def test_elements_are_passed_on_whole_and_brackets_are_held() -> None:
    """D1: whatever brackets and quotes stand in their strings."""
    scanner = ArrayScanner()
    assert scanner.feed(b"[") == b""
    assert not scanner.first_event_seen
    assert scanner.feed(b'{"a": "]}\\"\\\\"}') == b'[{"a": "]}\\"\\\\"}'
    assert scanner.feed(b'\n,\r\n{"b": [1, {"c": "[{') == b""
    assert scanner.feed(b'"}]}\n]\n') == b'\n,\r\n{"b": [1, {"c": "[{"}]}'
    assert (scanner.events, scanner.closed, scanner.held, scanner.at_boundary) == (2, True, 3, True)
    assert scanner.finish() == b"\n]\n"
    assert not scanner.at_boundary


def test_an_array_that_is_not_whole_can_be_left_open() -> None:
    """E4: what was held, a comma or the closing bracket, gives way to an error."""
    scanner = ArrayScanner()
    out = scanner.feed(b'[{"a":1}\n,\r\n{"b"')
    assert scanner.discard() == 8
    assert json.loads(out + b',{"error":{}}]') == [{"a": 1}, {"error": {}}]
    assert scanner.at_boundary


def test_nothing_behind_the_closing_bracket_is_an_element() -> None:
    """D3: it is passed on in the end, whatever it is."""
    scanner = ArrayScanner()
    data = b'[{"a":1}] {"b":2}]["'
    assert scanner.feed(data) + scanner.finish() == data
    assert (scanner.events, scanner.closed) == (1, True)


@pytest.mark.parametrize("data", [b'{"a": [{}, {}]}', b"\xef\xbb\xbf[{}]", b"<html>[{}]", b"  7"])
def test_what_is_no_array_is_passed_on_as_it_comes(data: bytes) -> None:
    """D3: and there is no boundary in it."""
    for cut in range(len(data)):
        scanner = ArrayScanner()
        assert passed(scanner, [data[:cut], data[cut:]]) == data
        assert (scanner.events, scanner.held, scanner.at_boundary) == (0, 0, False)
        assert scanner.whole == slice(len(data) - cut, len(data) - cut) or data[:cut].isspace()


# ---- both ----

SCANNERS: list[tuple[Callable[[int], Scanner], bytes, int]] = [
    (LineScanner, LINES, len(LINES)),
    (ArrayScanner, ARRAY, len(ARRAY) - 3),
]


@pytest.mark.parametrize(("make", "data", "end"), SCANNERS)
@pytest.mark.parametrize("limit", [0, 5, 65536])
def test_a_split_at_any_byte_changes_nothing(
    make: Callable[[int], Scanner], data: bytes, end: int, limit: int
) -> None:
    """D3: in the middle of a character, an escape or a line's end, and byte by byte."""
    for pieces in (
        *([data[:cut], data[cut:]] for cut in range(len(data))),
        [data[i : i + 1] for i in range(len(data))],
    ):
        scanner = make(limit)
        out = passed(scanner, pieces)
        assert scanner.events == 2
        if limit == 65536:
            assert out == data[:end]
        assert out + scanner.finish() == data


@pytest.mark.parametrize(
    ("make", "first", "rest"),
    [
        (LineScanner, b'{"a":"' + b"x" * 20, [b"x", b'"}\n{"b":2}\n{"c"']),
        (ArrayScanner, b'[{"a":"' + b"x" * 20, [b"\\", b'""},{"b":2},{"c"']),
    ],
)
def test_a_document_over_the_limit_is_passed_on_as_it_comes(
    make: Callable[[int], Scanner], first: bytes, rest: list[bytes]
) -> None:
    """D3: nothing can be said until it ends, and what is whole in the same read is known."""
    scanner = make(16)
    assert scanner.feed(b"") == b""
    assert scanner.feed(first) == first
    assert (scanner.held, scanner.in_long_event, scanner.at_boundary) == (0, True, False)
    assert scanner.whole == slice(0, 0)
    assert scanner.feed(rest[0]) == rest[0]
    assert scanner.whole == slice(1, 1)
    assert scanner.events == 0
    out = scanner.feed(rest[1])
    assert scanner.whole is not None
    assert json.loads(out[scanner.whole].strip(b",\n")) == {"b": 2}
    assert out + scanner.finish() == rest[1]
    assert (scanner.events, scanner.in_long_event) == (2, False)


def test_a_long_document_may_follow_another_in_one_read() -> None:
    """D3: each part is told apart."""
    scanner = LineScanner(4)
    assert scanner.feed(b'{"a":1') == b'{"a":1'
    out = scanner.feed(b'}\n{}\n{"b":2')
    assert out == b'}\n{}\n{"b":2'
    assert scanner.whole is not None
    assert out[scanner.whole] == b"{}\n"
    assert (scanner.events, scanner.in_long_event) == (2, True)


_VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\[]{},\n\u00e9', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from('a"[}'), inner, max_size=3)
    ),
    max_leaves=8,
)
_OBJECTS = st.lists(st.dictionaries(st.sampled_from("ab"), _VALUES, max_size=2), max_size=4)
_SPACE = st.sampled_from([b"", b" ", b"\r\n", b"\n\n"])


@given(_OBJECTS, _SPACE, st.lists(st.integers(0, 200), max_size=5), st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_has_been_passed_on_of_an_array_can_always_be_closed(
    elements: list[object], space: bytes, cuts: list[int], ascii_only: bool
) -> None:
    """D3, E4: after every read it is a beginning of the array, cut between elements."""
    texts = [json.dumps(element, ensure_ascii=ascii_only).encode() for element in elements]
    data = space + b"[" + (space + b"," + space).join(texts) + space + b"]" + space
    scanner = ArrayScanner()
    out = b""
    for piece in split(data, cuts):
        out += scanner.feed(piece)
        assert json.loads((out or b"[") + b"]") == elements[: scanner.events]
    assert (scanner.events, scanner.closed) == (len(elements), True)
    assert out + scanner.finish() == data


@given(
    st.sampled_from([LineScanner, ArrayScanner]),
    st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b"\n", b" ", b"x"])),
    st.lists(st.integers(0, 60), max_size=5),
    st.integers(0, 8),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_a_scanner_lose_or_hold_more_than_its_limit(
    make: Callable[[int], Scanner], signs: list[bytes], cuts: list[int], limit: int
) -> None:
    """D3: nor does it raise, or count otherwise for another split."""
    data = b"".join(signs)
    one, other = make(limit), make(limit)
    out = b""
    for piece in split(data, cuts):
        out += one.feed(piece)
        assert one.held <= limit
    assert out + one.finish() == data
    other.feed(data)
    assert one.events == other.events
