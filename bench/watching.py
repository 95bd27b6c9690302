"""A work done by the gateway again and again, first with nobody looking and then with py-spy.

The passes are those of `bench.measure`: same cores, same configuration, same load.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from . import sampling
from .account import Times, times
from .gateway import Setting, gateway
from .measure import Bench, Cores
from .processes import BenchError
from .profiles import Profile
from .report import Sample, failures
from .stacks import together
from .works import Work

#: How the gateway is run: as `bench.run` does it unless told otherwise.
SETTING: Final = Setting(reactor="gateway")
#: Passes with looks after which a work has the samples that it has.
MOST: Final = 20


def _unwatched(work: Work) -> int:
    """Passes with nobody looking, of which the last counts.

    While the first one runs, a new process may still load its list of prices; but where that is to
    be a new process, it is what `bench.run` measures.
    """
    return 1 if work.fresh else 2


@dataclass(slots=True)
class Watch:
    """Keeps the system's account of each pass, and looks at all but the first."""

    program: list[str]  #: py-spy
    core: int  #: where it runs
    folder: Path
    unwatched: int
    accounts: list[Times] = field(default_factory=list)
    recordings: list[sampling.Recording] = field(default_factory=list)

    @contextmanager
    def __call__(self, pid: int) -> Iterator[None]:
        looks = (
            nullcontext()
            if self.awaited
            else sampling.recording(self.program, pid, core=self.core, folder=self.folder)
        )
        with looks as found:
            before = _account(pid)
            yield
            self.accounts.append(_account(pid) - before)
        if found is not None:
            self.recordings.append(found)

    @property
    def awaited(self) -> bool:
        """Whether the next pass is one of those that nobody looks at."""
        return len(self.accounts) < self.unwatched

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(found.stacks.total() for found in self.recordings)

    def profile(self, work: Work) -> Profile:
        """What came of it; there has to be a sample."""
        watched = self.accounts[self.unwatched :]
        return Profile(
            work=work,
            alone=self.accounts[self.unwatched - 1],
            watched=sum(watched, Times(0.0, 0.0, 0.0, 0.0)),
            passes=len(watched),
            stacks=together(found.stacks for found in self.recordings),
            errors=sum(found.errors for found in self.recordings),
            behind=max(found.behind for found in self.recordings),
        )


def _account(pid: int) -> Times:
    try:
        return times(pid)
    except OSError as error:
        raise BenchError("the gateway has ended") from error


@dataclass(frozen=True, slots=True)
class Watching:
    """Where and how works are looked at."""

    program: list[str]  #: py-spy
    cores: Cores
    core: int  #: py-spy's
    cache: Path
    say: Callable[[str], None]  #: progress

    def profile(self, work: Work, folder: Path, wanted: int) -> Profile:
        """The profile of `work`, from `wanted` samples or what `MOST` passes yield.

        `folder` is empty.  Raises `BenchError` if there is none.
        """
        watch = Watch(self.program, self.core, folder, _unwatched(work))
        left_out: dict[str, str] = {}
        self.say(f"{work.name}: starting the gateway, then a pass with nobody looking")
        with closing(self._passes(work, folder, watch, left_out)) as passes:
            for sample in passes:
                failed = failures([sample])
                if failed:
                    raise BenchError(failed[0])
                if watch.samples >= wanted:
                    break
                if not watch.awaited:
                    number = len(watch.recordings) + 1
                    seen = f"{watch.samples:,} of {wanted:,} samples"
                    self.say(f"{work.name}: pass {number} with looks; {seen}")
        if left_out:
            raise BenchError("; ".join(left_out.values()))
        if not watch.samples or not watch.accounts[watch.unwatched - 1].cpu:
            raise BenchError(f"the gateway has not been seen at work in {work.name}")
        return watch.profile(work)

    def _passes(
        self, work: Work, folder: Path, watch: Watch, left_out: dict[str, str]
    ) -> Generator[Sample, None, None]:
        """Passes of `work`, as many as are taken; none after one that could not be done."""
        proxy = gateway("gateway", SETTING)
        most = watch.unwatched + MOST
        # A bench does a work that wants a new process once; so each pass of one has its own bench.
        rounds, benches = (1, most) if work.fresh else (most, 1)
        for number in range(benches):
            own = folder / str(number)
            own.mkdir()
            bench = Bench(self.cores, own, self.cache, lambda _: None, left_out, watch, False)
            yield from bench.measure([proxy], [work], rounds)
            if left_out:
                return
