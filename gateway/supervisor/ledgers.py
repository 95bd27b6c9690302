"""What workers keep on disk, as far as it takes one who does it for all of them.

Ledgers are kept open by the supervisor as long as a worker that writes to them lives.

The supervisor stands for the instance (`gateway.ledger.identity`): it has the lock, finds out
whether the file is damaged, and settles what an earlier instance has left.  It writes no rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from twisted.logger import Logger

from ..config.model import Durability
from ..journal.kinds import Kind
from ..ledger import LedgerError, damage
from ..ledger.store import Store
from ..record import timestamp
from ..statekey import load_key
from .plan import Plan

_log = Logger(namespace="gateway.supervisor")


class Ledgers:
    """See the module's text.  Blocks."""

    def __init__(self, owner: str, wall: Callable[[], float] = time.time) -> None:
        """`owner` is told to another instance that finds a ledger in use."""
        self._owner = owner
        self._wall = wall
        self._open: dict[str, Store] = {}

    def need(self, plan: Plan) -> None:
        """See to a plan's state, and open its ledger if it is not open.

        Raises `LedgerError`.
        """
        state_dir = Path(plan.state_dir)
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            load_key(state_dir / "tenant.key")  # of several workers, each would make one
        except OSError as error:
            raise LedgerError(f"state_dir {state_dir} cannot be used: {error}") from error
        if plan.ledger in self._open:
            return
        path = Path(plan.ledger)
        store = Store(path, Durability(plan.durability), self._owner, ship=plan.ship)
        killed = store.open(timestamp(self._wall()))
        self._open[plan.ledger] = store
        if killed:
            _log.warn(
                "{count} requests were open when their process died; they are settled as killed",
                count=killed,
                kind=Kind.ROWS_KILLED,
            )
        for aside in damage.quarantined(path):
            _log.critical(
                "ledger {path}: a damaged ledger was set aside as {aside}, and its rows are "
                "missing here; save what can be read of it (sqlite3's .recover), then take it away",
                path=plan.ledger,
                aside=str(aside),
                kind=Kind.LEDGER_TROUBLE,
            )

    def keep(self, plans: Collection[Plan]) -> None:
        """Close those that none of these plans needs."""
        needed = {plan.ledger for plan in plans}
        for path in self._open.keys() - needed:
            self._open.pop(path).close()
