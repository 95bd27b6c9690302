"""``gatewayctl requests``: the rows of a ledger, as they are or as they come."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from ..config.problem import listed, nearest
from ..ledger import queries
from ..ledger.reading import Reader
from ..nature import uses_tokens
from ..record import COLUMNS, Value
from .arguments import (
    Commands,
    UsageError,
    add_filters,
    add_format,
    add_times,
    check_names,
    config_of,
    count,
    filter_of,
    zone_of,
)
from .follow import Follower
from .output import NAME, RIGID, Column, CsvWriter, Format, Row, Table, shown
from .output import count as counted
from .place import reading
from .times import Zone

#: How many rows are shown where nothing says how many.
LAST = 20
#: How many ids are told where one was meant.
_MATCHES = 10
_DEFAULT = (
    "started_at", "outcome", "status_sent", "model", "input_tokens", "output_tokens",
    "duration_ms", "error",
)  # fmt: skip
#: What a table can show: the columns of a row, and the model that answered or was asked for.
_NAMES = (*COLUMNS, "model")


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The command and its arguments."""
    parser = commands.add_parser(
        "requests",
        parents=[common],
        help="show requests, the last ones or as they end",
        description="Show requests, the newest at the end; --columns +id adds their ids, and "
        "--show ID shows one of them with every column. '?' is what is not known, '-' what there "
        "is not. JSON and CSV have every column, and times in UTC.",
    )
    parser.add_argument(
        "--last",
        metavar="N",
        type=count,
        help=f"how many (default: {LAST}; with --since or --until all of them)",
    )
    parser.add_argument(
        "--show",
        "--id",
        metavar="ID",
        help="one request with every column; the id's beginning will do (--columns +id tells it)",
    )
    parser.add_argument(
        "--follow",
        "-f",
        action="store_true",
        help="go on with each request that ends, until Ctrl-C",
    )
    parser.add_argument(
        "--columns",
        metavar="NAMES",
        type=_columns,
        help="which columns, with commas between: a row's own names, or model; +id, or +path,+id, "
        f"adds to those that are shown anyway. There are: {', '.join(_NAMES)}",
    )
    add_times(parser)
    add_filters(parser)
    add_format(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print, and return the exit status."""
    which = filter_of(arguments)
    if arguments.follow and arguments.show is not None:
        raise UsageError("argument --follow: --show shows one request, leave one of the two out")
    if arguments.follow and arguments.outcome == queries.OPEN:
        raise UsageError("argument --follow: what is followed has ended, leave out --outcome open")
    config = config_of(arguments)
    with reading(config) as reader:
        check_names(reader, config, arguments)
        if arguments.show is not None:
            return _show(reader, arguments)
        everything = arguments.since is not None or arguments.until is not None
        last = arguments.last or (None if everything else LAST)
        if arguments.follow:
            _follow(reader, which, last, arguments)
        else:
            _list(reader, which, last, arguments)
    return 0


def _list(
    reader: Reader, which: queries.Filter, last: int | None, arguments: argparse.Namespace
) -> None:
    rows = queries.requests(reader, which, last)
    first = next(rows, None)
    if first is None:
        none_found = "no requests yet" if which == queries.ALL else "no such requests"
        print(f"{reader.place}: {none_found}", file=sys.stderr)
        return
    _print(chain([first], rows), arguments)


def _follow(
    reader: Reader, which: queries.Filter, last: int | None, arguments: argparse.Namespace
) -> None:
    follower = Follower(reader, which)
    before = [row for row in queries.requests(reader, which, last) if row["outcome"] is not None]
    told = {row["id"] for row in before}
    add = _print(before, arguments)
    sys.stdout.flush()
    for row in follower.rows():
        if row["id"] not in told:
            add(row)
            sys.stdout.flush()


def _print(rows: Iterable[Row], arguments: argparse.Namespace) -> Callable[[Row], None]:
    """Print rows, and return what prints one more."""
    names: tuple[str, ...] = arguments.columns or ()
    if arguments.format is Format.TABLE:
        table = Table([_column(name, zone_of(arguments)) for name in names or _DEFAULT], list(rows))
        table.print()
        return table.add
    if names and names[: len(_DEFAULT)] == _DEFAULT:
        names = ()  # all that is shown anyway, and more: here that is everything
    chosen = tuple(name for name in names if name in COLUMNS) or COLUMNS
    add = CsvWriter(chosen).add if arguments.format is Format.CSV else _json_of(chosen)
    for row in rows:
        add(row)
    return add


def _json_of(names: Sequence[str]) -> Callable[[Row], None]:
    return lambda row: print(json.dumps({name: row[name] for name in names}))


def _show(reader: Reader, arguments: argparse.Namespace) -> int:
    """Print one request, a column on a line."""
    beginning = arguments.show.lower()
    found = queries.by_id(reader, beginning, _MATCHES + 1) if _ID.fullmatch(beginning) else []
    if not found:
        print(f"{reader.place}: no request has the id {arguments.show!r}", file=sys.stderr)
        return 1
    if len(found) > 1:
        print(
            f"{reader.place}: several ids begin with {arguments.show!r}, write more of it:",
            *(row["id"] for row in found[:_MATCHES]),
            *(["and others"] if len(found) > _MATCHES else []),
            sep="\n",
            file=sys.stderr,
        )
        return 1
    if arguments.format is not Format.TABLE:
        _print(found, arguments)
        return 0
    where = zone_of(arguments)
    for name in arguments.columns or COLUMNS:
        value = found[0][name] if name in COLUMNS else _model(found[0])
        if name.endswith("_at") and value is not None:
            value = f"{where.at(str(value)).replace(tzinfo=None)} {where.name}"
        print(f"{name:<{_WIDEST}}  {shown(value, _lacking(found[0], name))}")
    return 0


def _columns(text: str) -> tuple[str, ...]:
    """Names with commas between them; behind a ``+``, more of them than are shown anyway."""
    names = text.removeprefix("+").split(",")
    names = [name.strip().removeprefix("+") for name in names]
    for name in names:
        if name not in _NAMES:
            meant = nearest(name, _NAMES)
            right = f"did you mean {meant}?" if meant else f"write {listed(_NAMES)}"
            raise argparse.ArgumentTypeError(f"there is no column {name!r}, {right}")
    return tuple(dict.fromkeys((*_DEFAULT, *names) if text.startswith("+") else names))


def _column(name: str, where: Zone) -> Column:
    """A column of the table."""
    if name in ("started_at", "ended_at"):
        title = "TIME" if name == "started_at" else "ENDED"
        return Column(
            f"{title} ({where.name})",
            lambda row: _time(row[name], where),
            floors=(_MOMENT, _CLOCK, _CLOCK),
            shorten=_without_date,
        )
    if name in ("input_tokens", "output_tokens"):
        return Column(
            _TITLES[name], lambda row: counted(row[name], _lacking(row, name)), right=True
        )
    if name == "duration_ms":
        return Column(_TITLES[name], lambda row: _took(row[name]), right=True)
    if name == "outcome":
        return Column("OUTCOME", lambda row: str(row[name] or queries.OPEN), floors=(9, 9, 8))
    if name == "cost_usd":
        return Column(_TITLES[name], _cost, right=True)
    if name == "model":
        return Column("MODEL", lambda row: shown(_model(row), "-"), floors=NAME)
    number = name.endswith(("_ms", "_bytes", "_tokens"))
    return Column(
        _TITLES.get(name, name.upper()),
        lambda row: shown(row[name], _lacking(row, name)),
        right=number or name in ("events", "keepalives", "attempts"),
        floors=RIGID if number or name in ("id", "status_sent", "status_upstream") else NAME,
    )


_TITLES = {
    "status_sent": "STATUS",
    "input_tokens": "IN",
    "output_tokens": "OUT",
    "duration_ms": "TOOK",
    "cost_usd": "USD",
}
_ID = re.compile(r"[0-9a-f-]{1,36}")
_WIDEST = max(map(len, COLUMNS))
#: How wide a time is with its date, and without.
_MOMENT, _CLOCK = len("11-21 12:30:00"), len("12:30:00")
#: What every request has, told or not; and what those have that use tokens by their nature.
_ALWAYS = frozenset({"attempts", "duration_ms", "request_bytes"})
_METERED = frozenset({"cost_usd", *(name for name in COLUMNS if name.endswith("_tokens"))})


def _time(value: Value, where: Zone) -> str:
    return "-" if value is None else where.at(str(value)).strftime("%m-%d %H:%M:%S")


def _without_date(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[-_CLOCK:]


def _lacking(row: Row, name: str) -> str:
    """What stands for NULL: not known, or there is none."""
    if name in _METERED:
        return "?" if uses_tokens(row) else "-"
    return "?" if name in _ALWAYS else "-"


def _took(value: Value) -> str:
    return f"{value / 1000:.2f}s" if isinstance(value, int | float) else "?"


def _cost(row: Row) -> str:
    value = row["cost_usd"]
    return f"{value:.6f}" if isinstance(value, int | float) else _lacking(row, "cost_usd")


def _model(row: Row) -> Value:
    return row["model_served"] or row["model_requested"]
