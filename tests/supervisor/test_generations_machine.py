"""Generations under any order of reloads, deaths and signals."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.task import Clock

from gateway.supervisor.generation import Generation, Member, Phase, Stage
from gateway.supervisor.generations import Generations
from tests.supervisor.fakes import Recorder, plan

MAX_DRAINING = 2


class Checked(Recorder):
    """Processes that live until they are ended; holds the rules of what may be done to them."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[Member] = []
        self.asked: dict[str, list[Member]] = {"serve": [], "hold": [], "kill": []}
        self.checks = 0
        self.swaps = 0
        self.stopped = False

    def spawn(self, member: Member) -> None:
        assert not self.stopped
        self.alive.append(member)

    def serve(self, member: Member) -> None:
        self._allowed(member)
        assert member not in self.asked["hold"], "it was told not to accept any more"
        self.asked["serve"].append(member)

    def drain(self, member: Member) -> None:
        self._allowed(member)
        self.asked["hold"].append(member)

    def stop(self, member: Member) -> None:
        self._allowed(member)
        self.asked["hold"].append(member)

    def hurry(self, member: Member) -> None:
        self._allowed(member)

    def kill(self, member: Member, why: str, *, stacks: bool) -> None:
        self._allowed(member)
        self.asked["kill"].append(member)

    def _allowed(self, member: Member) -> None:
        assert member in self.alive
        assert member not in self.asked["kill"], "nothing follows SIGKILL"

    def check(self) -> None:
        assert not self.checks
        assert not self.stopped
        self.checks += 1

    def swapped(self, new: Generation, old: Generation | None) -> None:
        self.swaps += 1
        assert any(member in self.asked["serve"] for member in new.members)

    def gone(self, generation: Generation) -> None:
        assert not [member for member in self.alive if member.generation is generation]


class Machine(RuleBasedStateMachine):
    """Every rule is something that happens to a supervisor."""

    @initialize(workers=st.integers(1, 3))
    def start(self, workers: int) -> None:
        self.clock = Clock()
        self.left: list[Member] = []
        self.world = Checked()
        self.plan = plan(workers, max_draining=MAX_DRAINING)
        self.generations = Generations(self.clock, self.world, self.world)
        self.generations.start(self.plan)

    @rule()
    def sighup(self) -> None:
        self.generations.reload()

    @precondition(lambda self: self.world.checks)
    @rule(good=st.booleans(), workers=st.integers(1, 3))
    def checked(self, good: bool, workers: int) -> None:
        self.world.checks -= 1
        made = plan(workers, max_draining=MAX_DRAINING) if good else None
        self.generations.checked(made)

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        self.generations.ready(data.draw(st.sampled_from(self.world.alive)))

    @precondition(lambda self: self.world.asked["serve"])
    @rule(data=st.data())
    def accepts(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.world.asked["serve"]))
        if member in self.world.alive:
            self.generations.accepts(member)

    @rule()
    def all_come_up(self) -> None:
        for member in list(self.world.alive):
            self.generations.ready(member)
        for member in self.world.asked["serve"]:
            if member in self.world.alive:
                self.generations.accepts(member)

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.world.alive))
        self.left.append(member)
        self.generations.leaves(member)

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def dies(self, data: st.DataObject) -> None:
        self._die(data.draw(st.sampled_from(self.world.alive)))

    @precondition(lambda self: self.world.alive)
    @rule()
    def the_oldest_dies(self) -> None:
        self._die(self.world.alive[0])

    def _die(self, member: Member) -> None:
        self.world.alive.remove(member)
        self.generations.died(member, "died")

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def is_stuck(self, data: st.DataObject) -> None:
        self.generations.kill(data.draw(st.sampled_from(self.world.alive)), "stuck")

    @rule(seconds=st.sampled_from([0.5, 1.0, 30.0, 60.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.world.swaps > 2)
    @rule()
    def sigterm(self) -> None:
        self.generations.stop()
        self.world.stopped = True

    @precondition(lambda self: self.world.stopped)
    @rule()
    def second_sigterm(self) -> None:
        self.generations.hurry()

    @invariant()
    def one_generation_serves_once_one_did(self) -> None:
        if self.world.swaps:
            serving = self.generations.serving
            assert serving is not None
            assert serving.phase is Phase.SERVING

    @invariant()
    def only_two_generations_accept_and_only_during_a_swap(self) -> None:
        asked = self.world.asked
        not_any_more = {*asked["hold"], *asked["kill"], *self.left}
        accepting = {
            member.generation
            for member in asked["serve"]
            if member in self.world.alive and member not in not_any_more
        }
        assert accepting <= {self.generations.serving, self.generations.coming}

    @invariant()
    def old_generations_are_bounded(self) -> None:
        assert self.generations.draining <= MAX_DRAINING

    @invariant()
    def every_process_is_known_until_it_died(self) -> None:
        assert set(self.world.alive) == set(self.generations.members())

    @invariant()
    def a_serving_generation_has_all_its_workers_or_awaits_them(self) -> None:
        serving = self.generations.serving
        if serving is not None and not self.generations.stopping:
            members = [m for m in serving.members if m.stage is not Stage.LEAVING]
            slots = {m.slot for m in members} | set(serving.waiting)
            assert slots == set(range(serving.plan.workers))

    def teardown(self) -> None:
        """Whatever happened: after a stop and all deaths it is over, once, and no timer is left."""
        if not hasattr(self, "generations"):
            return
        self.generations.stop()
        self.world.stopped = True
        for member in list(self.world.alive):
            self._die(member)
        assert self.world.over == 1
        assert self.clock.getDelayedCalls() == []


TestGenerations = Machine.TestCase
TestGenerations.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
