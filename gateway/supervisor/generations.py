"""Which workers there are, and what becomes of them.

A generation is a configuration and the workers that serve by it.  Its life: *starting* (its workers
get ready, and accept nothing), *opening* (all are ready and are told to accept), *serving*,
*draining* (a newer one serves; no more connections, but what it holds), gone.  One that does not
come to *opening* is *given up*: its workers, which have accepted nothing, are killed.

Invariants.  One generation serves, two while one takes over from the other, and never none once one
did.  At most ``max_draining`` drain; a reload that would make one more waits.  A reload that is
asked for during another comes after it; several are one.  Nobody is started once a stop has been
asked for.  Every process is waited for: it is forgotten only when it is `died`.

What is to be done goes to a `Launcher` and to `Events`; what happens is reported by the methods,
which these two must not call from within their own.  Clocks are passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twisted.internet.interfaces import IReactorTime

from .backoff import Backoff
from .generation import Events, Generation, Launcher, Member, Phase, Stage
from .plan import Plan

#: Seconds in which a worker has to get ready, and, if need be, to accept.
START_LIMIT: Final = 60.0
#: Seconds beyond ``drain_timeout`` after which a worker is killed: last words, the ledger's queue
#: and what is shipped have theirs.
GRACE: Final = 30.0


class Generations:
    """See the module's text."""

    def __init__(self, clock: IReactorTime, launcher: Launcher, events: Events) -> None:
        self.serving: Generation | None = None
        self.coming: Generation | None = None
        self.old: list[Generation] = []  #: draining and given up ones, until they are gone
        self.stopping = False
        self.reload_waits = False
        self._clock = clock
        self._launcher = launcher
        self._events = events
        self._checking = False
        self._number = 0
        self._over = False

    def all(self) -> Iterator[Generation]:
        """Every generation that has, or will have, processes; the oldest first."""
        yield from self.old
        if self.serving is not None:
            yield self.serving
        if self.coming is not None:
            yield self.coming

    def members(self) -> list[Member]:
        """Every process."""
        return [member for generation in self.all() for member in generation.members]

    @property
    def draining(self) -> int:
        """How many old generations still serve what they hold."""
        return sum(generation.phase is Phase.DRAINING for generation in self.old)

    @property
    def reloading(self) -> bool:
        """Whether the next generation is being made."""
        return self.serving is not None and (self._checking or self.coming is not None)

    # What is asked for.

    def start(self, plan: Plan) -> None:
        """Start a generation: the first one, or the one that was checked."""
        self._number += 1
        self.coming = generation = Generation(self._number, plan)
        for slot in range(plan.workers):
            self._spawn(generation, slot)

    def reload(self) -> None:
        """Begin a reload, as soon as there is room for it."""
        if self.stopping:
            return
        if self.coming is not None or self._checking:
            self._wait("another one is under way")
        elif self.serving is not None and self.draining >= self.serving.plan.max_draining:
            self._wait(f"max_draining = {self.draining} old generations still drain")
        else:
            self.reload_waits = False
            self._checking = True
            self._events.check()

    def _wait(self, why: str) -> None:
        if not self.reload_waits:
            self.reload_waits = True
            self._events.waits(why)

    def checked(self, plan: Plan | None) -> None:
        """What `Events.check` found: the plan of the next generation, or that there is none."""
        self._checking = False
        if self.stopping:
            return
        if plan is None:
            self._go_on()
        else:
            self.start(plan)

    def _go_on(self) -> None:
        if self.reload_waits:
            self.reload_waits = False
            self.reload()

    def stop(self) -> None:
        """Stop everything gracefully."""
        self._cease()
        for member in self.members():
            if member.stage is Stage.KILLED:
                continue
            if member.stage is not Stage.LEAVING:
                self._kill_after(member, member.generation.plan.drain_timeout + GRACE)
            self._launcher.stop(member)
        self._end_if_empty()

    def hurry(self) -> None:
        """Stop waiting: for streams the first time, for their last words the second."""
        for member in self.members():
            if member.stage is not Stage.KILLED:
                self._kill_after(member, GRACE)
                self._launcher.hurry(member)

    # What workers do.

    def ready(self, member: Member) -> None:
        """It could accept."""
        if member.stage is not Stage.STARTING or self.stopping:
            return
        member.stage = Stage.READY
        self._cancel(member)
        generation = member.generation
        if generation.phase is not Phase.STARTING:
            self._serve(member)
        elif all(each.stage is Stage.READY for each in generation.members):
            generation.phase = Phase.OPENING
            for each in generation.members:
                self._serve(each)

    def _serve(self, member: Member) -> None:
        why = f"worker {member.name} did not accept within {START_LIMIT:g} s"
        member.timer = self._clock.callLater(START_LIMIT, self._late, member, why)
        self._launcher.serve(member)

    def accepts(self, member: Member) -> None:
        """It accepts."""
        if member.stage is not Stage.READY or self.stopping:
            return
        member.stage = Stage.SERVING
        self._cancel(member)
        self._swap_if_open(member.generation)

    def leaves(self, member: Member) -> None:
        """It was told by somebody else to end; it accepts no more and drains."""
        if member.stage in (Stage.KILLED, Stage.LEAVING) or self.stopping:
            return
        generation, member.stage = member.generation, Stage.LEAVING
        self._kill_after(member, generation.plan.drain_timeout + GRACE)
        if generation.phase is Phase.STARTING:
            self._give_up(generation, f"worker {member.name} was told to end")
        elif generation.phase in (Phase.OPENING, Phase.SERVING):
            self._spawn(generation, member.slot)
            self._swap_if_open(generation)

    def died(self, member: Member, why: str) -> None:
        """Its process is over."""
        self._cancel(member)
        generation = member.generation
        generation.members.remove(member)
        if self.stopping:
            self._forget_if_gone(generation)
            self._end_if_empty()
        elif generation.phase is Phase.STARTING:
            self._give_up(generation, why)
        elif generation.phase in (Phase.OPENING, Phase.SERVING):
            self._replace_if_vacant(member)
            self._swap_if_open(generation)
        else:
            self._forget_if_gone(generation)
            self._go_on()

    # The rest.

    def _spawn(self, generation: Generation, slot: int) -> None:
        generation.waiting.pop(slot, None)
        member = Member(generation, slot, self._clock.seconds())
        why = f"worker {member.name} was not ready within {START_LIMIT:g} s"
        member.timer = self._clock.callLater(START_LIMIT, self._late, member, why)
        generation.members.append(member)
        self._launcher.spawn(member)

    def _replace_if_vacant(self, member: Member) -> None:
        generation, slot = member.generation, member.slot
        if slot in generation.waiting or any(
            each.slot == slot and each.stage is not Stage.LEAVING for each in generation.members
        ):
            return  # it had left, and is replaced already
        backoff = generation.backoffs.setdefault(slot, Backoff())
        delay = backoff.after(self._clock.seconds() - member.started)
        call = self._clock.callLater(delay, self._spawn, generation, slot)
        generation.waiting[slot] = call
        self._events.replaces(member, delay)

    def _late(self, member: Member, why: str) -> None:
        member.timer = None
        self._kill(member, why)
        if member.generation.phase is Phase.STARTING:
            self._give_up(member.generation, why)
        else:
            self._swap_if_open(member.generation)

    def _swap_if_open(self, generation: Generation) -> None:
        """Once each worker of a generation that takes over accepts, or has failed to."""
        if generation.phase is not Phase.OPENING:
            return
        stages = {member.stage for member in generation.members}
        if Stage.READY in stages:
            return
        if Stage.SERVING not in stages:
            if not (stages & {Stage.STARTING, Stage.LEAVING}):
                self._give_up(generation, "none of its workers came to accept connections")
            return
        old, self.serving, self.coming = self.serving, generation, None
        generation.phase = Phase.SERVING
        try:
            self._events.swapped(generation, old)
        finally:  # of a swap that was told of badly, nobody must be left behind
            if old is not None:
                self._retire(old)
            self._go_on()

    def _retire(self, old: Generation) -> None:
        old.phase = Phase.DRAINING
        self.old.append(old)
        self._cancel_waiting(old)
        for member in old.members:
            if member.stage not in (Stage.KILLED, Stage.LEAVING):
                member.stage = Stage.LEAVING
                self._kill_after(member, old.plan.drain_timeout + GRACE)
                self._launcher.drain(member)
        self._forget_if_gone(old)

    def _give_up(self, generation: Generation, why: str) -> None:
        generation.phase = Phase.GIVEN_UP
        self._cancel_waiting(generation)
        self.coming = None
        self.old.append(generation)
        for member in generation.members:
            self._kill(member, "its generation was given up", stacks=False)
        if self.serving is None:
            self.stopping = True
            self._events.failed(why)
        else:
            self._events.given_up(generation, why)
        self._forget_if_gone(generation)
        if self.stopping:
            self._end_if_empty()
        else:
            self._go_on()

    def _kill(self, member: Member, why: str, *, stacks: bool = True) -> None:
        self._cancel(member)
        if member.stage is not Stage.KILLED:
            member.stage = Stage.KILLED
            self._launcher.kill(member, why, stacks=stacks)

    def kill(self, member: Member, why: str) -> None:
        """End a worker that is beyond help; `died` follows."""
        self._kill(member, why)
        self._swap_if_open(member.generation)

    def _kill_after(self, member: Member, seconds: float) -> None:
        self._cancel(member)
        why = "it did not end in its time"
        member.timer = self._clock.callLater(seconds, self._kill_late, member, why)

    def _kill_late(self, member: Member, why: str) -> None:
        member.timer = None
        self._kill(member, why)

    def _forget_if_gone(self, generation: Generation) -> None:
        if generation in self.old and not generation.members:
            self.old.remove(generation)
            self._events.gone(generation)

    def _end_if_empty(self) -> None:
        if not self._over and not self.members():
            self._over = True
            self._events.ended()

    def _cease(self) -> None:
        self.stopping = True
        self.reload_waits = False
        for generation in self.all():
            self._cancel_waiting(generation)

    @staticmethod
    def _cancel(member: Member) -> None:
        timer, member.timer = member.timer, None
        if timer is not None and timer.active():
            timer.cancel()

    @staticmethod
    def _cancel_waiting(generation: Generation) -> None:
        for call in generation.waiting.values():
            call.cancel()
        generation.waiting.clear()
