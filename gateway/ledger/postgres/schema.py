"""The tables at the server, how they came to be, and the statement that takes rows there.

The one table of rows has the names and the meanings of the SQLite file's, so that one query reads
either; times are the same text.  Text is compared byte by byte, as SQLite does.  What is for a
gateway's own use (whatever is not in `gateway.record.COLUMNS`) stays in its file.

Steps go forwards only and only add, as in `gateway.ledger.migrations`, each is in one transaction
with the version that it makes, and of several gateways that start at once one does it: they wait
for one another's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import psycopg

from ...record import COLUMNS
from ..interface import LedgerError

#: The lock that migrations are done under: "TXGW", in the number space of applications' locks.
_LOCK: Final = 0x54584757

_V1: Final[Sequence[LiteralString]] = (
    """
    CREATE TABLE requests (
        id text COLLATE "C" PRIMARY KEY, started_at text COLLATE "C", ended_at text COLLATE "C",
        instance text COLLATE "C", route text COLLATE "C", upstream text COLLATE "C",
        dialect text COLLATE "C", method text COLLATE "C", path text COLLATE "C",
        model_requested text COLLATE "C", model_served text COLLATE "C", stream bigint,
        tenant text COLLATE "C", session text COLLATE "C", client text COLLATE "C",
        user_agent text COLLATE "C", status_upstream bigint, status_sent bigint,
        outcome text COLLATE "C", phase text COLLATE "C", error text COLLATE "C",
        error_detail text COLLATE "C", stop_reason text COLLATE "C",
        upstream_request_id text COLLATE "C", attempts bigint, connect_ms double precision,
        head_ms double precision, first_event_ms double precision, duration_ms double precision,
        paused_ms double precision, request_bytes bigint, response_bytes bigint, events bigint,
        keepalives bigint, input_tokens bigint, cache_read_tokens bigint,
        cache_write_tokens bigint, cache_write_1h_tokens bigint, output_tokens bigint,
        reasoning_tokens bigint, usage_source text COLLATE "C", usage_raw text COLLATE "C",
        cost_usd double precision, price_snapshot text COLLATE "C"
    )
    """,
    # "The last ones", and "since".
    "CREATE INDEX requests_by_time ON requests (started_at, id)",
    # "The last ones that ended so".
    "CREATE INDEX requests_by_outcome ON requests (outcome, started_at)",
)

_V2: Final[Sequence[LiteralString]] = (
    'ALTER TABLE requests ADD COLUMN answer_of text COLLATE "C"',
    'ALTER TABLE requests ADD COLUMN tags text COLLATE "C"',
)

#: The steps; a database of version N has been through the first N.
STEPS: Final[Sequence[Sequence[LiteralString]]] = (_V1, _V2)

#: The version that this gateway knows.
VERSION: Final = len(STEPS)

#: Takes rows there, given as one JSON array of objects.  What is settled at the server stays as it
#: is, so that a batch may come twice, and late.
SHIP: Final = (
    f"INSERT INTO requests ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} "
    "FROM json_populate_recordset(NULL::requests, %s::json) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")
    + " WHERE requests.outcome IS NULL"
)


# Not to_regclass(), which answers from a cache that may be older than a lock just taken.
_TABLES: Final = (
    "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) "
    "AND tablename IN ('gateway_ledger', 'requests')"
)


def version_of(connection: psycopg.Connection[tuple[Any, ...]], place: str) -> int:
    """How many steps the database has been through: 0 if it has no ledger yet.

    Raises `LedgerError`, which speaks of the database as `place`, if it cannot be one for this
    gateway, and psycopg.Error.
    """
    ((encoding,),) = connection.execute("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise LedgerError(
            f"{place}: the database's encoding is {encoding}, which cannot hold every name; "
            "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    tables = {name for (name,) in connection.execute(_TABLES)}
    if not tables:
        return 0
    if "gateway_ledger" not in tables:
        raise LedgerError(
            f"{place}: the database has a table named requests of another program; "
            "give the ledger a database of its own"
        )
    ((version,),) = connection.execute("SELECT version FROM gateway_ledger")
    if version > VERSION:
        raise LedgerError(
            f"{place}: this ledger was made by a newer gateway (its layout is version {version}, "
            f"this gateway knows {VERSION}); use that gateway, or another database"
        )
    return int(version)


def migrate(connection: psycopg.Connection[tuple[Any, ...]], place: str) -> None:
    """Bring the database up to date.  The connection must be in autocommit mode.

    Raises what `version_of` raises.
    """
    if version_of(connection, place) == VERSION:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        before = version_of(connection, place)  # another gateway may have done it meanwhile
        if before == 0:
            connection.execute("CREATE TABLE gateway_ledger (version integer NOT NULL)")
            connection.execute("INSERT INTO gateway_ledger VALUES (0)")
        for step in STEPS[before:]:
            for statement in step:
                connection.execute(statement)
        connection.execute("UPDATE gateway_ledger SET version = %s", (VERSION,))
