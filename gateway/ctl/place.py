"""Where a configuration keeps its rows: in a file, or in a PostgreSQL database."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..config import Config
from ..ledger import costs, postgres
from ..ledger import reading as files
from ..ledger.costs import CostWriter
from ..ledger.reading import Reader


def place_of(config: Config) -> str:
    """The ledger, as people are told; no secret is in it."""
    database = config.ledger.postgres
    return str(config.ledger.path) if database is None else database.place


def reading(config: Config, seconds: float | None = None) -> AbstractContextManager[Reader]:
    """The ledger, read-only; raises `LedgerError`, also for what goes wrong meanwhile.

    `seconds` is how long a statement may take.
    """
    database = config.ledger.postgres
    if database is None:
        return files.reading(config.ledger.path, seconds)
    return postgres.reading(database, seconds)


def cost_writing(config: Config) -> AbstractContextManager[CostWriter]:
    """The ledger, for setting costs; otherwise as `reading`."""
    database = config.ledger.postgres
    if database is None:
        return costs.cost_writing(config.ledger.path)
    return postgres.cost_writing(database)
