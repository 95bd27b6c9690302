"""What all exchanges of a process share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime

from ..hooks.calls import Hooks
from ..ledger.interface import Ledger
from ..record import Intent, Phase
from ..redact import Redactor
from .completion import Link

if TYPE_CHECKING:
    from .exchange import Exchange
    from .results import ResultRows


class Running(Protocol):
    """Whatever keeps a client's answer under way."""

    intent: Intent

    @property
    def phase(self) -> Phase:
        """Where it stands."""

    @property
    def paused(self) -> bool:
        """Whether its client does not read, so that nothing is read for it."""

    def drain(self) -> None:
        """End now, because the gateway is stopping."""

    def kill(self, detail: str) -> None:
        """End now, because an operator wants it so; `detail` tells the client and the row."""


@dataclass(frozen=True, slots=True)
class Services:
    """Made once, at start."""

    clock: IReactorTime
    wall: Callable[[], float]  #: seconds since the epoch
    ledger: Ledger
    links: Sequence[Link]
    redactor: Redactor = field(default_factory=Redactor)
    running: set[Running] = field(default_factory=set)
    #: Those of them that read on behind a client that has left.
    reading_on: set[Exchange] = field(default_factory=set)
    hooks: Hooks | None = None  #: the operator's own, if there are any that see requests
    #: Results of batches whose rows are still to be made; they may outlive their exchange.
    results: set[ResultRows] = field(default_factory=set)
