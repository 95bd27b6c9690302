"""Recordings in bounded memory, without any client: the oldest go first."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.dedup.recording import FIELD_OVERHEAD, OVERHEAD, End, Head, Recording
from gateway.dedup.store import SHARE, Store
from gateway.http1 import Framing, FramingKind

SHARED = 1000
LIMIT = SHARE * SHARED


@dataclass(eq=False)
class Reader:
    """Reads when it is told to."""

    store: Store[Reader]
    recording: Recording[Reader]
    offset: int = 0
    was_cut: bool = False

    def __post_init__(self) -> None:
        self.store.join(self.recording, self)

    def read(self, most: int = 1 << 20) -> bytes:
        data = self.recording.read(self.offset, most)
        self.offset += len(data)
        self.store.moved(self.recording)
        return data

    def cut(self) -> None:
        self.was_cut = True
        self.store.leave(self.recording, self)


def finished(
    store: Store[Reader], key: bytes, size: int, now: float = 0.0, lifetime: float = 10.0
) -> Recording[Reader]:
    """A finished answer."""
    recording = store.begin(key, key.decode())
    grow(store, recording, size)
    store.ended(recording, End.WHOLE)
    store.store(recording, now, lifetime)
    return recording


def grow(store: Store[Reader], recording: Recording[Reader], size: int) -> None:
    store.append(recording, b"x" * size)
    store.bound(recording)


def test_a_head_counts_as_what_is_held() -> None:
    """C5: of a short answer it is the most."""
    store: Store[Reader] = Store(LIMIT)
    recording = store.begin(b"a", "a")
    pairs = ((b"X-Long", b"x" * 500), (b"X-Short", b""))
    store.start(recording, Head(200, b"OK", pairs, Framing(FramingKind.LENGTH, 100)))
    grow(store, recording, 100)
    store.ended(recording, End.WHOLE)
    store.store(recording, 0.0, 10.0)
    assert store.used == OVERHEAD + 513 + 2 * FIELD_OVERHEAD + 100
    store.expire(11.0)
    assert store.used == 0


def test_the_oldest_answer_goes_first() -> None:
    """C5: by its completion, whatever its lifetime is."""
    store: Store[Reader] = Store(LIMIT)
    finished(store, b"a", 900, 0.0, 100.0)
    for number in range(8):
        finished(store, b"%d" % number, 900, 1.0 + number, 10.0 + number % 2 * 100)
    there = [key for key in (b"a", *(b"%d" % n for n in range(8))) if store.find(key, 9.0)]
    assert there == [b"%d" % n for n in range(8)][-len(there) :]
    assert 0 < len(there) < 8
    assert store.used <= LIMIT


def test_an_answer_lives_from_its_completion_on() -> None:
    """C3: and not a moment longer."""
    store: Store[Reader] = Store(LIMIT)
    finished(store, b"short", 10, 5.0, 10.0)
    finished(store, b"long", 10, 5.0, 30.0)
    assert store.expire(14.9) == 15.0
    assert store.find(b"short", 14.9)
    assert not store.find(b"short", 15.0)
    assert store.find(b"long", 34.9)
    assert store.expire(35.0) is None
    assert store.used == 0


def test_an_answer_of_more_than_an_eighth_is_not_kept() -> None:
    """C5: nor can it be joined from then on."""
    store: Store[Reader] = Store(LIMIT)
    recording = store.begin(b"k", "id")
    grow(store, recording, SHARED)
    assert store.find(b"k", 0.0) is recording
    grow(store, recording, 1)
    assert store.find(b"k", 0.0) is None
    assert store.used == OVERHEAD
    store.ended(recording, End.WHOLE)
    store.store(recording, 0.0, 10.0)
    store.let_go(recording)
    assert store.find(b"k", 0.0) is None
    assert store.used == 0


def test_what_a_reader_lacks_of_an_answer_that_is_not_kept_is_held_for_it() -> None:
    """C4, C5: up to an eighth; then it is cut."""
    store: Store[Reader] = Store(LIMIT)
    recording = store.begin(b"k", "id")
    slow, fast = Reader(store, recording), Reader(store, recording)
    for _ in range(3):
        grow(store, recording, 300)
        fast.read()
    slow.read(400)
    grow(store, recording, 400)
    assert not recording.kept
    assert recording.held == 900
    assert not slow.was_cut
    grow(store, recording, 200)
    assert slow.was_cut
    assert not fast.was_cut
    assert recording.held == 600


def test_where_all_is_too_much_answers_under_way_are_kept_no_longer_and_then_readers_are_cut() -> (
    None
):
    """C5: the one that is furthest behind."""
    store: Store[Reader] = Store(LIMIT)
    recordings = [store.begin(b"%d" % number, "id") for number in range(20)]
    readers = [Reader(store, recording) for recording in recordings]
    readers[19].read()
    for recording in recordings:
        grow(store, recording, 100 if recording is recordings[3] else 99)
    assert store.used > LIMIT  # their number alone: nothing can be done about that
    assert all(reader.was_cut for reader in readers)
    for recording in recordings:
        store.ended(recording, End.BROKEN)
        store.let_go(recording)
    assert store.used == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("begin"), st.integers(0, 3)),
            st.tuples(st.just("join"), st.integers(0, 9)),
            st.tuples(st.just("grow"), st.integers(0, 9)),
            st.tuples(st.just("read"), st.integers(0, 9)),
            st.tuples(st.just("leave"), st.integers(0, 9)),
            st.tuples(st.just("store"), st.integers(0, 9)),
            st.tuples(st.just("wait"), st.integers(0, 9)),
        ),
        max_size=60,
    )
)
def test_what_is_counted_is_what_is_held(steps: list[tuple[str, int]]) -> None:
    """C5: at each step, and nothing at the end."""
    store: Store[Reader] = Store(16_000)
    recordings: list[Recording[Reader]] = []
    readers: list[Reader] = []
    now = 0.0
    for step, which in steps:
        if step == "begin":
            recordings.append(store.begin(b"%d" % which, "id"))
        elif step == "wait":
            now += which
            store.expire(now)
        elif step in ("read", "leave") and readers:
            reader = readers[which % len(readers)]
            if reader in reader.recording.readers:
                if step == "read":
                    assert set(reader.read(700)) <= {ord("x")}
                else:
                    store.leave(reader.recording, reader)
        elif recordings:
            recording = recordings[which % len(recordings)]
            if step == "join" and recording.kept:
                readers.append(Reader(store, recording))
            elif step == "grow" and recording.end is None:
                grow(store, recording, 150 * which)
            elif step == "store" and recording.end is None:
                store.ended(recording, End.WHOLE)
                store.store(recording, now, 3.0 + which % 2)
                if not recording.kept:
                    store.let_go(recording)
        live = [r for r in recordings if r.kept or r.readers or r.end is None]
        assert store.used == sum(r.held + OVERHEAD for r in live)
        assert store.used <= 16_000 + OVERHEAD * len(live)
    for recording in recordings:
        for reader in tuple(recording.readers):
            store.leave(recording, reader)
        if recording.end is None:
            store.ended(recording, End.BROKEN)
            store.let_go(recording)
    store.expire(now + 100)
    assert store.used == 0
