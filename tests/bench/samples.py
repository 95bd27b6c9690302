"""Samples as the benchmark would have measured them."""

from __future__ import annotations

from typing import Any

from bench.report import Sample
from bench.works import WORKS

#: What ``load client`` prints after 200 streams of 100 events.
CLIENT: dict[str, Any] = {
    "requests": 200,
    "events": 20_000,
    "bunched": 0,
    "bytes": 5_000_000,
    "keepalives": 0,
    "failed": 0,
    "errors": {},
    "seconds": 2.0,
    "latency_ms": {"p50": 0.5, "p95": 1.0, "p99": 2.0, "max": 4.0},
    "head_ms": {"p50": 3.0, "p95": 4.0, "p99": 5.0, "max": 6.0},
}

_LOOKS = {"idle_pss": 10_240.0, "idle_rss": 10_240.0, "idle_tcp": 100.0, "peak": 20_480.0}


def sample(
    proxy: str,
    cpu: float | None,
    *,
    work: str = "S10k",
    number: int = 0,
    light: bool = False,
    looks: dict[str, float] | None = None,
    **client: Any,
) -> Sample:
    """A sample of `proxy` that took `cpu` seconds; None: without a proxy."""
    seen = {} if cpu is None else {**_LOOKS, "cpu": cpu, **(looks or {})}
    return Sample(WORKS[work], proxy, number, light, seen, {**CLIENT, **client})
