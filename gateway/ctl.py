"""``gatewayctl``: check a configuration, look into the ledger.

Works on files alone, whether a gateway runs or not, and imports no reactor.  Results go to standard
output, everything else to standard error.  Exit status: 0, 1 if it could not be done or a
configuration is bad, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

from .config import Config, ConfigError, builtin, load
from .ledger import LedgerError, queries
from .record import Outcome, Value

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\s*(?:\d{1,9}[smhd]\s*)+")

#: Columns narrower than this say nothing.
_NARROWEST = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run `gatewayctl` with `argv` (default: the process's arguments); returns the exit status.

    Raises SystemExit, as argparse does, for wrong arguments and after ``--help``.
    """
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (ConfigError, LedgerError) as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read has seen enough; the interpreter must not try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    # Known before and after the subcommand; there, its absence must not undo what was said here.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for_all = argparse.ArgumentParser(add_help=False)
    for parser in (common, for_all):
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="the gateway's configuration file (default: the built-in configuration)",
        )
    printed = argparse.ArgumentParser(add_help=False)
    printed.add_argument("--json", action="store_true", help="print one JSON object a line")

    parser = argparse.ArgumentParser(
        prog="gatewayctl",
        description="Check a configuration, look into the ledger.",
        parents=[for_all],
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    check = commands.add_parser(
        "check",
        parents=[common],
        help="say what is wrong with a configuration file",
        description="Print each problem of a configuration on a line and exit with 1; else with 0.",
    )
    check.add_argument("file", metavar="FILE", nargs="?", help="the file (default: see --config)")
    check.set_defaults(run=_check)

    requests = commands.add_parser(
        "requests",
        parents=[common, printed],
        help="show the last requests",
        description="Show the last requests, the newest at the end. Times are UTC, '?' is unknown.",
    )
    requests.add_argument(
        "--last", metavar="N", type=_count, default=20, help="how many (default: 20)"
    )
    requests.add_argument(
        "--outcome",
        metavar="OUTCOME",
        choices=[*(outcome.value for outcome in Outcome), queries.OPEN],
        help="only those that ended so: %(choices)s (not ended yet)",
    )
    requests.set_defaults(run=_requests)

    usage = commands.add_parser(
        "usage",
        parents=[common, printed],
        help="sum up requests, tokens and cost",
        description="Sum up requests, tokens and US dollars. A request whose tokens are not known "
        "is counted under UNKNOWN and missing in the sums; '?' is a sum of nothing known.",
    )
    usage.add_argument(
        "--since",
        metavar="DURATION",
        type=_duration,
        help="only requests that began within it: 7d, 12h, 30m (default: all)",
    )
    usage.add_argument(
        "--by",
        choices=queries.GROUPINGS,
        default="model",
        help="what to sum up by (default: model); days are those of UTC",
    )
    usage.set_defaults(run=_usage)
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, write one such as 20")
    return int(text)


def _duration(text: str) -> int:
    """Seconds of ``7d``, ``12h``, ``30m`` or several of these, as in ``1d12h``."""
    if not (text.isascii() and _DURATION.fullmatch(text)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration, write one such as 7d, 12h or 30m"
        )
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text))


def _config(file: str | None) -> Config:
    return builtin() if file is None else load(file)


# The commands.


def _check(arguments: argparse.Namespace) -> int:
    file: str | None = arguments.file or arguments.config
    try:
        config = _config(file)
    except ConfigError as error:
        print(error)  # what was asked for, so not on standard error
        return 1
    print(
        f"{config.source}: ok (upstreams: {', '.join(config.upstreams)}; "
        f"routes: {len(config.routes)}; listening on {', '.join(config.gateway.listen)}; "
        f"ledger: {config.ledger.path})"
    )
    return 0


def _requests(arguments: argparse.Namespace) -> int:
    path = _config(arguments.config).ledger.path
    rows = queries.requests(path, arguments.last, arguments.outcome)[::-1]
    if not rows:
        kind = f"{arguments.outcome} requests" if arguments.outcome else "requests yet"
        print(f"{path}: no {kind}", file=sys.stderr)
    elif arguments.json:
        _print_json(rows)
    else:
        titles = ("TIME (UTC)", "OUTCOME", "STATUS", "MODEL", "IN", "OUT", "TOOK", "ERROR")
        _print_table(titles, map(_request_cells, rows), right={4, 5, 6}, flexible={3, 7})
    return 0


def _request_cells(row: Mapping[str, Value]) -> list[str]:
    rejected = row["outcome"] == Outcome.REJECTED
    took = row["duration_ms"]
    return [
        str(row["started_at"])[5:19].replace("T", " "),
        str(row["outcome"] or queries.OPEN),
        _shown(row["status_sent"], "-"),
        _shown(row["model_served"] or row["model_requested"], "-"),
        _shown(row["input_tokens"], "-" if rejected else "?"),
        _shown(row["output_tokens"], "-" if rejected else "?"),
        f"{took / 1000:.2f}s" if isinstance(took, float) else "?",
        _shown(row["error"], "-"),
    ]


def _usage(arguments: argparse.Namespace) -> int:
    path = _config(arguments.config).ledger.path
    since = None if arguments.since is None else max(0.0, time.time() - arguments.since)
    rows = queries.usage(path, since, arguments.by)
    if not rows:
        print(f"{path}: no requests{' in that time' if arguments.since else ''}", file=sys.stderr)
    elif arguments.json:
        _print_json(rows)
    else:
        key = "DAY (UTC)" if arguments.by == "day" else arguments.by.upper()
        titles = (key, "REQUESTS", "IN", "CACHED", "OUT", "REASONING", "UNKNOWN", "USD")
        cells = (_usage_cells(row, arguments.by) for row in rows)
        _print_table(titles, cells, right=set(range(1, len(titles))), flexible={0})
    return 0


def _usage_cells(row: Mapping[str, Value], by: str) -> list[str]:
    cost = row["cost_usd"]
    counts = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    return [
        _shown(row[by], "-"),
        str(row["requests"]),
        *(_shown(row[name], "?") for name in counts),
        str(row["unknown_usage"]),
        f"{cost:.4f}" if isinstance(cost, float) else "?",
    ]


# How it is printed.


def _shown(value: Value, instead: str) -> str:
    """A value on a terminal; what a client sent must not steer it."""
    if value is None:
        return instead
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def _print_json(rows: Iterable[Mapping[str, Value]]) -> None:
    for row in rows:
        print(json.dumps(row))


def _print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], right: set[int], flexible: set[int]
) -> None:
    """Print columns two spaces apart; `flexible` ones are cut until a line fits the terminal."""
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = max(80, shutil.get_terminal_size((120, 24)).columns) - 2 * (len(widths) - 1)
    while sum(widths) > room:
        widest = max(flexible, key=lambda index: widths[index])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    for line in lines:
        cells = (
            _cut(cell, width).rjust(width) if index in right else _cut(cell, width).ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}\N{HORIZONTAL ELLIPSIS}"
