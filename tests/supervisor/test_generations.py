"""Generations of workers: how they take over from one another, and what becomes of workers."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.supervisor.backoff import Backoff
from gateway.supervisor.generation import Generation, Member
from gateway.supervisor.generations import GRACE, START_LIMIT, Generations
from tests.supervisor.fakes import Recorder, plan


class World:
    """Generations, with a first one that has been asked to start."""

    def __init__(
        self, workers: int = 2, max_draining: int = 4, made: Recorder | None = None
    ) -> None:
        self.clock = Clock()
        self.made = made or Recorder()
        self.plan = plan(workers, max_draining=max_draining)
        self.generations = Generations(self.clock, self.made, self.made)
        self.generations.start(self.plan)

    def member(self, name: str) -> Member:
        """The youngest worker of that name."""
        return [member for member in self.generations.members() if member.name == name][-1]

    def ready(self, *names: str) -> None:
        for name in names:
            self.generations.ready(self.member(name))

    def accept(self, *names: str) -> None:
        for name in names:
            self.generations.accepts(self.member(name))

    def die(self, *names: str) -> None:
        for name in names:
            self.generations.died(self.member(name), f"{name} died")

    def serving(self) -> World:
        """The first generation serves, and what was told so far is forgotten."""
        self.bring_up(1)
        return self

    def bring_up(self, number: int) -> None:
        """Let all workers of a generation come to serve."""
        names = [f"g{number}w{slot}" for slot in range(self.plan.workers)]
        self.ready(*names)
        self.accept(*names)
        self.made.take()

    def reload(self) -> None:
        """Ask for a reload of a good file."""
        self.generations.reload()
        self.generations.checked(self.plan)


def test_no_worker_accepts_before_all_of_a_generation_are_ready() -> None:
    """O3: so one that is given up has cut nothing."""
    world = World()
    world.ready("g1w0")
    assert world.made.take() == ["spawn g1w0", "spawn g1w1"]
    world.ready("g1w1")
    assert world.made.take() == ["serve g1w0", "serve g1w1"]
    world.accept("g1w0")
    assert world.made.take() == []
    world.accept("g1w1")
    assert world.made.take() == ["swap to 1"]


def test_the_old_generation_drains_when_the_new_one_accepts() -> None:
    """O3: not before, so that somebody always does."""
    world = World().serving()
    world.reload()
    world.ready("g2w0", "g2w1")
    world.accept("g2w0")
    assert world.made.take() == [
        "check", "spawn g2w0", "spawn g2w1", "serve g2w0", "serve g2w1",
    ]  # fmt: skip
    world.accept("g2w1")
    assert world.made.take() == ["swap to 2", "drain g1w0", "drain g1w1"]
    world.die("g1w0", "g1w1")
    assert world.made.take() == ["gone 1"]


def test_the_old_generation_drains_whatever_is_wrong_with_telling_of_the_swap() -> None:
    """O3: else both would serve for good, and nobody would know of the old one."""

    class Broken(Recorder):
        def swapped(self, new: Generation, old: Generation | None) -> None:
            super().swapped(new, old)
            if old is not None:
                raise OSError("no descriptor is left")

    world = World(made=Broken()).serving()
    world.reload()
    world.ready("g2w0", "g2w1")
    world.accept("g2w0")
    with pytest.raises(OSError, match="no descriptor"):
        world.accept("g2w1")
    assert world.made.take()[-3:] == ["swap to 2", "drain g1w0", "drain g1w1"]


def test_a_bad_file_changes_nothing() -> None:
    """O1: nobody is started."""
    world = World().serving()
    world.generations.reload()
    world.generations.checked(None)
    assert world.made.take() == ["check"]
    assert not world.generations.reloading


def test_reloads_during_a_swap_are_one_after_it() -> None:
    """O3: the file may have changed since the first was read."""
    world = World().serving()
    world.reload()
    world.generations.reload()
    world.generations.reload()
    assert world.made.take() == ["check", "spawn g2w0", "spawn g2w1", "wait"]
    world.ready("g2w0", "g2w1")
    world.accept("g2w0", "g2w1")
    assert world.made.take().count("check") == 1


def test_a_reload_waits_while_too_many_old_generations_drain() -> None:
    """O3: nothing is cut to make room for it."""
    world = World(workers=1, max_draining=1).serving()
    world.reload()
    world.bring_up(2)
    world.generations.reload()
    world.generations.reload()
    assert world.made.take() == ["wait"]
    world.die("g1w0")
    assert world.made.take() == ["gone 1", "check"]


def test_a_generation_of_which_a_worker_dies_before_it_is_ready_is_given_up() -> None:
    """O3: the old one goes on, and the others of the new one, which serve nobody, are killed."""
    world = World().serving()
    world.reload()
    world.ready("g2w0")
    world.made.take()
    world.die("g2w1")
    assert world.made.take() == ["kill g2w0", "give up 2: g2w1 died"]
    world.die("g2w0")
    assert world.made.take() == ["gone 2"]
    assert world.generations.serving is not None
    assert world.generations.serving.number == 1


def test_a_generation_that_is_not_ready_in_time_is_given_up() -> None:
    """O3: only the late one is to blame."""
    world = World().serving()
    world.reload()
    world.ready("g2w0")
    world.made.take()
    world.clock.advance(START_LIMIT)
    why = "worker g2w1 was not ready within 60 s"
    assert world.made.take() == ["kill g2w1", "kill g2w0", f"give up 2: {why}"]


def test_a_first_generation_that_does_not_start_is_the_end() -> None:
    """O7: nobody is tried again, and all are waited for."""
    world = World()
    world.made.take()
    world.die("g1w1")
    assert world.made.lost == ["g1w1 died"]
    assert (world.made.take(), world.made.over) == (["kill g1w0"], 0)
    world.die("g1w0")
    assert world.made.over == 1


def test_a_worker_that_dies_is_replaced_after_waits_that_double() -> None:
    """O5: up to half a minute."""
    world = World().serving()
    for delay in (1, 2, 4, 8, 16, 30, 30):
        world.die("g1w1")
        assert world.made.take() == [f"replace g1w1 in {delay}"]
        world.clock.advance(delay)
        assert world.made.take() == ["spawn g1w1"]


def test_waits_begin_anew_after_a_worker_that_lived_for_a_minute() -> None:
    """O5: what happened before is forgotten."""
    backoff = Backoff()
    assert [backoff.after(0) for _ in range(3)] == [1, 2, 4]
    assert [backoff.after(59.9), backoff.after(60), backoff.after(0)] == [8, 1, 2]


def test_a_replacement_accepts_as_soon_as_it_is_ready() -> None:
    """O5: there is nobody to wait for."""
    world = World().serving()
    world.die("g1w1")
    world.clock.advance(1)
    world.made.take()
    world.ready("g1w1")
    assert world.made.take() == ["serve g1w1"]


def test_a_replacement_that_does_not_get_ready_is_killed_and_replaced() -> None:
    """O5: the others serve on."""
    world = World().serving()
    world.die("g1w1")
    world.clock.advance(1)
    world.made.take()
    world.clock.advance(START_LIMIT)
    assert world.made.take() == ["kill g1w1"]
    world.die("g1w1")
    assert world.made.take() == ["replace g1w1 in 1"]


def test_a_worker_that_a_signal_told_to_end_is_replaced_at_once() -> None:
    """O4: it alone drains."""
    world = World().serving()
    leaving = world.member("g1w0")
    world.generations.leaves(leaving)
    assert world.made.take() == ["spawn g1w0"]
    world.generations.died(leaving, "over")
    assert world.made.take() == []


def test_a_replacement_that_dies_is_replaced_though_the_one_before_still_drains() -> None:
    """O5: what drains accepts nothing, so of one worker's place nobody would for that long."""
    world = World(workers=1).serving()
    world.generations.leaves(world.member("g1w0"))
    world.die("g1w0")
    assert world.made.take() == ["spawn g1w0", "replace g1w0 in 1"]
    world.clock.advance(1)
    assert world.made.take() == ["spawn g1w0"]


def test_a_worker_that_dies_while_a_new_generation_opens_does_not_stop_it() -> None:
    """O5, O3: it is replaced as any other."""
    world = World().serving()
    world.reload()
    world.ready("g2w0", "g2w1")
    world.made.take()
    world.die("g2w0")
    assert world.made.take() == ["replace g2w0 in 1"]
    world.accept("g2w1")
    assert world.made.take() == ["swap to 2", "drain g1w0", "drain g1w1"]


def test_a_worker_that_does_not_end_in_its_time_is_killed() -> None:
    """O4: its own deadlines come first."""
    world = World().serving()
    world.reload()
    world.bring_up(2)
    world.clock.advance(600 + GRACE - 0.01)
    assert world.made.take() == []
    world.clock.advance(0.01)
    assert world.made.take() == ["kill g1w0", "kill g1w1"]


def test_a_stop_stops_every_generation_and_starts_nobody() -> None:
    """O4: also those that drain already."""
    world = World().serving()
    world.reload()
    world.bring_up(2)
    world.die("g2w0")
    world.made.take()
    world.generations.stop()
    assert world.made.take() == ["stop g1w0", "stop g1w1", "stop g2w1"]
    world.generations.reload()
    world.clock.advance(10)
    assert world.made.take() == []
    world.die("g1w0", "g1w1", "g2w1")
    assert world.made.over == 1
    assert world.clock.getDelayedCalls() == []


@pytest.mark.parametrize("again", [1, 2])
def test_workers_hurry_when_they_are_told_again(again: int) -> None:
    """O4: each further signal goes on to them."""
    world = World().serving()
    world.generations.stop()
    world.made.take()
    for _ in range(again):
        world.generations.hurry()
    assert world.made.take() == ["hurry g1w0", "hurry g1w1"] * again
    world.clock.advance(GRACE)
    assert world.made.take() == ["kill g1w0", "kill g1w1"]


def test_nobody_is_replaced_in_a_generation_that_drains() -> None:
    """O5, O3: not even who died just before."""
    world = World().serving()
    world.reload()
    world.ready("g2w0", "g2w1")
    world.die("g1w0")
    world.accept("g2w0", "g2w1")
    world.made.take()
    world.clock.advance(5)
    assert world.made.take() == []


def test_what_was_checked_when_a_stop_was_asked_for_is_not_started() -> None:
    """O4, O3: nobody is, from then on."""
    world = World().serving()
    world.generations.reload()
    world.generations.stop()
    world.made.take()
    world.generations.checked(world.plan)
    assert world.made.take() == []


def test_a_worker_that_is_told_to_end_before_its_generation_serves_gives_that_up() -> None:
    """O4, O3: the old one goes on."""
    world = World().serving()
    world.reload()
    world.made.take()
    world.generations.leaves(world.member("g2w0"))
    why = "worker g2w0 was told to end"
    assert world.made.take() == ["kill g2w0", "kill g2w1", f"give up 2: {why}"]
