"""Costs in the reactor's thread: the same as the package's and those of the operator's sections."""

from __future__ import annotations

import datetime
import itertools
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.config.model import Family
from gateway.dialects.counts import MOST
from gateway.prices import Price, Pricer
from gateway.prices.charge import charge_of
from gateway.prices.linear import Amounts, Linear, Verdict, linear
from gateway.prices.own import OwnPrices
from gateway.prices.quick import PERIOD, QuickPrices
from gateway.prices.usage_raw import Extras, extras, has_extras
from gateway.record import Outcome, Record, Usage
from tests.ledger.helpers import BEGAN, a_record, an_intent
from tests.prices.helpers import a_charge, prices
from tests.prices.test_listed import listed, upstream

TOLD = Usage(input_tokens=1_000_000, output_tokens=0)


def record(usage: Usage = TOLD, **changes: Any) -> Record:
    """A request of the upstream ``api``; what an intent has goes to it."""
    of_intent = {
        name: changes.pop(name)
        for name in ("dialect", "model_requested", "started_at", "upstream")
        if name in changes
    }
    intent = an_intent(**{"upstream": "api", "model_requested": None, **of_intent})
    return a_record(intent, usage=usage, **{"model_served": "m", **changes})


def told_by(pricer: Pricer, asked: Record) -> Price | None:
    """What is known of a record's cost, when all is looked up."""
    charge = charge_of(asked)
    return None if charge is None else pricer.price(charge)


def told_in(found: Record) -> Price | None:
    """What a record tells of its cost."""
    if found.cost_usd is None or found.price_snapshot is None:
        return None
    return Price(found.cost_usd, found.price_snapshot)


counts = st.one_of(st.none(), st.integers(0, 30), st.integers(0, 2_000_000), st.integers(0, MOST))


@st.composite
def usages(draw: st.DrawFn, borders: tuple[int, ...] = ()) -> Usage:
    """Counts that mostly agree with one another; some parts are not told, some inputs at a tier."""
    near = [st.integers(max(0, at - 1), at + 1) for at in borders]
    total = draw(st.one_of(counts, *near))
    read = draw(st.one_of(st.none(), st.integers(0, total or 0)))
    written = draw(st.one_of(st.none(), st.integers(0, (total or 0) - (read or 0)), counts))
    hour = draw(st.one_of(st.none(), st.integers(0, written or 0), counts))
    output = draw(counts)
    reasoning = draw(st.one_of(st.none(), st.integers(0, output or 0), counts))
    return Usage(total, read, written, hour, output, reasoning)


# The package's prices.


@cache
def package() -> tuple[Pricer, tuple[tuple[str, str], ...], tuple[int, ...]]:
    """A pricer with an upstream for each provider, every model of each, the tiers' borders."""
    snapshot = pytest.importorskip("genai_prices.data_snapshot").get_snapshot()
    upstreams = {
        provider.id: upstream("llm.example.com", Family.OPENAI, provider.id)
        for provider in snapshot.providers
    }
    models = tuple(
        (provider.id, model.id) for provider in snapshot.providers for model in provider.models
    )
    borders = {
        tier.start
        for provider in snapshot.providers
        for model in provider.models
        for price in _model_prices(model)
        for value in vars(price).values()
        for tier in getattr(value, "tiers", ())
    }
    return Pricer(OwnPrices([]), listed(upstreams)), models, tuple(sorted(borders))


def _model_prices(model: Any) -> Iterator[Any]:
    """Of every time."""
    told = model.prices
    yield from [part.prices for part in told] if isinstance(told, list) else [told]


def test_every_model_of_the_package_costs_the_same_quickly() -> None:
    """A12: to the last bit, below, at and beyond every border; and nearly all of them are quick."""
    pricer, models, borders = package()
    assert len(models) > 1000
    inputs = [0, 999_983, *(border + more for border in borders for more in (0, 1))]
    some = [Usage(n, n // 3, n // 5, n // 7, n // 2 + 1, n // 9) for n in inputs]
    quick = 0
    for number, (provider, model) in enumerate(models):
        first = record(some[1], upstream=provider, model_served=model)
        pricer.priced_record(first)
        for usage in (some[number % len(some)], *some[-2:]):
            asked = replace(first, usage=usage)
            found = pricer.quickly(asked)
            if found is not None:
                quick += 1
                assert told_in(found) == told_by(pricer, asked), (provider, model, usage)
    assert quick > 0.95 * 3 * len(models)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_quick_list_price_is_that_of_the_package(data: st.DataObject) -> None:
    """A12: whatever is counted, whenever it was; or the package is asked."""
    pricer, models, borders = package()
    provider, model = data.draw(st.sampled_from(models))
    asked = record(
        data.draw(usages(borders)),
        upstream=provider,
        model_served=model,
        started_at=data.draw(st.floats(1_700_000_000, 1_800_000_000)),
        dialect=data.draw(st.sampled_from(["openai_chat", "openai_embeddings", "anthropic_batch"])),
    )
    pricer.priced_record(replace(asked, usage=TOLD))
    found = pricer.quickly(asked)
    if found is not None:
        assert told_in(found) == told_by(pricer, asked)


def test_a_price_that_changes_at_the_half_hour_does() -> None:
    """A12: DeepSeek's prices of the night once began at 16:30."""
    pricer, _, _ = package()
    border = datetime.datetime(2025, 8, 1, 16, 30, tzinfo=datetime.UTC).timestamp()
    costs = set()
    for began in (border - 1, border - 1e-6, math.nextafter(border, 0), border, border + 1):
        asked = record(upstream="deepseek", model_served="deepseek-chat", started_at=began)
        pricer.priced_record(asked)
        found = pricer.quickly(asked)
        assert found is not None
        assert told_in(found) == told_by(pricer, asked)
        costs.add(found.cost_usd)
    assert len(costs) == 2


def test_a_price_that_changes_within_its_time_is_asked_for_each_time() -> None:
    package()
    known = listed({"api": upstream("llm.example.com", Family.OPENAI, "deepseek")})
    began = datetime.datetime(2025, 8, 1, 16, 0, tzinfo=datetime.UTC)
    charge = a_charge("deepseek-chat", began=began)
    half, whole = (
        known.rule(charge, began + datetime.timedelta(minutes=length)) for length in (30, 60)
    )
    assert isinstance(half, Linear)
    assert whole is Verdict.ASK


def test_a_price_for_requests_is_asked_for_each_time() -> None:
    """A12: Perplexity's Sonar has one besides that of its tokens."""
    pricer, _, _ = package()
    asked = record(upstream="perplexity", model_served="sonar")
    assert pricer.priced_record(asked).cost_usd is not None
    assert pricer.quickly(asked) is None


# The operator's own.

amounts = st.decimals(0, 999_999, allow_nan=False, places=12) | st.decimals(0, 99, places=3)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_quick_own_price_is_that_of_the_section(data: st.DataObject) -> None:
    """A12: to the last bit."""
    section: dict[str, Any] = {
        kind: data.draw(st.none() | amounts)
        for kind in ("cache_read", "cache_write", "cache_write_1h", "reasoning")
    }
    section |= {"input": data.draw(amounts), "output": data.draw(amounts)}
    pricer = Pricer(OwnPrices([prices(**section)]))
    asked = record(data.draw(usages()))
    pricer.priced_record(replace(asked, usage=TOLD))
    found = pricer.quickly(asked)
    if found is not None:
        assert told_in(found) == told_by(pricer, asked)
    else:
        assert told_by(pricer, asked) is None


def test_an_own_price_of_a_later_day_holds_from_its_midnight_on() -> None:
    first = datetime.date(2026, 11, 1)
    midnight = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC).timestamp()
    pricer = Pricer(OwnPrices([prices(), prices("new", valid_from=first, input="3")]))
    asked = [record(started_at=midnight - 1), record(started_at=midnight)]
    for one in asked:
        assert pricer.quickly(one) is None
        pricer.priced_record(one)
    found = [pricer.quickly(one) for one in asked]
    assert [one and one.cost_usd for one in found] == [2.0, 3.0]


def test_amounts_of_too_many_digits_are_not_multiplied() -> None:
    """They would be rounded where they are reckoned in decimal numbers."""
    for amount in (Decimal("1.000000000000000001"), Decimal("1e-19"), Decimal(10**18)):
        assert linear("x", [Amounts(-1, amount, *[Decimal(1)] * 5)]) is Verdict.ASK
    longest = [Decimal("0.999999999999999999")] * 6
    assert isinstance(linear("x", [Amounts(-1, *longest)]), Linear)


# What is not quick, and what is remembered.


@pytest.mark.parametrize(
    "changes",
    [
        {"usage_raw": '{"cost":0.5}'},
        {"usage_raw": '{"service_tier":"batch"}'},
        {"dialect": "anthropic_batch"},
        {"usage": Usage(input_tokens=10)},
        {"usage": Usage(10, 11, output_tokens=0)},
        {"usage": Usage(MOST + 1, output_tokens=0)},
        {"started_at": BEGAN + PERIOD},
        {"model_requested": "other"},
        {"upstream": "other"},
    ],
    ids=str,
)
def test_what_the_rule_does_not_tell_is_asked_for(changes: dict[str, Any]) -> None:
    """A12: another price, other tokens, another time or model."""
    pricer = Pricer(OwnPrices([prices()]))
    pricer.priced_record(record())
    assert pricer.quickly(record()) is not None
    assert pricer.quickly(record(**changes)) is None


def test_a_model_without_a_price_is_counted_each_time() -> None:
    """A12: NULL and counted, never 0."""
    pricer = Pricer(OwnPrices([prices(models=("known",))]))
    asked = record()
    pricer.priced_record(asked)
    assert pricer.quickly(asked) is asked
    assert (pricer.priced, pricer.unpriced) == (0, 2)


def test_tokens_that_are_unknown_teach_nothing() -> None:
    """A model without a price is named in the log by the first request that tells its tokens."""
    pricer = Pricer(OwnPrices([prices(models=("known",))]))
    pricer.priced_record(record(Usage(input_tokens=1)))
    assert pricer.quickly(record()) is None


def test_what_is_answered_from_a_copy_is_not_paid_for_again() -> None:
    pricer = Pricer(OwnPrices([prices()]))
    pricer.priced_record(record())
    copied = record(outcome=Outcome.REPLAYED)
    assert pricer.quickly(copied) is copied
    assert pricer.priced == 1


def test_names_that_are_asked_for_are_not_remembered_for_ever() -> None:
    """Names of models come from outside; the latest are kept."""
    known = QuickPrices()
    for number in range(5000):
        known.learn(("api", str(number), None, 0), Verdict.UNKNOWN)
    assert len(known._rules) <= 2000
    assert known.knows(("api", "4999", None, 0))


# What a text of usage can hide.

_NAMES = (
    "cost", "cost_in_usd_ticks", "total_cost", "is_byok", "cost_details", "message_start",
    "message_delta", "prompt_tokens_details", "input_tokens_details", "input_token_details",
    "output_tokens_details", "completion_tokens_details", "audio_tokens", "image_tokens",
    "server_tool_use", "web_search_requests", "promptTokensDetails", "candidatesTokensDetails",
    "modality", "tokenCount", "service_tier", "speed",
)  # fmt: skip
_LEAVES = st.sampled_from((0, 0, 1, 7, 0.5, 1e3, None, "batch", "fast", "AUDIO", "IMAGE", "TEXT"))
_OBJECTS = st.recursive(
    _LEAVES,
    lambda inner: (
        st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4) | st.lists(inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=600)
@given(_OBJECTS, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]), st.booleans())
def test_where_a_glance_finds_nothing_there_is_nothing(
    value: object, separators: tuple[str, str], escaped: bool
) -> None:
    """A12: a cost that is told, or a count with a price of its own, is never overlooked."""
    text = json.dumps(value, separators=separators)
    if escaped:
        text = text.replace("o", "\\u006f")
    if not has_extras(text):
        assert extras(text) == Extras()


def test_each_of_what_has_a_price_of_its_own_is_seen() -> None:
    places = [
        f'{{"{outer}":{{"{inner}" : 3}}}}'
        for outer, inner in itertools.product(
            ("prompt_tokens_details", "output_tokens_details", "server_tool_use"),
            ("audio_tokens", "image_tokens", "web_search_requests"),
        )
    ]
    places += [
        '{"cost":1}',
        '{"cost_in_usd_ticks":1}',
        '{"speed":"fast"}',
        '{"audio_tokens":0.5e1}',
    ]
    places += ['{"promptTokensDetails":[{"modality":"AUDIO","tokenCount":1}]}', '{"c\\u006fst":1}']
    assert [place for place in places if not has_extras(place)] == []


def test_everyday_usage_is_read_at_a_glance() -> None:
    """What OpenAI, Anthropic and Google tell of each request for text."""
    for told in (
        '{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":'
        '{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"audio_tokens":0}}',
        '{"message_start":{"input_tokens":9,"service_tier":"standard"},"message_delta":'
        '{"output_tokens":2,"server_tool_use":{"web_search_requests":0}}}',
        '{"promptTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]}',
    ):
        assert not has_extras(told)
