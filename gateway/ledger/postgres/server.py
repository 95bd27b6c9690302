"""The connection to the server, as the shipper's thread has it: blocking, but never for ever.

Every wait has an end: connecting by ``connect_timeout``; a server that is gone without a word by
keepalives; a slow one by ``statement_timeout``; and one that neither answers nor goes away
(stopped, or behind a proxy that lost it) by a watchdog, which shuts the socket down under libpq, as
`cut` does.  At the server, a transaction whose gateway is gone ends by itself, because the next
attempt to ship its rows would wait for it.

No text of an error holds a password or a value of a row.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final, LiteralString

import msgspec
import psycopg

from ...config.model import Postgres
from ...record import Value
from . import schema

#: Seconds that a batch may take before the watchdog ends its connection, and those of a migration.
DEADLINE: Final = 60.0
_MIGRATION_DEADLINE: Final = 600.0

#: Classes of SQLSTATE that are about the values of a row: data exceptions, broken constraints,
#: limits exceeded (PostgreSQL's documentation, appendix A).  All others are about the server.
_ABOUT_ROWS: Final = ("22", "23", "54")

# A commit that is answered before it is on the server's disk could be lost after its entries have
# left the outbox.  Stronger settings than "on" stay.
_BEGIN: Final[LiteralString] = """
    BEGIN;
    SET LOCAL statement_timeout = '30s';
    SET LOCAL idle_in_transaction_session_timeout = '30s';
    SELECT set_config('synchronous_commit', 'on', true)
        WHERE current_setting('synchronous_commit') = 'off'
"""


class ServerError(Exception):
    """The server cannot be used now; the text says where and why."""


class RowsRefused(Exception):
    """The server does not take these rows, and would not take them later; the text says why."""


def connect(database: Postgres) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in autocommit mode.  Raises `ServerError`."""
    parameters: dict[str, Any] = {
        "host": database.host,
        "port": database.port,
        "dbname": database.database,
        "user": database.user,
        "password": database.password.reveal() if database.password is not None else None,
        "application_name": "txgateway",
        "client_encoding": "UTF8",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds
        **database.parameters,
    }
    try:
        # Nothing is prepared: a pooler in between may give each transaction another session.
        return psycopg.connect(autocommit=True, prepare_threshold=None, **parameters)
    except psycopg.Error as error:
        raise ServerError(f"{database.place}: {text_of(error)}") from None


class Server:
    """See the module's text.  All methods but `cut` are called in one thread."""

    def __init__(self, database: Postgres, deadline: float = DEADLINE) -> None:
        """`deadline` is in seconds, for one batch."""
        self._database = database
        self._deadline = deadline
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._socket: socket.socket | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect, and bring the database's layout up to date.

        Raises `ServerError`, and `LedgerError` if the database cannot be a ledger for this gateway.
        """
        self._connection = connection = connect(self._database)
        # A descriptor of our own: shutting it down cannot hit another connection that has got the
        # same number meanwhile.
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        with self._talking(_MIGRATION_DEADLINE):
            schema.migrate(connection, self._database.place)

    def ship(self, rows: Sequence[dict[str, Value]]) -> None:
        """Write rows; when this returns, the server has said that they are committed.

        Raises `ServerError`, which leaves open whether they are, and `RowsRefused`: none is.
        """
        connection = self._connection
        assert connection is not None
        data = encoded(rows)
        with self._talking(self._deadline):
            connection.execute(_BEGIN)
            try:
                connection.execute(schema.SHIP, (data,))
                answer = connection.execute("COMMIT").statusmessage
            except psycopg.Error as error:
                if (error.sqlstate or "")[:2] not in _ABOUT_ROWS:
                    raise
                connection.execute("ROLLBACK")
                raise RowsRefused(text_of(error)) from None
            if answer != "COMMIT":
                raise psycopg.OperationalError(f"COMMIT was answered with {answer}")

    def cut(self) -> None:
        """End the connection under whoever waits for it.  May be called in any thread."""
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # it is closed already
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection, if there is one."""
        connection, self._connection = self._connection, None
        sock, self._socket = self._socket, None
        if connection is not None:
            connection.close()
        if sock is not None:
            sock.close()

    @contextlib.contextmanager
    def _talking(self, seconds: float) -> Iterator[None]:
        """Bound what is said within; whatever goes wrong with the server ends the connection."""
        watchdog = threading.Timer(seconds, self.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except RowsRefused:
            raise
        except psycopg.Error as error:
            self.close()
            raise ServerError(f"{self._database.place}: {text_of(error)}") from None
        except BaseException:
            self.close()
            raise
        finally:
            watchdog.cancel()


def encoded(rows: Sequence[dict[str, Value]]) -> str:
    """Rows as the JSON that `schema.SHIP` takes.

    PostgreSQL's text has no NUL character; U+FFFD takes its place.
    """
    data = msgspec.json.encode(rows)
    if rb"\u0000" in data:
        data = msgspec.json.encode([_without_nul(row) for row in rows])
    return data.decode()


def _without_nul(row: dict[str, Value]) -> dict[str, Value]:
    return {
        name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
        for name, value in row.items()
    }


def text_of(error: psycopg.Error) -> str:
    """What went wrong, on one line; of what a server says, only what tells nothing of a row."""
    told = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(told.split())
