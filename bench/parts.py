"""The parts of the gateway among which a profile divides its time: which files belong to which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the code, and what it does there."""

    name: str
    doc: str
    #: Files and folders, from the package on.  A file belongs to whoever names most of its path.
    paths: tuple[str, ...]


def _in(folder: str, *names: str) -> Iterator[str]:
    return (f"{folder}/{name}" for name in names)


#: The name of what stacks belong to that no part has.
REST: Final = "rest of the gateway"

PARTS: Final = (
    Part(
        "reactor",
        "waits for events and deals them out; timers",
        (
            "gateway/net/reactor.py",
            *_in("twisted/internet", "base.py", "epollreactor.py", "posixbase.py"),
        ),
    ),
    Part(
        "transport",
        "reads and writes sockets, accepts and connects, with their system calls",
        ("gateway/net", *_in("twisted/internet", "abstract.py", "tcp.py")),
    ),
    Part(
        "TLS",
        "of the upstream and of listeners",
        (
            *("gateway/listening/tls.py", "gateway/upstream/endpoint.py"),
            *("twisted/protocols", "twisted/internet/_sslverify.py"),
            *("OpenSSL", "cryptography", "service_identity"),
        ),
    ),
    Part("HTTP/1", "reads and writes heads, chunks and bodies", ("gateway/http1",)),
    Part("clients", "connections of clients", ("gateway/front", "twisted/web")),
    Part("upstreams", "connections to upstreams", ("gateway/upstream",)),
    Part(
        "routing, credentials",
        "who asks, and where to",
        tuple(
            _in(
                "gateway",
                *("callers.py", "credentials.py", "door.py", "forwarded.py", "hosts.py"),
                *("match.py", "routing.py"),
            )
        ),
    ),
    Part(
        "exchange, relay",
        "a request from its admission to its end",
        ("gateway/exchange", "gateway/coding.py", "gateway/proxy.py"),
    ),
    Part(
        "dialects, usage",
        "cuts streams into events; model, usage and ends",
        (
            "gateway/dialects",
            *_in("gateway", "awsstream.py", "inspection.py", "jsonstream.py"),
            *_in("gateway", "nature.py", "sse.py", "usage_injection.py"),
        ),
    ),
    Part("dedup, hooks", "off unless configured", ("gateway/dedup", "gateway/hooks")),
    Part(
        "ledger, prices",
        "a row's intent, its record, its cost; without the thread that writes the database",
        (
            *_in("gateway", "ledger", "prices"),
            *_in("gateway", "intents.py", "record.py", "state.py", "statekey.py"),
        ),
    ),
    Part(
        "log, metrics",
        "lines, their redaction, counters",
        (
            *_in("gateway", "admin", "journal", "log_destination.py", "redact.py"),
            "twisted/logger",
        ),
    ),
    Part("Twisted", "all else of it: Deferreds, endpoints, threads' calls", ("twisted",)),
    Part(REST, "configuration, start and stop", ("gateway",)),
)

_OWNERS: Final[Mapping[str, str]] = {path: part.name for part in PARTS for path in part.paths}


def part_of(files: Iterable[str]) -> str:
    """The part that has the first of `files` that any has."""
    for file in files:
        path = PurePosixPath(file)
        for place in (path, *path.parents):
            owner = _OWNERS.get(str(place))
            if owner is not None:
                return owner
    return REST
