"""What Prometheus reads: samples of all workers added up, in its text format.

The format is written by prometheus-client, the extra ``metrics``; the metrics are ours
(`families`), because they come from several processes and outlive them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from .families import BUCKETS, FAMILIES, Family, Kind
from .fleet import Status
from .sums import Sums, Value, added

if TYPE_CHECKING:
    from prometheus_client import Metric

#: Of the format that is written: no name in it needs a later one.
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

MISSING: Final = (
    "there are no metrics: the extra metrics (the package prometheus-client) is not installed; run "
    "pip install 'txgateway[metrics]' and start the gateway again"
)

_ENDS: Final = (*BUCKETS, float("inf"))


class MetricsMissing(Exception):
    """The extra is not installed; the text says what would be right."""


def render(reports: Sequence[Mapping[str, Any]], status: Status) -> bytes:
    """All metrics; `reports` are what `Fleet.report` has to say.  Raises `MetricsMissing`."""
    try:
        from prometheus_client import generate_latest
    except ImportError:
        raise MetricsMissing(MISSING) from None
    return generate_latest(_Collector(reports, status))


class _Collector:
    """A collector as prometheus-client has them."""

    def __init__(self, reports: Sequence[Mapping[str, Any]], status: Status) -> None:
        self._reports = reports
        self._sums = {**added(report["metrics"] for report in reports), **_whole(status)}

    def collect(self) -> Iterator[Metric]:
        """Each metric that there is anything of."""
        for family in FAMILIES.values():
            if family.of_worker:
                labels = ("worker", "generation", *family.labels)
                rows: Iterable[tuple[tuple[str, ...], Value]] = self._of_workers(family)
            else:
                labels, rows = family.labels, self._sums.get(family.name, {}).items()
            if found := sorted(rows):
                yield _metric(family, labels, found)

    def _of_workers(self, family: Family) -> Iterator[tuple[tuple[str, ...], Value]]:
        for report in self._reports:
            who = (str(report["worker"]), str(report["generation"]))
            for labels, value in report["metrics"].get(family.name, ()):
                yield (*who, *labels), value


def _metric(
    family: Family, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Value]]
) -> Metric:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, family.doc, labels=labels)
        for values, value in rows:
            if isinstance(value, list) and len(value) == len(_ENDS) + 1:
                counts = accumulate(value[:-1])
                buckets = [(_end(end), count) for end, count in zip(_ENDS, counts, strict=True)]
                histogram.add_metric(values, buckets, value[-1])
        return histogram
    of_kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = of_kind(family.name, family.doc, labels=labels)
    for values, value in rows:
        if not isinstance(value, list):
            metric.add_metric(values, value)
    return metric


def _end(seconds: float) -> str:
    return "+Inf" if seconds == float("inf") else f"{seconds:g}"


def _whole(status: Status) -> Sums:
    """What is known of the gateway as a whole."""
    workers = Counter((str(worker.generation), worker.state.value) for worker in status.workers)
    whole: Sums = {
        "gateway_workers": {
            (generation, state): count for (generation, state), count in workers.items()
        },
        "gateway_generation": {(): status.generation},
        "gateway_worker_restarts": {(): status.restarts},
        "gateway_ready": {(): int(status.state.ready)},
        "gateway_build_info": {(status.version,): 1},
    }
    if status.reloaded is not None:
        whole["gateway_last_reload_successful"] = {(): int(status.reloaded)}
    return whole
