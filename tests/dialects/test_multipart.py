"""Finding a form's fields while it goes by."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.base import Peek
from gateway.dialects.multipart import MultipartPeek

TYPE = b"multipart/form-data; boundary=xYz-7"
FILE = (
    b'Content-Disposition: form-data; name="image"; filename="a; name=model.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
)


def form(*parts: bytes, boundary: bytes = b"xYz-7") -> bytes:
    """A form of these parts, each with its head."""
    joined = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return joined + b"--%b--\r\n" % boundary


def field(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def seen(body: bytes, content_type: bytes = TYPE, step: int = 1 << 20) -> MultipartPeek:
    """What is found in a body that comes in pieces of `step` bytes."""
    peek = MultipartPeek(content_type)
    for at in range(0, len(body), step):
        peek.feed(body[at : at + step])
    return peek


MODEL, STREAM = field("model", "img-1"), field("stream", "true")
UPLOAD = FILE + b'\x89PNG\r\n--xYz\r\n\r\nname="model"\r\n--xYz-8' * 50


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    "body",
    [
        form(MODEL, STREAM, UPLOAD),
        form(UPLOAD, STREAM, MODEL),
        form(MODEL, UPLOAD, STREAM),
        b"a preamble\r\n" + form(MODEL, STREAM),
        form(field("prompt", ""), field("prompt", "stream=false"), MODEL, STREAM),
        form(MODEL, STREAM).replace(b"--xYz-7\r\n", b"--xYz-7 \t\r\n"),
    ],
    ids=["fields first", "fields last", "between", "preamble", "empty field", "padding"],
)
def test_model_and_stream_are_found_wherever_they_stand(body: bytes, step: int) -> None:
    """K2: in pieces of any size."""
    peek = seen(body, step=step)
    assert peek.peek == Peek("img-1", stream=True)
    assert peek.settled


def test_fields_before_a_file_are_known_before_it_has_come() -> None:
    """K2: the rest need not be looked at."""
    body = form(MODEL, STREAM, UPLOAD)
    peek = MultipartPeek(TYPE)
    peek.feed(body[: body.index(b"filename")])
    assert peek.settled
    assert peek.peek.stream


def test_fields_behind_a_file_are_known_when_they_have_come() -> None:
    """K2: until then nothing is settled."""
    body = form(UPLOAD, MODEL)
    peek = MultipartPeek(TYPE)
    peek.feed(body[: body.index(b"img-1")])
    assert (peek.peek, peek.settled) == (Peek(), False)
    peek.feed(body[body.index(b"img-1") :])
    assert (peek.peek, peek.settled) == (Peek("img-1"), True)


@pytest.mark.parametrize(
    ("value", "streams"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("", False)],
)
def test_a_stream_is_asked_for_in_words(value: str, streams: bool) -> None:
    """K6: a form has no booleans."""
    assert seen(form(field("stream", value))).peek.stream is streams


@pytest.mark.parametrize(
    "head",
    [
        b'content-disposition:form-data;name="model"\r\n\r\n',
        b"CONTENT-DISPOSITION: form-data ; name=model\r\nX-Other: 1\r\n\r\n",
        b'X-Other: name="stream"\r\nContent-Disposition: form-data; name="mo\\del"\r\n\r\n',
    ],
)
def test_a_parts_head_may_be_written_in_several_ways(head: bytes) -> None:
    """K2: RFC 7578, section 4.2, and RFC 2045's parameters."""
    assert seen(form(head + b"img-1")).peek.model == "img-1"


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="model"; filename="x"\r\n\r\n',
        b'Content-Disposition: form-data; name="models"\r\n\r\n',
        b'Content-Disposition: form-data; filename="; name=model"; name="image"\r\n\r\n',
        b'X-Content-Disposition: form-data; name="model"\r\n\r\n',
        b"\r\n",
    ],
)
def test_what_is_not_the_field_is_not_taken_for_it(head: bytes) -> None:
    """A8: a file named like a field is a file."""
    assert seen(form(head + b"img-1")).peek == Peek()


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data; charset=utf-8; Boundary=xYz-7",
        b'multipart/form-data; boundary="xYz-7"; x=y',
        b'multipart/form-data;boundary="xY\\z-7"',
    ],
)
def test_the_boundary_may_be_quoted(content_type: bytes) -> None:
    """K2: RFC 2046, section 5.1.1."""
    assert seen(form(MODEL), content_type).peek.model == "img-1"


@pytest.mark.parametrize(
    "content_type",
    [b"multipart/form-data", b"", b"x/y; boundary=", b"x/y; boundary=%b" % (b"y" * 999)],
)
def test_without_a_boundary_there_is_nothing_to_find(content_type: bytes) -> None:
    """A10: the upstream will refuse it."""
    peek = seen(form(MODEL), content_type)
    assert (peek.peek, peek.settled) == (Peek(), True)


def test_the_first_of_two_fields_counts_and_what_the_target_told_stays() -> None:
    """A8: as the documentation of the scanner says."""
    peek = MultipartPeek(TYPE, Peek("known", replay=True))
    peek.feed(form(field("stream", "true"), field("stream", "false")))
    assert peek.peek == Peek("known", stream=True, replay=True)


def test_a_long_value_is_kept_within_bounds() -> None:
    """D10: so is a file that claims to be a field."""
    value = "é" * 3_000_000
    peek = MultipartPeek(TYPE)
    body = form(field("model", value))
    for at in range(0, len(body), 65536):
        peek.feed(body[at : at + 65536])
        assert len(peek._value) <= 2048
        assert len(peek._kept) < 100
    assert peek.peek.model == "é" * 256


def test_a_part_whose_head_does_not_end_settles_it() -> None:
    """D10: nothing is kept without bound."""
    peek = MultipartPeek(TYPE)
    for _ in range(40):
        peek.feed(b"--xYz-7\r\n" + b"x" * 1000)
    assert peek.settled
    assert peek.peek == Peek()


@given(
    st.lists(
        st.sampled_from(
            [*(MODEL, STREAM, UPLOAD, FILE), *(b"--xYz-7", b"\r\n", b"\r\n\r\n", b"--", b"x")]
        ),
        max_size=8,
    ),
    st.lists(st.integers(0, 300), max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_it_raise_and_no_split_changes_what_it_finds(
    pieces: list[bytes], cuts: list[int]
) -> None:
    """A10, A9: whatever a client sends."""
    body = b"".join(pieces)
    points = sorted({0, *(min(cut, len(body)) for cut in cuts), len(body)})
    one, other = MultipartPeek(TYPE), MultipartPeek(TYPE)
    one.feed(body)
    for begin, end in itertools.pairwise(points):
        other.feed(body[begin:end])
    assert (one.peek, one.settled) == (other.peek, other.settled)
