"""Arguments that several commands have, and what they mean together."""

from __future__ import annotations

import argparse
import re
import time
from typing import Any, TypeAlias

from ..config import Config, builtin, load
from ..config.problem import nearest
from ..ledger import queries
from ..ledger.reading import Reader
from ..record import ErrorCode, Outcome
from .output import Format
from .times import UTC, Zone, local_zone, moment, zone

#: Where a command adds itself.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class UsageError(Exception):
    """Arguments contradict one another, or one of them means nothing; the text says which."""


def parents() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """``--config``, as the command line takes it before the command, and after it.

    After it, its absence must not undo what was said before.
    """
    before = argparse.ArgumentParser(add_help=False)
    after = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for parser in (before, after):
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="the gateway's configuration file (default: the built-in configuration)",
        )
    return before, after


def add_format(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``--csv``."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const=Format.JSON,
        default=Format.TABLE,
        help="print one JSON object a line",
    )
    group.add_argument(
        "--csv",
        dest="format",
        action="store_const",
        const=Format.CSV,
        help="print comma-separated values, their names on the first line",
    )


def add_times(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """``--since``, ``--until``, ``--tz`` and ``--local``."""
    parser.add_argument(
        "--since",
        metavar="WHEN",
        required=required,
        help="only requests that began then or later: 7d, 12h, 1h30m ago, or at 2026-11-01 or "
        "2026-11-01T12:30",
    )
    parser.add_argument(
        "--until", metavar="WHEN", help="only requests that began before, written likewise"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--tz",
        metavar="ZONE",
        type=zone,
        default=None,
        help="the zone of times and days, read and shown, such as Europe/Berlin (default: UTC)",
    )
    group.add_argument("--local", action="store_true", help="the same with this system's own zone")


def add_filters(parser: argparse.ArgumentParser, *, outcome: bool = True) -> None:
    """What picks requests, besides their time."""
    if outcome:
        parser.add_argument(
            "--outcome",
            metavar="OUTCOME",
            choices=[*(outcome.value for outcome in Outcome), queries.OPEN],
            help="only those that ended so: %(choices)s (not ended yet)",
        )
        parser.add_argument(
            "--error",
            metavar="CODE",
            choices=[queries.ANY, *(code.value for code in ErrorCode)],
            help="only those with this error, or with any: %(choices)s",
        )
        parser.add_argument(
            "--status",
            metavar="STATUS",
            type=status,
            help="only those that the provider or the gateway answered so: a number such as 429, "
            "4xx, 5xx, or error (400 and up)",
        )
    parser.add_argument("--model", metavar="NAME", help="only those of this model")
    parser.add_argument("--tenant", metavar="NAME", help="only those of this tenant")
    parser.add_argument("--route", metavar="NAME", help="only those that took this route")
    parser.add_argument(
        "--upstream",
        metavar="NAME",
        help="only those for this upstream"
        + (", also what was refused before it was sent" if outcome else ""),
    )
    parser.add_argument("--session", metavar="ID", help="only those of this session")


def count(text: str) -> int:
    """A number of rows, from 1 on."""
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, write one such as 20")
    return int(text)


def status(text: str) -> range:
    """A status, or those of a class."""
    if text == "error":
        return range(400, 1000)
    if re.fullmatch(r"[1-5]xx", text, re.IGNORECASE):
        first = int(text[0]) * 100
        return range(first, first + 100)
    if re.fullmatch(r"[1-9][0-9]{2}", text, re.ASCII):
        return range(int(text), int(text) + 1)
    raise argparse.ArgumentTypeError(
        f"{text!r} is no status, write a number such as 429, or 4xx, 5xx or error"
    )


def zone_of(arguments: argparse.Namespace) -> Zone:
    """The zone that was asked for; raises `UsageError`."""
    try:
        return local_zone() if arguments.local else arguments.tz or UTC
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"argument --local: {error}") from None


def filter_of(arguments: argparse.Namespace) -> queries.Filter:
    """What the arguments pick; raises `UsageError`."""
    now, where = time.time(), zone_of(arguments)

    def at(name: str) -> float | None:
        text = getattr(arguments, name)
        try:
            return None if text is None else moment(text, where, now)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"argument --{name}: {error}") from None

    names = ("outcome", "error", "status", "model", "tenant", "route", "upstream", "session")
    given: dict[str, Any] = {name: getattr(arguments, name, None) for name in names}
    return queries.Filter(at("since"), at("until"), **given)


def check_names(reader: Reader, config: Config, arguments: argparse.Namespace) -> None:
    """Raises `UsageError` for an upstream or a route that nobody has ever heard of.

    What the configuration does not have (any more) may still stand in the ledger.
    """
    demo = ["demo"] if config.gateway.demo else []  # which gets its name where it is served
    known = {
        "upstream": [*config.upstreams, *demo],
        "route": [*(route.name for route in config.routes), *demo],
    }
    for column, names in known.items():
        name = getattr(arguments, column)
        if name is None or name in names or queries.knows(reader, column, name):
            continue
        meant = nearest(name, names)
        right = f"did you mean {meant}?" if meant else f"there are: {', '.join(names)}"
        raise UsageError(
            f"argument --{column}: neither {config.source} nor the ledger has {name!r}, {right}"
        )


def config_of(arguments: argparse.Namespace, *, secrets: bool = False) -> Config:
    """The configuration that was named, or the built-in one; raises `ConfigError`.

    `secrets`: the keys that it names are read, too; reading rows needs none of them.
    """
    return builtin() if arguments.config is None else load(arguments.config, secrets=secrets)
