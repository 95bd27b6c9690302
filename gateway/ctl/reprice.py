"""``gatewayctl reprice``: compute the costs of rows again."""

from __future__ import annotations

import argparse
import json
import sys

from ..prices import Pricer
from ..prices.pricer import MISSING
from ..prices.reprice import Repricing, reprice
from .arguments import Commands, add_filters, add_times, check_names, config_of, filter_of
from .output import dollars, plural, printable
from .place import cost_writing

#: How many models without a price are named.
_NAMED = 10


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The command and its arguments."""
    parser = commands.add_parser(
        "reprice",
        parents=[common],
        help="compute the cost of requests again",
        description="Compute the cost of requests again, by the prices that are known now, from "
        "the usage that their providers sent. The price of each is that of the moment at which it "
        "began. Requests without a known price keep what they have. The gateway may be running.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument(
        "--json", action="store_true", help="print what was done as one JSON object"
    )
    add_times(parser, required=True)
    add_filters(parser, outcome=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Reprice, say what was done, and return the exit status."""
    which, config = filter_of(arguments), config_of(arguments)
    pricer = Pricer.of(config)
    if pricer.missing:
        print(MISSING, file=sys.stderr)
    with cost_writing(config) as ledger:
        check_names(ledger.reader, config, arguments)
        done = reprice(pricer, ledger, which, dry_run=arguments.dry_run)
    if arguments.json:
        _print_json(done, dry_run=arguments.dry_run)
    else:
        _print(done, dry_run=arguments.dry_run)
    return 0


def _print(done: Repricing, *, dry_run: bool) -> None:
    would = "would change" if dry_run else "changed"
    print(
        f"{plural(done.requests, 'request')} with usage: {done.changed} {would}, "
        f"{done.unchanged} as before, {done.unknown} without a known price"
    )
    print(f"US dollars: {dollars(done.before_usd)} before, {dollars(done.after_usd)} now")
    for (upstream, model), requests in done.unpriced.most_common(_NAMED):
        print(f"no price: {printable(model)} at {upstream} ({plural(requests, 'request')})")
    if len(done.unpriced) > _NAMED:
        print(f"no price: {plural(len(done.unpriced) - _NAMED, 'more model')}")


def _print_json(done: Repricing, *, dry_run: bool) -> None:
    told = {
        "dry_run": dry_run,
        "requests": done.requests,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "unknown": done.unknown,
        "before_usd": done.before_usd,
        "after_usd": done.after_usd,
        "unpriced": [
            {"upstream": upstream, "model": model, "requests": requests}
            for (upstream, model), requests in done.unpriced.most_common()
        ],
    }
    print(json.dumps(told))
