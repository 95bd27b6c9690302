"""What the admin listener learns of a supervisor's workers."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, connect

from gateway.admin.fleet import State
from gateway.supervisor.fleet import SupervisorFleet
from gateway.supervisor.generations import Generations
from gateway.supervisor.worker_process import WorkerProcess
from gateway.worker import Worker
from tests.supervisor.fakes import Recorder, plan


class World:
    """A fleet of two workers, whose control connections are in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> None:
        self.clock = Clock()
        self.made = Recorder()
        self.generations = Generations(self.clock, self.made, self.made)
        self.generations.start(plan())
        self.stopped = 0
        self.killed: list[str] = []
        self.workers: list[WorkerProcess] = []
        self.pumps: list[Any] = []
        self.fleet = SupervisorFleet(
            self.generations, lambda: self.workers, "gateway.ini", self._stop
        )

        def report(service: object, kind: str, worker: str, generation: int) -> dict[str, Any]:
            return {"worker": worker, "generation": generation, kind: said[kind]}

        monkeypatch.setattr("gateway.worker.report", report)
        monkeypatch.setattr("gateway.worker.kill", self._kill)
        for member in self.made.spawned:
            process = WorkerProcess(member, cast(Any, self), self.clock)
            worker = Worker(member.name, 1, self.clock)
            worker._service = cast(Any, object())
            self.workers.append(process)
            self.pumps.append(
                connect(
                    process.control,
                    FakeTransport(process.control, True),
                    worker.control,
                    FakeTransport(worker.control, False),
                )
            )

    def _kill(self, service: object, stream: str) -> bool:
        self.killed.append(stream)
        return len(self.killed) == 2

    def _stop(self) -> None:
        self.stopped += 1

    def result(self, waited_for: Deferred[Any]) -> Any:
        """What a Deferred comes to once everything that was sent has arrived."""
        results: list[Any] = []
        waited_for.addCallback(results.append)
        for _ in range(10):
            for pump in self.pumps:
                pump.flush()
        [result] = results
        return result


def test_reports_of_any_length_come_from_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """O2: also those that are longer than a message can be."""
    rows = [{"id": "x" * 100, "number": number} for number in range(3000)]
    world = World(monkeypatch, {"streams": rows})
    reports = world.result(world.fleet.report("streams"))
    assert [report["worker"] for report in reports] == ["g1w0", "g1w1"]
    assert all(report["streams"] == rows for report in reports)


def test_what_workers_counted_that_are_gone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """O2: as they last said, so that sums never go backwards."""
    samples = {"gateway_events": [[["r", "u"], 5]]}
    world = World(monkeypatch, {"metrics": samples})
    world.result(world.fleet.report("metrics"))
    for _ in range(2):
        world.fleet.forget(world.workers.pop())
        world.pumps.pop()
    [gone] = world.result(world.fleet.report("metrics"))
    assert gone["metrics"]["gateway_events"] == [(["r", "u"], 10)]


def test_a_worker_that_does_not_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """O2: the others' reports do not wait for it."""
    world = World(monkeypatch, {"streams": []})
    world.pumps.pop()
    asked = world.fleet.report("streams")
    world.pumps[0].flush()
    world.clock.advance(2.0)
    reports = world.result(asked)
    assert [report["worker"] for report in reports] == ["g1w0"]


def test_a_stream_is_killed_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """O4: all workers are asked."""
    world = World(monkeypatch, {})
    assert world.result(world.fleet.kill("stream-1")) is True
    assert world.killed == ["stream-1"] * 2
    assert world.result(world.fleet.kill("stream-1")) is False


def test_the_status_tells_how_far_the_gateway_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """O2: from its start to its stop."""
    world = World(monkeypatch, {})
    assert world.fleet.status().state is State.STARTING
    for member in world.made.spawned:
        world.generations.ready(member)
    for member in world.made.spawned:
        world.generations.accepts(member)
    status = world.fleet.status()
    assert (status.state, status.generation) == (State.SERVING, 1)
    assert [worker.state for worker in status.workers] == [State.SERVING] * 2
    world.generations.reload()
    assert world.fleet.status().state is State.RELOADING
    world.generations.stop()
    assert world.fleet.status().state is State.STOPPING


def test_a_drain_stops_the_gateway_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """O4: a second one would be a second SIGTERM, which hurries."""
    world = World(monkeypatch, {})
    world.fleet.drain()
    world.fleet.drain()
    assert world.stopped == 1
