"""The Site: what every connection of a listener shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.web.resource import IResource
from twisted.web.server import Site

from ..hosts import ANY_HOST, AllowedHosts
from ..http1 import HeadLimits
from .budget import BodyBudget
from .channel import Channel
from .date import HttpDate
from .patience import seconds_of
from .verdict import Door

if TYPE_CHECKING:
    from ..descriptors import Descriptors


@dataclass(frozen=True, slots=True)
class FrontLimits:
    """What a connection may take, and for how long.  Times in seconds."""

    head: HeadLimits = field(default_factory=HeadLimits)
    head_timeout: float = 15.0  #: from a request's first byte to the end of its head
    idle_timeout: float = 75.0  #: from one response to the first byte of the next request
    body_grace: float = 10.0  #: a body may come at any pace for so long; between looks at it
    body_rate: int = 1024  #: bytes a second that it has to come at after that
    write_timeout: float = 60.0  #: how long a client may take none of a response's last bytes
    linger: float = 2.0  #: how long a refused request's body is read and thrown away
    pipelined: int = 64 * 1024  #: bytes kept of what is sent behind a running request


class GatewaySite(Site):
    """A ``twisted.web`` Site whose connections are our `Channel`.

    `door` judges heads; `resource` renders requests, as in every Site.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        door: Door,
        reactor: IReactorTime,
        budget: BodyBudget,
        limits: FrontLimits | None = None,
        wall: Callable[[], float] = time.time,
        hosts: AllowedHosts = ANY_HOST,
        descriptors: Descriptors | None = None,
    ) -> None:
        """`hosts` are those that requests may name; who judges that is the door.

        Without `descriptors` nobody counts what connections take.
        """
        super().__init__(  # type: ignore[no-untyped-call]
            resource, reactor=reactor, parsePOSTFormSubmission=False
        )
        self.door = door
        self.budget = budget
        self.limits = limits or FrontLimits()
        self.waits = seconds_of(self.limits)
        self.date = HttpDate(wall)
        self.hosts = hosts
        self.open_channels: set[Channel] = set()
        #: Those that had an answer and wait for their next request, the longest waiting first.
        self.kept_alive: dict[Channel, None] = {}
        self._descriptors = descriptors

    def buildProtocol(self, addr: IAddress | None) -> TwistedProtocol | None:  # type: ignore[override]
        """A channel for one connection, or None, which closes it, if it does not fit."""
        if self._descriptors is not None and not self._descriptors.fits_connection():
            return None
        return Channel(self)

    def channel_opened(self, channel: Channel) -> None:
        """A client has connected."""
        self.open_channels.add(channel)
        if self._descriptors is not None:
            self._descriptors.connection_made()

    def channel_closed(self, channel: Channel) -> None:
        """Its connection has ended."""
        self.open_channels.discard(channel)
        self.kept_alive.pop(channel, None)
        self.channel_advanced()

    def channel_advanced(self) -> None:
        """A connection has begun or ended a request: another one may fit now, or none any more."""
        if self._descriptors is not None:
            self._descriptors.look()

    def close_kept_alive(self) -> None:
        """Close the connection that has waited longest for a next request."""
        channel = next(iter(self.kept_alive))
        del self.kept_alive[channel]
        channel.loseConnection()

    def startFactory(self) -> None:
        """Twisted's access log, and the clock that serves it, are not used."""

    def stopFactory(self) -> None:
        """See `startFactory`."""

    def log(self, request: object) -> None:
        """Requests are logged once, at their end, by the completion chain."""

    def close_idle(self, *, wait: bool = False) -> None:
        """Close the connections that have no request running; the others close after theirs.

        With `wait` those whose clients were not told of it wait a moment for one request more.
        """
        for channel in tuple(self.open_channels):
            channel.wind_down(wait=wait)

    def refuse_unfinished(self, message: str) -> None:
        """Answer requests whose head or body is still arriving with a 503."""
        for channel in tuple(self.open_channels):
            channel.refuse_unfinished(message)

    def abort_all(self) -> None:
        """Reset what is still open; the reactor's next turn does it."""
        for channel in tuple(self.open_channels):
            channel.abort()

    @property
    def clock(self) -> IReactorTime:
        """The clock of every deadline on this side."""
        return self.reactor
