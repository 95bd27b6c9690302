"""What a meter is shown of a stream in which events are too long to be held."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.base import Meter, Reading
from gateway.dialects.long_events import LongEvent, show
from gateway.sse import BOM, EventScanner


class Witness(Meter):
    """Writes down what it is shown: whole blocks, and the parts of each long event."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.long: list[list[bytes]] = []
        self.all = b""
        self.inside = False

    def feed(self, block: bytes) -> None:
        assert not self.inside
        self.blocks.append(block)
        self.all += block

    def feed_part(self, part: bytes, *, last: bool) -> None:
        if not self.inside:
            self.long.append([])
        self.long[-1].append(part)
        self.all += part
        self.inside = not last

    def end(self) -> None:
        pass

    def reading(self) -> Reading:
        return Reading()


def shown(pieces: list[bytes], limit: int) -> Witness:
    witness, scanner = Witness(), EventScanner(limit)
    for piece in pieces:
        block = scanner.feed(piece)
        if block:
            show(witness, block, scanner)
    return witness


SHORT = b"data: 1\n\n"
LONG = b"event: x\ndata: " + b"y" * 50 + b"\n\n"


@pytest.mark.parametrize("bom", [b"", BOM])
@pytest.mark.parametrize("step", [1, 7, 30, 1000])
def test_each_long_event_is_shown_part_by_part_and_the_others_whole(bom: bytes, step: int) -> None:
    """A9: a byte order mark is nobody's."""
    stream = SHORT + LONG + LONG + SHORT + SHORT
    given = bom + stream
    witness = shown([given[i : i + step] for i in range(0, len(given), step)], 20)
    assert witness.all == stream
    assert not witness.inside
    if step < 50:
        assert [b"".join(parts) for parts in witness.long] == [LONG, LONG]
        assert b"".join(witness.blocks) == SHORT * 3


def test_one_long_event_may_end_in_the_read_in_which_another_begins() -> None:
    """A9: they are told apart."""
    for between in (b"", SHORT):
        witness = shown([LONG[:30], LONG[30:] + between + LONG[:30], LONG[30:]], 20)
        assert [b"".join(parts) for parts in witness.long] == [LONG, LONG]
        assert b"".join(witness.blocks) == between


_PIECES = st.lists(
    st.sampled_from([SHORT, LONG, b": c\n\n", b"\r\n", b"\r", b"\n", b"data"]), max_size=8
)


@given(_PIECES, st.lists(st.integers(0, 300), max_size=6), st.booleans())
def test_nothing_is_shown_twice_or_left_out(
    pieces: list[bytes], cuts: list[int], bom: bool
) -> None:
    """A9: whatever the stream, and however it is split."""
    stream = b"".join(pieces)
    given = BOM * bom + stream
    points = sorted({0, *(min(cut, len(given)) for cut in cuts), len(given)})
    witness, scanner, passed = Witness(), EventScanner(20), b""
    for begin, end in itertools.pairwise(points):
        block = scanner.feed(given[begin:end])
        passed += block
        if block:
            show(witness, block, scanner)
    assert witness.all == passed.removeprefix(BOM)
    assert witness.inside == scanner.in_long_event


@pytest.mark.parametrize("size", [10, 500_000])
@pytest.mark.parametrize("step", [100, 70_000])
@pytest.mark.parametrize(
    "lead", [b"data: ", b"data:", b"id: data:\nevent: x\r\ndata: ", b": {\rdata:"]
)
@pytest.mark.parametrize("tail", [b"\n\n", b"\r\nid: 7\r\n\r\n", b"\r\r", b"\ndata: more\n\n"])
def test_the_ends_of_a_long_events_data_are_kept(
    size: int, step: int, lead: bytes, tail: bytes
) -> None:
    """A8: not what stands around it, and not the middle."""
    event = lead + b'{"type":"t","b":"%b","usage":{"n":1}}' % (b"y" * size) + tail
    long = LongEvent()
    for at in range(0, len(event), step):
        long.feed(event[at : at + step])
    documents = long.documents(("type",), {"usage": b"{"})
    if size < 100:
        assert [document.strip() for document in documents] == [
            b'{"type":"t","b":"yyyyyyyyyy","usage":{"n":1}}'
        ]
    else:
        assert [document.strip() for document in documents] == [
            b'{"type":"t"}',
            b'{"usage":{"n":1}}',
        ]
