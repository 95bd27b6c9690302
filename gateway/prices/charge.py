"""What is to be paid for: one request's tokens, who served them, and when."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from ..nature import BATCH_RESULT
from ..record import Outcome, Record, Usage, Value

_COUNTS = Usage.__struct_fields__


@dataclass(frozen=True, slots=True)
class Charge:
    """One request.  Prices of the moment at which it began hold for all of it."""

    upstream: str
    dialect: str
    model_served: str | None
    model_requested: str | None
    began: datetime.datetime  #: with its zone
    usage: Usage
    usage_raw: str | None

    @property
    def models(self) -> tuple[str, ...]:
        """The model that answered and, if another, the one that was asked for."""
        names = dict.fromkeys((self.model_served, self.model_requested))
        return tuple(name for name in names if name)

    @property
    def batched(self) -> bool:
        """It is a result of a batch, which has prices of its own."""
        return self.dialect == BATCH_RESULT

    @property
    def output_tokens(self) -> int | None:
        """The output; embeddings have none, and their providers do not say so."""
        known = self.usage.output_tokens
        return 0 if known is None and self.dialect.endswith("_embeddings") else known


def charge_of(record: Record) -> Charge | None:
    """What a record is to be charged for; None where its provider told of nothing to pay for."""
    if record.usage_raw is None and record.usage == Usage():
        return None
    if record.outcome is Outcome.REPLAYED:
        return None  # what is answered from a copy was paid for once
    return Charge(
        upstream=record.intent.upstream,
        dialect=record.intent.dialect,
        model_served=record.model_served,
        model_requested=record.intent.model_requested,
        began=datetime.datetime.fromtimestamp(record.intent.started_at, datetime.UTC),
        usage=record.usage,
        usage_raw=record.usage_raw,
    )


def charge_of_row(row: Mapping[str, Value]) -> Charge:
    """What a row is to be charged for; `row` has at least `CHARGE_COLUMNS`.

    Raises ValueError if its ``started_at`` is no time.
    """
    return Charge(
        upstream=str(row["upstream"]),
        dialect=str(row["dialect"]),
        model_served=_text(row["model_served"]),
        model_requested=_text(row["model_requested"]),
        began=datetime.datetime.fromisoformat(str(row["started_at"])),
        usage=Usage(**{name: _count(row[name]) for name in _COUNTS}),
        usage_raw=_text(row["usage_raw"]),
    )


#: The columns of a row that `charge_of_row` needs.
CHARGE_COLUMNS: tuple[str, ...] = (
    "upstream", "dialect", "model_served", "model_requested", "started_at", *_COUNTS, "usage_raw",
)  # fmt: skip


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _count(value: Value) -> int | None:
    return None if value is None else int(value)
