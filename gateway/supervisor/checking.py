"""Has a file judged by a process of the installed code (`gateway.supervisor.plan`)."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from . import python
from .plan import Plan, PlanError

#: Seconds that the check may take.
_LIMIT: Final = 60.0
#: Bytes that are kept of what it writes.
_MOST: Final = 1 << 24


def check(reactor: Any, path: str, source: str) -> Deferred[Plan]:
    """The plan that the file at `path` makes, as it stands now; `source` is its name in messages.

    Fails with `PlanError`.
    """
    judge = _Judge(reactor)
    arguments = python.command("gateway.supervisor.plan", path, source)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        reactor.spawnProcess(
            judge, arguments[0], arguments, python.environment(), childFDs={0: null, 1: "r", 2: "r"}
        )
    except OSError as error:
        return _failed(f"{source}: the file could not be checked: {error}")
    finally:
        os.close(null)
    return judge.done


def _failed(problem: str) -> Deferred[Plan]:
    done: Deferred[Plan] = Deferred()
    done.errback(PlanError(problem))
    return done


class _Judge(ProcessProtocol):
    transport: IProcessTransport

    def __init__(self, reactor: Any) -> None:
        self.done: Deferred[Plan] = Deferred()
        self._written = {1: bytearray(), 2: bytearray()}
        self._late = False
        self._timer: IDelayedCall = reactor.callLater(_LIMIT, self._kill)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803 - Twisted's
        self._written[childFD] += data[: _MOST - len(self._written[childFD])]

    def _kill(self) -> None:
        self._late = True
        with contextlib.suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's
        if self._timer.active():
            self._timer.cancel()
        try:
            if self._late:
                raise PlanError(f"the check of the configuration took longer than {_LIMIT:g} s")
            if not self._written[1]:
                said = self._written[2].decode("utf-8", "replace").strip()
                raise PlanError(f"the check of the configuration failed: {said or reason.value}")
            self.done.callback(Plan.from_json(bytes(self._written[1])))
        except PlanError as error:
            self.done.errback(error)
