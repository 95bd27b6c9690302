"""What a process keeps on disk: its ledger, who ships that, and the key of the tenants' names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .config import Config
from .ledger import LedgerError, SqliteLedger
from .ledger.postgres import shipper_for
from .statekey import load_key

if TYPE_CHECKING:
    from .ledger.postgres.shipper import Shipper


class StateError(Exception):
    """The state cannot be opened; the text says why and what would be right."""


@dataclass(frozen=True, slots=True)
class State:
    """What was opened; the ledger and the shipper run."""

    ledger: SqliteLedger
    shipper: Shipper | None
    tenant_key: bytes


def open_state(
    config: Config, reactor: Any, instance: str, *, alone: bool = True, ships: bool = True
) -> State:
    """Open everything.

    `alone`: this process takes the ledger's lock, and not its parent; `ships`: if there is a
    database, rows are shipped to it from here.  Raises `StateError`.
    """
    state_dir = config.gateway.state_dir
    database = config.ledger.postgres
    ledger = SqliteLedger(
        config.ledger.path,
        config.ledger.durability,
        instance,
        reactor,
        retention=config.ledger.retention,
        alone=alone,
        ship=database is not None,
    )
    shipper = None
    try:
        if database is not None and ships:
            shipper = shipper_for(config.ledger.path, database, reactor)
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = load_key(state_dir / "tenant.key")
        ledger.start()
        if shipper is not None:
            shipper.start()
    except LedgerError as error:
        raise StateError(str(error)) from error
    except OSError as error:
        raise StateError(f"state_dir {state_dir} cannot be used: {error}") from error
    return State(ledger, shipper, key)
