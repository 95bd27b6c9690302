"""The gateway as it ships: ledger, log, keepalives and deadlines are on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from .processes import BenchError, program
from .proxy import ROOT, Place, Proxy

# What is not said here is as it comes: keepalives after 10 s, deadlines for the head, for silence
# and for a client that does not read.
_CONF: Final = """\
[gateway]
listen = tcp:{place.port}:interface=127.0.0.1
admin = off
state_dir = {place.folder}/state
drain_timeout = 2s
log = text
{lines}

[upstream openai]
url = {place.url}
dialect = openai
{ca}

[upstream anthropic]
url = {place.url}
dialect = anthropic
{ca}

[route chat]
path = /v1/chat/completions
upstream = openai

[route messages]
path = /v1/messages
upstream = anthropic
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """How the gateway is run, where not as it comes."""

    workers: int | None = None
    reactor: str | None = None  #: a name that ``twistd --reactor`` knows
    lines: tuple[str, ...] = ()  #: of the section ``[gateway]``

    def doc(self) -> str:
        """The setting in words."""
        parts = [] if self.workers is None else [f"workers = {self.workers}"]
        parts += [] if self.reactor is None else [f"twistd --reactor {self.reactor}"]
        return ", ".join([*parts, *self.lines]) or "as it comes"


def gateway(name: str, setting: Setting, *, saturated: bool = False) -> Proxy:
    """The gateway beside this file."""
    return Proxy(
        name,
        f"This gateway, {setting.doc()}: ledger, log, keepalives and deadlines are on.",
        _version,
        partial(_command, setting),
        environ=_environ,
        keeps_alive=True,
        saturated=saturated,
    )


def _version(_: Path) -> str:
    try:
        twisted = version("twisted")
    except PackageNotFoundError as error:
        advice = "run this with the Python of the environment that the gateway is installed in"
        raise BenchError(f"{sys.executable} has no Twisted: {advice}") from error
    return f"txgateway on Twisted {twisted}, Python {platform.python_version()}"


def _command(setting: Setting, place: Place) -> list[str]:
    conf = place.folder / "gateway.ini"
    lines = list(setting.lines)
    if setting.workers is not None:
        lines.append(f"workers = {setting.workers}")
    ca = f"ca = {place.ca}" if place.tls else ""
    conf.write_text(_CONF.format(place=place, lines="\n".join(lines), ca=ca))
    twistd = program("twistd", "install the gateway where this Python is, for instance by make run")
    reactor = [] if setting.reactor is None else [f"--reactor={setting.reactor}"]
    return [twistd, "-n", "--pidfile=", *reactor, "gateway", "--config", str(conf)]


def _environ(_: Place) -> Mapping[str, str]:
    return {"PYTHONPATH": str(ROOT)}  # what is measured is the gateway beside this file
