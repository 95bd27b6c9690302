"""The ledger in a database, as `gateway.ledger.queries` asks it.

What is asked is portable SQL, and the table is the SQLite file's, so there is little to translate:
placeholders, and sums, which PostgreSQL gives as exact numbers.  Rows come in portions, however
many there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count
from typing import Any, cast

import psycopg

from ...config.model import Postgres
from ...record import Value
from ..interface import LedgerError
from ..reading import too_slow
from . import schema
from .server import ServerError, connect, text_of

#: Rows fetched at a time.
_PORTION = 1000


class PostgresReader:
    """A `gateway.ledger.reading.Reader` of a database."""

    newest = "started_at DESC, id DESC"

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], place: str, *, hold: bool = True
    ) -> None:
        """`hold`: results outlive a transaction; without it there has to be one."""
        self._connection = connection
        self._hold = hold
        self._names = map("rows{}".format, count())
        self.place = place

    def rows(self, statement: str, values: Sequence[str | int] = ()) -> Iterator[dict[str, Value]]:
        """The rows of a SELECT by the names of their columns, as they are read.

        `statement` has ``?`` where `values` belong, and nowhere else.
        """
        # Held by the server beyond a transaction, since nobody knows when the next row is wanted.
        with self._connection.cursor(next(self._names), withhold=self._hold) as cursor:
            cursor.itersize = _PORTION
            cursor.execute(translated(statement), values)
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                yield dict(zip(names, map(_value, row), strict=True))


@contextlib.contextmanager
def opened(database: Postgres, seconds: float | None = None) -> Iterator[PostgresReader]:
    """See `gateway.ledger.postgres.reading`."""
    with connected(database) as connection:
        connection.execute("SET default_transaction_read_only = on")
        if seconds is None:
            yield PostgresReader(connection, database.place)
            return
        milliseconds = str(round(seconds * 1000))
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (milliseconds,))
        try:
            # In a transaction: what is held beyond one is made at its commit, which no
            # statement_timeout ends (finish_xact_command in PostgreSQL's postgres.c).
            with connection.transaction():
                yield PostgresReader(connection, database.place, hold=False)
        except psycopg.errors.QueryCanceled:
            raise too_slow(database.place, seconds) from None


@contextlib.contextmanager
def connected(database: Postgres) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection to a database that has a ledger; raises `LedgerError`, also within."""
    place = database.place
    try:
        with contextlib.closing(connect(database)) as connection:
            if schema.version_of(connection, place) == 0:
                raise LedgerError(
                    f"{place}: there is no ledger yet; "
                    "a gateway with this configuration makes it at start"
                )
            yield connection
    except ServerError as error:
        raise LedgerError(str(error)) from None
    except psycopg.Error as error:
        raise LedgerError(f"{place}: the ledger cannot be used ({text_of(error)})") from None


def translated(statement: str) -> str:
    """A statement with the placeholders of psycopg."""
    return statement.replace("%", "%%").replace("?", "%s")


def _value(value: Any) -> Value:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return cast(Value, value)
