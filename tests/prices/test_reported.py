"""What a provider itself says that a request cost."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prices import Price, Pricer
from gateway.prices.own import OwnPrices
from gateway.prices.usage_raw import extras
from gateway.record import Usage
from tests.prices.helpers import a_charge, prices


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"cost": 0.0123}, "0.0123"),
        ({"cost": 0}, "0"),
        ({"cost": 1e-7}, "1E-7"),
        ({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.25}}, "0.25"),
        ({"cost_in_usd_ticks": 37_756_000}, "0.0037756"),
        ({"cost": 0.01, "cost_details": {"upstream_inference_cost": 0.2}}, "0.01"),
        (
            {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}},
            "0.21",
        ),
        ([{"cost": 0.25}, {"cost": 0.5}], "0.75"),
    ],
    ids=str,
)
def test_a_reported_cost_is_read_in_every_known_shape(usage: object, dollars: str) -> None:
    """A12: OpenRouter, Perplexity and xAI report what they charge."""
    assert extras(json.dumps(usage)).reported == Decimal(dollars)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"cost": None},
        {"cost": -0.5},
        {"cost": "0.5"},
        {"cost": True},
        {"cost": 1e9},
        {"cost": {"total": 1}},
        {"cost_in_usd_ticks": -1},
        {"cost": 0.01, "is_byok": True},
        [{"cost": 0.25}, {"prompt_tokens": 1}],
        [],
        7,
        "0.5",
    ],
    ids=str,
)
def test_a_cost_that_cannot_be_believed_is_not_taken(usage: object) -> None:
    """A10: negative, absurd and non-numeric figures are never stored as truth."""
    assert extras(json.dumps(usage)).reported is None


def test_not_a_number_is_no_cost() -> None:
    """A10: JSON that Python reads and nobody else."""
    for text in ('{"cost": NaN}', '{"cost": Infinity}', '{"cost": 1e999999}', "{", "", "[" * 9999):
        assert extras(text).reported is None


def test_the_providers_own_figure_wins() -> None:
    """A12: it comes before prices of one's own, and does not need the tokens."""
    pricer = Pricer(OwnPrices([prices()]))
    charge = a_charge(usage=Usage(), usage_raw='{"cost": 0.125}')
    assert pricer.price(charge) == Price(0.125, "provider")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "cost",
                        "cost_details",
                        "promptTokensDetails",
                        "modality",
                        "tokenCount",
                        "server_tool_use",
                        "web_search_requests",
                        "message_start",
                        "message_delta",
                        "is_byok",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_a_provider_sends_is_read_without_an_error(value: object) -> None:
    """A10: and what is read can be."""
    told = extras(json.dumps(value))
    assert told.reported is None or told.reported >= 0
    assert all(count >= 0 for count in told.units.values())
