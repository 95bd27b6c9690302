"""The end of the listeners' connections, when the gateway stops or another process takes over.

In this order: connections that wait for a request are closed (a drain for a reload leaves them, and
those that come to wait after it, a moment for one more, since their clients may have sent it
already: `gateway.front.patience.ON_ITS_WAY`); what runs or arrives has
its time, until the client has taken the last byte of the answer; then streams end with an error
event, requests that are not whole are refused, and their clients have a moment to take that; what
is still open is reset.  A connection is never closed under an answer that its client has not taken:
a FIN there would make the answer look whole.

Afterwards no exchange runs and no connection is open, so that no row can follow.

Requests that come meanwhile, on connections that are still open, are judged by the door, which asks
`Drain.accepting`.  A stop refuses them from its beginning on (503); a drain for a reload serves
them, because their clients cannot tell that another process would have been right: only when its
time is over are they refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from .exchange.services import Running
from .front.site import GatewaySite
from .journal.kinds import Kind

_log = Logger(namespace="gateway.draining")

#: Seconds that clients have in any case for the last words that they are told.
LAST_WORDS: Final = 2.0
#: Seconds between two looks at what is left.
_LOOK: Final = 0.05


class Drain:
    """See the module's text.  `sites` may be filled until `run`."""

    def __init__(self, sites: Sequence[GatewaySite], clock: IReactorTime) -> None:
        self._sites = sites
        self._clock = clock
        self._running: Collection[Running] = ()
        self._hurried = False
        self.accepting = True  #: whether new requests are served; whoever stops sets it False

    def hurry(self) -> None:
        """Wait no longer: the first time, for streams to end; the second, for their last words."""
        self._hurried = True

    async def run(self, running: Collection[Running], limit: float) -> None:
        """End everything; streams have `limit` seconds.  The listeners accept no more."""
        self._running = running
        deadline = self._clock.seconds() + limit
        for site in self._sites:
            site.close_idle(wait=self.accepting)
        if not self._nothing_left():
            _log.info(
                "waiting up to {limit:g} s for {streams} on {connections};"
                " a second signal ends them now",
                limit=limit,
                streams=_counted(len(running), "stream"),
                connections=_counted(self._connections(), "connection"),
                kind=Kind.DRAIN,
            )
        if self.accepting:
            await self._wait(limit, lambda: not self.accepting)
            for site in self._sites:
                site.close_idle()
        await self._wait(deadline - self._clock.seconds())
        self.accepting = False
        self._drain_all()
        for site in self._sites:
            site.refuse_unfinished("the gateway is stopping")
        self._hurried = False
        await self._wait(LAST_WORDS)
        # The first of those that share an answer is here once that is over, and still takes it.
        self._drain_all()
        left = self._connections()
        if left:
            _log.warn(
                "reset {count} connections whose clients did not take all",
                count=left,
                kind=Kind.DRAIN,
            )
        for site in self._sites:
            site.abort_all()
        await deferLater(self._clock, 0)  # resets are done in the reactor's next turn

    def _drain_all(self) -> None:
        for answer in tuple(self._running):
            answer.drain()

    def _connections(self) -> int:
        return sum(len(site.open_channels) for site in self._sites)

    def _nothing_left(self) -> bool:
        return not self._running and not self._connections()

    async def _wait(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Wait until nothing is left, or it is `enough`, at most so long."""
        deadline = self._clock.seconds() + seconds

        def look() -> None:
            if (
                self._nothing_left()
                or self._hurried
                or enough()
                or self._clock.seconds() >= deadline
            ):
                loop.stop()

        loop = LoopingCall(look)
        loop.clock = self._clock
        await loop.start(_LOOK)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
