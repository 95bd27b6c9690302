"""The command line, and what becomes of it when something goes wrong."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..config import ConfigError
from ..ledger import LedgerError
from . import check, control, reconcile, reprice, requests, usage
from .arguments import UsageError, parents
from .asking import AskError


def main(argv: Sequence[str] | None = None) -> int:
    """Run `gatewayctl` with `argv` (default: the process's arguments); returns the exit status.

    Raises SystemExit, as argparse does, for wrong arguments and after ``--help``.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show
    try:
        try:
            status = _run(argv)
        finally:
            # Also what --help printed: at exit nobody could be told that it was not written.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # whoever read has seen enough
        return 0
    except OSError as error:
        _drop_output()
        print(f"gatewayctl: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if sys.stdout is None:
        print("gatewayctl: standard output is closed; there is nowhere to write", file=sys.stderr)
        return 1
    try:
        status: int = arguments.run(arguments)
    except UsageError as error:
        parser.error(str(error))
    except (ConfigError, LedgerError, AskError) as error:
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return 1
    return status


def _drop_output() -> None:
    """Have the interpreter not try to write the rest at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    before, after = parents()
    parser = argparse.ArgumentParser(
        prog="gatewayctl",
        description="Check a gateway's configuration, look into its ledger, price it again; see "
        "and steer one that runs.",
        epilog="gatewayctl COMMAND --help tells what a command can do.",
        parents=[before],
    )
    parser.add_argument("--version", action="version", version=f"gatewayctl {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (check, requests, usage, reprice, reconcile, control):
        command.add(commands, after)
    return parser
