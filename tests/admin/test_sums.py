"""Sums over processes: they hold what each says, and never go backwards."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.admin import sums
from gateway.admin.families import FAMILIES, Kind
from gateway.admin.sums import Samples, Value, added, departed

COUNTERS = [f for f in FAMILIES.values() if f.kind is Kind.COUNTER and not f.of_worker]


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    """Counters as a process may have them."""
    said: Samples = {}
    for family in draw(st.lists(st.sampled_from(COUNTERS), max_size=4, unique_by=lambda f: f.name)):
        amounts: st.SearchStrategy[Value] = st.integers(0, 1000).map(float)
        labels = st.lists(
            st.sampled_from("abc"), min_size=len(family.labels), max_size=len(family.labels)
        )
        rows = st.lists(
            st.tuples(labels, amounts),
            max_size=3,
            unique_by=lambda row: tuple(row[0]),
        )
        said[family.name] = draw(rows)
    return said


@given(st.lists(samples(), max_size=4), samples())
def test_sums_stay_what_they_were_when_a_worker_is_gone(
    others: list[Samples], last: Samples
) -> None:
    before = added([*others, last])
    gone = departed({}, last)
    after = added([*others, gone])
    assert {name: rows for name, rows in after.items() if rows} == {
        name: rows for name, rows in before.items() if rows
    }


@given(st.lists(samples(), min_size=1, max_size=5))
def test_what_is_kept_of_the_gone_is_the_sum_of_all(all_gone: list[Samples]) -> None:
    kept: Samples = {}
    for last in all_gone:
        kept = departed(kept, json.loads(json.dumps(last)))  # as it comes from a worker
    assert added([kept]) == added(all_gone)


def test_of_a_worker_that_is_gone_no_gauge_is_kept() -> None:
    last: Samples = {
        "gateway_streams_open": [(["chat", "relay"], 5.0)],
        "gateway_worker_cpu_seconds": [([], 9.0)],
        "gateway_keepalives": [(["chat", "openai"], 2.0)],
    }
    assert departed({}, last) == {"gateway_keepalives": [(["chat", "openai"], 2.0)]}


def test_histograms_are_added_bucket_by_bucket() -> None:
    name, where = "gateway_time_to_head_seconds", ["chat", "openai"]
    one: Samples = {name: [(where, [1.0, 0.0, 0.5])]}
    two: Samples = {name: [(where, [2.0, 3.0, 4.5])]}
    assert added([one, two]) == {name: {("chat", "openai"): [3.0, 3.0, 5.0]}}
    assert one == {name: [(where, [1.0, 0.0, 0.5])]}, "what was given is left as it was"


def test_a_histogram_of_other_buckets_disturbs_no_other() -> None:
    """A generation of an older version may still drain."""
    name, where = "gateway_time_to_head_seconds", ["chat", "openai"]
    told = added([{name: [(where, [1.0, 0.5])]}, {name: [(where, [2.0, 3.0, 4.5])]}])
    assert told == {name: {("chat", "openai"): [1.0, 0.5]}}


def test_what_is_no_known_metric_is_left_out() -> None:
    assert added([{"gateway_nonsense": [([], 1.0)]}]) == {}


def test_the_models_of_the_gone_are_bounded_and_nothing_is_lost() -> None:
    kept: Samples = {}
    for number in range(sums.MODELS_GONE + 50):
        kept = departed(kept, {"gateway_tokens": [([f"m{number}", "input"], 1.0)]})
    rows = kept["gateway_tokens"]
    assert len(rows) <= sums.MODELS_GONE + 1
    assert sum(value for _, value in rows if isinstance(value, float)) == sums.MODELS_GONE + 50
