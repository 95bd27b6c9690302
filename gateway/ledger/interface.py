"""What the rest of the gateway knows of the ledger, and what the ledger needs of the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from ..record import Intent, Record


class LedgerError(Exception):
    """The ledger cannot be used; the text says which file, what is wrong, what would be right."""


class LedgerUnavailable(Exception):
    """The store cannot take a row now: the request must not be sent, its client may try again.

    The text says why, without paths: it may be told to the client.
    """


class LedgerReactor(Protocol):
    """The part of a reactor that the ledger uses; its ``seconds`` measures waiting, not dates."""

    def seconds(self) -> float:
        """The reactor's clock, in seconds."""

    def callLater(  # noqa: N802
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """As `twisted.internet.interfaces.IReactorTime` has it."""

    def callFromThread(  # noqa: N802
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """As `twisted.internet.interfaces.IReactorFromThreads` has it."""


class Ledger(Protocol):
    """Where exchanges are accounted for.  All methods are called in the reactor's thread."""

    def start(self) -> None:
        """Make the store ready, and settle what a dead process left open as ``killed``.

        Called once, before anything listens; may block shortly.  Raises `LedgerError`.
        """

    def open(self, intent: Intent) -> Deferred[None]:
        """Write the opening entry of a request; never blocks, never raises.

        Fires in the reactor's thread, or has fired, once the row survives what `durability`
        promises.  Fails with `LedgerUnavailable` if that cannot be had in time: then the request
        must not be sent, and no row of it will say that it was.
        """

    def settle(self, record: Record) -> None:
        """Queue the whole story of a request; never blocks, never raises.

        Idempotent by id: the first record that is settled stays.  A record whose error is
        ``ledger_unavailable`` is not written: what the ledger refused is counted, not accounted.
        """

    def has_room(self) -> bool:
        """Whether rows that no intent has announced should come now, or had better wait.

        They are taken either way while there is any place; this keeps most of it for requests.
        """

    def stop(self) -> Deferred[None]:
        """Write what is queued, within a bound, and let go of the store; always fires with None."""
