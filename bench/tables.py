"""The results as tables, for a terminal and for reStructuredText alike (its simple tables)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .report import BUNCHED, DIRECT, REFERENCES, Result
from .works import Kind, Work

#: Marks of figures that need a word.
_BUNCHED_MARK: Final = "°"
_LIGHT_MARK: Final = "†"


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[Result], str]


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _figure(title: str, name: str, digits: int) -> _Column:
    return _Column(title, lambda result: _number(result.value(name), digits))


def _proxy(result: Result) -> str:
    return f"{result.proxy}{_LIGHT_MARK * result.light}"


def _cpu(result: Result) -> str:
    return f"{_number(result.value('cpu_us'), 1)}{_BUNCHED_MARK * result.bunched}"


def _range(result: Result) -> str:
    figure = result.figures.get("cpu_us")
    return "-" if figure is None else f"{figure.lowest:,.1f}-{figure.highest:,.1f}"


def _ratio(reference: str) -> _Column:
    return _Column(
        f"/ {reference}", lambda result: _number(result.ratios.get(reference, math.nan), 2)
    )


def _ceiling(result: Result) -> str:
    """What as many cores as there are workers could do, if load and upstream ran elsewhere."""
    workers = 2 if result.proxy.endswith("-2") else 1
    return _number(workers / result.value("cpu_us") * 1e6, 0)


_CPU: Final = (
    _Column("proxy", _proxy),
    _Column("CPU µs", _cpu),
    _Column("lowest-highest", _range),
    *map(_ratio, REFERENCES),
)
_COLUMNS: Final[Mapping[Kind, Sequence[_Column]]] = {
    kind: (
        *_CPU,
        _figure("added p50 ms", "added_p50_ms", 2),
        _figure("p99 ms", "added_p99_ms", 2),
        _figure("max ms", "added_max_ms", 2),
        _figure("head ms", "added_head_p50_ms", 2),
        _figure(f"{kind.value}s/s", "per_s", 0),
        _figure("MB/s", "mb_s", 2),
        _figure("peak MiB", "peak_mib", 0),
    )
    for kind in (Kind.EVENTS, Kind.REQUESTS)
} | {
    Kind.BODY: (
        *_CPU,
        _figure("MB/s", "mb_s", 0),
        _figure("head ms", "added_head_p50_ms", 2),
        _figure("peak MiB", "peak_mib", 0),
    ),
    Kind.HELD: (
        _Column("proxy", _proxy),
        _figure("streams", "streams", 0),
        _figure("KiB PSS each", "pss_kib", 1),
        _figure("KiB RSS each", "rss_kib", 1),
        _figure("CPU µs to open", "open_us", 0),
        _figure("keepalives", "keepalives", 0),
        _figure("CPU µs each", "cpu_us", 1),
        _figure("idle MiB", "idle_mib", 0),
        _figure("peak MiB", "peak_mib", 0),
    ),
    Kind.STALLED: (
        _Column("proxy", _proxy),
        _figure("streams", "streams", 0),
        _figure("KiB PSS each", "pss_kib", 1),
        _figure("KiB in kernel", "tcp_kib", 0),
        _figure("p50 before ms", "p50_before_ms", 2),
        _figure("during ms", "p50_ms", 2),
        _figure("p99 before ms", "p99_before_ms", 2),
        _figure("during ms", "p99_ms", 2),
        _figure("peak MiB", "peak_mib", 0),
    ),
}
_SATURATING: Final = (
    _Column("proxy", _proxy),
    _figure("got through/s", "per_s", 0),
    _figure("cores used", "cores", 2),
    _Column("CPU µs", _cpu),
    _Column("calculated/s", _ceiling),
    _figure("peak MiB", "peak_mib", 0),
)
_KINDS: Final = {
    Kind.EVENTS: "CPU time is that of one event.",
    Kind.REQUESTS: "CPU time is that of one request.",
    Kind.BODY: "CPU time is that of one MB (1,000,000 bytes).",
    Kind.HELD: "Memory is what a stream adds to the idle proxy; CPU time that of one keepalive.",
    Kind.STALLED: (
        "Memory is what a stalled stream adds: in the proxy, and in the kernel, where all sockets "
        "of the machine count, those of the load too. Latencies are those of the streams that are "
        "read, before and while others stall."
    ),
}


def simple_table(rows: Sequence[Sequence[str]]) -> str:
    """A simple table whose first row is its head, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [rule]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if not number:
            lines.append(rule)
    return "\n".join([*lines, rule])


def _table(columns: Sequence[_Column], found: Sequence[Result]) -> str:
    rows = [[column.title for column in columns]]
    rows += [[column.cell(result) for column in columns] for result in found]
    return simple_table(rows)


def summary(found: Sequence[Result]) -> str:
    """CPU time by proxy and work, with the ratio to Go's ReverseProxy; "" if there is none."""
    shown = [
        result
        for result in found
        if result.work.kind in (Kind.EVENTS, Kind.REQUESTS)
        and not result.work.saturating
        and result.proxy != DIRECT
    ]
    works = list(dict.fromkeys(result.work.name for result in shown))
    if not works:
        return ""
    by_place = {(result.proxy, result.work.name): result for result in shown}
    rows = [["proxy", *works]]
    for proxy in dict.fromkeys(result.proxy for result in shown):
        cells = [proxy]
        for work in works:
            result = by_place.get((proxy, work))
            if result is None:
                cells.append("-")
                continue
            ratio = result.ratios.get("go")
            share = "" if ratio is None else f" ({ratio:.2f})"
            cells.append(f"{_cpu(result)}{_LIGHT_MARK * result.light}{share}")
        rows.append(cells)
    return simple_table(rows)


@dataclass(frozen=True, slots=True)
class Section:
    """A work and its table."""

    work: Work
    words: str
    table: str


def sections(found: Sequence[Result]) -> Iterator[Section]:
    """A section for each work."""
    works = {result.work.name: result.work for result in found}
    for name, work in works.items():
        mine = [result for result in found if result.work.name == name]
        if work.saturating:
            mine = [result for result in mine if result.proxy != DIRECT]
            words = "Proxy, load and upstream share all cores."
            yield Section(work, words, _table(_SATURATING, mine))
        else:
            yield Section(work, _KINDS[work.kind], _table(_COLUMNS[work.kind], mine))


def marks(found: Sequence[Result]) -> list[str]:
    """What the marks in the tables mean, of those that are there."""
    lines = []
    if any(result.bunched for result in found):
        lines.append(
            f"{_BUNCHED_MARK} more than {BUNCHED:.0%} of the events came together with others, "
            "which is cheaper than one at a time"
        )
    if any(result.light for result in found):
        lines.append(f"{_LIGHT_MARK} with the light load for slow proxies")
    return lines


def text(found: Sequence[Result]) -> str:
    """All of it for a terminal."""
    parts = [summary(found)]
    parts += [f"{one.work.name}: {one.work.doc}\n\n{one.table}" for one in sections(found)]
    parts.append("\n".join(marks(found)))
    return "\n\n".join(part for part in parts if part)
