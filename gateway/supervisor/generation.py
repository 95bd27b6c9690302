"""A generation of workers, and the one who does things for it; `generations` says how they live."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from .backoff import Backoff
from .plan import Plan


class Stage(Enum):
    """How far a worker is."""

    STARTING = "starting"
    READY = "ready"
    SERVING = "serving"
    LEAVING = "draining"
    KILLED = "killed"


class Phase(Enum):
    """How far a generation is."""

    STARTING = "starting"
    OPENING = "opening"
    SERVING = "serving"
    DRAINING = "draining"
    GIVEN_UP = "given up"


@dataclass(slots=True, eq=False)
class Member:
    """One worker process."""

    generation: Generation = field(repr=False)
    slot: int
    started: float  #: on the monotonic clock
    stage: Stage = Stage.STARTING
    timer: IDelayedCall | None = field(default=None, repr=False)  #: it is killed then

    @property
    def name(self) -> str:
        """Such as ``g3w1``; its replacement has the same."""
        return f"g{self.generation.number}w{self.slot}"


@dataclass(slots=True, eq=False)
class Generation:
    """See the module's text."""

    number: int
    plan: Plan = field(repr=False)
    phase: Phase = Phase.STARTING
    members: list[Member] = field(default_factory=list, repr=False)
    backoffs: dict[int, Backoff] = field(default_factory=dict, repr=False)
    #: For replacements, by slot.
    waiting: dict[int, IDelayedCall] = field(default_factory=dict, repr=False)


class Launcher(Protocol):
    """What `Generations` has done to processes."""

    def spawn(self, member: Member) -> None:
        """Start the process; `ready`, `late` or `died` follow."""

    def serve(self, member: Member) -> None:
        """Have it accept; `serving` follows."""

    def drain(self, member: Member) -> None:
        """Have it accept no more, and end when nothing is left."""

    def stop(self, member: Member) -> None:
        """Have it stop as at the gateway's end."""

    def hurry(self, member: Member) -> None:
        """Have it wait no longer."""

    def kill(self, member: Member, why: str, *, stacks: bool) -> None:
        """End it with SIGKILL; with `stacks`, tell what its threads did."""


class Events(Protocol):
    """What `Generations` tells of, and asks for."""

    def check(self) -> None:
        """Find out what the next generation is to be; `checked` follows."""

    def waits(self, why: str) -> None:
        """A reload waits."""

    def replaces(self, member: Member, delay: float) -> None:
        """`member` died and is replaced in so many seconds."""

    def swapped(self, new: Generation, old: Generation | None) -> None:
        """`new` serves; `old` has not been told to drain yet."""

    def given_up(self, generation: Generation, why: str) -> None:
        """It did not come to serve; the one before goes on."""

    def gone(self, generation: Generation) -> None:
        """None of its processes is left."""

    def failed(self, why: str) -> None:
        """The first generation did not come to serve; `ended` follows."""

    def ended(self) -> None:
        """No process is left, and none will be started."""
