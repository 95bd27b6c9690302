"""A11: an answer that is asked for again is billed once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Durability
from gateway.ledger.rows import record_values
from gateway.ledger.store import Store
from gateway.record import Record, Usage, UsageSource
from tests.ledger.helpers import a_record, an_intent, rows

TOLD = {"usage_raw": "{}", "cost_usd": 0.5, "price_snapshot": "2026-11"}


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store that is open."""
    store = Store(path, Durability.PROCESS, "test")
    store.open("")
    yield store
    store.close()


def first(**changes: Any) -> Record:
    """How the request is settled that begins an answer."""
    return a_record(**{"response_id": "resp_1", **TOLD, **changes})


def again(**changes: Any) -> Record:
    """How one is settled that asks for the answer again."""
    return first(**{"replay": True, **changes})


def cut(record: Record) -> dict[str, Any]:
    """Changes of a request that was cut off before the usage came."""
    return {"usage": Usage(), "usage_source": UsageSource.NONE, "usage_raw": None, "cost_usd": None}


def counting(path: Path) -> list[bool]:
    """Which rows have a usage; those that have not have nothing of it."""
    found = []
    for row in rows(path):
        told = {row[name] for name in ("input_tokens", "usage_raw", "cost_usd", "price_snapshot")}
        assert None not in told or told == {None}
        assert (row["usage_source"] == "provider") == (None not in told)
        found.append(None not in told)
    return found


@pytest.mark.parametrize("together", [True, False])
def test_a_replay_of_an_answer_that_was_counted_is_not_counted(
    store: Store, path: Path, together: bool
) -> None:
    """A11: and its row says where the usage is."""
    begun, replay = first(), again()
    batches = [[begun, replay]] if together else [[begun], [replay]]
    for batch in batches:
        store.write([], list(map(record_values, batch)))
    assert counting(path) == [True, False]
    assert rows(path)[0] == begun.as_row()
    detail = rows(path)[1]["error_detail"]
    assert detail == f"the usage of this answer is counted in row {begun.intent.id}"


def test_a_replay_is_counted_if_the_first_stream_was_cut(store: Store, path: Path) -> None:
    """A11: once, however often it is asked for."""
    begun = first()
    records = [first(**cut(begun), price_snapshot=None), again(), again()]
    store.write([], list(map(record_values, records)))
    assert counting(path) == [False, True, False]
    assert records[1].intent.id in rows(path)[2]["error_detail"]


def test_a_replay_that_ended_before_the_request_that_it_repeats_counts_alone(
    store: Store, path: Path
) -> None:
    """A11: somebody asks for the answer again while it is being given."""
    store.write([], [record_values(again()), record_values(first())])
    assert counting(path) == [True, False]


def test_what_went_wrong_stays_in_the_detail(store: Store, path: Path) -> None:
    store.write([], [record_values(first()), record_values(again(error_detail="cut"))])
    assert rows(path)[1]["error_detail"].startswith("cut; the usage of this answer")


def test_a_repeated_batch_does_not_take_a_row_s_own_usage_for_another_s(
    store: Store, path: Path
) -> None:
    """A6: it was not known whether the commit arrived."""
    batch = [record_values(again())]
    for _ in range(2):
        store.write([], batch)
    assert counting(path) == [True]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(again(intent=an_intent(upstream="azure")), id="of another upstream"),
        pytest.param(again(response_id="resp_2"), id="of another answer"),
        pytest.param(again(response_id=None), id="of an answer without a name"),
        pytest.param(first(), id="that is none, though a careless server names all alike"),
    ],
)
def test_a_replay_of_something_else_is_counted(store: Store, path: Path, other: Record) -> None:
    store.write([], [record_values(first()), record_values(other)])
    assert counting(path) == [True, True]


def test_a_billed_answer_is_found_without_going_through_the_ledger(store: Store) -> None:
    from gateway.ledger.schema import COUNTED

    assert store._db is not None
    plan = store._db.execute(f"EXPLAIN QUERY PLAN {COUNTED}", ("", "", "")).fetchall()
    assert ["USING INDEX requests_by_response" in row[3] for row in plan] == [True]
