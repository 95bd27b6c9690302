"""The connections to one upstream: made on demand, kept for a short while after use.

The most recently used connection is taken first, so that few stay open.  Idle ones are closed after
`pool_idle_timeout` seconds, which has to be less than what the upstream allows: a connection that
the upstream closes while we reuse it fails a request that cannot safely be repeated.
"""

from __future__ import annotations

from collections import deque
from typing import NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from ..config.model import Upstream
from ..http1 import HeadLimits
from ..record import ErrorCode
from .connection import Connection, State
from .errors import UpstreamError, classify


class _Made(Factory):
    """Has made the one connection, which does not keep it, as it would one of Twisted's."""

    noisy = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> Connection:
        """The connection."""
        return self._connection


class Pool:
    """See the module's text."""

    def __init__(
        self, upstream: Upstream, endpoint: IStreamClientEndpoint, clock: IReactorTime
    ) -> None:
        self.upstream = upstream
        self._endpoint = endpoint
        self._clock = clock
        self._limits = HeadLimits()
        self._on_idle, self._on_closed = self._keep, self._forget  # the same for all connections
        self._idle: deque[tuple[float, Connection]] = deque()  # oldest first; when it expires
        self._sweep: IDelayedCall | None = None

    @property
    def idle(self) -> int:
        """How many connections wait for use."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """An idle connection, ready to send on, if there is one."""
        while self._idle:
            expires, connection = self._idle.pop()
            if connection.state is State.IDLE and expires > self._clock.seconds():
                return connection
            connection.abort()
        return None

    def connect(self) -> Deferred[Connection]:
        """A new connection, TLS handshake included, ready to send on.

        Fails with `UpstreamError`, also when `connect_timeout` passes.  Cancelling gives it up.
        """

        def timed_out(_: object, seconds: float) -> NoReturn:
            raise UpstreamError(ErrorCode.CONNECT_TIMEOUT, f"no connection within {seconds:g} s")

        def failed(failure: Failure) -> NoReturn:
            raise classify(failure, established=False)

        attempt = Deferred.fromCoroutine(self._connect())
        attempt.addTimeout(self.upstream.connect_timeout, self._clock, onTimeoutCancel=timed_out)
        return attempt.addErrback(failed)

    async def _connect(self) -> Connection:
        connection = Connection(
            secure=self.upstream.url.secure,
            limits=self._limits,
            on_idle=self._on_idle,
            on_closed=self._on_closed,
        )
        ready = connection.ready
        assert ready is not None
        await self._endpoint.connect(_Made(connection))
        return await ready

    def close(self) -> None:
        """Close what is idle; connections in use are closed by those who use them."""
        self._stop_sweeping()
        while self._idle:
            self._idle.pop()[1].abort()

    def close_oldest(self) -> None:
        """Close the connection that has waited longest, to make room for others."""
        if self._idle:
            self._idle.popleft()[1].abort()

    def _keep(self, connection: Connection) -> None:
        if len(self._idle) >= self.upstream.pool_size:
            connection.abort()
            return
        expires = self._clock.seconds() + self.upstream.pool_idle_timeout
        self._idle.append((expires, connection))
        if self._sweep is None:
            self._sweep = self._clock.callLater(self.upstream.pool_idle_timeout, self._expire)

    def _forget(self, connection: Connection) -> None:
        self._idle = deque(entry for entry in self._idle if entry[1] is not connection)
        if not self._idle:
            self._stop_sweeping()

    def _expire(self) -> None:
        self._sweep = None
        now = self._clock.seconds()
        while self._idle and self._idle[0][0] <= now:
            self._idle.popleft()[1].abort()
        if self._idle:
            self._sweep = self._clock.callLater(self._idle[0][0] - now, self._expire)

    def _stop_sweeping(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
