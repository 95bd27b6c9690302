"""``gatewayctl usage``: requests, tokens, dollars and what caches saved, summed up."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from ..config import Config
from ..ledger import queries
from ..ledger.reading import Reader
from ..prices import Pricer
from ..prices.savings import Savings, savings
from ..record import Value
from .arguments import (
    Commands,
    add_filters,
    add_format,
    add_times,
    check_names,
    config_of,
    filter_of,
    zone_of,
)
from .output import NAME, Column, CsvWriter, Format, Row, Table, dollars, print_json, share, shown
from .output import count as counted
from .place import place_of, reading
from .times import Zone, days

BY = ("model", "tenant", "route", "upstream", "outcome", "day", "session")

_SUMS = (
    "requests", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
    "reasoning_tokens", "cacheable_tokens", "unknown_usage", "cost_usd", "unknown_cost",
    "cache_saved_usd", "unknown_saved",
)  # fmt: skip


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The command and its arguments."""
    parser = commands.add_parser(
        "usage",
        parents=[common],
        help="sum up requests, tokens and cost",
        description="Sum up requests, tokens and US dollars. CACHED is the share of the input that "
        "was read from a cache, SAVED what caches saved by the prices that are known now (negative "
        "where writing to them cost more). A request whose tokens are not known is counted under "
        "UNKNOWN and missing in the sums; '?' is a sum of nothing known, and a + behind dollars "
        "says that there are requests whose cost is not known. '-' is what there is not: SAVED "
        "without a known price, tokens of requests that use none.",
    )
    parser.add_argument(
        "--by", choices=BY, default="model", help="what to sum up by (default: model)"
    )
    add_times(parser)
    add_filters(parser)
    add_format(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print, and return the exit status."""
    which, where, by = filter_of(arguments), zone_of(arguments), arguments.by
    config = config_of(arguments)
    with reading(config) as reader:
        check_names(reader, config, arguments)
        report = UsageReport(reader, config)
        rows = list(report.by_day(which, where) if by == "day" else report.of(by, which))
    if not rows:
        in_that_time = " in that time" if arguments.since or arguments.until else ""
        print(f"{place_of(config)}: no requests{in_that_time}", file=sys.stderr)
    elif arguments.format is Format.JSON:
        print_json(rows)
    elif arguments.format is Format.CSV:
        writer = CsvWriter(tuple(rows[0]))
        for row in rows:
            writer.add(row)
    else:
        title = f"DAY ({where.name})" if by == "day" else by.upper()
        total = [{**_total(rows), by: "total"}] if len(rows) > 1 else []
        Table(_columns(by, title), [*rows, *total]).print()
    return 0


class UsageReport:
    """The sums of a ledger; prices are read only if something came from a cache."""

    def __init__(self, reader: Reader, config: Config) -> None:
        self._reader = reader
        self._config = config
        self._pricer: Pricer | None = None

    def of(self, by: str, which: queries.Filter) -> Iterator[dict[str, Value]]:
        """A row for each value of a column; see `queries.usage`."""
        sums = queries.usage(self._reader, by, which)
        if any(row["cache_read_tokens"] or row["cache_write_tokens"] for row in sums):
            saved = self._saved(by, which)
        else:
            saved = {}
        for row in sums:
            # Where it is told that nothing came from a cache, nothing was saved.
            nothing = None if row["cache_read_tokens"] is None else Decimal()
            group = saved.get(row[by], Savings(nothing))
            yield {
                **row,
                "cache_saved_usd": None if group.usd is None else float(group.usd),
                "unknown_saved": group.unknown,
            }

    def by_day(self, which: queries.Filter, where: Zone) -> Iterator[dict[str, Value]]:
        """A row for each day of a zone on which requests began."""
        span = queries.span(self._reader, which)
        if span is None:
            return
        first, last = (datetime.datetime.fromisoformat(moment).timestamp() for moment in span)
        for day, begin, end in days(first, last, where):
            begin = max(begin, which.since or begin)
            end = min(end, which.until or end)
            for row in self.of("everything", replace(which, since=begin, until=end)):
                del row["everything"]
                yield {"day": day, "zone": where.name, **row}

    def _saved(self, by: str, which: queries.Filter) -> Mapping[Value, Savings]:
        self._pricer = self._pricer or Pricer.of(self._config)
        return savings(self._pricer, queries.cached(self._reader, by, which), by)


def _total(rows: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """The sums of all rows; of what is known nowhere, None."""
    total: dict[str, Value] = {}
    for name in _SUMS:
        known = [row[name] for row in rows]
        numbers = [value for value in known if isinstance(value, int | float)]
        total[name] = sum(numbers) if numbers else None
    return total


def _columns(by: str, title: str) -> list[Column]:
    return [
        Column(title, lambda row: shown(row[by], "-"), floors=NAME),
        Column("REQUESTS", lambda row: counted(row["requests"]), right=True),
        Column("IN", lambda row: counted(row["input_tokens"], _lacking(row)), right=True),
        Column(
            "CACHED",
            lambda row: share(row["cache_read_tokens"], row["cacheable_tokens"], _cached(row)),
            right=True,
        ),
        Column("OUT", lambda row: counted(row["output_tokens"], _lacking(row)), right=True),
        Column("UNKNOWN", lambda row: counted(row["unknown_usage"]), right=True),
        Column(
            "USD",
            lambda row: dollars(
                row["cost_usd"],
                partial=bool(row["unknown_cost"]),
                instead="?" if row["unknown_cost"] else "-",
            ),
            right=True,
        ),
        Column("SAVED", _saved, right=True),
    ]


def _lacking(row: Row) -> str:
    """What stands for a sum of nothing: not known, or there is nothing."""
    return "?" if row["unknown_usage"] else "-"


def _cached(row: Row) -> str:
    """What stands for the share of a cache that nobody told: without input there is none."""
    return _lacking(row) if row["input_tokens"] is None else "?"


def _saved(row: Row) -> str:
    """What caches saved; without prices there is nothing to reckon with, not even to nothing."""
    saved = row["cache_saved_usd"]
    if not saved and row["cost_usd"] is None:
        saved = None
    return dollars(saved, partial=bool(row["unknown_saved"]), instead="-")
