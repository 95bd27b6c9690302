"""The keys of where requests go: routes, what holds for all of them, upstreams and prices."""

from __future__ import annotations

from collections.abc import Mapping

from . import matching, price, secret, url, values
from .key import Key
from .model import Family, KeepaliveMode

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
    "dedup": Key(
        values.duration_or(0.0, "1s", "24h"),
        "How long a finished answer to a model is given again, without asking the API, to whoever "
        "sends the very same request with the same credential; one that comes while the first "
        "answer is still under way joins it. From 1s to 24h; off: never. docs/dedup.rst says which "
        "requests are the same.",
        default="off",
    ),
    "dedup_tool_results": Key(
        values.duration_or(0.0, "1s", "24h"),
        "The same for requests that end with nothing but results of tools, which agents send again "
        "when they lost an answer: if dedup is on and this is longer, it holds for these. "
        "off: as dedup.",
        default="off",
    ),
    "hook_events": Key(
        values.switch,
        "Show each block of events of a stream to the function event(block) of [hooks] module, "
        "which is never called without this; it costs time for every block.",
        default="off",
    ),
}

UPSTREAM: Mapping[str, Key] = {
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

PRICES: Mapping[str, Key] = {
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
    "batch": Key(
        price.share,
        "The share of these prices that a result of a batch costs. Without it: that is unknown.",
        example="0.5",
    ),
}
