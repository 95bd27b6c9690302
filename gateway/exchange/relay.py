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

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime

from ..dialects.base import Dialect, Meter, Reading, Standing, StreamKind
from ..dialects.long_events import show
from ..http1 import ResponseHead
from ..jsonstream import ArrayScanner, LineScanner
from ..sse import BOM, EventScanner
from ..usage_injection import without_usage_chunk
from .deadlines import Moments
from .life import Body, Circumstances
from .mask import KeyMask
from .recipient import Recipient

#: Bytes kept of an answer that cannot be passed on and has to be told in an error event.
COLLECTED = 64 * 1024

_SCANNERS: Final[Mapping[StreamKind, Callable[[], EventScanner | LineScanner | ArrayScanner]]] = {
    StreamKind.EVENTS: EventScanner,
    StreamKind.LINES: LineScanner,
    StreamKind.ARRAY: ArrayScanner,
}


class Outlet(Protocol):
    """Where a stream goes: a `Request`, or what stands in front of one."""

    @property
    def takes_chunks(self) -> bool:
        """Whether the client understands chunks."""

    def send(self, data: bytes) -> None:
        """Write a piece of the body."""


class StreamRelay:
    """Passes a stream on, whole events (or lines, or elements of an array) at a time."""

    streamed = True

    __slots__ = (
        "_clock", "_first", "_kind", "_moments", "_over", "_request", "_spoken", "_tail", "_whole",
        "mask", "meter", "scanner", "size", "strip_usage",
    )  # fmt: skip

    def __init__(
        self,
        request: Outlet,
        dialect: Dialect,
        kind: StreamKind,
        moments: Moments,
        clock: IReactorTime,
        over: Callable[[], None],
    ) -> None:
        """`over` is called when nothing of the stream can follow what was passed on."""
        self.meter: Meter = dialect.stream_meter(kind)
        self.scanner = _SCANNERS[kind]()
        self.size = 0
        self._kind = kind
        self._request = request
        self._moments = moments
        self._clock = clock
        self._over = over
        self._tail = b""
        self._whole: Reading | None = None  # what the meter saw, when it has seen all
        self._first = True  # nothing of it has been passed on
        self._spoken = False
        #: Whether the chunk with usage comes because the gateway asked for it: no client's then.
        self.strip_usage = False
        #: What hides the gateway's own key.
        self.mask: KeyMask | None = None

    def feed(self, data: bytes) -> None:
        """One read of the upstream's body."""
        self.size += len(data)
        self._moments.last_byte = now = self._clock.seconds()
        scanner, meter = self.scanner, self.meter
        block = scanner.feed(data)
        if not block:
            return
        self._moments.heard = now
        shown = self._edited(block) if self._first or self.strip_usage else block
        self._request.send(shown if self.mask is None else self.mask.feed(shown))
        if scanner.whole is None:
            meter.feed(block)
        else:
            show(meter, block, scanner)
        if self._moments.first_event is None and scanner.first_event_seen:
            self._moments.first_event = now
        if meter.over:
            self._over()

    def _edited(self, block: bytes) -> bytes:
        """The block as the client is to see it."""
        whole = self.scanner.whole or slice(0, len(block))
        if self.strip_usage:
            block = block[: whole.start] + without_usage_chunk(block[whole]) + block[whole.stop :]
        return self._without_mark(block) if self._first else block

    def _without_mark(self, beginning: bytes) -> bytes:
        """The first bytes to pass on; behind a beat a byte order mark would be no mark any more."""
        self._first = False
        return beginning.removeprefix(BOM) if self._spoken else beginning

    def spoken(self) -> None:
        """A beat has been written: what the upstream sends is no longer the client's first byte."""
        self._spoken = True

    def upstream_ended(self) -> None:
        """The body is whole as HTTP goes; is it as the dialect goes?"""
        self._tail = tail = self.scanner.finish()
        if self._kind is not StreamKind.EVENTS:
            self.scanner.events += self._kind is StreamKind.LINES and bool(tail.strip())
            self.meter.feed(tail)  # a last line needs no line feed, and the bracket was held
        elif tail.startswith(b"data: [DONE]"):
            # Some servers leave out the blank line behind it.  No other unfinished event counts:
            # no client dispatches it, so it cannot be what makes a stream whole.
            self.meter.feed(tail + b"\n\n")
        self.meter.end()
        self._whole = self.meter.reading()

    def flush(self) -> None:
        """Give out what was held back; the stream has ended well."""
        tail = self._tail
        if self.mask is not None:
            tail = self.mask.feed(tail) + self.mask.finish()
        self._request.send(self._without_mark(tail) if self._first else tail)

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        return Circumstances(
            body=Body.STREAM,
            terminal_passed=self.meter.complete,
            complete=self.meter.complete,
            # What is held back can be dropped, so an event may end wherever none is half passed on.
            can_tell=self._request.takes_chunks and not self.scanner.in_long_event,
            provider_error=self.reading().error,
        )

    def standing(self) -> Standing:
        """How far the stream has come, for the dialect to speak into it."""
        return Standing(
            kind=self._kind,
            started=self.scanner.first_event_seen,
            after_id=self.scanner.saw_id,
            reading=self.reading(),
        )

    @property
    def events(self) -> int:
        """Complete events passed on."""
        return self.scanner.events

    def reading(self) -> Reading:
        """What the meter saw."""
        return self.meter.reading() if self._whole is None else self._whole


#: What a signal meets where a body is passed on that nothing can be said into.
_COMMITTED: Final = Circumstances(body=Body.OTHER)


class BodyRelay:
    """Passes any other body on as it comes."""

    __slots__ = (
        "_clock", "_mask", "_meter", "_moments", "_request", "_whole", "size", "streamed",
    )  # fmt: skip

    events = 0

    def __init__(
        self,
        request: Recipient,
        meter: Meter | None,
        moments: Moments,
        clock: IReactorTime,
        mask: KeyMask | None = None,
        *,
        streamed: bool,
    ) -> None:
        """`mask`: what hides the gateway's own key, where the body may tell it.

        `streamed`: it is the answer to a request for a stream, though nothing can be said into it.
        """
        self.size = 0
        self.streamed = streamed
        self._whole: Reading | None = None  # what the meter saw, when it has seen all
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
            self._whole = self._meter.reading()

    def flush(self) -> None:
        """Nothing is held back."""

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        error = self.reading().error if self.streamed else None
        return _COMMITTED if error is None else replace(_COMMITTED, provider_error=error)

    @property
    def sound(self) -> bool:
        """Whether all that came was read, and holds no error of the provider's."""
        reading = self.reading()
        return self._meter is not None and reading.error is None and reading.usage_problem is None

    def reading(self) -> Reading:
        """What the meter saw."""
        if self._whole is not None:
            return self._whole
        return Reading() if self._meter is None else self._meter.reading()


class Collector:
    """Keeps the beginning of an answer that came after we had begun an event stream of our own.

    `full` is called once with what is kept, when that is all there will be.  `meter` reads all of
    it: a whole answer in place of a stream has its price, too.  Nothing of this reaches the client,
    so its bytes are no sign of life: the silence, towards the client's keepalives as towards the
    upstream's deadline, lasts from the head.
    """

    events = 0
    streamed = False  # what has begun is ours

    def __init__(
        self,
        request: Recipient,
        head: ResponseHead,
        meter: Meter | None,
        full: Callable[[bytes], None],
    ) -> None:
        self.head = head
        self.size = 0
        self.kept = b""
        self._request = request
        self._meter = meter
        self._full = full

    def feed(self, data: bytes) -> None:
        """One read of the upstream's body."""
        self.size += len(data)
        self.kept += data[: COLLECTED - len(self.kept)]
        if self._meter is not None:
            self._meter.feed(data)
        if len(self.kept) == COLLECTED:
            self._full(self.kept)

    def upstream_ended(self) -> None:
        """The answer is whole; the exchange tells what was kept."""
        if self._meter is not None:
            self._meter.end()

    def flush(self) -> None:
        """Nothing of it is passed on as it is."""

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        return Circumstances(body=Body.STREAM, complete=False, can_tell=self._request.takes_chunks)

    def reading(self) -> Reading:
        """What the meter saw."""
        return Reading() if self._meter is None else self._meter.reading()


#: Whatever takes the bytes of an upstream's body.
Relay = StreamRelay | BodyRelay | Collector
