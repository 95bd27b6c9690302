"""All recordings of a process, in bounded memory: those under way and those that are given again.

What is held is bounded by `limit`, all together.  One answer may hold an eighth of it: one that
grows beyond that is kept no longer, nobody can join it any more, and a reader that is further
behind than that is cut.  Where all together are too much, finished answers go first, the oldest of
them before the others; then those under way are kept no longer; then the reader that is furthest
behind is cut.  A finished answer lives for its lifetime from its completion on.

The time is passed in, in seconds.
"""

from __future__ import annotations

from typing import Final, Generic

from .recording import End, Head, R, Recording

#: The part of the memory that one answer may take.
SHARE: Final = 8


class Store(Generic[R]):
    """See the module's text."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._share = limit // SHARE
        self.used = 0  #: bytes that are held
        self._all: dict[Recording[R], None] = {}  # whatever counts, in the order of its beginning
        self._under_way: dict[bytes, Recording[R]] = {}  # those that can be joined
        # By lifetime, so that in each of them the oldest is the first to expire.
        self._finished: dict[float, dict[bytes, Recording[R]]] = {}

    def find(self, key: bytes, now: float) -> Recording[R] | None:
        """What can be given to a request with this key: finished, or under way."""
        self.expire(now)
        for finished in self._finished.values():
            if key in finished:
                return finished[key]
        return self._under_way.get(key)

    def begin(self, key: bytes, id: str) -> Recording[R]:
        """A new recording, for others to join."""
        self._forget(key)
        recording: Recording[R] = Recording(key, id)
        self._under_way[key] = recording
        self._all[recording] = None
        self.used += recording.overhead
        return recording

    def join(self, recording: Recording[R], reader: R) -> None:
        """`reader` is given the recording from now on, from its first byte."""
        assert recording.kept
        recording.readers.append(reader)

    def leave(self, recording: Recording[R], reader: R) -> None:
        """`reader` needs no more of it."""
        recording.readers.remove(reader)
        self.moved(recording)

    def start(self, recording: Recording[R], head: Head) -> None:
        """Begin the answer with its head.  As much may follow as for `append`."""
        self.used -= recording.overhead
        recording.head = head
        self.used += recording.overhead

    def append(self, recording: Recording[R], data: bytes) -> None:
        """Add to a recording.  `bound` has to follow, once the readers have been given it."""
        recording.append(data)
        self.used += len(data)

    def bound(self, recording: Recording[R]) -> None:
        """Hold no more than may be held, after `recording` has grown."""
        if recording.kept and recording.size > self._share:
            self.let_go(recording)
        self.moved(recording)
        if recording.held > self._share:
            for reader in tuple(recording.readers):
                if recording.behind(reader) > self._share:
                    reader.cut()
        while self.used > self._limit and self._relieve():
            pass

    def moved(self, recording: Recording[R]) -> None:
        """A reader of it needs less than before."""
        self.used -= recording.trim()
        over = recording.end is not None and not recording.kept and not recording.readers
        if over and recording in self._all:
            del self._all[recording]
            self.used -= recording.overhead

    def ended(self, recording: Recording[R], how: End) -> None:
        """Nothing more comes: it can be joined no longer."""
        recording.end = how
        recording.source = None
        if self._under_way.get(recording.key) is recording:
            del self._under_way[recording.key]

    def store(self, recording: Recording[R], now: float, lifetime: float) -> None:
        """A recording that has ended well: give it again, if it could be kept."""
        if recording.kept:
            self._forget(recording.key)
            recording.completed = now
            self._finished.setdefault(lifetime, {})[recording.key] = recording
            self.bound(recording)

    def let_go(self, recording: Recording[R]) -> None:
        """Keep it no longer: nobody else is given it, and its readers only what they lack."""
        recording.kept = False
        for place in (self._under_way, *self._finished.values()):
            if place.get(recording.key) is recording:
                del place[recording.key]
        self.moved(recording)

    def expire(self, now: float) -> float | None:
        """Let go of what has lived its life; the moment at which the next will have, if any."""
        moments = []
        for lifetime, finished in tuple(self._finished.items()):
            while finished:
                oldest = next(iter(finished.values()))
                assert oldest.completed is not None
                if oldest.completed + lifetime > now:
                    moments.append(oldest.completed + lifetime)
                    break
                self.let_go(oldest)
            else:
                del self._finished[lifetime]
        return min(moments, default=None)

    def _forget(self, key: bytes) -> None:
        """Another recording takes the place of whatever has this key."""
        for place in (self._under_way, *self._finished.values()):
            if key in place:
                self.let_go(place[key])

    def _relieve(self) -> bool:
        """Free something; whether there was anything."""
        oldest = [next(iter(finished.values())) for finished in self._finished.values() if finished]
        if oldest:
            self.let_go(min(oldest, key=lambda recording: recording.completed or 0.0))
            return True
        if self._under_way:
            self.let_go(next(iter(self._under_way.values())))
            return True
        readers = [(r.behind(reader), reader) for r in self._all for reader in r.readers]
        behind, last = max(readers, key=lambda found: found[0], default=(0, None))
        if last is None or not behind:
            return False
        last.cut()
        return True
