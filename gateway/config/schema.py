"""Every section and key that a file may have: the one table of them.

Defaults, ranges, what is unknown, and the reference that operators read (``conf/gateway.ini``, held
to this table by a test) all come from here.  To add a key: add it here, to the model, and to the
reference; its value then reaches the model by the key's name, or by `Key.field`.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import matching, network, price, secret, url, values
from .endpoint import listener
from .key import Key, one
from .model import Durability, Family, KeepaliveMode, LogFormat

_GATEWAY = {
    "listen": Key(
        one(listener),
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
    "trusted_proxies": Key(
        network.proxies,
        "Proxies in front of the gateway whose X-Forwarded-For, -Proto and -Host are believed: "
        "addresses and networks with white space between, and unix for what comes through a Unix "
        "socket. off: none, and these headers of a client's are replaced.",
        default="off",
        many=True,
    ),
    "allowed_hosts": Key(
        network.hosts,
        "Which hosts a request may name in its Host header, white space between, without ports; "
        "*.example.org is every name below it, * is any. Others are refused, so that no web page "
        "can reach the gateway through a name of its own. Without it: localhost, 127.0.0.1 and "
        "[::1] where the gateway listens on loopback, any elsewhere.",
        example="localhost llm.example.org",
        many=True,
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
    "max_head": Key(
        values.size("4KiB", "1MiB"),
        "The largest head of a request, all its headers together; a larger one is answered 431.",
        default="64KiB",
    ),
    "max_headers": Key(
        values.integer(10, 10_000),
        "How many headers a request may have; one with more is answered 431.",
        default="200",
    ),
    "client_head_timeout": Key(
        values.duration("10ms", "10m", instead_of_off="write the longest wait, up to 10m"),
        "How long a client may take to send the head of a request, from its first byte on.",
        default="15s",
    ),
    "client_idle_timeout": Key(
        values.duration("10ms", "24h", instead_of_off="write the longest wait, up to 24h"),
        "How long a client's connection is kept open between two requests.",
        default="75s",
    ),
    "client_body_rate": Key(
        values.size_or_off("1", "1GiB"),
        "How much of a request's body a client has to send each second, on average over each "
        "client_body_grace; one that is slower is answered 408. off: any pace.",
        default="1KiB",
    ),
    "client_body_grace": Key(
        values.duration("10ms", "1h", instead_of_off="write client_body_rate = off for any pace"),
        "How long a body may come at any pace before its pace is looked at, again and again.",
        default="10s",
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
        url.ledger_url,
        "Where rows are kept, one for every request: in a SQLite file, or in a PostgreSQL database "
        "(postgresql://user@host/database), for which they then wait in ledger.sqlite in "
        "state_dir. Without it: that file alone.",
        example="sqlite:///var/lib/gateway/ledger.sqlite",
    ),
    "password": Key(
        secret.reference,
        "Where the password of the PostgreSQL user is, if the database asks for one: env:NAME, "
        "file:/path or credential:NAME.",
        example="credential:postgresql",
    ),
    "durability": Key(
        values.choice(Durability),
        "What a row survives: process (the gateway being killed) or power (the machine losing "
        "power too, at the price of a disk write before each request).",
        default="process",
    ),
    "retention": Key(
        values.duration_or(None, "1h", "36500d"),
        "How long rows are kept after their requests began, such as 90d; older ones are deleted "
        "little by little. off: for ever.",
        default="off",
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
    "on_disconnect": Key(
        values.abort_or_drain("10ms", "1h"),
        "What becomes of the upstream's answer when the client leaves: abort it at once, or "
        "drain:30s, which reads on for so long at most, to learn what it costs.",
        default="abort",
    ),
    "usage_injection": Key(
        values.switch,
        "Ask OpenAI's chat completions and completions for the tokens that a stream takes, where "
        "the client does not; what comes only because of that is taken out of the answer again. "
        "Some servers refuse requests that ask for it.",
        default="off",
    ),
    "max_body": Key(
        values.size("1", "1TiB"),
        "The largest request body; a larger one is answered 413.",
        default="32MiB",
    ),
    "inspect_limit": Key(
        values.size("1KiB", "1GiB"),
        "The largest request body that is looked into; a larger one, where max_body allows it, is "
        "passed on as it is: without its model in the ledger and without keepalives.",
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
        "client's credential passes through, unless there are [client NAME] sections.",
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
    "prices": Key(
        price.provider,
        "Whose list prices hold for this API, where the extra prices is installed: the id of a "
        "provider that genai-prices knows, auto (the one whose public API url is, if any), or off. "
        "Prices of your own, see [prices NAME], come first.",
        default="auto",
    ),
}

_CLIENT = {
    "key": Key(
        secret.reference,
        "Where the client's key is, which it sends as it would send one of the API's: "
        "env:NAME, file:/path or credential:NAME.",
        example="env:TEAM_A_KEY",
    ),
    "key_sha256": Key(
        secret.sha256_digest,
        "In place of key: its SHA-256 digest in hexadecimal, which nobody can send as a key; "
        "printf %s KEY | sha256sum prints it.",
        example="d3ea2399c54702773895d837607cb1b7df1090a4781d620cde0142bbf6d2d999",
    ),
}

_PRICES = {
    "model": Key(
        price.models,
        "Which models: names with white space between them, as the API or the client tells them; "
        "* is any run of characters, and capitals are as good as others. The name with the most "
        "literal characters wins.",
        example="gpt-5-mini*",
        required=True,
        many=True,
        field="models",
    ),
    "upstream": Key(
        price.names,
        "Only at these upstreams: names of [upstream NAME] sections. Without it: at all of them; "
        "a section that names an upstream comes before one that does not.",
        example="openai",
        many=True,
        field="upstreams",
    ),
    "valid_from": Key(
        price.day,
        "The first day on which these prices hold, from midnight UTC on; of several sections for "
        "the same models the latest that has begun holds. Without it: always.",
        example="2026-10-01",
    ),
    "input": Key(
        price.dollars,
        "US dollars for a million tokens of input.",
        example="0.25",
        required=True,
    ),
    "output": Key(
        price.dollars,
        "US dollars for a million tokens of output.",
        example="2.00",
        required=True,
    ),
    "cache_read": Key(
        price.dollars,
        "The same for input that is read from a cache. Without it: as input.",
        example="0.025",
    ),
    "cache_write": Key(
        price.dollars,
        "The same for input that is written to a cache. Without it: as input.",
        example="0.3125",
    ),
    "cache_write_1h": Key(
        price.dollars,
        "The same for input that is written to a cache for an hour. Without it: as cache_write.",
        example="0.50",
    ),
    "reasoning": Key(
        price.dollars,
        "The same for output that is reasoning. Without it: as output.",
        example="2.00",
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
    "client": _CLIENT,
    "upstream": _UPSTREAM,
    "prices": _PRICES,
    "route": {**MATCHING, **POLICY},
}

#: The kinds whose header has a name after it, of which there can be several.
NAMED = frozenset({"client", "upstream", "prices", "route"})


def title(kind: str) -> str:
    """A kind of section as its header is written."""
    return f"[{kind} NAME]" if kind in NAMED else f"[{kind}]"
