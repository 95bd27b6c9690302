"""``gatewayctl check``: what is wrong with a configuration file."""

from __future__ import annotations

import argparse

from ..config import ConfigError
from ..hooks.loader import hooks_of
from .arguments import Commands, config_of
from .place import place_of


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The command and its arguments."""
    parser = commands.add_parser(
        "check",
        parents=[common],
        help="say what is wrong with a configuration file",
        description="Print each problem of a configuration on a line and exit with 1; else with 0.",
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="the file (default: see --config)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and return the exit status."""
    arguments.config = arguments.file or arguments.config
    try:
        config = config_of(arguments, secrets=True)
        hooks_of(config)
    except ConfigError as error:
        print(error)  # what was asked for, so not on standard error
        return 1
    print(
        f"{config.source}: ok (upstreams: {', '.join(config.upstreams) or 'none'}; "
        f"routes: {len(config.routes)}; listening on {', '.join(config.gateway.listen)}; "
        f"ledger: {place_of(config)})"
    )
    return 0
