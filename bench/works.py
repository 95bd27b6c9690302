"""What the proxies are given to do: the table of works, as options of ``load client``.

A work has to keep the quickest proxy busy for some tenths of a second, because the system counts
CPU time in steps of 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

Options = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of load.  `unit` is what CPU time is divided by: "event" or "request"."""

    name: str
    doc: str
    unit: str
    options: Options
    #: Options in place of those above for a short run that nobody measures.
    short: Options = field(default_factory=dict)

    @property
    def counted(self) -> str:
        """Where the client's report has the number of units."""
        return f"{self.unit}s"

    def arguments(self) -> list[str]:
        """The work as arguments of ``load client``."""
        return [text for name, value in self.options.items() for text in (f"-{name}", str(value))]

    def shortened(self) -> Work:
        """The same kind of load, enough to warm a proxy up."""
        return replace(self, options={**self.options, **self.short})


WORKS: Final[Mapping[str, Work]] = {
    work.name: work
    for work in (
        Work(
            "S10k",
            "200 streams of 100 events, one each 20 ms, on new connections",
            "event",
            {"streams": 200, "events": 100, "interval": 20},
            {"streams": 20, "events": 20},
        ),
        Work(
            "S50k",
            "50 streams of 1,000 events, one each 1 ms, on new connections",
            "event",
            {"streams": 50, "events": 1000, "interval": 1},
            {"events": 100},
        ),
        Work(
            "U",
            "10,000 requests of 32 clients with keep-alive, 2 KB prompts, short JSON answers",
            "request",
            {"clients": 32, "requests": 10_000, "prompt": 2_000},
            {"requests": 500},
        ),
        Work(
            "U200",
            "2,000 requests of 32 clients with keep-alive, 200 KB prompts, short JSON answers",
            "request",
            {"clients": 32, "requests": 2_000, "prompt": 200_000},
            {"requests": 100},
        ),
    )
}
