"""The connections to one upstream: made on demand, kept for a short while after use.

The most recently used connection is taken first, so that few stay open.  Idle ones are closed after
`pool_idle_timeout` seconds, which has to be less than what the upstream allows: a connection that
the upstream closes while we reuse it fails a request that cannot safely be repeated.
"""

from __future__ import annotations

from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from ..config.model import Upstream
from ..http1 import HeadLimits
from ..record import ErrorCode
from .connection import Connection, State
from .errors import UpstreamError, classify


class Pool:
    """See the module's text."""

    def __init__(
        self, upstream: Upstream, endpoint: IStreamClientEndpoint, clock: IReactorTime
    ) -> None:
        self.upstream = upstream
        self._endpoint = endpoint
        self._clock = clock
        self._limits = HeadLimits()
        #: Connections that wait for use, oldest first, and when each expires.
        self.waiting: dict[Connection, float] = {}
        self._sweep: IDelayedCall | None = None

    @property
    def idle(self) -> int:
        """How many connections wait for use."""
        return len(self.waiting)

    def take(self) -> Connection | None:
        """An idle connection, ready to send on, if there is one."""
        while self.waiting:
            connection, expires = self.waiting.popitem()
            if connection.state is State.IDLE and expires > self._clock.seconds():
                return connection
            connection.abort()
        return None

    def connect(self) -> Deferred[Connection]:
        """A new connection, TLS handshake included, ready to send on.

        Fails with `UpstreamError`, also when `connect_timeout` passes.  Cancelling gives it up.
        """
        connection = Connection(
            secure=self.upstream.url.secure,
            limits=self._limits,
            on_idle=self._keep,
            on_closed=self._forget,
        )
        attempt: Deferred[Any] = self._endpoint.connect(_Only(connection))
        if connection.state is State.IDLE:
            return attempt  # a neighbour without TLS, who was there at once
        attempt.addCallback(lambda _: connection.ready or connection)
        attempt.addTimeout(self.upstream.connect_timeout, self._clock, _timed_out)
        return attempt.addErrback(_classified)

    def close(self) -> None:
        """Close what is idle; connections in use are closed by those who use them."""
        self._stop_sweeping()
        while self.waiting:
            self.waiting.popitem()[0].abort()

    def close_oldest(self) -> None:
        """Close the connection that has waited longest, to make room for others."""
        if self.waiting:
            self._abort(next(iter(self.waiting)))

    def _keep(self, connection: Connection) -> None:
        if len(self.waiting) >= self.upstream.pool_size:
            connection.abort()
            return
        self.waiting[connection] = self._clock.seconds() + self.upstream.pool_idle_timeout
        if self._sweep is None:
            self._sweep = self._clock.callLater(self.upstream.pool_idle_timeout, self._expire)

    def _forget(self, connection: Connection) -> None:
        self.waiting.pop(connection, None)
        if not self.waiting:
            self._stop_sweeping()

    def _expire(self) -> None:
        self._sweep = None
        now = self._clock.seconds()
        while self.waiting:
            oldest, expires = next(iter(self.waiting.items()))
            if expires > now:
                self._sweep = self._clock.callLater(expires - now, self._expire)
                break
            self._abort(oldest)

    def _abort(self, connection: Connection) -> None:
        del self.waiting[connection]
        connection.abort()

    def _stop_sweeping(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None


class _Only(Factory):
    """Has the one protocol that waits for its connection."""

    noisy = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> Connection:
        return self._connection


def _timed_out(_: object, seconds: float) -> NoReturn:
    raise UpstreamError(ErrorCode.CONNECT_TIMEOUT, f"no connection within {seconds:g} s")


def _classified(failure: Failure) -> NoReturn:
    raise classify(failure, established=False)
