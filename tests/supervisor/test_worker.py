"""A worker's own side, with the connection to its supervisor in memory."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, connect

from gateway.supervisor.generation import Generation, Member
from gateway.supervisor.worker_process import WorkerProcess
from gateway.worker import Worker
from tests.supervisor.fakes import plan


class Stoppable(Clock):
    """A reactor that can be stopped."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


def test_one_that_cannot_start_ends_however_long_the_reason_is() -> None:
    """O7: a hook's own error may have any length, a message to the supervisor has not."""
    reactor = Stoppable()
    member = Member(Generation(1, plan()), 0, 0.0)
    process = WorkerProcess(member, cast(Any, object()), reactor)
    worker = Worker("g1w0", 1, reactor)
    pump = connect(
        process.control,
        FakeTransport(process.control, True),
        worker.control,
        FakeTransport(worker.control, False),
    )
    worker._fail("[hooks] module: \u20ac" + "\U0001f4a5" * 100_000)
    pump.flush()
    assert (worker.status, reactor.stopped) == (1, 1)
    assert process._sentence.startswith("[hooks] module: \u20ac\U0001f4a5")
