"""Backpressure: the client's pace becomes the upstream's.

What a client does not take fills its transport's buffer; then its upstream is not read, and the
kernel slows the upstream down.  Between `Pressure.pauseProducing` and `Pressure.resumeProducing`,
and between `Pressure.hold` and `Pressure.release`, the upstream's deadlines stand still.
"""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from ..front.progress import Progress
from ..upstream.connection import Connection
from .deadlines import Deadlines, Moments
from .recipient import Recipient


@implementer(IPushProducer)
class Pressure:
    """Turns the client's pace into the upstream's: the producer of the client's channel."""

    __slots__ = ("_clock", "_connection", "_deadlines", "_moments", "_request", "paused_seconds")

    def __init__(
        self,
        request: Recipient,
        connection: Connection,
        moments: Moments,
        deadlines: Deadlines,
        clock: IReactorTime,
    ) -> None:
        self._request = request
        self._connection = connection
        self._moments = moments
        self._deadlines = deadlines
        self._clock = clock
        self.paused_seconds = 0.0

    def pauseProducing(self) -> None:
        """The client's buffer is full: stop reading from the upstream."""
        if self._moments.paused is None:
            progress = Progress(self._request.taken)
            progress.begin()
            self._deadlines.client_took = progress.made
            self._moments.paused = self._moments.taken = self._clock.seconds()
            self._connection.pause()
            self._deadlines.look()

    def resumeProducing(self) -> None:
        """The client has taken everything: read again."""
        if self._moments.paused is not None:
            self.account()
            if not self._moments.held:
                self._connection.resume()
            self._deadlines.look()

    def hold(self) -> None:
        """Do not read from the upstream, though the client would take more: we need time."""
        self._moments.held = True
        self._connection.pause()

    def release(self) -> None:
        """We are ready for more; what the client has paused stays so."""
        if self._moments.held:
            self._moments.held = False
            if self._moments.paused is None:
                self._moments.last_byte = self._clock.seconds()
                self._connection.resume()
                self._deadlines.look()
            else:
                self._moments.last_byte = self._moments.paused  # the rest, when that pause ends

    def stopProducing(self) -> None:
        """The client's connection is going; the request tells the exchange."""

    def account(self) -> None:
        """A pause ends now: add it to `paused_seconds`, move the upstream's last byte by it."""
        if self._moments.paused is not None:
            length = self._clock.seconds() - self._moments.paused
            self.paused_seconds += length
            self._moments.last_byte += length
            self._moments.paused = None
