"""One client of a recording: it is given all of it from the first byte on, at its own pace.

While it keeps up it is given each piece as it comes.  One that came later, or did not read for a
while, is given what it lacks in bites, one in a turn of the reactor, until its transport is full.

Whatever becomes of it, nobody else is harmed: it parts from the recording once, in one of the ways
of `rows.Parting`, and an error in giving to it ends it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..dialects.base import Dialect, Trouble
from ..exchange.deadlines import LOOKS
from ..exchange.farewell import RETRY_AFTER
from ..exchange.recipient import Pairs
from ..front.progress import Progress
from ..front.request import Request
from ..record import Intent, Phase
from .recording import End, Recording
from .rows import Course, Parting, explained
from .store import Store

#: How much a client that is behind is given at once, in bytes.
BITE: Final = 64 * 1024

_log = Logger(namespace="gateway.dedup")


@implementer(IPushProducer)
class Listener:
    """See the module's text.  It is the producer of its client's channel."""

    def __init__(
        self,
        request: Request,
        dialect: Dialect,
        recording: Recording[Listener],
        store: Store[Listener],
        clock: IReactorTime,
        patience: float | None,
        intent: Intent,
        over: Callable[[Listener], None],
        *,
        leads: bool,
    ) -> None:
        """`intent` is the client's own; `over` is called when it parts.

        `patience`: seconds that the client may take nothing.

        `leads`: the answer was made for this client.
        """
        self.intent = intent
        self.offset = 0
        self.course: Course | None = None  #: how it went, once it is over
        self._request = request
        self._dialect = dialect
        self._recording = recording
        self._store = store
        self._clock = clock
        self._patience = patience
        self._over = over
        self._leads = leads
        self._ready = False  # it may be given something
        self._parted = False
        self._began = clock.seconds()
        self._first_byte: float | None = None
        self._beats = 0
        self._progress = Progress(request.taken)
        self._blocked: float | None = None  # its transport is full since
        self._squeezed = False  # and it has been given something nevertheless
        self._took = 0.0  # when it was last seen to take something, in that time
        self._paused = 0.0  # seconds, all together
        self._look: IDelayedCall | None = None
        self._next: IDelayedCall | None = None
        request.on_gone = self._client_gone
        request.on_broken = self._client_broke_rule
        store.join(recording, self)

    # What it is given.

    @property
    def keeps_up(self) -> bool:
        """Whether it has been given everything and takes more."""
        return self.takes and self.offset == self._recording.size

    @property
    def takes(self) -> bool:
        """Whether it may be given something now."""
        return self._ready and self._blocked is None and not self._parted

    def begin(self) -> None:
        """Its intent is written: give it what there is."""
        if self._parted:
            return
        self._ready = True
        self._request.registerProducer(self, True)  # type: ignore[no-untyped-call]
        self.go_on()
        self._weigh()

    def go_on(self) -> None:
        """There may be more for it: a head, a bite of the body, the end."""
        if self._ready and not self._parted:
            try:
                self._give_head()
                self._give_rest()
            except Exception:
                self._failed()

    def give(self, data: bytes) -> None:
        """The next piece, to one that keeps up."""
        try:
            self._write(data)
        except Exception:
            self._failed()

    def give_beat(self, beat: bytes) -> None:
        """What shows that somebody is there, to one that keeps up: elsewhere it may not stand."""
        try:
            self._request.send_beat(beat)
            self._beats += 1
        except Exception:
            self._failed()

    def give_interim(self, status: int, reason: bytes, pairs: Pairs) -> None:
        """An interim response."""
        if self._ready:
            try:
                self._request.send_interim(status, reason, self._own(pairs))
            except Exception:
                self._failed()

    def _give_head(self) -> None:
        recording = self._recording
        head = recording.head
        if head is None or self._request.status_sent is not None:
            return
        pairs = self._own(head.pairs)
        if not self._leads and recording.completed is not None:
            age = self._clock.seconds() - recording.completed
            pairs = [pair for pair in pairs if pair[0].lower() != b"age"]
            pairs.append((b"Age", b"%d" % age))  # RFC 9111, 5.1
        self._request.start(head.status, head.reason, pairs, head.framing)

    def _own(self, pairs: Pairs) -> list[tuple[bytes, bytes]]:
        """The fields for this client: a cookie was meant for the one whom it was sent to."""
        return [pair for pair in pairs if self._leads or pair[0].lower() != b"set-cookie"]

    def _give_rest(self) -> None:
        recording = self._recording
        if self._blocked is None and recording.behind(self):
            self._write(recording.read(self.offset, BITE))
            self._store.moved(recording)
        if not recording.behind(self):
            if recording.end is not None:
                self._part(Parting.WITH_ALL)
        elif self._blocked is None and self._next is None:
            self._next = self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._next = None
        self.go_on()
        self._weigh()

    def _write(self, data: bytes) -> None:
        if self._first_byte is None:
            self._first_byte = self._clock.seconds()
        self.offset += len(data)
        self._request.send(data)

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        if not self._ready:
            return Phase.REQUEST
        if self._request.status_sent is None:
            return Phase.HEAD
        return Phase.FIRST_EVENT if self._first_byte is None else Phase.RELAY

    @property
    def paused(self) -> bool:
        """Whether its client does not read."""
        return self._blocked is not None

    # The client's pace.

    def pauseProducing(self) -> None:
        """Its transport is full."""
        if self._blocked is None and not self._parted:
            self._blocked = self._took = self._clock.seconds()
            self._progress.begin()
            self._look_later()
            self._weigh()

    def resumeProducing(self) -> None:
        """Its transport is empty."""
        if self._blocked is not None:
            self._account()
            self.go_on()
            self._weigh()

    def stopProducing(self) -> None:
        """Its connection is going; the request tells."""

    def _account(self) -> None:
        """A pause ends now."""
        if self._blocked is not None:
            self._paused += self._clock.seconds() - self._blocked
            self._blocked = None
            self._squeezed = False
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_later(self) -> None:
        if self._patience is not None:
            self._look = self._clock.callLater(
                self._patience / LOOKS, self._look_at, self._patience
            )

    def _look_at(self, patience: float) -> None:
        self._look = None
        now = self._clock.seconds()
        if self._progress.made():
            self._took = now
        if now - self._took >= patience:
            self._part(Parting.STALLED)
        else:
            self._look_later()

    def _weigh(self) -> None:
        source = self._recording.source
        if source is not None:
            source.weigh()

    # The end.

    def refuse(self, parting: Parting, why: str, status: int = 503) -> None:
        """It is given nothing, but told why."""
        self._part(parting, why, status)

    def cut(self) -> None:
        """What it lacks cannot be held for it: it gets that now, or nothing more.

        As much as one read of an upstream may wait in the client's own buffer, where it would be
        without dedup; more than that only once it has taken everything.
        """
        if self._ready and not self._squeezed and self._recording.behind(self) <= BITE:
            self._squeezed = True
            self.give(self._recording.read(self.offset, BITE))
            self._store.moved(self._recording)
        else:
            self._part(Parting.BEHIND)

    def drain(self) -> None:
        """End now, because the gateway is stopping: with the answer, if that is under way."""
        source = self._recording.source
        if source is not None:
            source.drain()
        self._part(Parting.DRAINED)

    def kill(self, detail: str) -> None:
        """End it alone, because an operator wants it so."""
        self._part(Parting.DRAINED, detail)

    def _client_gone(self, reason: Failure) -> None:
        recording = self._recording
        source = recording.source
        whole = source is not None and source.terminal_passed and not recording.behind(self)
        self._part(Parting.WITH_ALL if whole else Parting.GONE)

    def _client_broke_rule(self, status: int, message: str) -> None:
        self._part(Parting.BROKE_RULE, message, status)

    def _failed(self) -> None:
        _log.failure("{request}: an error in the gateway itself", request=self._request)
        self._part(Parting.BUG, status=500)

    def _part(self, parting: Parting, detail: str | None = None, status: int = 503) -> None:
        if self._parted:
            return
        self._parted = True
        self._account()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        try:
            self._take_leave(parting, detail, status)
        except Exception:
            _log.failure("{request}: the end could not be told", request=self._request)
            self._request.abort()
        self.course = Course(
            parting=parting,
            detail=detail,
            phase=self.phase,
            status_sent=self._request.status_sent,
            first_byte=None if self._first_byte is None else self._first_byte - self._began,
            duration=self._clock.seconds() - self._began,
            paused=self._paused,
            size=self.offset,
            beats=self._beats,
        )
        self._store.leave(self._recording, self)
        self._over(self)
        self._weigh()

    def _take_leave(self, parting: Parting, detail: str | None, status: int) -> None:
        """Tell the client, if it is there yet."""
        request = self._request
        if not request.present:
            return
        if self._ready:
            request.unregisterProducer()  # type: ignore[no-untyped-call]
        end = self._recording.end
        if parting is Parting.WITH_ALL and end is not End.BROKEN:
            request.end(close=end is End.CLOSED)
        elif parting is Parting.WITH_ALL or request.status_sent is not None:
            request.abort()
        else:
            code, message = explained(parting)
            body = self._dialect.error_body(Trouble(status, code, detail or message))
            pairs = [(b"Retry-After", b"%d" % RETRY_AFTER)] if status == 503 else []
            request.respond(status, body, pairs)
