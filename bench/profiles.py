"""Profiles, worked out: the shares of a work's CPU time that parts and functions have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .account import Times
from .parts import PARTS
from .stacks import Function, Stack, by_function, by_part
from .works import Work

#: What the threads beside the main one are called among the parts.
OTHER_THREADS: Final = "other threads"


@dataclass(frozen=True, slots=True)
class Profile:
    """What the gateway did in one work.  There are samples, and `alone` is not 0.

    A profiler that stops a process wakes all its threads, so what it sees of threads that have
    little to do says little.  So the system's account, of a pass that nobody looks at, says what
    the main thread's share is; and samples, of other passes, what it does with that.
    """

    work: Work
    alone: Times  #: a pass at which nobody looked
    watched: Times  #: the passes in which the samples were taken, together
    passes: int
    stacks: Mapping[Stack, int]  #: of the main thread
    errors: int  #: looks at which a stack could not be read
    behind: float  #: seconds by which looks came late, at most

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(self.stacks.values())

    @property
    def main(self) -> float:
        """The main thread's share, of 1."""
        return min(1.0, self.alone.main / self.alone.cpu)

    @property
    def slowed(self) -> float:
        """CPU time of a pass with looks, divided by that of the one without."""
        return self.watched.cpu / self.passes / self.alone.cpu

    @property
    def coreless(self) -> float:
        """Of the time that the main thread wanted to work while looked at, what it waited, of 1."""
        wanted = self.watched.main + self.watched.waiting
        return self.watched.waiting / wanted if wanted else 0.0

    def shares(self) -> dict[str, float]:
        """The share of each part and of other threads; all of them are 1."""
        counts = by_part(self.stacks)
        scale = self.main / self.samples
        return {part.name: counts[part.name] * scale for part in PARTS} | {
            OTHER_THREADS: 1 - self.main
        }

    def functions(self, most: int) -> list[tuple[Function, float]]:
        """The functions of the main thread with the most time of their own, and their shares."""
        scale = self.main / self.samples
        found = by_function(self.stacks).items()
        # By name where they are equal, so that the same samples make the same page.
        ordered = sorted(found, key=lambda item: (-item[1], item[0].file, item[0].name))
        return [(function, count * scale) for function, count in ordered[:most]]
