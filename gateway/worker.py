"""A worker: a process that serves for a supervisor.  ``python -m gateway.worker NAME GENERATION``.

It gets everything from its supervisor (`gateway.supervisor.assignment`), and does what that says
over the control connection (`gateway.supervisor.commands`).  When the supervisor is gone it accepts
no more, serves what it holds, and ends.

A terminal's SIGINT and SIGHUP go to the supervisor as well, which knows what is to be done; SIGTERM
has this worker alone drain and be replaced.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import socket
import sys
import time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, globalLogBeginner
from twisted.protocols.amp import AMP, Command
from twisted.python.failure import Failure

from . import journal, log_destination
from .admin.report import KINDS, kill, report
from .assembly import share
from .config import ConfigError, parse
from .listening import Listener
from .net.reactor import install
from .service import GatewayService, StartError
from .supervisor import assignment, commands
from .supervisor.assignment import Assignment, AssignmentError
from .supervisor.watchdog import BEAT

_log = Logger(namespace="gateway.worker")

#: Seconds in which the supervisor takes the last report.
_GOODBYE_TIME: Final = 2.0


class Worker:
    """The process, from its first words to its last."""

    def __init__(self, name: str, generation: int, reactor: Any) -> None:
        self.status = 0  #: how the process ends
        self._name = name
        self._generation = generation
        self._reactor = reactor
        self.control = _Control(self)
        self._service: GatewayService | None = None
        self._limit = 0.0
        self._ending = False  #: it accepts no more
        self._stopping = False  #: it takes no more requests
        self._pages: dict[str, list[bytes]] = {}
        self._beat = LoopingCall(self._say_beat)

    # Start.

    def begin(self) -> None:
        """Take up the control connection, and get ready.  The reactor runs."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        control = Factory.forProtocol(lambda: self.control)
        self._reactor.adoptStreamConnection(assignment.CONTROL, socket.AF_UNIX, control)
        os.close(assignment.CONTROL)
        try:
            self._service = self._open()
        except (AssignmentError, ConfigError, StartError) as error:
            self._fail(str(error))
            return
        except Exception:
            _log.failure("cannot start", kind=journal.Kind.INTERNAL_ERROR)
            self._fail(f"worker {self._name} cannot start: see the traceback in the log")
            return
        self._beat.clock = self._reactor
        self._beat.start(BEAT)
        self._say(commands.Ready)

    def _open(self) -> GatewayService:
        assigned = Assignment.from_file(assignment.ASSIGNMENT)
        os.close(assignment.ASSIGNMENT)
        config = parse(assigned.source, assigned.text.encode())
        labels: dict[str, str | int] = {"worker": self._name, "generation": self._generation}
        observer = log_destination.of_process(config, assigned.log, labels)
        globalLogBeginner.beginLoggingTo([observer])
        listeners = [
            Listener.from_fd(text, fd)
            for fd, text in enumerate(assigned.listen, assignment.LISTENERS)
        ]
        self._limit = config.gateway.drain_timeout
        service = GatewayService(
            share(config, assigned.workers), self._reactor, listeners=listeners
        )
        service.open()
        # What is there now stays: looking through it again and again would hold up streams.
        gc.collect()
        gc.freeze()
        return service

    def _fail(self, sentence: str) -> None:
        self.status = 1
        self._ending = True
        told = self._say(commands.Failed, sentence=sentence[: commands.SENTENCE])
        told.addBoth(lambda _: self._reactor.stop())

    # What the supervisor says.

    def serve(self) -> None:
        """See `commands.Serve`."""
        if self._service is not None and not self._ending:
            self._service.accept()

    def drain(self) -> None:
        """See `commands.Drain`."""
        if self._service is None or self._ending:
            return
        self._ending = True
        drained = self._service.drain(self._limit)
        drained.addCallback(lambda _: self.stop()).addErrback(self._broken)

    def stop(self) -> None:
        """See `commands.Stop`."""
        if self._service is not None and not self._stopping:
            self._ending = self._stopping = True
            Deferred.fromCoroutine(self._stop(self._service)).addErrback(self._broken)

    def hurry(self) -> None:
        """See `commands.Hurry`."""
        if self._service is not None:
            self._service.hurry()

    def report(self, kind: str, page: int) -> tuple[bytes, int]:
        """See `commands.Report`; raises `commands.UnknownReport`."""
        if self._service is None or kind not in KINDS:
            raise commands.UnknownReport(kind)
        if page == 0:
            self._pages[kind] = self._report(self._service, kind)
        pages = self._pages.get(kind, [])
        if page >= len(pages):
            raise commands.UnknownReport(f"{kind}, page {page}")
        if page == len(pages) - 1:
            del self._pages[kind]
        return pages[page], len(pages)

    def kill(self, stream: str) -> bool:
        """See `commands.Kill`."""
        if self._service is None:
            return False
        return kill(self._service, stream)

    def _report(self, service: GatewayService, kind: str) -> list[bytes]:
        said = report(service, kind, self._name, self._generation)
        return commands.pages(json.dumps(said).encode())

    def abandoned(self) -> None:
        """The supervisor is gone."""
        if not self._ending:
            _log.warn(
                "the supervisor is gone: serving what is held, then ending",
                kind=journal.Kind.DRAIN,
            )
        self.drain()

    # The end.

    def _on_sigterm(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._leave)

    def _leave(self) -> None:
        if not self._ending:
            self._say(commands.Leaving)
        self.drain()

    async def _stop(self, service: GatewayService) -> None:
        await service.stopService()
        if self._beat.running:
            self._beat.stop()
        await self._say_goodbye(service)
        self._reactor.stop()

    def _broken(self, failure: Failure) -> None:
        _log.failure("the end went wrong", failure=failure, kind=journal.Kind.INTERNAL_ERROR)
        self.status = 1
        self._reactor.stop()

    # What it says.

    def _say(self, command: type[Command], **arguments: object) -> Deferred[Any]:
        if self.control.transport is None or self.control.lost:
            return Deferred()
        said: Deferred[Any] = self.control.callRemote(  # type: ignore[no-untyped-call]
            command, **arguments
        )
        return said.addErrback(lambda _: None)

    def _say_beat(self) -> None:
        if self._service is not None and not self.control.lost:
            self.control.callRemote(  # type: ignore[no-untyped-call]
                commands.Beat,
                streams=self._service.streams,
                connections=self._service.connections,
            )

    async def _say_goodbye(self, service: GatewayService) -> None:
        if self.control.lost:
            return
        pages = self._report(service, "metrics")
        said: Deferred[Any] = Deferred()
        for number, page in enumerate(pages):
            said = self._say(commands.Goodbye, page=number, pages=len(pages), content=page)
        await said.addTimeout(_GOODBYE_TIME, self._reactor).addErrback(lambda _: None)


class _Control(AMP):
    """This end of the control connection."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lost = False
        self._worker = worker

    @commands.Serve.responder
    def _serve(self) -> dict[str, object]:
        self._worker.serve()
        return {}

    @commands.Drain.responder
    def _drain(self) -> dict[str, object]:
        self._worker.drain()
        return {}

    @commands.Stop.responder
    def _stop(self) -> dict[str, object]:
        self._worker.stop()
        return {}

    @commands.Hurry.responder
    def _hurry(self) -> dict[str, object]:
        self._worker.hurry()
        return {}

    @commands.Report.responder
    def _report(self, kind: str, page: int) -> dict[str, object]:
        content, pages = self._worker.report(kind, page)
        return {"content": content, "pages": pages}

    @commands.Kill.responder
    def _kill(self, stream: str) -> dict[str, object]:
        return {"killed": self._worker.kill(stream)}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The supervisor closed it, or is gone."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.lost = True
        self._worker.abandoned()


def main() -> int:
    """Be the worker whose name and generation are the arguments."""
    name, generation = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(assignment.CONTROL, False)
    os.set_inheritable(assignment.STACKS, False)
    faulthandler.register(signal.SIGUSR1, file=assignment.STACKS, all_threads=True)
    install()
    from twisted.internet import reactor

    # Twisted's reactors tell the time of day; a step of it would fire or stall every timer.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    worker = Worker(name, int(generation), reactor)
    reactor.callWhenRunning(worker.begin)
    reactor.run()
    return worker.status


if __name__ == "__main__":
    sys.exit(main())
