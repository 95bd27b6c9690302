"""Whom the admin listener asks: a gateway, whatever it consists of.

`LocalFleet` is one process that serves by itself; a supervisor has a `Fleet` of its own, which asks
its workers.  All methods are called in the reactor's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, execute

from .. import __version__

if TYPE_CHECKING:
    from ..service import GatewayService


class State(StrEnum):
    """Where a gateway, or one of its workers, stands."""

    STARTING = "starting"
    SERVING = "serving"
    RELOADING = "reloading"  #: serving, while another generation gets ready
    DRAINING = "draining"  #: no new connections; what runs goes on
    STOPPING = "stopping"

    @property
    def ready(self) -> bool:
        """Whether new connections are taken."""
        return self in (State.SERVING, State.RELOADING)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that serves."""

    name: str
    pid: int
    generation: int
    state: State
    streams: int  #: requests that run in it, when it last said so
    started: float  #: seconds since the epoch


@dataclass(frozen=True, slots=True)
class Status:
    """A gateway as a whole."""

    state: State
    generation: int  #: the newest; 1 is the first
    workers: tuple[Worker, ...]
    source: str  #: the configuration's file, or ``built-in``
    version: str = __version__
    restarts: int = 0  #: workers that died and were replaced, since the start
    #: Whether the last reload was taken; None: there was none.
    reloaded: bool | None = None

    @property
    def streams(self) -> int:
        """Requests that run, in all workers."""
        return sum(worker.streams for worker in self.workers)

    def as_json(self) -> dict[str, Any]:
        """As ``/api/v1/status`` tells it."""
        return {**asdict(self), "streams": self.streams}


class Fleet(Protocol):
    """See the module's text."""

    def status(self) -> Status:
        """How things stand, at once."""

    def report(self, kind: str) -> Deferred[list[dict[str, Any]]]:
        """What each living process has to say: see `gateway.admin.report.report`.

        Of ``metrics`` there may be one more than processes: the counters of those that are gone
        (`gateway.admin.sums.departed`).  Who does not answer in time is left out.
        """

    def kill(self, stream_id: str) -> Deferred[bool]:
        """End a request; whether it was there."""

    def drain(self) -> None:
        """Stop the whole gateway gracefully, as SIGTERM does; nothing if it stops already."""


class LocalFleet:
    """The `Fleet` of a process that serves by itself."""

    def __init__(
        self, service: GatewayService, source: str, started: float, stop: Callable[[], object]
    ) -> None:
        """`started` is the time of day, in seconds since the epoch; `stop` stops the process."""
        self._service = service
        self._source = source
        self._started = started
        self._stop = stop
        self._told_to_stop = False

    def status(self) -> Status:
        """See `Fleet.status`."""
        state, service = self._state(), self._service
        worker = Worker("gateway", os.getpid(), 1, state, service.streams, self._started)
        return Status(state, 1, (worker,), self._source)

    def _state(self) -> State:
        if self._service.accepting:
            return State.SERVING
        if self._service.assembly is None:
            return State.STARTING
        return State.DRAINING if self._service.streams else State.STOPPING

    def report(self, kind: str) -> Deferred[list[dict[str, Any]]]:
        """See `Fleet.report`."""

        from .report import report  # a supervisor, which has all this from its workers, need not

        def ask() -> list[dict[str, Any]]:
            return [report(self._service, kind, "gateway", 1)]

        return execute(ask)

    def kill(self, stream_id: str) -> Deferred[bool]:
        """See `Fleet.kill`."""
        from .report import kill

        return execute(kill, self._service, stream_id)

    def drain(self) -> None:
        """See `Fleet.drain`."""
        if not self._told_to_stop and self._service.accepting:
            self._told_to_stop = True
            self._stop()
