"""Setting the costs of settled rows in a database, for ``gatewayctl reprice``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from ...config.model import Postgres
from ..reading import Reader
from .reader import PostgresReader, connected

_SET: Final = (
    "UPDATE requests SET cost_usd = new.usd, price_snapshot = new.snapshot "
    "FROM unnest(%s::double precision[], %s::text[], %s::text[]) AS new (usd, snapshot, id) "
    "WHERE requests.id = new.id AND requests.outcome IS NOT NULL"
)


class PostgresCostWriter:
    """A ledger in a database, whose costs can be set."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], place: str) -> None:
        self._connection = connection
        self.reader: Reader = PostgresReader(connection, place)

    def write(self, costs: Sequence[tuple[float, str, str]]) -> None:
        """Set these, all or none: US dollars, the prices' snapshot, and the row's id of each."""
        if costs:
            self._connection.execute(_SET, tuple(map(list, zip(*costs, strict=True))))


@contextlib.contextmanager
def opened(database: Postgres) -> Iterator[PostgresCostWriter]:
    """See `gateway.ledger.postgres.cost_writing`."""
    with connected(database) as connection:
        yield PostgresCostWriter(connection, database.place)
