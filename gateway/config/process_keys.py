"""The keys of what a process is: ``[gateway]``, ``[ledger]``, ``[client NAME]``, ``[hooks]``."""

from __future__ import annotations

from collections.abc import Mapping

from . import network, secret, url, values
from .endpoint import listener, listener_or_off
from .key import Key, one
from .model import Durability, LogFormat

GATEWAY: Mapping[str, Key] = {
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
    "admin": Key(
        listener_or_off,
        "Where operators and Prometheus ask: an endpoint string as in listen. Beyond loopback it "
        "takes an admin_token. off: nowhere. If it is not written here and the port is taken, the "
        "gateway starts without.",
        default="tcp:8081:interface=127.0.0.1",
    ),
    "admin_token": Key(
        secret.reference,
        "Where the token is that whoever asks there has to send (Authorization: Bearer ...), but "
        "for /healthz and /readyz: env:NAME, file:/path or credential:NAME.",
        example="credential:admin",
    ),
    "drain_timeout": Key(
        values.duration_or(0.0, "10ms", "24h"),
        "How long running streams may go on after a stop is asked for. off: not at all.",
        default="10m",
    ),
    "workers": Key(
        values.workers,
        "How many processes serve: auto (one for each core) or a number up to 256. With them the "
        "configuration can be reloaded, and the gateway upgraded, while streams go on. 0: one "
        "process, which cannot.",
        default="0",
    ),
    "max_draining": Key(
        values.integer(1, 64),
        "How many generations of workers that have been replaced may have streams left; a further "
        "reload waits until one of them has ended.",
        default="4",
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
    "dedup_memory": Key(
        values.size("64KiB", "1TiB", instead_of_off="dedup = off turns dedup off"),
        "How much of answers may be held in memory for routes with dedup, all together; the oldest "
        "are forgotten first, and an answer of more than an eighth of this is not kept at all.",
        default="64MiB",
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
        "How the log is written: text, systemd (the journal's own protocol; where there is no "
        "journal, lines with priorities), json (an object a line), or auto: systemd under systemd "
        "and text elsewhere.",
        default="auto",
    ),
}

LEDGER: Mapping[str, Key] = {
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

CLIENT: Mapping[str, Key] = {
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

HOOKS: Mapping[str, Key] = {
    "module": Key(
        values.absolute_path,
        "A Python file of your own, whose hooks run after the gateway's own work: see "
        "docs/hooks.rst. It runs with the gateway's rights and in its one thread.",
        example="/etc/gateway/hooks.py",
    ),
}
