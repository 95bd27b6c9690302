"""What the gateway says itself in a stream, while the upstream is silent.

The first beat may come before the upstream's head: then it begins the event stream, and commits the
exchange to one.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from ..config.model import KeepaliveMode, Route
from ..dialects.base import FRESH, Dialect, Peek
from ..http1.framing import CHUNKED
from .deadlines import Moments
from .forward import OWN_STREAM_HEAD
from .keepalive import Keepalive
from .recipient import Recipient
from .relay import Relay, StreamRelay


class Voice:
    """See the module's text."""

    __slots__ = (
        "_beat", "_clock", "_dialect", "_keepalive", "_moments", "_request", "_route", "beats",
        "began_stream",
    )  # fmt: skip

    def __init__(
        self,
        route: Route,
        dialect: Dialect,
        request: Recipient,
        moments: Moments,
        clock: IReactorTime,
        beat: Callable[[], None],
    ) -> None:
        """`beat` is called where a beat is due; it calls `speak`, or lets it be."""
        self.began_stream = False  #: a head of our own has been written
        self.beats = 0
        self._route = route
        self._dialect = dialect
        self._request = request
        self._moments = moments
        self._clock = clock
        self._beat = beat
        self._keepalive: Keepalive | None = None

    def start(self, peek: Peek) -> None:
        """Begin to listen for silences, where the client waits for an event stream; once."""
        route = self._route
        if self._keepalive is not None:
            return
        if route.keepalive is KeepaliveMode.OFF or not (peek.stream and peek.events):
            return
        if not self._dialect.keepalive(FRESH):
            return
        after = 0.0 if route.keepalive is KeepaliveMode.IMMEDIATE else route.keepalive_after
        self._keepalive = Keepalive(
            after, route.keepalive_interval, self._moments, self._clock, self._beat
        )

    def stop(self) -> None:
        """Say no more.  May be called at any time, more than once."""
        if self._keepalive is not None:
            self._keepalive.stop()

    def speak(self, relay: Relay | None) -> None:
        """Write a beat, if this is a place where one may stand."""
        if self._moments.paused is not None:
            return
        standing = FRESH
        if isinstance(relay, StreamRelay):
            if relay.meter.complete or not relay.scanner.injectable:
                return
            standing = relay.standing()
        beat = self._dialect.keepalive(standing)
        if not beat:
            return
        if isinstance(relay, StreamRelay):
            relay.spoken()
        elif not self.began_stream:
            self.began_stream = True
            self._request.start(200, b"OK", OWN_STREAM_HEAD, CHUNKED)
        self.beats += 1
        self._moments.heard = self._clock.seconds()
        self._request.send_beat(beat)
