"""The system's account of processes: CPU time and memory, with their descendants (proc(5))."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Seconds of one step in which the system counts CPU time.
TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process and its descendants, in KiB."""

    pss: int  #: what is shared counts in part
    rss: int  #: what is shared counts once for each process
    peak: int  #: the largest `rss` of each since `reset_peak`, summed


@dataclass(frozen=True, slots=True)
class Times:
    """What a process of several threads has done, in seconds; without its children."""

    user: float
    system: float
    main: float  #: user and system time of its main thread
    #: How long its main thread was ready, and had no core; nan where the system does not tell.
    waiting: float

    @property
    def cpu(self) -> float:
        """User and system time."""
        return self.user + self.system

    def __add__(self, other: Times) -> Times:
        return Times(
            self.user + other.user,
            self.system + other.system,
            self.main + other.main,
            self.waiting + other.waiting,
        )

    def __sub__(self, other: Times) -> Times:
        return Times(
            self.user - other.user,
            self.system - other.system,
            self.main - other.main,
            self.waiting - other.waiting,
        )


def _stats() -> tuple[dict[int, int], dict[int, list[int]]]:
    """Ticks of CPU time by pid, and the children of each."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # it has ended since it was listed
        # The name, in parentheses, may hold anything; after it come the state and the parent.
        fields = stat.rpartition(")")[2].split()
        number = int(entry.name)
        ticks[number] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
        children.setdefault(int(fields[1]), []).append(number)
    return ticks, children


def _members(pid: int, children: dict[int, list[int]]) -> list[int]:
    members, ask = [], [pid]
    while ask:
        number = ask.pop()
        members.append(number)
        ask += children.get(number, [])
    return members


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    return _members(pid, _stats()[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its descendants, ended ones included."""
    ticks, children = _stats()
    return sum(ticks.get(member, 0) for member in _members(pid, children)) * TICK


def times(pid: int) -> Times:
    """What a process has done so far; raises OSError if it has ended."""
    main = Path(f"/proc/{pid}/task/{pid}")
    user, system = _user_and_system(Path(f"/proc/{pid}/stat"))
    try:
        waiting = int((main / "schedstat").read_text().split()[1]) / 1e9
    except OSError:
        waiting = math.nan
    return Times(user, system, sum(_user_and_system(main / "stat")), waiting)


def _user_and_system(stat: Path) -> tuple[float, float]:
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return int(user) * TICK, int(system) * TICK


def memory(pid: int) -> Memory:
    """What a process and its descendants hold now."""
    pss = rss = peak = 0
    for member in family(pid):
        try:
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
            status = Path(f"/proc/{member}/status").read_text()
        except OSError:
            continue  # it has ended, or is not ours to look at
        pss += _kib(rollup, "Pss")
        rss += _kib(rollup, "Rss")
        peak += _kib(status, "VmHWM")
    return Memory(pss, rss, peak)


def _kib(text: str, key: str) -> int:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    return 0


def reset_peak(pid: int) -> None:
    """Let the peak of `memory` begin anew."""
    for member in family(pid):
        try:
            Path(f"/proc/{member}/clear_refs").write_text("5")
        except OSError:
            continue  # it has ended


def tcp_kib() -> int:
    """What all TCP sockets of the machine hold in the kernel now, in KiB."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        fields = line.split()
        if fields[0] == "TCP:":
            return int(fields[fields.index("mem") + 1]) * _PAGE_KIB
    return 0
