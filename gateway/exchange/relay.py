"""The way of the bytes: from an upstream connection to a client, read on the side.

Invariants
- Bytes go out in the order in which they came and none is changed; of an event stream, all whole
  events of one read go out in one write.
- What is held back of an event stream is bounded by `EventScanner`; everything else is handed to
  the client's transport at once, and while that does not take it (`pauseProducing`) the upstream is
  not read.  So a client that stalls holds one transport buffer and one read, whatever its upstream
  sends.
- Between `pauseProducing` and `resumeProducing` the upstream's deadlines stand still.
- Per read: one clock, one scan, one write.  Nothing else belongs here.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from ..dialects.base import Dialect, Meter, Reading, Standing
from ..dialects.long_events import show
from ..front.request import Request
from ..sse import BOM, EventScanner
from ..upstream.connection import Connection
from .deadlines import Deadlines, Moments
from .life import Body, Circumstances
from .mask import KeyMask

#: Bytes kept of an answer that cannot be passed on and has to be told in an error event.
COLLECTED = 64 * 1024


@implementer(IPushProducer)
class Pressure:
    """Turns the client's pace into the upstream's: the producer of the client's channel."""

    def __init__(
        self, connection: Connection, moments: Moments, deadlines: Deadlines, clock: IReactorTime
    ) -> None:
        self._connection = connection
        self._moments = moments
        self._deadlines = deadlines
        self._clock = clock
        self.paused_seconds = 0.0

    def pauseProducing(self) -> None:
        """The client's buffer is full: stop reading from the upstream."""
        if self._moments.paused is None:
            self._moments.paused = self._clock.seconds()
            self._connection.pause()
            self._deadlines.look()

    def resumeProducing(self) -> None:
        """The client has taken everything: read again."""
        if self._moments.paused is not None:
            self.account()
            self._connection.resume()
            self._deadlines.look()

    def stopProducing(self) -> None:
        """The client's connection is going; the request tells the exchange."""

    def account(self) -> None:
        """A pause ends now: add it to `paused_seconds`, move the upstream's last byte by it."""
        if self._moments.paused is not None:
            length = self._clock.seconds() - self._moments.paused
            self.paused_seconds += length
            self._moments.last_byte += length
            self._moments.paused = None


class EventRelay:
    """Passes an event stream on, whole events at a time."""

    def __init__(
        self,
        request: Request,
        dialect: Dialect,
        moments: Moments,
        clock: IReactorTime,
        *,
        begun: bool,
    ) -> None:
        """`begun`: a head and a beat of ours have been written already."""
        self.meter: Meter = dialect.stream_meter()
        self.scanner = EventScanner()
        self.size = 0
        self._request = request
        self._moments = moments
        self._clock = clock
        self._tail = b""
        self._first = True  # nothing of it has been passed on
        self._spoken = begun

    def feed(self, data: bytes) -> None:
        """One read of the upstream's body."""
        self.size += len(data)
        self._moments.last_byte = now = self._clock.seconds()
        block = self.scanner.feed(data)
        if not block:
            return
        self._request.send(self._without_mark(block) if self._first else block)
        show(self.meter, block, self.scanner)
        if self._moments.first_event is None and self.scanner.first_event_seen:
            self._moments.first_event = now

    def _without_mark(self, beginning: bytes) -> bytes:
        """The first bytes to pass on; behind a beat a byte order mark would be no mark any more."""
        self._first = False
        return beginning.removeprefix(BOM) if self._spoken else beginning

    def spoken(self) -> None:
        """A beat has been written: what the upstream sends is no longer the client's first byte."""
        self._spoken = True

    def upstream_ended(self) -> None:
        """The body is whole as HTTP goes; is it as the dialect goes?"""
        self._tail = self.scanner.finish()
        if self._tail.startswith(b"data: [DONE]"):
            # Some servers leave out the blank line behind it.  No other unfinished event counts:
            # no client dispatches it, so it cannot be what makes a stream whole.
            self.meter.feed(self._tail + b"\n\n")
        self.meter.end()

    def flush(self) -> None:
        """Give out what was held back; the stream has ended well."""
        self._request.send(self._without_mark(self._tail) if self._first else self._tail)

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        return Circumstances(
            body=Body.EVENTS,
            terminal_passed=self.meter.complete,
            complete=self.meter.complete,
            # What is held back can be dropped, so an event may end wherever none is half passed on.
            can_tell=self._request.takes_chunks and not self.scanner.in_long_event,
            provider_error=self.meter.reading().error,
        )

    def standing(self) -> Standing:
        """How far the stream has come, for the dialect to speak into it."""
        return Standing(
            started=self.scanner.first_event_seen,
            after_id=self.scanner.saw_id,
            reading=self.meter.reading(),
        )

    @property
    def events(self) -> int:
        """Complete events passed on."""
        return self.scanner.events

    def reading(self) -> Reading:
        """What the meter saw."""
        return self.meter.reading()


class BodyRelay:
    """Passes any other body on as it comes."""

    events = 0

    def __init__(
        self,
        request: Request,
        meter: Meter | None,
        moments: Moments,
        clock: IReactorTime,
        mask: KeyMask | None = None,
    ) -> None:
        """`mask`: what hides the gateway's own key, where the body may tell it."""
        self.size = 0
        self._meter = meter
        self._mask = mask
        self._request = request
        self._moments = moments
        self._clock = clock

    def feed(self, data: bytes) -> None:
        """One read of the upstream's body."""
        self.size += len(data)
        moments = self._moments
        moments.last_byte = now = self._clock.seconds()
        if moments.first_event is None:
            moments.first_event = now
        if self._mask is not None:
            data = self._mask.feed(data)
        self._request.send(data)
        if self._meter is not None:
            self._meter.feed(data)

    def upstream_ended(self) -> None:
        """The body is whole."""
        if self._mask is not None:
            self._request.send(self._mask.finish())
        if self._meter is not None:
            self._meter.end()

    def flush(self) -> None:
        """Nothing is held back."""

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        return Circumstances(body=Body.OTHER)

    def reading(self) -> Reading:
        """What the meter saw."""
        return Reading() if self._meter is None else self._meter.reading()


class Collector:
    """Keeps the beginning of an answer that came after we had begun an event stream of our own.

    `full` is called once, when as much is there as is kept.  Nothing of this reaches the client, so
    its bytes are no sign of life: the silence, towards the client's keepalives as towards the
    upstream's deadline, lasts from the head.
    """

    events = 0

    def __init__(self, request: Request, full: Callable[[], None]) -> None:
        self.size = 0
        self.kept = b""
        self._request = request
        self._full = full

    def feed(self, data: bytes) -> None:
        """One read of the upstream's body."""
        self.size += len(data)
        self.kept += data[: COLLECTED - len(self.kept)]
        if len(self.kept) == COLLECTED:
            self._full()

    def upstream_ended(self) -> None:
        """Nothing to find out: the exchange tells what was kept."""

    def flush(self) -> None:
        """Nothing of it is passed on as it is."""

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        return Circumstances(body=Body.EVENTS, complete=False, can_tell=self._request.takes_chunks)

    def reading(self) -> Reading:
        """Nothing is metered."""
        return Reading()


#: Whatever takes the bytes of an upstream's body.
Relay = EventRelay | BodyRelay | Collector
