"""What the proxies are given to do: the table of works, as options of ``load client``.

A work has to keep the quickest proxy busy for some tenths of a second, because the system counts
CPU time in steps of 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

Options = Mapping[str, int]

OPENAI: Final = "/v1/chat/completions"
ANTHROPIC: Final = "/v1/messages"


class Kind(Enum):
    """What is counted in a work, and so which figures it has."""

    EVENTS = "event"
    REQUESTS = "request"
    BODY = "MB"
    HELD = "keepalive"
    STALLED = "stalled stream"


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of load."""

    name: str
    doc: str
    kind: Kind
    options: Options
    #: Options in place of those above for a short run that nobody measures.
    short: Options = field(default_factory=dict)
    #: Options in place of those above for proxies that this load would drown.
    light: Options = field(default_factory=dict)
    path: str = OPENAI
    tls: bool = False  #: to the upstream
    #: It is about memory: each proxy does it once, as a process that has done nothing before.
    fresh: bool = False
    #: Proxy and load share all cores, and the load is as much as the proxy can do.
    saturating: bool = False

    def shortened(self) -> Work:
        """The same kind of load, enough to warm a proxy up."""
        return replace(self, options={**self.options, **self.light, **self.short})

    def lightened(self) -> Work:
        """The same kind of load for slow proxies."""
        return replace(self, options={**self.options, **self.light})

    def arguments(self) -> list[str]:
        """The work as arguments of ``load client``."""
        options: Mapping[str, int | str] = {**self.options, "path": self.path}
        return [text for name, value in options.items() for text in (f"-{name}", str(value))]


_S10K: Final = Work(
    "S10k",
    "200 streams of 100 events, one each 20 ms, on new connections",
    Kind.EVENTS,
    {"streams": 200, "events": 100, "interval": 20},
    {"streams": 20, "events": 20},
    {"streams": 10, "events": 200},
)
_S50K: Final = Work(
    "S50k",
    "50 streams of 1,000 events, one each 1 ms, on new connections",
    Kind.EVENTS,
    {"streams": 50, "events": 1000, "interval": 1},
    {"events": 100},
    {"streams": 2, "events": 500, "interval": 4},
)
_U: Final = Work(
    "U",
    "10,000 requests of 32 clients with keep-alive, 2 KB prompts, short JSON answers",
    Kind.REQUESTS,
    {"clients": 32, "requests": 10_000, "prompt": 2_000},
    {"requests": 200},
    {"requests": 500},
)
_U200: Final = Work(
    "U200",
    "2,000 requests of 32 clients with keep-alive, 200 KB prompts, short JSON answers",
    Kind.REQUESTS,
    {"clients": 32, "requests": 2_000, "prompt": 200_000},
    {"requests": 100},
    {"requests": 200},
)
_B: Final = Work(
    "B",
    "one body of 500 MB",
    Kind.BODY,
    {"bytes": 500_000_000},
    {"bytes": 10_000_000},
    {"bytes": 50_000_000},
)
_H: Final = Work(
    "H",
    "5,000 streams held open with one event and then nothing, keepalives where a proxy has them",
    Kind.HELD,
    {"hold": 5_000},
    {"hold": 50},
    {"hold": 500},
    fresh=True,
)
_STALLED: Final = Work(
    "stalled",
    "1,000 clients that stop reading with upstreams as fast as can be, beside 20 that read",
    Kind.STALLED,
    {"stall": 1_000, "events": 200, "interval": 20},
    {"stall": 10, "events": 20},
    {"stall": 100},
    fresh=True,
)


def _tls(work: Work) -> Work:
    return replace(work, name=f"{work.name}-tls", doc=f"{work.doc}; TLS upstream", tls=True)


def _anthropic(work: Work) -> Work:
    doc = f"{work.doc}; Anthropic's dialect"
    return replace(work, name=f"{work.name}-anthropic", doc=doc, path=ANTHROPIC)


def _saturating(work: Work, name: str, doc: str, options: Options) -> Work:
    return replace(work, name=name, doc=doc, options={**work.options, **options}, saturating=True)


WORKS: Final[Mapping[str, Work]] = {
    work.name: work
    for work in (
        _S10K,
        _S50K,
        _U,
        _U200,
        _B,
        *map(_tls, (_S10K, _S50K, _U, _U200, _B)),
        *map(_anthropic, (_S10K, _S50K, _U)),
        _H,
        _STALLED,
        _saturating(
            _S50K,
            "E-most",
            "as many events as get through: 100 streams of 1,000, one each ms; all cores for all",
            {"streams": 100},
        ),
        _saturating(
            _U,
            "U-most",
            "as many requests as get through: 10,000 of 64 clients; all cores for all",
            {"clients": 64},
        ),
    )
}
