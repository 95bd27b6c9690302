"""Cutting and reading event streams, against a reference that goes byte by byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.sse import BOM, EventScanner, parse, payloads

CHUNK = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
MESSAGE = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0}\n\n'


# ---- the reference ----


class Reference:
    """WHATWG HTML, section 9.2.6, as literally as it can be written down."""

    def __init__(self, stream: bytes) -> None:
        self.end = 0  #: up to where the stream consists of whole events
        self.events: list[tuple[bytes | None, bytes]] = []
        self.sizes: list[int] = []  #: of the events, with their blank line
        self.ids = 0  #: ``id`` lines of events that were ended
        start = 3 if stream.startswith(BOM) else 0
        name, data, ids = b"", b"", 0
        for line, offset in _lines(stream, start):
            if line:
                key, _, value = line.partition(b":")
                value = value[1:] if value.startswith(b" ") else value
                if key == b"data":
                    data += value + b"\n"
                elif key == b"event":
                    name = value
                elif key == b"id":
                    ids += 1
                continue
            if data:
                self.events.append((name or None, data[:-1]))
                self.sizes.append(offset - start)
            self.ids += ids
            self.end = start = offset
            name, data, ids = b"", b"", 0


def _lines(stream: bytes, offset: int) -> Iterator[tuple[bytes, int]]:
    """Each line that is ended, without its end, and the offset after that."""
    line = b""
    while offset < len(stream):
        byte = stream[offset : offset + 1]
        offset += 1
        if byte == b"\r" and stream[offset : offset + 1] == b"\n":
            offset += 1
        if byte in b"\r\n":
            yield line, offset
            line = b""
        else:
            line += byte


# ---- streams cut anywhere ----

_LINES = st.sampled_from(
    [
        *(b"", b"", b"", b"data: x", b"data:", b"data", b"data:  two", "data: Grüße".encode()),
        *(b"id: 1", b"id", b"ideal: no", b"event: e", b"event:e", b"retry: 5", b"nothing"),
        *(b": comment", b":", b"dataset: no", b" data: no", BOM + b"data: no"),
        b"data: " + b"long " * 8,
    ]
)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream of any lines, with one kind of line end or with all, perhaps cut short."""
    ends = _ENDS if draw(st.booleans()) else st.just(draw(_ENDS))
    lines = draw(st.lists(st.tuples(_LINES, ends), max_size=24))
    stream = b"".join(line + end for line, end in lines)
    lead, tail = (
        draw(st.sampled_from([b"", BOM, BOM[:2]])),
        draw(st.sampled_from([b"", b"data: cut"])),
    )
    return lead + stream + tail


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    """The pieces of a stream, some of them empty."""
    stream = draw(streams())
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(cut_streams(), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_what_is_passed_on_and_given_out_at_the_end_is_the_input(
    pieces: list[bytes], limit: int
) -> None:
    """D3: bytes out are bytes in, however reads split the stream."""
    scanner = EventScanner(limit)
    passed = b"".join(scanner.feed(piece) for piece in pieces) + scanner.finish()
    assert passed == b"".join(pieces)


@given(cut_streams())
@example([b"data: x\r\n\r", b"\n", b"\n", b"\rdata: y\r", b"\r"])
@settings(max_examples=200, deadline=None)
def test_everything_up_to_the_last_blank_line_is_passed_on_at_once(pieces: list[bytes]) -> None:
    """D3, K4: the boundaries are those of the standard, in every mixture of line ends."""
    scanner = EventScanner()
    seen = passed = b""
    for piece in pieces:
        seen += piece
        passed += scanner.feed(piece)
        reference = Reference(seen)
        assert passed == seen[: reference.end]
        assert scanner.held == len(seen) - len(passed)
        assert scanner.events == len(reference.events)
        assert scanner.saw_id == (reference.ids > 0)
        assert scanner.first_event_seen == bool(reference.events)
        assert scanner.at_boundary
        assert not scanner.in_long_event


@given(cut_streams(), st.integers(3, 30))
@settings(max_examples=200, deadline=None)
def test_a_long_event_passes_as_it_comes_and_counts_once(pieces: list[bytes], limit: int) -> None:
    """D3, K9: the limit bounds what is held and changes neither bytes nor counts."""
    scanner = EventScanner(limit)
    seen = passed = b""
    for piece in pieces:
        seen += piece
        passed += scanner.feed(piece)
        reference = Reference(seen)
        assert scanner.held <= limit
        assert scanner.in_long_event == (len(passed) > reference.end)
        assert passed == (seen if scanner.in_long_event else seen[: reference.end])
        assert scanner.at_boundary == (not scanner.in_long_event)
        assert scanner.events == len(reference.events)
        assert scanner.saw_id or not reference.ids


@given(cut_streams(), st.integers(3, 30))
@settings(max_examples=200, deadline=None)
def test_the_whole_part_holds_every_event_that_is_not_too_long(
    pieces: list[bytes], limit: int
) -> None:
    """A9: what meters are fed does not depend on how the stream was split."""
    scanner = EventScanner(limit)
    found = []
    for piece in pieces:
        block = scanner.feed(piece)
        found += list(parse(block if scanner.whole is None else block[scanner.whole]))
    reference = Reference(b"".join(pieces))
    assert _in_order(found, reference.events)
    # A byte order mark is held with the first event, and counts for the limit.
    sized = zip(reference.events, reference.sizes, strict=True)
    assert _in_order([event for event, size in sized if size + len(BOM) <= limit], found)


def _in_order(
    some: list[tuple[bytes | None, bytes]], events: list[tuple[bytes | None, bytes]]
) -> bool:
    """Whether these are some of the events, in their order."""
    rest = iter(events)
    return all(event in rest for event in some)


@given(cut_streams(), st.integers(3, 30), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_said_when_it_may_be_changes_no_event_of_the_stream(
    pieces: list[bytes], limit: int, leading_comment: bool
) -> None:
    """K4: a beat at a boundary, whatever its shape, leaves the upstream's events as they were."""
    scanner = EventScanner(limit)
    beat = b": x\n" if leading_comment else b": x\n\ndata: ours\n\n"
    out = b""
    said = begun = False
    for piece in pieces:
        if scanner.injectable:
            out += beat
            said = True
        block = scanner.feed(piece)
        # What `injectable` asks of a relay that spoke before the first byte.
        out += block.removeprefix(BOM) if said and not begun else block
        begun = begun or bool(block)
    theirs = [event for event in Reference(out).events if event != (None, b"ours")]
    assert theirs == Reference(b"".join(pieces)).events


@given(streams())
@settings(max_examples=200, deadline=None)
def test_parse_finds_what_the_standard_dispatches(stream: bytes) -> None:
    reference = Reference(stream)
    assert list(parse(stream, at_start=True)) == reference.events
    block = stream.removeprefix(BOM)
    assert payloads(block) == [data for _, data in parse(block)]


@given(
    st.lists(
        st.sampled_from([b"data: x\n\n", b"data:x\n\n", b"data:\n\n", b"data: a\ndata: b\n\n"])
    )
)
def test_payloads_are_the_data_that_parse_finds(events: list[bytes]) -> None:
    block = b"".join(events)
    assert payloads(block) == [data for _, data in parse(block)]


# ---- boundaries ----


def test_an_event_is_passed_on_at_once_whatever_its_size() -> None:
    """D3: nothing waits for more than the blank line."""
    for event in (b"\n", b"data:\n\n", CHUNK, b"data: " + b"b64/" * 500_000 + b"\n\n"):
        assert EventScanner().feed(event) == event


def test_an_unfinished_event_is_held_until_its_blank_line() -> None:
    """K4: what was passed on ends at a boundary, so that a beat is possible meanwhile."""
    scanner = EventScanner()
    assert scanner.feed(CHUNK + CHUNK[:20]) == CHUNK
    assert (scanner.held, scanner.injectable) == (20, True)
    assert scanner.feed(CHUNK[20:-1]) == b""
    assert scanner.feed(CHUNK[-1:]) == CHUNK
    assert (scanner.held, scanner.events) == (0, 2)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_of_single_bytes_gives_whole_events(end: bytes) -> None:
    """D3: one byte a read, also in the middle of a character or of CRLF."""
    stream = "data: Grüße\n\n: beat\n\ndata: 2\n\n".encode().replace(b"\n", end)
    scanner = EventScanner()
    passed = [block for i in range(len(stream)) if (block := scanner.feed(stream[i : i + 1]))]
    assert b"".join(passed) == stream
    assert scanner.events == 2
    assert len(passed) == (6 if end == b"\r\n" else 3), "an LF after a CR goes out by itself"


def test_an_event_that_ends_in_cr_is_passed_on_at_once_and_so_is_the_lf_that_follows() -> None:
    """D3, K4: CRLF split between reads delays no event and makes no second one."""
    scanner = EventScanner()
    assert scanner.feed(b"data: x\r\n\r") == b"data: x\r\n\r"
    assert (scanner.events, scanner.at_boundary, scanner.injectable) == (1, True, False)
    assert scanner.feed(b"\n") == b"\n"
    assert (scanner.events, scanner.injectable) == (1, True)


def test_nothing_is_said_between_cr_and_a_possible_lf() -> None:
    """K4: after a lone CR the next byte decides."""
    scanner = EventScanner()
    scanner.feed(b"data: x\r\r")
    assert not scanner.injectable
    scanner.feed(b"d")
    assert scanner.injectable


def test_a_beat_is_possible_before_the_first_byte() -> None:
    """K4: a stream that has not begun is between events."""
    scanner = EventScanner()
    assert scanner.injectable
    assert scanner.feed(b"") == b""
    assert scanner.injectable


def test_nothing_is_said_before_a_byte_order_mark_that_has_come() -> None:
    """K4: the mark is one only as the first thing of a stream."""
    scanner = EventScanner()
    for byte in (b"\xef", b"\xbb", b"\xbf", b"data: x\n"):
        assert scanner.feed(byte) == b""
        assert not scanner.injectable
    assert scanner.feed(b"\n") == BOM + b"data: x\n\n"
    assert scanner.whole == slice(3, 12)
    assert (scanner.injectable, scanner.events) == (True, 1)
    assert scanner.feed(CHUNK) == CHUNK
    assert scanner.whole is None


# ---- long events ----


def test_a_long_event_is_passed_on_as_it_comes_and_nothing_is_said_into_it() -> None:
    """D3, K4: beats wait for the end of an event longer than the limit."""
    scanner = EventScanner(hold_limit=10)
    assert scanner.feed(b"data: 7890") == b""
    assert (scanner.held, scanner.injectable) == (10, True)
    assert scanner.feed(b"1") == b"data: 78901"
    assert scanner.in_long_event
    assert (scanner.held, scanner.at_boundary, scanner.injectable) == (0, False, False)
    assert scanner.feed(b"more\r") == b"more\r"
    assert scanner.feed(b"\n") == b"\n"
    assert scanner.in_long_event
    assert scanner.events == 0
    assert scanner.feed(b"\r\ndata: a\n\ndata: b") == b"\r\ndata: a\n\n"
    assert scanner.whole == slice(2, 11)
    assert (scanner.events, scanner.held, scanner.injectable) == (2, 7, True)


def test_a_read_may_end_one_long_event_and_begin_another() -> None:
    """D3: the whole events in the middle are told apart from both."""
    scanner = EventScanner(hold_limit=10)
    scanner.feed(b"data: 0123456789")
    block = scanner.feed(b"\n\ndata: a\n\ndata: 0123456789")
    assert block == b"\n\ndata: a\n\ndata: 0123456789"
    assert scanner.whole is not None
    assert block[scanner.whole] == b"data: a\n\n"
    assert scanner.in_long_event
    assert scanner.events == 2


@pytest.mark.parametrize(
    ("stream", "events", "saw_id"),
    [
        (b"data: 0123456789\n\n", 1, False),
        (b": 0123456789\ndata: x\n\n", 1, False),
        (b": 0123456789\rdata\r\r", 1, False),
        (b": 0123456789\nid: 1\ndata: x\n\n", 1, True),
        (b"event: 0123456789\ndata\nid\n\n", 1, True),
        (b": 0123456789 data: x id: 1\n\n", 0, False),
        (b": 0123456789\ndatas: x\nids: x\n\n", 0, False),
    ],
)
def test_fields_of_a_long_event_are_seen_wherever_it_is_split(
    stream: bytes, events: int, saw_id: bool
) -> None:
    """K9: an event counts if it has data, and a name may be cut in two."""
    for cut in range(12, len(stream)):
        scanner = EventScanner(hold_limit=4)
        scanner.feed(stream[:cut])
        for byte in stream[cut:]:
            scanner.feed(bytes([byte]))
        assert (scanner.events, scanner.saw_id) == (events, saw_id)


def test_a_long_event_that_trickles_in_comes_out_unchanged() -> None:
    """D3: a held event of nearly the limit, one byte a read."""
    event = b"data: " + b"x" * 65000 + b"\n\n"
    scanner = EventScanner()
    assert not any(scanner.feed(b"%c" % byte) for byte in event[:-1])
    assert scanner.held == len(event) - 1
    assert scanner.feed(event[-1:]) == event


# ---- ends ----


def test_a_clean_end_gives_out_what_was_held() -> None:
    """D3: an event without its blank line is passed on unchanged, and no client counts it."""
    scanner = EventScanner()
    scanner.feed(CHUNK + b"data: [DONE]\n")
    assert scanner.finish() == b"data: [DONE]\n"
    assert (scanner.held, scanner.events) == (0, 1)
    assert not scanner.at_boundary
    assert not scanner.injectable
    assert scanner.finish() == b""


def test_what_was_held_is_dropped_before_an_error_event() -> None:
    """K4: then what was passed on ends at a boundary, a lone CR too."""
    scanner = EventScanner()
    scanner.feed(CHUNK + b"data: [DO")
    assert scanner.discard() == 9
    assert (scanner.held, scanner.at_boundary, scanner.finish()) == (0, True, b"")
    scanner = EventScanner()
    scanner.feed(b"data: x\r\r")
    assert scanner.discard() == 0
    assert scanner.at_boundary


def test_a_cut_inside_a_long_event_leaves_no_place_for_an_error_event() -> None:
    """K4: nothing that the scanner can do makes that a boundary."""
    scanner = EventScanner(hold_limit=4)
    scanner.feed(b"data: x")
    assert scanner.discard() == 0
    assert not scanner.at_boundary


# ---- counts ----


@pytest.mark.parametrize(
    ("block", "events", "saw_id"),
    [
        (b": keepalive\n\n", 0, False),
        (b":\n\n", 0, False),
        (b"\n\n\n", 0, False),
        (b"id: 7\n\n", 0, True),
        (b"id\n\n", 0, True),
        (b"identity: 7\ndata: x\n\n", 1, False),
        (b"retry: 3000\n\n", 0, False),
        (b"event: ping\n\n", 0, False),
        (b"event: ping\nid: 7\n\n", 0, True),
        (b"event: ping\ndataset: x\n\n", 0, False),
        (b"data:\n\n", 1, False),
        (b"data\n\n", 1, False),
        (b"dataset: x\n\n", 0, False),
        (b"data: a\ndata: b\n\n", 1, False),
        (b"data: a\n\ndata: b\n\n", 2, False),
        (b"data: a\n\n\ndata: b\n\n\n", 2, False),
        (b"data: a\n\n: c\n\ndata: b\n\n", 2, False),
        (b": c\ndata: a\n\n", 1, False),
        (b"data: a\rid: 3\n\n", 1, True),
        (b"event: x\ndata: a\ndata: b\n\nevent: y\n\n", 1, False),
        (CHUNK * 8, 8, False),
        (MESSAGE * 8, 8, False),
        (MESSAGE + CHUNK + b": c\n\n", 2, False),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_only_events_with_data_count(block: bytes, events: int, saw_id: bool, end: bytes) -> None:
    """K9: comments, blank lines and lone fields are not events."""
    block = block.replace(b"\n", end)
    for before in (b"", CHUNK):  # after whole events a read goes another way
        scanner = EventScanner()
        scanner.feed(before)
        started = scanner.events
        assert scanner.feed(block) == block
        assert (scanner.events - started, scanner.saw_id) == (events, saw_id)


_WHOLE: st.SearchStrategy[list[bytes]] = st.lists(  # events, some without a line of data
    st.lists(_LINES.filter(bool), min_size=1, max_size=3).map(b"\n".join), max_size=3
)


@given(st.lists(_WHOLE, max_size=4), st.lists(_ENDS, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_reads_of_whole_events_are_counted_as_by_the_standard(
    reads: list[list[bytes]], ends: list[bytes]
) -> None:
    """K9: most reads are such, and nearly all of them are counted without a look at each line."""
    scanner, stream = EventScanner(), b""
    for number, events in enumerate(reads):
        end = ends[number % len(ends)]
        read = b"".join(event.replace(b"\n", end) + end + end for event in events)
        stream += read
        assert scanner.feed(read) == read
        reference = Reference(stream)
        assert (scanner.events, scanner.saw_id) == (len(reference.events), reference.ids > 0)


# ---- parsing ----


@pytest.mark.parametrize(
    ("block", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [(None, b"YHOO\n+2\n10")]),
        (b": test\n\ndata: a\nid: 1\n\ndata:b\nid\n\ndata:  c\n\n",
         [(None, b"a"), (None, b"b"), (None, b" c")]),
        (b"data\n\ndata\ndata\n\ndata:", [(None, b""), (None, b"\n")]),
        (b"data:test\n\ndata: test\n\n", [(None, b"test"), (None, b"test")]),
        (b"event:a\nevent: b\ndata: x\n\ndata: y\n\n", [(b"b", b"x"), (None, b"y")]),
        (b"event: lost\n\ndata: y\n\n", [(None, b"y")]),
        (b"Data: no\n data: no\nretry: 1\n\n", []),
        (b"data: a: b\r\n\r\ndata: c\r\rdata: d\n\r\n",
         [(None, b"a: b"), (None, b"c"), (None, b"d")]),
        (BOM + b"data: in a later block\n\n", []),
        (b"", []),
    ],
)  # fmt: skip
def test_parse_follows_the_standard(block: bytes, events: list[tuple[bytes | None, bytes]]) -> None:
    assert list(parse(block)) == events


def test_a_byte_order_mark_is_skipped_at_the_start_of_the_stream_only() -> None:
    assert list(parse(BOM + b"data: x\n\n", at_start=True)) == [(None, b"x")]
