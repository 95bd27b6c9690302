"""One worker's process: started, spoken to, listened to, ended, and waited for.

What it inherits is `gateway.supervisor.assignment`'s list of descriptors, and nothing else.  Where
the supervisor's log is not its standard error, the worker's lines come through pipes and go into
that log.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.protocols.amp import AMP, Command
from twisted.python.failure import Failure

from ..journal.kinds import Kind
from ..listening import Listener
from . import assignment, commands, python
from .generation import Member

_log = Logger(namespace="gateway.supervisor")

#: Seconds that a stuck worker has for writing its threads' stacks.
_STACK_TIME: Final = 0.5
#: Seconds between a process's end and the end of its pipes, which something it started may hold.
_PIPE_TIME: Final = 1.0
#: Bytes that are kept of stacks, of a line, and of a report.
_MOST_STACKS: Final = 1 << 16
_MOST_LINE: Final = 1 << 16
_MOST_PAGES: Final = 1000
#: Seconds that a worker has for a page of a report.
_REPORT_TIME: Final = 2.0
_ENDED_WELL: Final = "has ended"
_LEVELS: Final = (
    *(LogLevel.critical,) * 3,
    LogLevel.error,
    *(LogLevel.warn,) * 2,
    LogLevel.info,
    LogLevel.debug,
)


class Owner(Protocol):
    """Who is told what a worker does."""

    def worker_ready(self, worker: WorkerProcess) -> None:
        """It could accept."""

    def worker_accepts(self, worker: WorkerProcess) -> None:
        """It accepts."""

    def worker_leaves(self, worker: WorkerProcess) -> None:
        """It was told by a signal to end."""

    def worker_beats(self, worker: WorkerProcess) -> None:
        """Its reactor runs."""

    def worker_ended(self, worker: WorkerProcess, why: str) -> None:
        """Its process is over, and waited for."""


class WorkerProcess(ProcessProtocol):
    """See the module's text."""

    transport: IProcessTransport

    def __init__(self, member: Member, owner: Owner, reactor: Any) -> None:
        self.member = member
        self.pid = 0
        self.streams = 0  #: open ones, at the last beat
        self.connections = 0
        self.since = time.time()  #: when it was started, as seconds since the epoch
        self.snapshot: dict[str, Any] | None = None  #: its last report of metrics
        self._owner = owner
        self._reactor = reactor
        self.control = _Control(self)
        self._asking = DeferredLock()
        self._sentence = ""
        self._killed_for = ""
        self._stacks = bytearray()
        self._lines = {1: bytearray(), 2: bytearray()}
        self._goodbye = bytearray()
        self._over = False

    # To the worker.

    def spawn(self, listeners: Sequence[Listener], file: int, *, piped: bool) -> None:
        """Start the process; `worker_ended` follows in any case, if only because it cannot."""
        try:
            self._spawn(listeners, file, piped)
        except OSError as error:
            self._reactor.callLater(0, self._ended, f"could not be started: {error}")

    def _spawn(self, listeners: Sequence[Listener], file: int, piped: bool) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs, open(os.devnull, "r+b", buffering=0) as null:
            descriptors: dict[int, int | str] = {
                0: null.fileno(),
                1: "r" if piped else 1,
                2: "r" if piped else 2,
                assignment.CONTROL: theirs.fileno(),
                assignment.ASSIGNMENT: file,
                assignment.STACKS: "r",
            }
            for position, listener in enumerate(listeners, assignment.LISTENERS):
                descriptors[position] = listener.fileno()
            ours.setblocking(False)
            # Before there is a process, so that there is none if this fails.
            factory = Factory.forProtocol(lambda: self.control)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
            arguments = python.command(
                "gateway.worker", self.member.name, str(self.member.generation.number)
            )
            self._reactor.spawnProcess(
                self, sys.executable, arguments, python.environment(), childFDs=descriptors
            )
        self.pid = self.transport.pid

    def serve(self) -> None:
        """Have it accept; `worker_accepts` follows."""
        self._tell(commands.Serve).addCallback(
            lambda answer: None if answer is None else self._owner.worker_accepts(self)
        )

    def drain(self) -> None:
        """Have it accept no more, and end when nothing is left."""
        self._tell(commands.Drain)

    def stop(self) -> None:
        """Have it stop as at the gateway's end."""
        self._tell(commands.Stop)

    def hurry(self) -> None:
        """Have it wait no longer."""
        self._tell(commands.Hurry)

    def kill(self, why: str, *, stacks: bool) -> None:
        """End it with SIGKILL; with `stacks`, after it has written what its threads do."""
        self._killed_for = why
        if stacks:
            self._signal(signal.SIGUSR1)
            self._signal(signal.SIGCONT)  # one that was stopped could not tell
            self._reactor.callLater(_STACK_TIME, self._signal, signal.SIGKILL)
        else:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.pid and not self._over:
            # It may be over, and waited for, while its pipes are not.
            with contextlib.suppress(ProcessExitedAlready):
                self.transport.signalProcess(number)

    def _tell(self, command: type[Command], **arguments: object) -> Deferred[Any]:
        """Fires with None if the worker is gone before it answers: `worker_ended` follows."""
        if self._over or self.control.transport is None:
            return succeed(None)
        answer: Deferred[Any] = self.control.callRemote(  # type: ignore[no-untyped-call]
            command, **arguments
        )
        return answer.addErrback(lambda _: None)

    def kill_stream(self, stream: str) -> Deferred[bool]:
        """End a stream; whether it has it."""
        asked = self._tell(commands.Kill, stream=stream)
        return asked.addCallback(lambda answer: bool(answer and answer["killed"]))

    def report(self, kind: str) -> Deferred[dict[str, Any] | None]:
        """See `gateway.admin.report.report`; None if it gives none, or not in time."""
        return self._asking.run(lambda: Deferred.fromCoroutine(self._report(kind)))

    async def _report(self, kind: str) -> dict[str, Any] | None:
        content = bytearray()
        for page in range(_MOST_PAGES):
            asked = self._tell(commands.Report, kind=kind, page=page)
            asked.addTimeout(_REPORT_TIME, self._reactor, onTimeoutCancel=lambda *_: None)
            answer = await asked
            if answer is None:
                return None
            content += answer["content"]
            if page + 1 >= answer["pages"]:
                break
        report: dict[str, Any] = json.loads(content)
        if kind == "metrics":
            self.snapshot = report
        return report

    # From the worker.

    def said_ready(self) -> None:
        """See `commands.Ready`."""
        self._owner.worker_ready(self)

    def said_failed(self, sentence: str) -> None:
        """See `commands.Failed`."""
        self._sentence = sentence

    def said_beat(self, streams: int, connections: int) -> None:
        """See `commands.Beat`."""
        self.streams, self.connections = streams, connections
        self._owner.worker_beats(self)

    def said_leaving(self) -> None:
        """See `commands.Leaving`."""
        self._owner.worker_leaves(self)

    def said_goodbye(self, page: int, pages: int, content: bytes) -> None:
        """See `commands.Goodbye`."""
        self._goodbye += content
        if page + 1 == pages:
            self.snapshot = json.loads(self._goodbye)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803 - Twisted's
        if childFD == assignment.STACKS:
            self._stacks += data[: _MOST_STACKS - len(self._stacks)]
            return
        buffer = self._lines[childFD]
        buffer += data
        *lines, rest = buffer.split(b"\n")
        if len(rest) > _MOST_LINE:
            lines.append(rest)
            rest = bytearray()
        self._lines[childFD] = rest
        for line in lines:
            _relay(line)

    def processExited(self, reason: Failure) -> None:  # noqa: N802 - Twisted's
        self._reactor.callLater(_PIPE_TIME, self._ended, _how(reason))

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's
        self._ended(_how(reason))

    def _ended(self, how: str) -> None:
        if self._over:
            return
        self._over = True
        for line in self._lines.values():
            _relay(line)
        if self.control.transport is not None:
            self.control.transport.loseConnection()
        name, pid = self.member.name, self.pid
        if self._stacks:
            _log.error(
                "worker {worker} (pid {pid}) did this when it was stuck:\n{stacks}",
                worker=name,
                pid=pid,
                stacks=self._stacks.decode("utf-8", "replace").rstrip(),
                generation=self.member.generation.number,
                kind=Kind.WORKER_STUCK,
            )
        why = self._sentence or f"worker {name} (pid {pid}) {how}"
        if self._killed_for:
            why = f"worker {name} (pid {pid}) was killed: {self._killed_for}"
        well = how == _ENDED_WELL
        _log.emit(
            LogLevel.info if well else LogLevel.error,
            "{why}",
            why=why,
            worker=name,
            generation=self.member.generation.number,
            kind=None if well else Kind.WORKER_DIED,
        )
        self._owner.worker_ended(self, why)


class _Control(AMP):
    """The supervisor's end of the control connection."""

    def __init__(self, worker: WorkerProcess) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._worker = worker

    @commands.Ready.responder
    def _ready(self) -> dict[str, object]:
        self._worker.said_ready()
        return {}

    @commands.Failed.responder
    def _failed(self, sentence: str) -> dict[str, object]:
        self._worker.said_failed(sentence)
        return {}

    @commands.Beat.responder
    def _beat(self, streams: int, connections: int) -> dict[str, object]:
        self._worker.said_beat(streams, connections)
        return {}

    @commands.Leaving.responder
    def _leaving(self) -> dict[str, object]:
        self._worker.said_leaving()
        return {}

    @commands.Goodbye.responder
    def _goodbye(self, page: int, pages: int, content: bytes) -> dict[str, object]:
        self._worker.said_goodbye(page, pages, content)
        return {}


def _how(reason: Failure) -> str:
    value = reason.value
    if isinstance(value, ProcessTerminated) and value.signal is not None:
        return f"was killed by {signal.Signals(value.signal).name}"
    if isinstance(value, ProcessDone):
        return _ENDED_WELL
    return f"ended with status {getattr(value, 'exitCode', None) or 0}"


def _relay(line: bytes | bytearray) -> None:
    """Log a line of a worker's, whose priority stands in front of it (sd-daemon(3))."""
    if not line:
        return
    text, level = line.decode("utf-8", "replace"), LogLevel.info
    if len(text) > 2 and text[0] == "<" and text[2] == ">" and text[1] in "01234567":
        text, level = text[3:], _LEVELS[int(text[1])]
    _log.emit(level, "{line}", line=text)
