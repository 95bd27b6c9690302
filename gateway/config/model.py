"""The configuration as the rest of the gateway sees it: frozen, typed, complete.

Nothing here reads files.  Durations are seconds (None is ``off``), sizes are bytes.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

#: Whoever is believed about the clients behind it: peers in a network, or on a Unix socket.
Proxy = IPv4Network | IPv6Network | Literal["unix"]


class Family(StrEnum):
    """What an upstream speaks: the ``dialect`` key of ``[upstream NAME]``."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    OLLAMA = "ollama"
    BEDROCK = "bedrock"
    GENERIC = "generic"


class KeepaliveMode(StrEnum):
    """When a silent stream is first spoken into."""

    DELAYED = "delayed"
    IMMEDIATE = "immediate"
    OFF = "off"


class Durability(StrEnum):
    """What a ledger entry survives once it is acknowledged."""

    PROCESS = "process"
    POWER = "power"


class LogFormat(StrEnum):
    """How log records are written."""

    AUTO = "auto"
    TEXT = "text"
    SYSTEMD = "systemd"
    JSON = "json"


class Secret:
    """A secret's value, which only `reveal` gives out: not ``repr``, not ``str``, not a pickle."""

    __slots__ = ("_value", "reference")

    def __init__(self, reference: str, value: str) -> None:
        self.reference = reference
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return f"<Secret {self.reference}>"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised")


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of an upstream's URL; requests are built from these, never from joined text."""

    scheme: str  #: ``http`` or ``https``
    host: str  #: without brackets
    port: int
    base_path: str  #: no trailing slash; empty for the root

    @property
    def secure(self) -> bool:
        """Whether the upstream is asked over TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's default, port: what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """``[upstream NAME]``: an API that requests are sent to."""

    name: str
    url: Url
    family: Family
    api_key: Secret | None = None
    api_key_header: str = "Authorization: Bearer"
    ca: Path | None = None
    pool_size: int = 100
    pool_idle_timeout: float = 4.0
    connect_timeout: float = 10.0
    prices: str = "auto"  #: whose list prices hold: a provider's id, ``auto`` (by url) or ``off``


@dataclass(frozen=True, slots=True)
class Prices:
    """``[prices NAME]``: what models cost from a day on, in US dollars for a million tokens.

    A price that is None is that of the kind that it is a part of: `cache_read` and `cache_write`
    of `input`, `cache_write_1h` of `cache_write`, `reasoning` of `output`.
    """

    name: str
    models: tuple[str, ...]  #: patterns; ``*`` is any run of characters
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    batch: Decimal | None = None  #: the share of all these that batches cost; None: not known
    upstreams: tuple[str, ...] = ()  #: their names; none: all of them
    valid_from: datetime.date | None = None  #: from midnight UTC; None: always


@dataclass(frozen=True, slots=True)
class Client:
    """``[client NAME]``: somebody who may use the gateway; the name is the row's ``tenant``."""

    name: str
    digest: bytes = field(repr=False)  #: SHA-256 of the client's key, which itself is not kept


@dataclass(frozen=True, slots=True)
class Pattern:
    """One path pattern: ``*`` is any run within a segment, a trailing ``/*`` any rest."""

    text: str


@dataclass(frozen=True, slots=True)
class Route:
    """``[route NAME]``: which requests go where, and how long each part of them may take."""

    name: str
    patterns: tuple[Pattern, ...]
    upstream: Upstream
    header: str | None = None
    strip_prefix: str | None = None
    keepalive: KeepaliveMode = KeepaliveMode.DELAYED
    keepalive_after: float = 10.0
    keepalive_interval: float = 15.0
    head_timeout: float | None = 600.0
    first_event_timeout: float | None = None
    idle_timeout: float | None = 180.0
    total_timeout: float | None = None
    client_write_timeout: float | None = 60.0
    on_disconnect: float = 0.0  #: seconds to read on after the client has left; 0 is ``abort``
    usage_injection: bool = False
    max_body: int = 32 * 1024 * 1024
    inspect_limit: int = 32 * 1024 * 1024
    dedup: float = 0.0  #: seconds that a finished answer is given again; 0 is ``off``
    dedup_tool_results: float = 0.0  #: the same after results of tools, where it is longer
    hook_events: bool = False


@dataclass(frozen=True, slots=True)
class Gateway:
    """``[gateway]``: the process itself."""

    listen: tuple[str, ...]
    state_dir: Path
    trusted_proxies: tuple[Proxy, ...] = ()
    #: In lower case, IPv6 addresses in brackets; None: what is right for each listener.
    allowed_hosts: tuple[str, ...] | None = None
    admin: str | None = "tcp:8081:interface=127.0.0.1"  #: an endpoint string; None is ``off``
    admin_asked: bool = False  #: the file says where, so that a start without it is none
    admin_token: Secret | None = None
    drain_timeout: float = 600.0
    workers: int = 0  #: how many processes serve besides this one; 0: this one itself
    max_draining: int = 4  #: generations of workers
    demo: bool = False
    max_streams: int = 10_000
    max_buffered: int = 256 * 1024 * 1024
    dedup_memory: int = 64 * 1024 * 1024
    max_head: int = 64 * 1024
    max_headers: int = 200
    client_head_timeout: float = 15.0
    client_idle_timeout: float = 75.0
    client_body_grace: float = 10.0
    client_body_rate: int = 1024  #: bytes per second; 0 is ``off``
    log: LogFormat = LogFormat.AUTO


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL database that rows are shipped to."""

    host: str  #: a name or an address without brackets, or the folder of a Unix socket
    port: int
    database: str
    user: str | None = None  #: None: what libpq takes then
    #: Further parameters of the connection by libpq's names.
    parameters: Mapping[str, str] = field(default_factory=dict)
    password: Secret | None = None

    @property
    def place(self) -> str:
        """Where it is, as people are told; without the user, which the log would not show."""
        database = quote(self.database, safe="")
        if self.host.startswith("/"):
            return f"postgresql:///{database}?host={quote(self.host)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{host}:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class Ledger:
    """``[ledger]``: where rows are kept."""

    path: Path  #: the SQLite file; with a database, where rows wait for it
    durability: Durability = Durability.PROCESS
    retention: float | None = None
    postgres: Postgres | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an operator decided, or the built-in answer."""

    source: str  #: the file's name as given, or ``built-in``
    gateway: Gateway
    ledger: Ledger
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    clients: tuple[Client, ...] = ()
    prices: tuple[Prices, ...] = ()
    routes: tuple[Route, ...] = ()
    #: What ``[defaults]`` says, by the names of `Route`'s fields; what it leaves out is not there.
    defaults: Mapping[str, Any] = field(default_factory=dict)
    hooks: Path | None = None  #: the operator's own module
    hooks_line: int = 1  #: the line of `source` that names it
