"""How many connections fit into what the kernel lets this process open (RLIMIT_NOFILE).

A process that has used up its descriptors can accept nothing, ask no upstream and open no file of
its ledger.  So it never comes to that: what connections may take ends `RESERVE` before the limit,
and whatever would not fit is turned away while there is still room to say so.

Where `room` is what connections may take together, and C the clients' connections, S the streams
among them, R those that are read on behind clients that have left, I the upstream connections that
wait in pools:

- a stream takes a second descriptor, so one more is admitted while C + S + R + I < room; it is
  answered 503 otherwise;
- a connection that has no stream and does not wait for a next request is one whose request is
  still to be judged.  A quarter of the room is for these, and streams leave it alone: whoever is
  to be told 503 has to be accepted first.  They have no more than that, so that a burst of
  connections cannot take what the streams need that it brings;
- shortly before the room is full, upstream connections that wait, then clients' kept-alive ones,
  are closed, one for each newcomer.

While no further connection fits, ports are not read.  Whoever shares the socket (another worker)
takes the connection then, and a burst waits in the kernel's queue for as long as it takes to refuse
those before it; a load balancer sees a slow answer instead of a connection that is cut.  Only what
comes in the same batch from accept(2) is closed at once.

Invariant: nothing here walks over connections; all are counts of what is kept elsewhere.
"""

from __future__ import annotations

import resource
from collections.abc import Collection, Iterable, Sized
from typing import Final, Protocol

from twisted.logger import Logger

_log = Logger(namespace="gateway.descriptors")

#: Descriptors for everything else: ledger, spool, logs, name resolution, pipes, the admin listener.
RESERVE: Final = 64
#: The soft limit is not raised beyond this: some libraries walk over all there could be.
HIGHEST: Final = 1_048_576


class Site(Protocol):
    """A listener's connections, as `gateway.front.site.GatewaySite` has them."""

    @property
    def open_channels(self) -> Collection[object]:
        """All of them."""

    @property
    def kept_alive(self) -> Collection[object]:
        """Those that wait for a next request."""

    def close_kept_alive(self) -> None:
        """Close the one of these that has waited longest."""


class Pool(Protocol):
    """Connections to an upstream, as `gateway.upstream.pool.Pool` has them."""

    @property
    def waiting(self) -> Sized:
        """Those that wait for use."""

    def close_oldest(self) -> None:
        """Close the one of these that has waited longest."""


class Port(Protocol):
    """A listening port that can be told not to read."""

    def pauseProducing(self) -> None:
        """Accept nothing for now."""

    def resumeProducing(self) -> None:
        """Accept again."""


class Descriptors:
    """See the module's text.  `limit` is how many descriptors the process may have open."""

    def __init__(self, limit: int) -> None:
        self.room = max(limit - RESERVE, limit // 2)
        self.unjudged = max(1, self.room // 4)  #: connections whose request is still to be judged
        self.paused = False  #: whether ports are not read
        self.turned_away = 0  #: connections that were closed as soon as they were accepted
        self._sites: Collection[Site] = ()
        self._pools: Collection[Pool] = ()
        self._ports: Collection[Port] = ()
        self._admitted: Collection[object] = ()
        self._reading_on: Collection[object] = ()

    def watch(
        self,
        sites: Collection[Site],
        pools: Collection[Pool],
        ports: Collection[Port],
        admitted: Collection[object],
        reading_on: Collection[object],
    ) -> None:
        """Count these, which may still change."""
        self._sites, self._pools, self._ports = sites, pools, ports
        self._admitted, self._reading_on = admitted, reading_on

    @property
    def used(self) -> int:
        """What connections take, or are about to."""
        used = len(self._admitted) + len(self._reading_on)
        for site in self._sites:
            used += len(site.open_channels)
        for pool in self._pools:
            used += len(pool.waiting)
        return used

    def fits_stream(self) -> bool:
        """Whether one more stream fits; asked once for each request."""
        # Streams leave what is for connections to be judged: to refuse one, it has to be accepted.
        streams = 2 * (len(self._admitted) + 1) + len(self._reading_on)
        return self._make_room() < self.room and streams + self.unjudged <= self.room

    def fits_connection(self) -> bool:
        """Whether one more client's connection fits; asked for each that was accepted."""
        if self._full():
            self._pause()
            self.turned_away += 1
            return False
        return True

    def connection_made(self) -> None:
        """A client's connection has been counted."""
        self._make_room()
        self.look()

    def connection_lost(self) -> None:
        """A client's connection is counted no more."""
        if self.paused:
            self.look()

    def look(self) -> None:
        """Accept no more if nothing fits, and again if it does; called when a count has changed."""
        if self._full():
            self._pause()
        elif self.paused:
            self.paused = False
            for port in self._ports:
                port.resumeProducing()

    def _full(self) -> bool:
        # As `used`, in one go with those whose request is still to be judged: twice a request.
        admitted = len(self._admitted)
        used, unjudged = admitted + len(self._reading_on), -admitted
        for site in self._sites:
            channels = len(site.open_channels)
            used += channels
            unjudged += channels - len(site.kept_alive)
        for pool in self._pools:
            used += len(pool.waiting)
        return used >= self.room or unjudged >= self.unjudged

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            for port in self._ports:
                port.pauseProducing()

    def _make_room(self) -> int:
        """Close one connection that nobody uses, if there will soon be no room; what is used."""
        used = self.used
        if used < self.room - self.unjudged // 2:
            return used
        for pool in self._pools:
            if pool.waiting:
                pool.close_oldest()
                return self.used
        fullest: Iterable[Site] = sorted(self._sites, key=lambda site: -len(site.kept_alive))
        for site in fullest:
            if site.kept_alive:
                site.close_kept_alive()
                break
        return self.used


def raise_limit() -> int:
    """Raise the soft limit of open descriptors as far as is allowed; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HIGHEST if hard == resource.RLIM_INFINITY else min(hard, HIGHEST)
    if soft != resource.RLIM_INFINITY and soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        _log.info("the limit of open files stays {soft}: {error}", soft=soft, error=error)
        return HIGHEST if soft == resource.RLIM_INFINITY else soft
    _log.debug("the limit of open files is raised from {soft} to {to}", soft=soft, to=wanted)
    return wanted
