"""What was measured, worked out: samples, their figures, the medians of those."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .account import TICK
from .works import Kind, Work

#: The name under which the load without a proxy is measured.
DIRECT: Final = "(none)"
#: The proxies that the others are compared with, where they are there.
REFERENCES: Final = ("nginx", "go")
#: The share of bunched events from which on a figure is marked: a proxy that had too little of its
#: core relays several events of a stream at once, and seems cheaper than it is.
BUNCHED: Final = 0.1
_MB: Final = 1e6

#: A work, a proxy, and whether it was the light work.
_Key = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Sample:
    """One work, done once by one proxy."""

    work: Work
    proxy: str
    round: int
    light: bool  #: whether it was the light work for slow proxies
    looks: Mapping[str, float]  #: CPU in seconds, memory in KiB; empty without a proxy
    client: Mapping[str, Any]  #: what ``load client`` printed

    @property
    def units(self) -> float:
        """What reached the client whole: events, requests, MB, keepalives or streams."""
        match self.work.kind:
            case Kind.EVENTS:
                return float(self.client["events"])
            case Kind.REQUESTS | Kind.STALLED:
                return float(self.client["requests"])
            case Kind.BODY:
                return float(self.client["bytes"]) / _MB
            case Kind.HELD:
                return float(self.client["keepalives"])

    def as_json(self) -> dict[str, Any]:
        """The sample as it is written to a file, without figures if requests failed."""
        known = {} if self.client["failed"] else figures(self)
        return {
            "work": self.work.name,
            "proxy": self.proxy,
            "round": self.round,
            "light": self.light,
            "looks": {name: round(value, 3) for name, value in self.looks.items()},
            "figures": {name: round(value, 4) for name, value in known.items()},
            "client": self.client,
        }


def figures(sample: Sample) -> dict[str, float]:
    """The figures of a sample by name; units are part of the names."""
    found: dict[str, float] = {}
    client, looks = sample.client, sample.looks
    seconds, units = client["seconds"], sample.units
    if sample.work.kind in (Kind.EVENTS, Kind.REQUESTS, Kind.BODY):
        for name, where in (("", "latency_ms"), ("head_", "head_ms")):
            for share, value in client[where].items():
                found[f"{name}{share}_ms"] = value
        found |= {"per_s": units / seconds, "mb_s": client["bytes"] / _MB / seconds}
        found["bunched"] = client["bunched"] / units if units else 0.0
        if looks and units:
            found["cpu_us"] = looks["cpu"] / units * 1e6
            found["cpu_us_step"] = TICK / units * 1e6
            found["cores"] = looks["cpu"] / seconds
    elif sample.work.kind is Kind.HELD:
        found |= _held(sample)
    else:
        found |= _stalled(sample)
    if looks:
        found["peak_mib"] = looks["peak"] / 1024
        found["idle_mib"] = looks["idle_pss"] / 1024
    return found


def _held(sample: Sample) -> dict[str, float]:
    looks, streams = sample.looks, sample.client["requests"]
    if not streams:
        return {}
    found = {
        "streams": streams,
        "pss_kib": (looks["held_pss"] - looks["idle_pss"]) / streams,
        "rss_kib": (looks["held_rss"] - looks["idle_rss"]) / streams,
        "open_us": looks["cpu_opening"] / streams * 1e6,
        "keepalives": sample.units,
    }
    if sample.units:
        found["cpu_us"] = looks["cpu_holding"] / sample.units * 1e6
        found["cpu_us_step"] = TICK / sample.units * 1e6
    return found


def _stalled(sample: Sample) -> dict[str, float]:
    looks, client = sample.looks, sample.client
    streams = sample.work.options["stall"]
    return {
        "streams": streams,
        "pss_kib": (looks["stalled_pss"] - looks["before_pss"]) / streams,
        "tcp_kib": (looks["stalled_tcp"] - looks["before_tcp"]) / streams,
        "p50_before_ms": client["before_ms"]["p50"],
        "p99_before_ms": client["before_ms"]["p99"],
        "p50_ms": client["latency_ms"]["p50"],
        "p99_ms": client["latency_ms"]["p99"],
    }


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over the rounds."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a work costs a proxy."""

    work: Work
    proxy: str
    light: bool
    rounds: int
    figures: Mapping[str, Figure]
    ratios: Mapping[str, float]  #: of ``cpu_us`` to the references, in the same run

    @property
    def bunched(self) -> bool:
        """Whether so many events came together that the figure is too low."""
        return self.value("bunched", 0.0) > BUNCHED

    def value(self, name: str, default: float = float("nan")) -> float:
        """The median of a figure."""
        figure = self.figures.get(name)
        return default if figure is None else figure.median

    def as_json(self) -> dict[str, Any]:
        """The result as it is written to a file."""
        return {
            "work": self.work.name,
            "proxy": self.proxy,
            "light": self.light,
            "rounds": self.rounds,
            "figures": {
                name: {
                    "median": round(figure.median, 4),
                    "lowest": round(figure.lowest, 4),
                    "highest": round(figure.highest, 4),
                }
                for name, figure in self.figures.items()
            },
            "ratios": {name: round(ratio, 3) for name, ratio in self.ratios.items()},
        }


def results(samples: Sequence[Sample]) -> list[Result]:
    """Medians of the samples without failures, by work and proxy, in the order of the samples.

    ``added_*`` is what a percentile of a latency is above that of the same round without a proxy.
    """
    whole = [sample for sample in samples if not sample.client["failed"]]
    direct = {
        (_load(sample.work), sample.round, sample.light): figures(sample)
        for sample in whole
        if sample.proxy == DIRECT
    }
    groups: dict[_Key, list[tuple[Sample, dict[str, float]]]] = {}
    for sample in whole:
        found = figures(sample)
        none = direct.get((_load(sample.work), sample.round, sample.light), {})
        if sample.proxy != DIRECT:
            for name in ("p50_ms", "p99_ms", "max_ms", "head_p50_ms"):
                if name in found and name in none:
                    found[f"added_{name}"] = found[name] - none[name]
        key = sample.work.name, sample.proxy, sample.light
        groups.setdefault(key, []).append((sample, found))
    gathered = {key: _gather([found for _, found in group]) for key, group in groups.items()}
    return [
        Result(
            work=group[0][0].work,
            proxy=proxy,
            light=light,
            rounds=len(group),
            figures=gathered[work, proxy, light],
            ratios=_ratios((work, proxy, light), gathered),
        )
        for (work, proxy, light), group in groups.items()
    ]


def _load(work: Work) -> str:
    """Works over TLS are compared with the same load without a proxy, which has no TLS."""
    return work.name.removesuffix("-tls")


def _gather(rounds: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    names = dict.fromkeys(name for figures in rounds for name in figures)
    gathered = {}
    for name in names:
        values = [figures[name] for figures in rounds if name in figures]
        gathered[name] = Figure(statistics.median(values), min(values), max(values))
    return gathered


def _ratios(key: _Key, gathered: Mapping[_Key, Mapping[str, Figure]]) -> dict[str, float]:
    work, _, _ = key
    own = gathered[key].get("cpu_us")
    ratios = {}
    for name in REFERENCES:
        other = gathered.get((work, name, False), {}).get("cpu_us")
        if own is not None and other is not None and other.median:
            ratios[name] = own.median / other.median
    return ratios


def failures(samples: Sequence[Sample]) -> list[str]:
    """A line for each sample in which requests failed."""
    return [
        f"{sample.work.name} through {sample.proxy}, round {sample.round + 1}: "
        f"{sample.client['failed']} failed, for instance: {next(iter(sample.client['errors']))}"
        for sample in samples
        if sample.client["failed"]
    ]
