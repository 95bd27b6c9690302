"""Whom a deduped exchange answers in place of the client: everybody who listens to its answer.

It is the exchange's `gateway.exchange.recipient.Recipient`.  What it is given it records, and gives
on to the listeners that keep up; the others take from the recording what they lack.

The upstream is read as long as one listener keeps up.  It is let go, as when a client leaves, when
the last listener has parted.  Clients' deadlines are the listeners' own: the exchange has none.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

from ..exchange.exchange import Exchange
from ..exchange.recipient import Pairs
from ..front.request import Request
from ..front.upload import Upload
from ..http1 import Framing, FramingKind, reason_phrase
from .listener import Listener
from .recording import End, Head, Recording
from .store import Store


class Audience:
    """See the module's text."""

    def __init__(
        self, leader: Request, recording: Recording[Listener], store: Store[Listener]
    ) -> None:
        self.head = leader.head
        self.body, leader.body = leader.body, []
        self.body_size = leader.body_size
        self.upload: Upload | None = None
        self.status_sent: int | None = None
        self.on_gone: Callable[[Failure], None] | None = None
        self.on_broken: Callable[[int, str], None] | None = None
        self.exchange: Exchange | None = None  #: whose audience it is
        self._release = leader.hand_over_body()
        self._recording = recording
        self._store = store
        self._producer: IPushProducer | None = None
        self._paused = False
        self._giving = False
        recording.source = self

    # What the exchange calls: see `Recipient`.

    @property
    def present(self) -> bool:
        """Whether anybody listens."""
        return bool(self._recording.readers) and self._recording.end is None

    def let_go_of_fields(self) -> None:
        """The leader's request is not ours to change."""

    @property
    def takes_chunks(self) -> bool:
        """Only clients that speak HTTP/1.1 have answers in common."""
        return True

    def release_body(self) -> None:
        """The leader's body is no longer held.  May be called more than once."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def taken(self) -> int | None:
        """Nobody can tell it of all together, and nobody asks: see the module's text."""
        return None

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """`producer` is paused while no listener keeps up."""
        self._producer = producer
        self._paused = False
        self.weigh()

    def unregisterProducer(self) -> None:
        """The producer has nothing more to say."""
        self._producer = None

    def send_interim(self, status: int, reason: bytes, pairs: Pairs) -> None:
        """Pass on an interim response to those who are there; it is no part of the answer."""
        pairs = list(pairs)
        for listener in self._listeners():
            listener.give_interim(status, reason, pairs)

    def start(
        self,
        status: int,
        reason: bytes,
        pairs: Pairs,
        framing: Framing,
        *,
        more: bool = False,
    ) -> None:
        """Begin the answer."""
        if self.status_sent is None and self._recording.end is None:
            self.status_sent = status
            self._store.start(self._recording, Head(status, reason, tuple(pairs), framing))
            self._tell()

    def flush(self) -> None:
        """Nothing waits: each listener is given what there is for it."""

    def send(self, data: bytes) -> None:
        """The hot path of a deduped route: record, and give to those who keep up."""
        recording = self._recording
        if not data or recording.end is not None:
            return
        begin = recording.size
        self._store.append(recording, data)
        self._giving = True
        for listener in self._listeners():
            if listener.offset == begin and listener.takes:
                listener.give(data)
        self._giving = False
        self._store.bound(recording)
        self.weigh()

    def send_beat(self, beat: bytes) -> None:
        """Give it to those who keep up; it is no part of the answer."""
        for listener in self._listeners():
            if listener.keeps_up:
                listener.give_beat(beat)

    def end(self, *, close: bool = False) -> None:
        """The answer is whole."""
        self._end(End.CLOSED if close else End.WHOLE)

    def abort(self) -> None:
        """The answer is broken: so it is for everybody, behind what there is of it."""
        self._end(End.BROKEN)

    def respond(self, status: int, body: bytes, pairs: Pairs = ()) -> None:
        """A whole short answer."""
        fields = [
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(body)),
            *pairs,
        ]
        framing = Framing(FramingKind.LENGTH, len(body))
        self.start(status, reason_phrase(status), fields, framing)
        self.send(body)
        self.end()

    # What listeners call: see `gateway.dedup.recording.Source`.

    def weigh(self) -> None:
        """Pause, resume or let go of the upstream, as the listeners want."""
        recording = self._recording
        if self._giving or recording.end is not None:
            return
        if not recording.readers:
            self._leave()
        elif self._producer is not None:
            wanted = any(listener.keeps_up for listener in recording.readers)
            if wanted == self._paused:
                self._paused = not wanted
                if wanted:
                    self._producer.resumeProducing()
                else:
                    self._producer.pauseProducing()

    def drain(self) -> None:
        """End the exchange, because the gateway is stopping."""
        assert self.exchange is not None
        self.exchange.drain()

    @property
    def terminal_passed(self) -> bool:
        """Whether the dialect's terminal event has been recorded."""
        return self.exchange is not None and self.exchange.terminal_passed

    @property
    def sound(self) -> bool:
        """Whether what has ended well is known to be a whole answer, and no error.

        Where the end of the connection is that of the body, no one can tell it from a cut.
        """
        assert self.exchange is not None
        head = self._recording.head
        told = head is not None and head.framing.kind is not FramingKind.UNTIL_CLOSE
        return told and self.exchange.sound

    def _listeners(self) -> tuple[Listener, ...]:
        return tuple(self._recording.readers)  # it changes where one of them parts

    def _tell(self) -> None:
        for listener in self._listeners():
            listener.go_on()

    def _end(self, how: End) -> None:
        if self._recording.end is None:
            self._store.ended(self._recording, how)
            self._tell()

    def _leave(self) -> None:
        """Nobody listens any more, so nobody can join either."""
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None:
            self._store.let_go(self._recording)
            on_gone(Failure(ConnectionDone()))
