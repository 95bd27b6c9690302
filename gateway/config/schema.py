"""Every section and key that a file may have: the one table of them.

Defaults, ranges, what is unknown, and the reference that operators read (``conf/gateway.ini``, held
to this table by a test) all come from here.  To add a key: add it here, to the model, and to the
reference; its value then reaches the model by the key's name, or by `Key.field`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import matching, secret, url, values
from .endpoint import listener
from .model import Durability, Family, KeepaliveMode, LogFormat


@dataclass(frozen=True, slots=True)
class Key:
    """A key: how its value is read, and what it is if the file does not say.

    A key without `default` is absent by default, or worked out from others; `example` then shows
    what it looks like.  A key with `many` takes several lines; its parser reads one of them to a
    tuple, and its value is all of these together.
    """

    parse: Callable[[str], Any]
    doc: str
    default: str | None = None
    example: str | None = None
    required: bool = False
    many: bool = False
    field: str | None = None  #: the model's name for it, where it is another

    @property
    def default_value(self) -> Any:
        """The parsed default, or None."""
        return None if self.default is None else self.parse(self.default)


def _one(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """A parser of one line for a key with `many`, from a parser of one value."""
    return lambda text: (parse(text),)


_GATEWAY = {
    "listen": Key(
        _one(listener),
        "Where clients connect: Twisted endpoint strings, several on lines of their own.",
        default="tcp:8080:interface=127.0.0.1",
        many=True,
    ),
    "state_dir": Key(
        values.absolute_path,
        "Where the gateway keeps its files. Without it: $STATE_DIRECTORY (which systemd sets), "
        "else $XDG_STATE_HOME/gateway, else ~/.local/state/gateway.",
        example="/var/lib/gateway",
    ),
    "drain_timeout": Key(
        values.duration_or(0.0, "10ms", "24h"),
        "How long running streams may go on after a stop is asked for. off: not at all.",
        default="10m",
    ),
    "demo": Key(
        values.switch,
        "Serve a simulated provider under /demo, to see a stream without a key.",
        default="off",
    ),
    "max_streams": Key(
        values.integer(1, 1_000_000),
        "How many requests may run at a time; more are answered 503.",
        default="10000",
    ),
    "max_buffered": Key(
        values.size("64KiB", "1TiB"),
        "How much of request bodies may be held in memory, all requests together.",
        default="256MiB",
    ),
    "log": Key(
        values.choice(LogFormat),
        "How the log is written: text, systemd (the journal's own protocol), or auto: "
        "systemd under systemd and text elsewhere.",
        default="auto",
    ),
}

_LEDGER = {
    "url": Key(
        url.ledger_path,
        "Where rows are kept, one for every request. Without it: ledger.sqlite in state_dir.",
        example="sqlite:///var/lib/gateway/ledger.sqlite",
        field="path",
    ),
    "durability": Key(
        values.choice(Durability),
        "What a row survives: process (the gateway being killed) or power (the machine losing "
        "power too, at the price of a disk write before each request).",
        default="process",
    ),
}

#: The keys of [defaults], which every route has too.
POLICY: Mapping[str, Key] = {
    "keepalive": Key(
        values.choice(KeepaliveMode),
        "When a silent stream is first spoken into: delayed (after keepalive_after), immediate "
        "(at once, before the upstream answers) or off.",
        default="delayed",
    ),
    "keepalive_after": Key(
        values.duration("10ms", "10m", instead_of_off="write keepalive = off for no keepalives"),
        "With delayed: how long the client waits for the upstream's answer to begin before the "
        "gateway begins the stream itself. From then on errors are events, not statuses.",
        default="10s",
    ),
    "keepalive_interval": Key(
        values.duration("10ms", "10m", instead_of_off="write keepalive = off for no keepalives"),
        "How long the upstream is silent before each further keepalive.",
        default="15s",
    ),
    "head_timeout": Key(
        values.duration_or(None, "10ms", "24h"),
        "How long the upstream may take to begin its answer.",
        default="600s",
    ),
    "first_event_timeout": Key(
        values.duration_or(None, "10ms", "24h"),
        "How long the upstream may take from its head to the first event of a stream.",
        default="off",
    ),
    "idle_timeout": Key(
        values.duration_or(None, "10ms", "24h"),
        "How long the upstream may be silent within its answer.",
        default="180s",
    ),
    "total_timeout": Key(
        values.duration_or(None, "10ms", "24h"),
        "How long a request may take in all.",
        default="off",
    ),
    "client_write_timeout": Key(
        values.duration_or(None, "10ms", "24h"),
        "How long a client may read nothing while bytes wait for it.",
        default="60s",
    ),
    "max_body": Key(
        values.size("1", "1TiB"),
        "The largest request body; a larger one is answered 413.",
        default="32MiB",
    ),
}

_UPSTREAM = {
    "url": Key(
        url.upstream_url,
        "Where the API is: http or https, host, port and, if it has one, a base path, "
        "which is put in front of every request's path.",
        example="https://api.openai.com",
        required=True,
    ),
    "dialect": Key(
        values.choice(Family),
        "What the API speaks: openai, anthropic, gemini, ollama, bedrock, or generic, which is "
        "passed on without a look into it.",
        example="openai",
        required=True,
        field="family",
    ),
    "api_key": Key(
        secret.reference,
        "The gateway's own key for this API, which replaces the client's. Never the key itself: "
        "env:NAME, file:/path or credential:NAME (systemd's LoadCredential=). Without it the "
        "client's credential passes through.",
        example="env:OPENAI_API_KEY",
    ),
    "api_key_header": Key(
        secret.key_header,
        "The header that carries api_key. Without it, by dialect: x-api-key for anthropic, "
        "x-goog-api-key for gemini, Authorization: Bearer for all others.",
        example="Authorization: Bearer",
    ),
    "ca": Key(
        values.absolute_path,
        "A PEM file with the authorities to trust for this API, in place of the system's.",
        example="/etc/gateway/private-ca.pem",
    ),
    "pool_size": Key(
        values.integer(0, 100_000),
        "How many unused connections to this API are kept for later requests, at most.",
        default="100",
    ),
    "pool_idle_timeout": Key(
        values.duration_or(0.0, "10ms", "1h"),
        "How long each of these is kept; less than the API itself keeps it. off: not at all.",
        default="4s",
    ),
    "connect_timeout": Key(
        values.duration("10ms", "10m", instead_of_off="write the longest wait, up to 10m"),
        "How long connecting may take, the TLS handshake included.",
        default="10s",
    ),
}

#: The keys that only a route has.
MATCHING: Mapping[str, Key] = {
    "path": Key(
        matching.patterns,
        "Which paths: patterns with white space between them. * is anything within a segment; "
        "/* at the end is anything below, and the path above it too. The pattern with the most "
        "literal characters wins.",
        example="/v1/chat/completions/*",
        required=True,
        many=True,
        field="patterns",
    ),
    "header": Key(
        matching.header_name,
        "Only requests that have this header; such a route comes before an equal one without.",
        example="anthropic-version",
    ),
    "upstream": Key(
        str,
        "Where they go: the name of an [upstream NAME] section.",
        example="openai",
        required=True,
    ),
    "strip_prefix": Key(
        matching.prefix,
        "What is removed from the beginning of the path before it goes on.",
        example="/team-a",
    ),
}

#: Kind of section to its keys.
SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "gateway": _GATEWAY,
    "ledger": _LEDGER,
    "defaults": POLICY,
    "upstream": _UPSTREAM,
    "route": {**MATCHING, **POLICY},
}

#: The kinds whose header has a name after it, of which there can be several.
NAMED = frozenset({"upstream", "route"})


def title(kind: str) -> str:
    """A kind of section as its header is written."""
    return f"[{kind} NAME]" if kind in NAMED else f"[{kind}]"
