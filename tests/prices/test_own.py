"""The operator's own prices: which section holds, and what it comes to."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prices import Pricer
from gateway.prices.own import OwnPrices
from gateway.record import Usage
from tests.prices.helpers import BEGAN, a_charge, prices

MILLION = 1_000_000


def cost(section: OwnPrices, usage: Usage, dialect: str = "openai_chat") -> Decimal | None:
    """What one request costs by the section that holds."""
    found = section.price(a_charge(usage=usage, dialect=dialect))
    assert found is not None
    return found[0]


def test_each_kind_of_token_has_its_price() -> None:
    """A12: (600k x 2 + 300k x 0.2 + 60k x 2.5 + 40k x 4 + 15k x 8 + 5k x 10) / 1M dollars."""
    section = OwnPrices(
        [prices(cache_read="0.2", cache_write="2.5", cache_write_1h="4", reasoning="10")]
    )
    usage = Usage(
        input_tokens=MILLION,
        cache_read_tokens=300_000,
        cache_write_tokens=100_000,
        cache_write_1h_tokens=40_000,
        output_tokens=20_000,
        reasoning_tokens=5_000,
    )
    assert cost(section, usage) == Decimal("1.74")


def test_a_kind_without_a_price_costs_what_it_is_a_part_of() -> None:
    """A12: 1M x 2 + 1M x 8, whatever the tokens are."""
    usage = Usage(MILLION, 300_000, 100_000, 40_000, MILLION, 5_000)
    assert cost(OwnPrices([prices()]), usage) == 10


def test_an_hour_in_the_cache_without_a_price_costs_what_writing_to_it_does() -> None:
    usage = Usage(MILLION, None, MILLION, MILLION, 0)
    assert cost(OwnPrices([prices(cache_write="2.5")]), usage) == Decimal("2.5")


@given(
    st.integers(0, MILLION),
    st.integers(0, MILLION),
    st.integers(0, MILLION),
    st.integers(0, MILLION),
)
def test_with_one_price_for_all_kinds_only_the_totals_count(
    plain: int, read: int, written: int, output: int
) -> None:
    usage = Usage(plain + read + written, read, written, written // 2, output, output // 3)
    assert cost(OwnPrices([prices(output="2")]), usage) == (
        Decimal(2 * (plain + read + written + output)) / MILLION
    )


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=10),
        Usage(output_tokens=10),
        Usage(input_tokens=10, cache_read_tokens=11, output_tokens=0),
        Usage(10, 0, 5, 6, 0),
        Usage(input_tokens=10, output_tokens=10, reasoning_tokens=11),
    ],
    ids=str,
)
def test_tokens_that_are_not_known_or_cannot_be_have_no_cost(usage: Usage) -> None:
    """A12: unknown is not 0."""
    assert cost(OwnPrices([prices()]), usage) is None


def test_embeddings_have_no_output_to_pay_for() -> None:
    usage = Usage(input_tokens=MILLION)
    assert cost(OwnPrices([prices()]), usage, dialect="openai_embeddings") == 2


FIRST = datetime.date(2026, 11, 1)


@pytest.mark.parametrize(
    ("model", "upstream", "expected"),
    [
        ("gpt-5-mini-2026", "other", "narrow"),
        ("GPT-5-Mini-2026", "other", "narrow"),
        ("gpt-5", "other", "wide"),
        ("gpt-5-mini-2026", "api", "here"),
        ("o9", "other", None),
        ("my-gpt-5", "other", None),
    ],
)
def test_the_section_that_says_most_holds(model: str, upstream: str, expected: str | None) -> None:
    section = OwnPrices(
        [
            prices("wide", models=("gpt-*",)),
            prices(
                "narrow", models=("claude", "gpt-*-mini*"), valid_from=datetime.date(2020, 1, 1)
            ),
            prices("here", models=("gpt*",), upstreams=("api", "b")),
        ]
    )
    found = section.price(a_charge(model, upstream=upstream))
    assert (found and found[1].split("/")[0]) == expected


@pytest.mark.parametrize(
    ("began", "expected"),
    [
        (datetime.datetime(2026, 10, 31, 23, 59, 59, 999_999, datetime.UTC), "old"),
        (datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC), "new"),
        (datetime.datetime(2027, 6, 1, tzinfo=datetime.UTC), "new"),
        # Midnight is that of UTC: here it is the first of November already, there not yet.
        (
            datetime.datetime(
                2026, 11, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
            ),
            "old",
        ),
    ],
)
def test_a_price_holds_from_its_day_on(began: datetime.datetime, expected: str) -> None:
    """A12: what a request costs is decided by the moment at which it began."""
    section = OwnPrices([prices("new", valid_from=FIRST, input="3"), prices("old")])
    found = section.price(a_charge(began=began))
    assert found is not None
    assert found[1].startswith(f"{expected}/")


def test_before_its_first_day_a_price_does_not_hold() -> None:
    section = OwnPrices([prices(valid_from=FIRST)])
    assert section.price(a_charge(began=BEGAN - datetime.timedelta(days=1))) is None


def test_the_model_that_answered_comes_before_the_one_that_was_asked_for() -> None:
    section = OwnPrices([prices("asked", models=("alias",)), prices("answered", models=("real*",))])
    both = section.price(a_charge("real-1", model_requested="alias"))
    asked = section.price(a_charge("unknown", model_requested="alias"))
    assert both is not None
    assert asked is not None
    assert (both[1].split("/")[0], asked[1].split("/")[0]) == ("answered", "asked")


def test_an_edited_price_is_another_snapshot() -> None:
    names = {
        Pricer(OwnPrices([prices(input=amount, valid_from=FIRST)])).price(a_charge())
        for amount in ("2", "3", "2.0")
    }
    snapshots = {price.snapshot for price in names if price}
    assert all(name.startswith("mine/2026-11-01/") for name in snapshots)
    assert len(snapshots) >= 2


def test_what_the_cache_saved_is_what_plain_input_would_have_cost_more() -> None:
    """300k x (2 - 0.2) - 60k x (2.5 - 2) - 40k x (4 - 2), for a million each."""
    section = OwnPrices([prices(cache_read="0.2", cache_write="2.5", cache_write_1h="4")])
    usage = Usage(MILLION, 300_000, 100_000, 40_000, 0)
    rates = section.rates(a_charge(usage=usage))
    assert rates is not None
    assert rates.saved(usage) == Decimal("0.54") - Decimal("0.03") - Decimal("0.08")


def test_a_result_of_a_batch_costs_the_share_that_the_section_says() -> None:
    """A12: what the section does not say is unknown, not the price of other requests."""
    usage = Usage(input_tokens=MILLION, cache_read_tokens=0, output_tokens=MILLION)
    told, untold = OwnPrices([prices(batch="0.5")]), OwnPrices([prices()])
    assert cost(told, usage, "anthropic_batch") == 5
    assert cost(told, usage) == 10
    assert cost(untold, usage, "anthropic_batch") is None
    charge = a_charge(usage=usage, dialect="anthropic_batch")
    rates = told.rates(charge)
    assert rates is not None
    assert rates.input == 1
    assert untold.rates(charge) is None
