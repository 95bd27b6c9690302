"""The gateway's configuration: an INI file in, frozen and typed objects out, or every problem.

The layers, from the file upwards: `ini` (text to entries with lines), `values`, `url`, `endpoint`,
`network`, `secret`, `price` and `matching` (one value each), `schema` (which keys there are),
`tables` (the schema applied), `checks` (what sections mean together), `build` (the objects of
`model`).  None knows of sockets or of the reactor.  Called by the command line at start, and by
everything that checks a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .build import build
from .builtin import TEXT, as_served, with_demo
from .ini import read
from .model import (
    Client,
    Config,
    Durability,
    Family,
    Gateway,
    KeepaliveMode,
    Ledger,
    LogFormat,
    Pattern,
    Postgres,
    Prices,
    Proxy,
    Route,
    Secret,
    Upstream,
    Url,
)
from .problem import ConfigError, Problem, Report
from .tables import read_tables

__all__ = [
    "Client",
    "Config",
    "ConfigError",
    "Durability",
    "Family",
    "Gateway",
    "KeepaliveMode",
    "Ledger",
    "LogFormat",
    "Pattern",
    "Postgres",
    "Prices",
    "Problem",
    "Proxy",
    "Route",
    "Secret",
    "Upstream",
    "Url",
    "as_served",
    "builtin",
    "load",
    "parse",
    "read_file",
    "with_demo",
]


def load(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] | None = None,
    *,
    secrets: bool = True,
    admin: bool | None = None,
) -> Config:
    """The configuration in a file.  Secrets are read too: from `environ`, or from their files.

    Without `secrets` only the ledger's own is; the admin listener's token as `admin` says, or else
    like all others.

    Raises `ConfigError` with every problem that was found.
    """
    return parse(os.fspath(path), read_file(path), environ, secrets=secrets, admin=admin)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """What stands in a file, for `parse`.  Raises `ConfigError` if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        what = f"the file cannot be read ({error.strerror}), name one that exists and is readable"
        raise ConfigError([Problem(os.fspath(path), 1, "", "", what)]) from None


def builtin(environ: Mapping[str, str] | None = None) -> Config:
    """The configuration that needs no file.

    Raises `ConfigError` if the environment names no place for the gateway's state.
    """
    return parse("built-in", TEXT.encode(), environ)


def parse(
    source: str,
    data: bytes,
    environ: Mapping[str, str] | None = None,
    *,
    secrets: bool = True,
    admin: bool | None = None,
) -> Config:
    """The configuration in the text of a file, `source` being its name; see `load`."""
    report = Report(source)
    tables = read_tables(read(data, report), report)
    environ = os.environ if environ is None else environ
    admin = secrets if admin is None else admin
    return build(source, tables, environ, report, secrets=secrets, admin=admin)
