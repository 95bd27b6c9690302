"""What was measured, worked out and written: samples, their medians, the table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .processes import TICK
from .works import Work

#: The proxies that the others are compared with, where they are there.
_REFERENCES: Final = ("nginx", "go")
#: The share of bunched events from which on a figure is marked: a proxy that had too little of its
#: core relays several events of a stream at once, and seems cheaper than it is.
_BUNCHED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One work, done once by one proxy."""

    work: Work
    proxy: str
    round: int
    cpu: float  #: seconds
    client: Mapping[str, Any]  #: what ``load client`` printed

    @property
    def units(self) -> int:
        """Events or requests that reached the client whole."""
        return int(self.client[self.work.counted])

    @property
    def microseconds(self) -> float:
        """CPU time of one unit."""
        return self.cpu / self.units * 1e6

    def as_json(self) -> dict[str, Any]:
        """The sample as it is written to a file."""
        return {
            "work": self.work.name,
            "proxy": self.proxy,
            "round": self.round,
            "cpu_seconds": round(self.cpu, 3),
            "units": self.units,
            "client": self.client,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What a work costs a proxy.  CPU times in microseconds a unit, latencies in milliseconds."""

    work: str
    proxy: str
    unit: str
    median: float
    lowest: float
    highest: float
    step: float  #: the smallest difference that the system's account can show
    p50: float
    p99: float
    bunched: float  #: the share of events that came together with the one before
    ratios: Mapping[str, float]  #: to the references, in the same run

    def as_json(self) -> dict[str, Any]:
        """The result as it is written to a file."""
        return {
            "work": self.work,
            "proxy": self.proxy,
            "unit": self.unit,
            "cpu_us": round(self.median, 2),
            "cpu_us_lowest": round(self.lowest, 2),
            "cpu_us_highest": round(self.highest, 2),
            "cpu_us_step": round(self.step, 2),
            "latency_ms_p50": round(self.p50, 3),
            "latency_ms_p99": round(self.p99, 3),
            "bunched": round(self.bunched, 3),
            "ratios": {name: round(ratio, 2) for name, ratio in self.ratios.items()},
        }


def results(samples: Sequence[Sample]) -> list[Result]:
    """Medians of the samples without failures, by work and proxy, in the order of the samples."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        if not sample.client["failed"]:
            groups.setdefault((sample.work.name, sample.proxy), []).append(sample)
    medians = {
        key: statistics.median(sample.microseconds for sample in group)
        for key, group in groups.items()
    }
    found = []
    for (work, proxy), group in groups.items():
        p50, p99 = (
            statistics.median(sample.client["latency_ms"][share] for sample in group)
            for share in ("p50", "p99")
        )
        ratios = {
            name: medians[work, proxy] / medians[work, name]
            for name in _REFERENCES
            if medians.get((work, name))
        }
        found.append(
            Result(
                work=work,
                proxy=proxy,
                unit=group[0].work.unit,
                median=medians[work, proxy],
                lowest=min(sample.microseconds for sample in group),
                highest=max(sample.microseconds for sample in group),
                step=TICK / min(sample.units for sample in group) * 1e6,
                p50=p50,
                p99=p99,
                bunched=statistics.median(
                    sample.client["bunched"] / sample.units for sample in group
                ),
                ratios=ratios,
            )
        )
    return found


def table(found: Sequence[Result]) -> str:
    """The results for people."""
    references = [name for name in _REFERENCES if any(name in result.ratios for result in found)]
    rows = [
        ["work", "proxy", "CPU µs", "per", "lowest-highest", "step"]
        + [f"/ {name}" for name in references]
        + ["p50 ms", "p99 ms"]
    ]
    for result in found:
        ratios = [result.ratios.get(name) for name in references]
        rows.append(
            [
                result.work,
                result.proxy,
                f"{result.median:.1f}{'*' * (result.bunched > _BUNCHED)}",
                result.unit,
            ]
            + [f"{result.lowest:.1f}-{result.highest:.1f}", f"{result.step:.1f}"]
            + ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
            + [f"{result.p50:.2f}", f"{result.p99:.2f}"]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = {0, 1, 3}  # columns that are read from the left
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if number in words else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    if any(result.bunched > _BUNCHED for result in found):
        lines += [
            "",
            f"* more than {_BUNCHED:.0%} of the events came together with others, which is cheaper",
        ]
    return "\n".join(lines)


def failures(samples: Sequence[Sample]) -> list[str]:
    """A line for each sample in which requests failed."""
    return [
        f"{sample.work.name} through {sample.proxy}, round {sample.round + 1}: "
        f"{sample.client['failed']} failed, for instance: {next(iter(sample.client['errors']))}"
        for sample in samples
        if sample.client["failed"]
    ]
