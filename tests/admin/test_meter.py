"""Counters of requests: what is told apart, and what nobody can fill them with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.families import BUCKETS
from gateway.admin.meter import OTHER, UNKNOWN, Histogram, Meter
from gateway.record import ErrorCode, Outcome, Usage
from tests.ledger.helpers import a_record, an_intent

WHERE = ("chat", "openai")


def test_requests_are_told_apart_by_outcome_and_dialect() -> None:
    meter = Meter()
    for outcome in (Outcome.FINISHED, Outcome.FINISHED, Outcome.DRAINED):
        meter.count(a_record(outcome=outcome))
    assert meter.places[WHERE].outcomes == {
        ("finished", "openai_chat"): 2,
        ("drained", "openai_chat"): 1,
    }


def test_errors_are_told_apart_by_their_code() -> None:
    meter = Meter()
    meter.count(a_record(outcome=Outcome.TIMED_OUT, error=ErrorCode.IDLE_TIMEOUT))
    meter.count(a_record())
    assert meter.places[WHERE].errors == {"idle_timeout": 1}


def test_routes_have_counters_of_their_own() -> None:
    meter = Meter()
    meter.count(a_record(an_intent(route="a")))
    meter.count(a_record(an_intent(route="b"), keepalives=3))
    assert [place.keepalives for place in meter.places.values()] == [0, 3]


def test_bytes_events_and_pauses_are_added_up() -> None:
    meter = Meter()
    for paused in (0.0, 1500.0, 500.0):
        meter.count(a_record(response_bytes=1000, events=7, paused_ms=paused))
    place = meter.places[WHERE]
    assert (place.request_bytes, place.response_bytes, place.events) == (3 * 321, 3000, 21)
    assert (place.paused, place.paused_ms) == (2, 2000.0)


def test_what_was_never_sent_has_no_duration() -> None:
    meter = Meter()
    meter.count(a_record(attempts=0, outcome=Outcome.REJECTED, duration_ms=0.0))
    meter.count(a_record(attempts=1, duration_ms=10.0))
    assert sum(meter.places[WHERE].durations.counts) == 1


@given(st.sampled_from(BUCKETS))
def test_a_time_at_the_end_of_a_bucket_is_in_it(seconds: float) -> None:
    """Prometheus' ``le`` is "less or equal"."""
    histogram = Histogram()
    histogram.add(seconds * 1000)
    assert histogram.counts.index(1) == BUCKETS.index(seconds)


def test_a_time_beyond_all_buckets_is_counted() -> None:
    histogram = Histogram()
    histogram.add(2 * BUCKETS[-1] * 1000)
    assert histogram.told() == [*[0] * len(BUCKETS), 1, 2 * BUCKETS[-1]]


def test_the_kinds_of_tokens_add_up() -> None:
    meter = Meter()
    meter.count(a_record(usage=Usage(100, 60, 30, 10, 50, 20), cost_usd=0.25))
    assert meter.tokens == {"gpt-small-2026": [10, 60, 30, 30, 20]}
    assert meter.dollars == {"gpt-small-2026": 0.25}


def test_counts_that_contradict_one_another_never_make_a_counter_fall() -> None:
    meter = Meter()
    meter.count(a_record(usage=Usage(10, 60, None, None, 5, 20)))
    assert min(meter.tokens["gpt-small-2026"]) >= 0


@given(st.lists(st.text(min_size=1), max_size=60), st.integers(1, 20))
def test_models_are_bounded_whatever_clients_ask_for(names: list[str], bound: int) -> None:
    meter = Meter(models=bound)
    for name in names:
        meter.count(a_record(model_served=name, usage=Usage(1)))
    told = set(meter.tokens) - {OTHER}
    assert len(told) <= bound
    assert sum(tokens[0] for tokens in meter.tokens.values()) == len(names)


def test_what_used_nothing_takes_no_place_among_the_models() -> None:
    meter = Meter(models=1)
    for number in range(10):
        meter.count(
            a_record(
                an_intent(model_requested=f"nonsense-{number}"),
                outcome=Outcome.UPSTREAM_FAILED,
                model_served=None,
                usage=Usage(),
            )
        )
    meter.count(a_record(model_served="real"))
    assert list(meter.tokens) == ["real"]


def test_where_nobody_names_a_model_it_is_unknown() -> None:
    meter = Meter()
    meter.count(a_record(an_intent(model_requested=None), model_served=None))
    assert list(meter.tokens) == [UNKNOWN]


def test_a_model_that_is_no_text_can_be_shown() -> None:
    """JSON can hold half of a surrogate pair; UTF-8 cannot."""
    meter = Meter()
    meter.count(a_record(model_served="m\ud800" + "x" * 1000))
    [shown] = meter.tokens
    assert len(shown.encode("utf-8")) <= 120


def test_an_answer_that_is_given_again_is_counted_once() -> None:
    meter = Meter()
    meter.count(a_record(response_id="resp_1"))
    meter.count(a_record(response_id="resp_1", replay=True))
    assert meter.tokens["gpt-small-2026"][0] == 10


def test_an_answer_whose_first_request_saw_no_usage_counts_with_a_later_one() -> None:
    meter = Meter()
    meter.count(a_record(response_id="resp_1", usage=Usage()))
    meter.count(a_record(response_id="resp_1", replay=True))
    assert meter.tokens["gpt-small-2026"][0] == 10
