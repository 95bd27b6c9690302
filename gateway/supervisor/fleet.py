"""The supervisor's `gateway.admin.fleet.Fleet`: what its workers say, and what it knows itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from ..admin.fleet import State, Status, Worker
from ..admin.sums import Samples, departed
from .generation import Stage
from .generations import Generations
from .worker_process import WorkerProcess

_STATES = {
    Stage.STARTING: State.STARTING,
    Stage.READY: State.STARTING,
    Stage.SERVING: State.SERVING,
    Stage.LEAVING: State.DRAINING,
    Stage.KILLED: State.STOPPING,
}


class SupervisorFleet:
    """See the module's text."""

    def __init__(
        self,
        generations: Generations,
        workers: Callable[[], list[WorkerProcess]],
        source: str,
        stop: Callable[[], object],
    ) -> None:
        """`workers` are those that live; `source` is the configuration's file, `stop` stops all."""
        self.restarts = 0  #: workers that died and were replaced
        self.reloaded: bool | None = None  #: whether the last reload was taken
        self._generations = generations
        self._workers = workers
        self._source = source
        self._stop = stop
        self._told_to_stop = False
        self._gone: Samples = {}

    def forget(self, worker: WorkerProcess) -> None:
        """A worker is gone: keep what it had counted when it last said so."""
        if worker.snapshot is not None:
            self._gone = departed(self._gone, worker.snapshot["metrics"])

    def status(self) -> Status:
        """See `Fleet.status`."""
        generations = self._generations
        newest = generations.coming or generations.serving
        return Status(
            self._state(),
            0 if newest is None else newest.number,
            tuple(self._worker(worker) for worker in self._workers()),
            self._source,
            restarts=self.restarts,
            reloaded=self.reloaded,
        )

    def _state(self) -> State:
        generations = self._generations
        if generations.stopping:
            busy = any(worker.streams for worker in self._workers())
            return State.DRAINING if busy else State.STOPPING
        if generations.serving is None:
            return State.STARTING
        return State.RELOADING if generations.reloading else State.SERVING

    def _worker(self, worker: WorkerProcess) -> Worker:
        member = worker.member
        state = State.DRAINING if self._generations.stopping else _STATES[member.stage]
        number = member.generation.number
        return Worker(member.name, worker.pid, number, state, worker.streams, worker.since)

    def report(self, kind: str) -> Deferred[list[dict[str, Any]]]:
        """See `Fleet.report`."""
        asked = gatherResults([worker.report(kind) for worker in self._workers()])

        def told(reports: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
            said = [report for report in reports if report is not None]
            if kind == "metrics" and self._gone:
                said.append({"worker": "", "generation": 0, "metrics": self._gone})
            return said

        return asked.addCallback(told)

    def kill(self, stream_id: str) -> Deferred[bool]:
        """See `Fleet.kill`."""
        return gatherResults(
            [worker.kill_stream(stream_id) for worker in self._workers()]
        ).addCallback(any)

    def drain(self) -> None:
        """See `Fleet.drain`."""
        if not self._told_to_stop and not self._generations.stopping:
            self._told_to_stop = True
            self._stop()
