"""``twistd gateway``: its options, and the service that they describe."""

from __future__ import annotations

import os
import sys
import time
from typing import NoReturn

from twisted.application.service import IService
from twisted.python import usage

from . import __version__, log_destination
from .config import Config, ConfigError, builtin, parse, read_file
from .config.advice import about_hooks, advice
from .hooks.loader import described, hooks_of


class Options(usage.Options):
    """The command line of ``twistd gateway``."""

    synopsis = "[--config FILE] [--check]"
    longdesc = (
        "A streaming gateway between LLM clients and LLM APIs.  Without --config it listens on "
        "127.0.0.1:8080, passes your own API keys through to OpenAI, Anthropic and Google, and "
        "serves a simulated provider under /demo."
    )
    optParameters = [  # noqa: RUF012 - the name and the type are Twisted's
        ["config", "c", None, "INI file to read instead of using the built-in configuration."],
    ]
    optFlags = [  # noqa: RUF012 - the name and the type are Twisted's
        ["check", None, "Validate the configuration, list every problem, and exit."],
    ]
    compData = usage.Completions(optActions={"config": usage.CompleteFiles("*.ini")})

    config: Config
    #: What stood in the file, and where it is whatever becomes of the current folder.
    text = ""
    path = ""
    #: Where workers log.
    workers_log = "stderr"

    def opt_version(self) -> NoReturn:
        """Print the gateway's version and exit."""
        print(f"txgateway {__version__}")
        sys.exit(0)

    def postOptions(self) -> None:
        """Read the configuration; list all its problems and exit with 1 if it has any."""
        path = self["config"]
        try:
            if path is None:
                self.config = builtin()
            else:
                data = read_file(path)
                self.config = parse(path, data)
                self.text, self.path = data.decode("utf-8"), os.path.abspath(path)
        except ConfigError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
        if self["check"]:
            self._check()
        if self.parent is not None:
            self.workers_log = log_destination.of_workers(self.parent)
            self.parent["logger"] = log_destination.choose(self.parent, self.config)

    def _check(self) -> NoReturn:
        """Say what the hooks are, too: nothing else reads them before a start does."""
        config = self.config
        try:
            hooks = hooks_of(config)
        except ConfigError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
        told = [] if hooks is None else about_hooks(config, hooks.names)
        for sentence in [*advice(config), *told]:
            print(f"{config.source}: {sentence}")
        print(f"{config.source}: ok{'' if hooks is None else f' ({described(config, hooks)})'}")
        sys.exit(0)


def makeService(options: Options) -> IService:
    """The gateway, not yet started, for twistd."""
    from twisted.internet import reactor

    # Twisted's reactors tell the time of day; a step of it would fire or stall every timer.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    config = options.config
    # Of the two, each is imported only where it is used: they take a tenth of a second and memory.
    if not config.gateway.workers:
        from .service import GatewayService

        return GatewayService(config, reactor)
    from .supervisor.checking import check
    from .supervisor.plan import Plan
    from .supervisor.service import SupervisorService

    return SupervisorService(
        config,
        Plan.of(config, options.text),
        lambda: check(reactor, options.path, config.source),
        reactor,
        options.workers_log,
    )
