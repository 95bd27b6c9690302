"""What is asked of a ledger, by `gatewayctl` and the admin listener.

What is unknown stays None: a sum says how many rows it lacks, and is itself None where no row is
known.  Moments are seconds since the epoch and are held against the time at which requests began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..nature import BATCH_RESULT, COUNTING, METHODS
from ..record import COLUMNS, Outcome, Value, timestamp
from .reading import Reader

#: Beside the outcomes: requests that have not ended yet.
OPEN = "open"
#: Beside the codes of errors: requests that have any.
ANY = "any"

_MODEL = "coalesce(model_served, model_requested)"
#: What `usage` can be told by, as SQL.
_KEYS = {
    "model": _MODEL,
    "tenant": "tenant",
    "route": "route",
    "upstream": "upstream",
    "outcome": f"coalesce(outcome, '{OPEN}')",
    "session": "session",
    "everything": "'everything'",
}
GROUPINGS = tuple(_KEYS)

_SUMMED = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# Whoever was not asked used nothing; of an open row and a killed one nobody knows, unless it was
# given another request's answer: that one's row has it all.
_SENT = (
    f"((answer_of IS NULL OR dialect = '{BATCH_RESULT}') AND (attempts IS NULL OR attempts > 0))"
)
# The same as `gateway.nature.uses_tokens`.
_ASKED = (
    f"((outcome IS NULL OR outcome <> '{Outcome.REJECTED}') AND {_SENT} "
    f"AND (method NOT IN ({_listed(METHODS)}) OR dialect = '{BATCH_RESULT}') "
    f"AND dialect NOT IN ({_listed(COUNTING)}))"
)
_USAGE = ", ".join(
    (
        "count(*) AS requests",
        *(f"sum({name}) AS {name}" for name in _SUMMED),
        "sum(CASE WHEN cache_read_tokens IS NOT NULL THEN input_tokens END) AS cacheable_tokens",
        "sum(CASE WHEN (input_tokens IS NULL OR output_tokens IS NULL) "
        f"AND {_ASKED} THEN 1 ELSE 0 END) AS unknown_usage",
        # The 0 of an answer that was given again says nothing of what those who asked had to pay.
        f"sum(CASE WHEN cost_usd <> 0 OR {_ASKED} THEN cost_usd END) AS cost_usd",
        f"sum(CASE WHEN cost_usd IS NULL AND {_ASKED} THEN 1 ELSE 0 END) AS unknown_cost",
    )
)
#: What it takes to say what a cache saved: the columns of `cached`, besides the key.
_CACHED = (
    "upstream", "dialect", "model_served", "model_requested", "started_at", "input_tokens",
    "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests are meant: those for which all of this holds; None holds for all."""

    since: float | None = None  #: began then or later
    until: float | None = None  #: began before
    outcome: str | None = None  #: one of `Outcome`, or `OPEN`
    error: str | None = None  #: one of `ErrorCode`, or `ANY`
    status: range | None = None  #: of the provider's answer or of the gateway's own
    model: str | None = None  #: answered, or was asked for
    tenant: str | None = None
    route: str | None = None
    upstream: str | None = None
    session: str | None = None
    sent: bool = False  #: only what was sent to its upstream, as far as is known

    def sql(self) -> tuple[str, list[str | int]]:
        """A condition, and the values in it."""
        conditions, values = ["1 = 1"], list[str | int]()

        def add(condition: str, *added: str | int) -> None:
            conditions.append(condition)
            values.extend(added)

        if self.since is not None:
            add("started_at >= ?", timestamp(self.since))
        if self.until is not None:
            add("started_at < ?", timestamp(self.until))
        if self.outcome == OPEN:
            add("outcome IS NULL")
        elif self.outcome is not None:
            add("outcome = ?", self.outcome)
        if self.error == ANY:
            add("error IS NOT NULL")
        elif self.error is not None:
            add("error = ?", self.error)
        if self.status is not None:
            least, most = self.status[0], self.status[-1]
            add(
                "(status_upstream BETWEEN ? AND ? OR status_sent BETWEEN ? AND ?)",
                *(least, most, least, most),
            )
        if self.sent:
            add(_SENT)
        if self.model is not None:
            add("(model_served = ? OR model_requested = ?)", self.model, self.model)
        for name in ("tenant", "route", "upstream", "session"):
            value = getattr(self, name)
            if value is not None:
                add(f"{name} = ?", value)
        return " AND ".join(conditions), values


ALL = Filter()


def knows(reader: Reader, column: str, name: str) -> bool:
    """Whether any row has this `route` or `upstream`; goes through the ledger if none has."""
    statement = f"SELECT id FROM requests WHERE {_KEYS[column]} = ? LIMIT 1"
    return any(reader.rows(statement, [name]))


def requests(
    reader: Reader, which: Filter = ALL, last: int | None = 20
) -> Iterator[dict[str, Value]]:
    """Rows with the names of `gateway.record.COLUMNS`, the oldest first.

    `last`: only so many of them, the newest.
    """
    where, values = which.sql()
    statement = f"SELECT {', '.join(COLUMNS)} FROM requests WHERE {where} ORDER BY "
    if last is None:
        yield from map(_row, reader.rows(f"{statement} started_at, id", values))
        return
    newest = list(reader.rows(f"{statement} {reader.newest} LIMIT ?", [*values, last]))
    yield from map(_row, reversed(newest))


def by_id(reader: Reader, beginning: str, most: int = 2) -> list[dict[str, Value]]:
    """The rows whose id begins so, at most so many.  Ids are of 0 to 9, a to f, and dashes."""
    statement = (
        f"SELECT {', '.join(COLUMNS)} FROM requests WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    )
    return [_row(row) for row in reader.rows(statement, [beginning, f"{beginning}g", most])]


def settled(reader: Reader, among: Sequence[str], which: Filter) -> Iterator[dict[str, Value]]:
    """Those of these ids that are settled and meant by `which`, the oldest first."""
    where, values = which.sql()
    holes = ", ".join("?" * len(among))
    statement = (
        f"SELECT {', '.join(COLUMNS)} FROM requests WHERE id IN ({holes}) "
        f"AND outcome IS NOT NULL AND {where} ORDER BY started_at, id"
    )
    return map(_row, reader.rows(statement, [*among, *values]))


def ids(reader: Reader, which: Filter) -> list[str]:
    """The ids of requests, the oldest first."""
    where, values = which.sql()
    statement = f"SELECT id FROM requests WHERE {where} ORDER BY started_at, id"
    return [str(row["id"]) for row in reader.rows(statement, values)]


def usage(reader: Reader, by: str = "model", which: Filter = ALL) -> list[dict[str, Value]]:
    """Requests, tokens and US dollars, summed up by one of `GROUPINGS`; the busiest come first.

    The model is the one that answered or, if none is known, the one that was asked for.
    `cacheable_tokens` is the input of the rows that know how much of it came from a cache.
    `unknown_usage` is how many rows of those that use tokens by their nature lack input or output
    tokens (`gateway.nature`): the sums are without them.
    `unknown_cost` is the same for `cost_usd`, which is None where nobody had to pay, too.
    Raises ValueError if `by` is none of `GROUPINGS`.
    """
    where, values = which.sql()
    return list(
        reader.rows(
            f"SELECT {_key(by)} AS {by}, {_USAGE} FROM requests WHERE {where} "
            "GROUP BY 1 ORDER BY requests DESC, 1 NULLS FIRST",
            values,
        )
    )


def cached(reader: Reader, by: str = "model", which: Filter = ALL) -> Iterator[dict[str, Value]]:
    """What was read from or written to a cache, request by request, with its key of `by`."""
    where, values = which.sql()
    columns = ", ".join(name for name in _CACHED if name != by)
    return reader.rows(
        f"SELECT {_key(by)} AS {by}, {columns} FROM requests WHERE {where} "
        "AND (cache_read_tokens > 0 OR cache_write_tokens > 0)",
        values,
    )


def span(reader: Reader, which: Filter = ALL) -> tuple[str, str] | None:
    """When the first and the last of these requests began (see `timestamp`); None if none did."""
    where, values = which.sql()
    statement = (
        f"SELECT min(started_at) AS first, max(started_at) AS last FROM requests WHERE {where}"
    )
    (row,) = reader.rows(statement, values)
    return None if row["first"] is None else (str(row["first"]), str(row["last"]))


def _key(by: str) -> str:
    if by not in _KEYS:
        raise ValueError(f"usage cannot be told by {by!r}, only by {', '.join(GROUPINGS)}")
    return f"{_KEYS[by]}"


def _row(row: dict[str, Value]) -> dict[str, Value]:
    row["stream"] = None if row["stream"] is None else bool(row["stream"])
    return row
