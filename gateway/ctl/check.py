"""``gatewayctl check``: what is wrong with a configuration file."""

from __future__ import annotations

import argparse

from ..config import ConfigError, as_served
from ..config.advice import about_hooks, advice
from ..hooks.loader import described, hooks_of
from .arguments import Commands, config_of
from .place import place_of


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The command and its arguments."""
    parser = commands.add_parser(
        "check",
        parents=[common],
        help="say what is wrong with a configuration file",
        description="Print each problem of a configuration on a line and exit with 1; or what is "
        "allowed and hardly ever meant, what is served, and exit with 0.",
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="the file (default: see --config)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and return the exit status."""
    arguments.config = arguments.file or arguments.config
    try:
        config = config_of(arguments, secrets=True)
        hooks = hooks_of(config)
    except ConfigError as error:
        print(error)  # what was asked for, so not on standard error
        return 1
    told = [] if hooks is None else about_hooks(config, hooks.names)
    for sentence in [*advice(config), *told]:
        print(f"{config.source}: {sentence}")
    served = as_served(config)
    simulated = served.upstreams.keys() - config.upstreams.keys()
    upstreams = [f"{name} (simulated)" if name in simulated else name for name in served.upstreams]
    print(
        f"{config.source}: ok (upstreams: {', '.join(upstreams)}; "
        f"routes: {len(served.routes)}; listening on {', '.join(config.gateway.listen)}; "
        f"ledger: {place_of(config)}{'' if hooks is None else f'; {described(config, hooks)}'})"
    )
    return 0
