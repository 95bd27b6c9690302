"""The service of a gateway with workers: signals, and the order of everything.

Start: sockets and ledger, then the first generation; READY when its workers accept.  What keeps it
from that is told in one line, and the process ends with 1.

SIGHUP: the file is checked, new addresses are bound, and a new generation takes over; if any of
this fails, nothing has changed.  One that came during the start is a reload after it.  SIGTERM or
SIGINT: nobody accepts any more, workers end as one process would, and the supervisor ends after
them; said again, they hurry.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ..admin.errors import AdminError
from ..config import Config
from ..journal.kinds import Kind
from ..ledger import LedgerError
from ..listening import ListenError
from ..manager import Manager
from ..notify import Notifier, watchdog_interval
from ..signals import take_hangups
from . import watchdog
from .admin import Admin
from .exiting import exit_with
from .fleet import SupervisorFleet
from .generation import Generation, Member
from .generations import Generations
from .ledgers import Ledgers
from .plan import Plan, PlanError
from .processes import Processes
from .sockets import Sockets
from .status import status

_log = Logger(namespace="gateway.supervisor")

#: Problems of a file that are logged: one that is no configuration has one in every line, and
#: telling of 100,000 keeps the supervisor busy for ten seconds.
_MOST_PROBLEMS: Final = 100


class SupervisorService(Service):
    """See the module's text."""

    name = "gateway"

    def __init__(
        self,
        config: Config,
        plan: Plan,
        check: Callable[[], Deferred[Plan]],
        reactor: Any,
        log: str,
        notifier: Notifier | None = None,
    ) -> None:
        """`config` and `plan` are the first ones, `check` finds the next plan; `log` is as
        `Assignment` has it."""
        self._plan = plan
        self._find_plan = check
        self._next: Plan | None = None  #: it was found valid, and is not yet a generation's
        self._reactor = reactor
        interval = watchdog_interval()
        self._manager = Manager(notifier or Notifier(), interval)
        self._sockets = Sockets()
        self._ledgers = Ledgers(f"process {os.getpid()}, instance {socket.gethostname()}")
        self._processes = Processes(
            reactor, watchdog.limit(interval), log, lambda worker: self.fleet.forget(worker)
        )
        self._generations = Generations(reactor, self._processes, self)
        self._processes.generations = self._generations
        #: What the admin listener asks.
        self.fleet = SupervisorFleet(
            self._generations, self._processes.workers, plan.source, lambda: _terminate(reactor)
        )
        self._admin = Admin(config, self.fleet, reactor)
        self._look = LoopingCall(self._looked)
        self._look.clock = reactor
        self._done: Deferred[None] = Deferred()
        self._signalled = False
        self._failed = False

    # Start.

    def startService(self) -> None:
        """Take sockets and ledger, or end the process with 1 and a line that says why."""
        try:
            self._ledgers.need(self._plan)
            self._prepare(self._plan)
        except (LedgerError, ListenError) as error:
            _log.critical("cannot start: {why}", why=str(error), kind=Kind.START_FAILED)
            sys.exit(1)
        super().startService()  # type: ignore[no-untyped-call]
        if take_hangups(self._on_hangup):
            # It may have been meant for a file that was written after this start had read it.
            self._reactor.callFromThread(self._generations.reload)
        self._reactor.callWhenRunning(self._running)

    def _prepare(self, plan: Plan) -> None:
        self._processes.prepare(plan, self._sockets.take(plan.listen))

    def _running(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            first = signal.getsignal(number)
            if callable(first):
                signal.signal(number, self._on_signal(first))
        self._look.start(watchdog.BEAT)
        self._generations.start(self._plan)
        try:
            self._admin.start()
        except AdminError as error:
            self.failed(str(error))
            self._generations.stop()

    # Signals.

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._generations.reload)

    def _on_signal(
        self, first: Callable[[int, FrameType | None], object]
    ) -> Callable[[int, FrameType | None], None]:
        def handler(number: int, frame: FrameType | None) -> None:
            if not self._signalled:
                self._signalled = True
                first(number, frame)
            else:
                self._reactor.callFromThread(self._generations.hurry)

        return handler

    def _looked(self) -> None:
        alive = self._processes.look(self._reactor.seconds())
        self._tell(alive)

    def _tell(self, alive: bool = True) -> None:
        generations = self._generations
        self._manager.look(
            status(generations, self._processes.streams()),
            self._reactor.seconds(),
            stopping=generations.stopping and not self._failed,
            alive=alive,
        )

    # `Events`.

    def check(self) -> None:
        """See `Events`."""
        _log.info("a reload begins", kind=Kind.RELOAD)
        self._manager.reloading()
        Deferred.fromCoroutine(self._check()).addErrback(self._unexpected)

    async def _check(self) -> None:
        plan = None
        try:
            plan = self._next = await self._find_plan()
            await deferToThread(self._ledgers.need, plan)
            if not self._generations.stopping:
                self._prepare(plan)
        except PlanError as error:
            self._refused(*error.problems)
            plan = None
        except (LedgerError, ListenError) as error:
            self._refused(str(error))
            plan = None
        self._generations.checked(plan)
        self._next = None

    def _refused(self, *problems: str) -> None:
        for problem in problems[:_MOST_PROBLEMS]:
            _log.error("{problem}", problem=problem, kind=Kind.BAD_CONFIGURATION)
        if more := len(problems[_MOST_PROBLEMS:]):
            _log.error(
                "{more} more problems are not told here; gatewayctl check tells all of them",
                more=more,
                kind=Kind.BAD_CONFIGURATION,
            )
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        self._goes_on(f"reload refused for {count}, nothing was changed")

    def _goes_on(self, remark: str) -> None:
        """A reload was in vain; once a stop has begun, nobody needs to know."""
        if self._generations.stopping:
            return
        serving = self._generations.serving
        assert serving is not None
        self._next = None
        self._sockets.go_back(serving.plan.listen)
        self._keep_ledgers()
        self.fleet.reloaded = False
        _log.error(
            "{remark}; generation {number} goes on",
            remark=remark,
            number=serving.number,
            kind=Kind.RELOAD,
        )
        self._manager.ready(remark)

    def _unexpected(self, failure: Any) -> None:
        _log.failure("the reload failed", failure=failure, kind=Kind.INTERNAL_ERROR)
        self._goes_on("reload failed")
        self._generations.checked(None)

    def waits(self, why: str) -> None:
        """See `Events`."""
        _log.info("the reload waits: {why}", why=why, kind=Kind.RELOAD)

    def replaces(self, member: Member, delay: float) -> None:
        """See `Events`."""
        self.fleet.restarts += 1
        _log.info("worker {worker} is replaced in {delay:g} s", worker=member.name, delay=delay)

    def swapped(self, new: Generation, old: Generation | None) -> None:
        """See `Events`."""
        plan = new.plan
        closed = self._sockets.keep(plan.listen)
        _log.info(
            "generation {number} serves with {workers} worker(s), as {source} says",
            number=new.number,
            workers=plan.workers,
            source=plan.source,
            kind=Kind.START if old is None else Kind.RELOAD,
        )
        if old is None:
            _log.info("rows go to {place}", place=plan.rows_go_to, kind=Kind.START)
        else:
            self.fleet.reloaded = True
            self._admin.follow(plan)
            _log.info(
                "generation {number} drains for up to {limit:g} s",
                number=old.number,
                limit=old.plan.drain_timeout,
                kind=Kind.RELOAD,
            )
        for sentence in plan.advice:
            _log.warn("{sentence}", sentence=sentence, kind=Kind.ADVICE)
        for text in plan.listen:
            _log.info("listening on {description}", description=text, kind=Kind.READY)
        for text in closed:
            _log.info("not listening on {description} any more", description=text)
        self._manager.ready()
        self._reactor.callLater(0, self._tell)

    def given_up(self, generation: Generation, why: str) -> None:
        """See `Events`."""
        self._goes_on(f"generation {generation.number} did not come to serve: {why}")

    def gone(self, generation: Generation) -> None:
        """See `Events`."""
        _log.info("generation {number} is gone", number=generation.number, kind=Kind.RELOAD)
        self._processes.discard(generation.plan)
        self._keep_ledgers()

    def _keep_ledgers(self) -> None:
        plans = [each.plan for each in self._generations.all()]
        self._ledgers.keep(plans if self._next is None else [*plans, self._next])

    def failed(self, why: str) -> None:
        """See `Events`."""
        self._failed = True
        _log.critical("cannot start: {why}", why=why, kind=Kind.START_FAILED)

    def ended(self) -> None:
        """See `Events`."""
        if self._look.running:
            self._look.stop()
        self._ledgers.keep([])
        if self._failed:
            exit_with(1)
            self._reactor.callLater(0, self._reactor.stop)
        self._admin.stop().addErrback(
            lambda failure: _log.failure("the admin listener did not close", failure=failure)
        ).chainDeferred(self._done)

    # Stop.

    def stopService(self) -> Deferred[None]:
        """Stop accepting, let the workers end, then end."""
        super().stopService()  # type: ignore[no-untyped-call]
        _log.info("stopping", kind=Kind.STOP)
        if not self._failed:
            self._manager.stopping()
        self._sockets.keep()
        self._generations.stop()
        return self._done


def _terminate(reactor: Any) -> None:
    """As SIGTERM does, the first one."""
    if reactor.running:
        os.kill(os.getpid(), signal.SIGTERM)
