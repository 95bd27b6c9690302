"""``gatewayctl reconcile``: the ledger held against a provider's own account of what was used.

The account is a CSV file, as providers' consoles export them: a column ``day`` or ``date``, perhaps
``model``, and any of the figures of `_FIGURES`; other columns are passed over.  Its rows are summed
up by what they tell, and so is the ledger.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from ..ledger import queries
from ..ledger.reading import Reader
from ..record import Value
from .arguments import (
    Commands,
    UsageError,
    add_filters,
    add_format,
    add_times,
    check_names,
    config_of,
    filter_of,
    zone_of,
)
from .output import NAME, Column, CsvWriter, Format, Row, Table, print_json, shown
from .place import reading
from .times import Zone, days

#: What can be compared: requests, tokens, US dollars.
_FIGURES = ("requests", "input_tokens", "cache_read_tokens", "output_tokens", "cost_usd")

Key = tuple[str, str | None]


class AccountError(Exception):
    """The account cannot be read; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Account:
    """A provider's figures by day and, if it tells them, model."""

    figures: tuple[str, ...]
    by_model: bool
    sums: Mapping[Key, Mapping[str, Decimal]]


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The command and its arguments."""
    parser = commands.add_parser(
        "reconcile",
        parents=[common],
        help="hold the ledger against a provider's own figures",
        description="Compare the ledger with a CSV file of a provider's own figures, day by day "
        "and, if it has that column, model by model; print what differs and exit with 1 if "
        f"anything does. The file has a column day or date (2026-11-01) and any of: "
        f"{', '.join(_FIGURES)}. Days are those of --tz. Requests that were refused before they "
        "were sent to an upstream do not count.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the provider's figures")
    parser.add_argument(
        "--tolerance",
        metavar="PERCENT",
        type=_percent,
        default=Decimal(1),
        help="by how much figures may differ (default: 1)",
    )
    parser.add_argument("--all", action="store_true", help="print what agrees, too")
    add_times(parser)
    add_filters(parser, outcome=False)
    add_format(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, and return the exit status."""
    where = zone_of(arguments)
    try:
        account = read_account(arguments.file)
    except AccountError as error:
        print(error, file=sys.stderr)
        return 1
    if not account.sums:
        raise UsageError(f"{arguments.file}: there are no figures in it")
    config, which = config_of(arguments), replace(filter_of(arguments), sent=True)
    with reading(config) as reader:
        check_names(reader, config, arguments)
        ours = _ours(reader, account, which, where)
    rows = list(_compared(account, ours, arguments.tolerance))
    wrong = [row for row in rows if not row["agrees"]]
    _print(rows if arguments.all else wrong, arguments.format, where)
    print(f"{len(rows) - len(wrong)} of {len(rows)} figures agree", file=sys.stderr)
    return 1 if wrong else 0


def read_account(file: Path) -> Account:
    """The figures of a file.  Raises `AccountError`."""
    sums: dict[Key, dict[str, Decimal]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            day = next((name for name in ("day", "date") if name in names), None)
            figures = tuple(name for name in _FIGURES if name in names)
            if day is None or not figures:
                raise AccountError(
                    f"{file}:1: a column day or date and one of {', '.join(_FIGURES)} are needed, "
                    "rename those that mean the same"
                )
            for row in reader:
                place = f"{file}:{reader.line_num}"
                model = row["model"] if "model" in names else None
                group = sums.setdefault((_day(row[day], place), model), {})
                for name in figures:
                    group[name] = group.get(name, Decimal()) + _number(row[name], name, place)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise AccountError(f"{file}: the file cannot be read as CSV ({why})") from None
    return Account(figures, "model" in names, sums)


def _ours(
    reader: Reader, account: Account, which: queries.Filter, where: Zone
) -> dict[Key, Mapping[str, Value]]:
    """The ledger's sums for the days of the account."""
    dates = sorted(day for day, _ in account.sums)
    first, last = (
        datetime.datetime.fromisoformat(date).replace(tzinfo=where.tz).timestamp()
        for date in (dates[0], dates[-1])
    )
    by = "model" if account.by_model else "everything"
    found: dict[Key, Mapping[str, Value]] = {}
    for day, begin, end in days(first, last, where):
        if day not in dates:
            continue
        begin, end = max(begin, which.since or begin), min(end, which.until or end)
        for row in queries.usage(reader, by, replace(which, since=begin, until=end)):
            model = row[by] if account.by_model else None
            found[day, None if model is None else str(model)] = row
    return found


def _compared(
    account: Account, ours: Mapping[Key, Mapping[str, Value]], tolerance: Decimal
) -> Iterator[Row]:
    for day, model in sorted({*account.sums, *ours}, key=lambda key: (key[0], key[1] or "")):
        for figure in account.figures:
            theirs = account.sums.get((day, model), {}).get(figure, Decimal())
            value = ours.get((day, model), {}).get(figure)
            mine = Decimal(str(value)) if isinstance(value, int | float) else Decimal()
            apart = abs(theirs - mine)
            yield {
                "day": day,
                "model": model,
                "figure": figure,
                "theirs": _plain(theirs),
                "ours": _plain(mine),
                "difference": _plain(mine - theirs),
                "agrees": apart * 100 <= tolerance * max(theirs, mine),
            }


def _print(rows: list[Row], form: Format, where: Zone) -> None:
    if form is Format.JSON:
        print_json(rows)
    elif form is Format.CSV:
        writer = CsvWriter(("day", "model", "figure", "theirs", "ours", "difference", "agrees"))
        for row in rows:
            writer.add(row)
    elif rows:
        columns = [
            Column(f"DAY ({where.name})", lambda row: str(row["day"])),
            Column("MODEL", lambda row: shown(row["model"], "-"), floors=NAME),
            Column("FIGURE", lambda row: str(row["figure"])),
            Column("THEIRS", lambda row: str(row["theirs"]), right=True),
            Column("OURS", lambda row: str(row["ours"]), right=True),
            Column("DIFFERENCE", lambda row: str(row["difference"]), right=True),
        ]
        Table(columns, rows).print()


def _plain(number: Decimal) -> int | float:
    return int(number) if number == int(number) else float(number)


def _day(text: str | None, place: str) -> str:
    try:
        return datetime.datetime.fromisoformat((text or "").strip()).date().isoformat()
    except ValueError:
        raise AccountError(
            f"{place}: {text or ''!r} is not a date, write one such as 2026-11-01"
        ) from None


def _number(text: str | None, name: str, place: str) -> Decimal:
    """A figure; one that is left out is none."""
    try:
        number = Decimal((text or "0").strip().removeprefix("$").replace(",", "") or "0")
        if number.is_finite() and number >= 0:
            return number
    except InvalidOperation:
        pass
    raise AccountError(f"{place}: {name} is {text!r}, write a number such as 1200 or 0.25")


def _percent(text: str) -> Decimal:
    try:
        percent = Decimal(text.removesuffix("%"))
        if 0 <= percent <= 100:
            return percent
    except InvalidOperation:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a percentage, write one such as 0.5")
