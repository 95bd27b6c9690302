"""Bodies out of their framing, fed in pieces cut anywhere."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1 import ChunkedDecoder, LengthDecoder, RemoteError, UntilCloseDecoder, chunk
from gateway.http1.body import MAX_SIZE_LINE, MAX_TRAILERS, BodyDecoder
from gateway.http1.errors import Truncated


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def decode(decoder: BodyDecoder, data: bytes, cuts: list[int]) -> bytes:
    return b"".join(decoder.feed(piece) for piece in pieces(data, cuts))


CUTS = st.lists(st.integers(0, 400), max_size=12)


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=60), max_size=5),
    cuts=CUTS,
    rest=st.binary(max_size=9),
)
def test_a_chunked_body_is_the_same_however_it_is_cut(
    bodies: list[bytes], cuts: list[int], rest: bytes
) -> None:
    """D3, D4: bytes out are the bytes in, and what follows the end is told apart."""
    data = b"".join(map(chunk, bodies)) + b"0\r\nX-Check: 1\r\n\r\n" + rest
    decoder = ChunkedDecoder()
    assert decode(decoder, data, cuts) == b"".join(bodies)
    assert decoder.done
    assert decoder.excess == rest
    decoder.eof()


@given(bodies=st.lists(st.binary(min_size=1, max_size=60), max_size=5))
def test_chunks_of_ours_pass_a_strict_parser(bodies: list[bytes]) -> None:
    """D4: h11 reads what `chunk` writes."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.receive_data(b"".join(map(chunk, bodies)) + b"0\r\n\r\n")
    seen = b""
    while True:
        event = client.next_event()
        if isinstance(event, h11.Data):
            seen += bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            break
        assert event is not h11.NEED_DATA
    assert seen == b"".join(bodies)


MALFORMED = [
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"5_0\r\nhello",
    b"\r\nhello",
    b"5\r\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5;\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"10000000000000005\r\nhello",
    b"-5\r\nhello",
    b"0\r\nGET / HTTP/1.1\r\n\r\n",
    b"0\r\nA: b\nC: d\r\n\r\n",
    b"0\r\nA\x00: b\r\n\r\n",
    b"0\r\nA: \x00\r\n\r\n",
    b"0\r\n folded\r\n\r\n",
    b"5;" + b"a" * MAX_SIZE_LINE + b"\r\nhello",
    b"5;" + b"a" * (MAX_SIZE_LINE + 1),
    b"0\r\n" + b"A: b\r\n" * MAX_TRAILERS,
]


@pytest.mark.parametrize("data", MALFORMED)
@pytest.mark.parametrize("cuts", [[], list(range(40))])
def test_a_malformed_chunked_body_is_refused(data: bytes, cuts: list[int]) -> None:
    with pytest.raises(RemoteError):
        decode(ChunkedDecoder(), data, cuts)


@pytest.mark.parametrize(
    "data", [b"5;a=b\r\nhello\r\n0\r\n\r\n", b'5 ; a="x;y\\""\r\nhello\r\n00000\r\nA: b\r\n\r\n']
)
def test_extensions_and_trailers_are_checked_and_dropped(data: bytes) -> None:
    assert decode(ChunkedDecoder(), data, []) == b"hello"


@pytest.mark.parametrize(
    "data", [b"", b"5\r\n", b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n"]
)
def test_an_end_inside_a_chunked_body_is_a_truncation(data: bytes) -> None:
    """E3: what no last chunk ends is not whole."""
    decoder = ChunkedDecoder()
    decoder.feed(data)
    with pytest.raises(Truncated):
        decoder.eof()


@given(body=st.binary(max_size=100), cuts=CUTS, rest=st.binary(max_size=9))
def test_a_body_of_told_length_ends_there(body: bytes, cuts: list[int], rest: bytes) -> None:
    decoder = LengthDecoder(len(body))
    assert decode(decoder, body + rest, cuts) == body
    assert decoder.done
    assert decoder.excess == rest


def test_a_body_short_of_its_length_is_a_truncation() -> None:
    """E3: a short Content-Length body is not whole."""
    decoder = LengthDecoder(10)
    decoder.feed(b"123")
    with pytest.raises(Truncated, match="7 bytes short"):
        decoder.eof()


def test_a_close_delimited_body_is_done_at_the_close() -> None:
    decoder = UntilCloseDecoder()
    assert decoder.feed(b"abc") == b"abc"
    assert not decoder.done
    decoder.eof()
    assert decoder.done


def test_a_body_that_is_mostly_framing_is_refused_where_that_is_asked_for() -> None:
    """H1: from clients; an upstream that sends a character at a time is only slow."""
    data = chunk(b"x") * 100_000
    assert ChunkedDecoder().feed(data) == b"x" * 100_000
    with pytest.raises(RemoteError, match="mostly framing"):
        ChunkedDecoder(lean=True).feed(data)
    assert ChunkedDecoder(lean=True).feed(chunk(b"x" * 50) * 10_000)


@given(data=st.binary(max_size=200), cuts=CUTS)
def test_no_bytes_make_the_decoder_raise_anything_else(data: bytes, cuts: list[int]) -> None:
    decoder = ChunkedDecoder()
    try:
        decode(decoder, data, cuts)
    except RemoteError:
        return
    assert decoder.done or not decoder.excess
