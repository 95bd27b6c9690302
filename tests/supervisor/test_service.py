"""The supervisor's service, without processes: what it keeps and tells while a reload goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.config import builtin
from gateway.ledger import LedgerError
from gateway.notify import Notifier
from gateway.supervisor.generation import Generation, Member, Phase, Stage
from gateway.supervisor.ledgers import Ledgers
from gateway.supervisor.plan import Plan, PlanError
from gateway.supervisor.service import SupervisorService
from tests.supervisor.fakes import plan


class Told(Notifier):
    """Keeps what systemd would be told."""

    def __init__(self) -> None:
        super().__init__({})
        self.states: list[str] = []

    def send(self, *states: str) -> None:
        self.states += states


class World:
    """A service whose first generation serves, and an older one drains; a check is up to a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.told = Told()
        self.checked: Deferred[Plan] = Deferred()
        self.threads: list[Deferred[None]] = []
        monkeypatch.setattr("gateway.supervisor.service.deferToThread", self._in_thread)
        first = self.plan("first")
        self.service = SupervisorService(
            builtin(), first, lambda: self.checked, Clock(), "stderr", self.told
        )
        self.service._ledgers.need(first)
        self.generations = self.service._generations
        self.generations.serving = serving = Generation(2, first, Phase.SERVING)
        serving.members.append(Member(serving, 0, 0.0, Stage.KILLED))
        self.old = Generation(1, self.plan("first"), Phase.DRAINING)
        self.service._processes.prepare(self.old.plan, [])

    def plan(self, name: str) -> Plan:
        """A plan whose state is in a folder of that name."""
        place = self.folder / name
        ledger = str(place / "ledger.sqlite")
        return replace(plan(), listen=(), state_dir=str(place), ledger=ledger)

    def _in_thread(self, what: Callable[..., None], *arguments: Any) -> Deferred[None]:
        """It is done, and the reactor does not know it yet."""
        what(*arguments)
        self.threads.append(Deferred())
        return self.threads[-1]


def test_the_ledger_of_a_plan_that_is_checked_stays_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """O3: though an old generation goes meanwhile, and no generation has the plan yet."""
    world = World(monkeypatch, tmp_path)
    world.generations.reload()
    world.checked.callback(world.plan("second"))
    world.service.gone(world.old)
    with pytest.raises(LedgerError, match="another gateway uses this ledger"):
        Ledgers("another one").need(world.plan("second"))
    world.threads[0].errback(LedgerError("it could not be opened after all"))
    Ledgers("another one").need(world.plan("second"))


def test_a_reload_that_fails_after_a_stop_has_begun_is_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """O2, O4: READY=1 after STOPPING=1 would say that the gateway serves."""
    world = World(monkeypatch, tmp_path)
    world.generations.reload()
    world.service.stopService()
    world.checked.errback(PlanError("gateway.ini:1: nonsense"))
    assert world.told.states[0] == "RELOADING=1"
    assert world.told.states[2:] == ["STOPPING=1"]


def test_a_plan_with_another_state_dir_has_a_key_before_its_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """O3: also if the ledger stays where it is; of several workers, each would make a key."""
    world = World(monkeypatch, tmp_path)
    moved = replace(world.plan("first"), state_dir=str(tmp_path / "moved"))
    world.service._ledgers.need(moved)
    assert (tmp_path / "moved" / "tenant.key").exists()
