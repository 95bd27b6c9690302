"""All worker processes: what `Generations` has done to them, and what they tell it.

A generation's workers share its `Assignment` and its sockets, which are kept until it is gone, for
replacements.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.logger import Logger, LogLevel

from ..journal.kinds import Kind
from ..listening import Listener
from .assignment import Assignment
from .generation import Generation, Member
from .generations import Generations
from .plan import Plan
from .watchdog import Watchdog
from .worker_process import WorkerProcess

_log = Logger(namespace="gateway.supervisor")

#: Seconds after which a killed process that still exists will not go without help.
_HOPELESS: Final = 30.0


class Processes:
    """See the module's text.  `generations` is set by whoever makes both."""

    generations: Generations

    def __init__(
        self,
        reactor: Any,
        watchdog_limit: float,
        log: str,
        on_end: Callable[[WorkerProcess], object],
    ) -> None:
        """`log` is where workers' logs go, see `Assignment`; `on_end` is told of each that ends."""
        self._on_end = on_end
        self._reactor = reactor
        self._log_to = log
        self._watchdog: Watchdog[WorkerProcess] = Watchdog(watchdog_limit, reactor.seconds())
        self._limit = watchdog_limit
        self._workers: dict[Member, WorkerProcess] = {}
        self._killed: dict[Member, float] = {}
        self._files: dict[Plan, int] = {}
        self._sockets: dict[Plan, Sequence[Listener]] = {}

    # What a generation needs.

    def prepare(self, plan: Plan, listeners: Sequence[Listener]) -> None:
        """Keep at hand what the workers of a plan are given."""
        assigned = Assignment(plan.source, plan.text, plan.workers, plan.listen, self._log_to)
        self._files[plan] = assigned.to_file()
        self._sockets[plan] = listeners

    def discard(self, plan: Plan) -> None:
        """No worker of a plan will be started any more."""
        os.close(self._files.pop(plan))
        del self._sockets[plan]

    # What is asked.

    def workers(self) -> list[WorkerProcess]:
        """Those that live; those of the oldest generation first."""
        members = self.generations.members()
        return [self._workers[member] for member in members if member in self._workers]

    def streams(self) -> Mapping[Generation, int]:
        """How many streams are open, at the last beats."""
        found: Counter[Generation] = Counter()
        for member, worker in self._workers.items():
            found[member.generation] += worker.streams
        return found

    def look(self, now: float) -> bool:
        """Kill those that are stuck; False if one that was killed does not go."""
        for worker in self._watchdog.look(now):
            why = f"its reactor has not run for {self._limit:g} s"
            self.generations.kill(worker.member, why)
        return all(now - since < _HOPELESS for since in self._killed.values())

    # `Launcher`.

    def spawn(self, member: Member) -> None:
        """See `Launcher`."""
        plan = member.generation.plan
        worker = self._workers[member] = WorkerProcess(member, self, self._reactor)
        worker.spawn(self._sockets[plan], self._files[plan], piped=self._log_to == "pipe")

    def serve(self, member: Member) -> None:
        """See `Launcher`."""
        self._workers[member].serve()

    def drain(self, member: Member) -> None:
        """See `Launcher`."""
        self._workers[member].drain()

    def stop(self, member: Member) -> None:
        """See `Launcher`."""
        self._workers[member].stop()

    def hurry(self, member: Member) -> None:
        """See `Launcher`."""
        self._workers[member].hurry()

    def kill(self, member: Member, why: str, *, stacks: bool) -> None:
        """See `Launcher`."""
        worker = self._workers[member]
        kind = Kind.WORKER_STUCK if stacks else None
        _tell(LogLevel.error, worker, "is killed: {why}", kind, why=why)
        self._killed[member] = self._reactor.seconds()
        self._watchdog.forget(worker)
        worker.kill(why, stacks=stacks)

    # `Owner`.

    def worker_ready(self, worker: WorkerProcess) -> None:
        """See `Owner`."""
        self.generations.ready(worker.member)

    def worker_accepts(self, worker: WorkerProcess) -> None:
        """See `Owner`."""
        _tell(LogLevel.info, worker, "serves", Kind.WORKER_STARTED)
        self.generations.accepts(worker.member)

    def worker_leaves(self, worker: WorkerProcess) -> None:
        """See `Owner`."""
        _tell(LogLevel.info, worker, "was told to end and drains", Kind.DRAIN)
        self.generations.leaves(worker.member)

    def worker_beats(self, worker: WorkerProcess) -> None:
        """See `Owner`."""
        if worker.member in self._workers and worker.member not in self._killed:
            self._watchdog.beat(worker, self._reactor.seconds())

    def worker_ended(self, worker: WorkerProcess, why: str) -> None:
        """See `Owner`."""
        del self._workers[worker.member]
        self._on_end(worker)
        self._killed.pop(worker.member, None)
        self._watchdog.forget(worker)
        self.generations.died(worker.member, why)


def _tell(level: Any, worker: WorkerProcess, what: str, kind: Kind | None, **more: object) -> None:
    """Log `what` a worker does."""
    member = worker.member
    _log.emit(
        level,
        f"worker {{worker}} (pid {{pid}}) {what}",
        worker=member.name,
        pid=worker.pid,
        generation=member.generation.number,
        kind=kind,
        **more,
    )
