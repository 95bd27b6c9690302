"""List prices, as genai-prices knows them offline."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import pytest

from gateway.config.model import Family, Upstream, Url
from gateway.prices import Price, Pricer
from gateway.prices.offline import ListPrices, load
from gateway.prices.own import OwnPrices
from gateway.prices.usage_raw import extras
from gateway.record import Usage
from tests.prices.helpers import a_charge, prices

pytest.importorskip("genai_prices")


def upstream(host: str, family: Family, provider: str = "auto") -> Upstream:
    """An API, asked over TLS."""
    return Upstream("api", Url("https", host, 443, ""), family, prices=provider)


ANTHROPIC = {"api": upstream("api.anthropic.com", Family.ANTHROPIC)}
OPENAI = {"api": upstream("api.openai.com", Family.OPENAI)}


def listed(upstreams: Mapping[str, Upstream]) -> ListPrices:
    """The prices for these."""
    found = load(MappingProxyType(dict(upstreams)))
    assert found is not None
    return found


def cost(
    upstreams: Mapping[str, Upstream], model: str, usage: Usage, usage_raw: str | None = None
) -> Decimal | None:
    """What one request costs."""
    return listed(upstreams).price(a_charge(model, usage), extras(usage_raw))


def test_each_kind_of_token_has_its_price() -> None:
    """A12: Haiku 4.5 is 1 in, 0.1 read, 1.25 written, 2 for an hour, 5 out; 600k plain, 300k read,
    60k written for 5 minutes and 40k for an hour, 20k out.
    """
    usage = Usage(1_000_000, 300_000, 100_000, 40_000, 20_000)
    assert cost(ANTHROPIC, "claude-haiku-4-5-20251001", usage) == Decimal("0.885")


def test_the_whole_input_includes_what_came_from_the_cache() -> None:
    """A12: GPT-5 mini is 0.25 in, 0.025 cached, 2 out: 900 x 0.25 + 100 x 0.025 + 10 x 2."""
    usage = Usage(input_tokens=1000, cache_read_tokens=100, output_tokens=10)
    assert cost(OPENAI, "gpt-5-mini", usage) == Decimal("0.0002475")


@pytest.mark.parametrize(
    ("tokens", "dollars"), [(200_000, Decimal("0.6")), (200_001, Decimal("1.200006"))]
)
def test_beyond_a_tier_all_of_the_input_has_its_price(tokens: int, dollars: Decimal) -> None:
    """A12: Sonnet 4.5 is 3, and 6 for a prompt of more than 200,000 tokens."""
    usage = Usage(input_tokens=tokens, output_tokens=0)
    assert cost(ANTHROPIC, "claude-sonnet-4-5", usage) == dollars


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("nobody-knows-this", Usage(10, output_tokens=10)),
        ("gpt-5-mini", Usage(input_tokens=10)),
        ("gpt-5-mini", Usage(output_tokens=10)),
        ("gpt-5-mini", Usage(input_tokens=10, cache_read_tokens=11, output_tokens=1)),
    ],
    ids=str,
)
def test_what_is_not_known_has_no_price(model: str, usage: Usage) -> None:
    """A12: an unknown model, unknown tokens, and tokens that cannot be, cost nobody knows what."""
    assert cost(OPENAI, model, usage) is None


def test_free_is_a_price() -> None:
    usage = Usage(input_tokens=0, output_tokens=0)
    assert cost(OPENAI, "gpt-5-mini", usage) == 0


@pytest.mark.parametrize(
    ("api", "provider"),
    [
        (upstream("api.openai.com", Family.OPENAI), "openai"),
        (upstream("api.anthropic.com", Family.ANTHROPIC), "anthropic"),
        (upstream("generativelanguage.googleapis.com", Family.GEMINI), "google"),
        (upstream("openrouter.ai", Family.OPENAI), "openrouter"),
        (upstream("llm.example.com", Family.OPENAI), None),
        (upstream("api.openai.com", Family.OPENAI, "off"), None),
        (upstream("llm.example.com", Family.OPENAI, "azure"), "azure"),
    ],
    ids=lambda value: value.url.host if isinstance(value, Upstream) else str(value),
)
def test_an_upstream_has_the_provider_of_its_public_api_or_the_one_it_names(
    api: Upstream, provider: str | None
) -> None:
    assert listed({"api": api}).providers.get("api") == provider


def test_a_search_is_paid_for_besides_its_tokens() -> None:
    """A12: three searches at 10 dollars a thousand."""
    raw = '{"message_start":{"input_tokens":0},"message_delta":{"output_tokens":0,'
    raw += '"server_tool_use":{"web_search_requests":3}}}'
    assert cost(ANTHROPIC, "claude-haiku-4-5", Usage(0, output_tokens=0), raw) == Decimal("0.03")


def test_audio_has_a_price_of_its_own() -> None:
    """A12: Gemini 2.5 Flash is 0.3 for text and 1 for audio: 600k x 0.3 + 400k x 1."""
    api = {"api": upstream("generativelanguage.googleapis.com", Family.GEMINI)}
    raw = '{"promptTokensDetails":[{"modality":"TEXT","tokenCount":600000},'
    raw += '{"modality":"AUDIO","tokenCount":400000}]}'
    usage = Usage(1_000_000, output_tokens=0)
    assert cost(api, "gemini-2.5-flash", usage, raw) == Decimal("0.58")


def test_a_batch_costs_half() -> None:
    """A12: Haiku 4.5 in a batch is 0.5 in and 2.5 out."""
    charge = a_charge("claude-haiku-4-5", Usage(1_000_000, output_tokens=1_000_000))
    batch = extras('{"service_tier":"batch"}')
    assert listed(ANTHROPIC).price(charge, batch) == 3


def test_a_result_of_a_batch_costs_half_also_where_its_usage_does_not_say_so() -> None:
    """A12: and what caches saved is half as much, too."""
    usage = Usage(1_000_000, output_tokens=1_000_000)
    charge = a_charge("claude-haiku-4-5", usage, dialect="anthropic_batch")
    assert listed(ANTHROPIC).price(charge, extras(None)) == 3
    rates = listed(ANTHROPIC).rates(charge)
    assert rates is not None
    assert (rates.input, rates.cache_read) == (Decimal("0.5"), Decimal("0.05"))


def test_a_batch_whose_price_the_package_does_not_know_has_no_cost() -> None:
    """A12: it is not given the price of other requests, which is twice as much."""
    usage = Usage(1_000_000, output_tokens=0)
    charge = a_charge("claude-3-haiku-20240307", usage, dialect="anthropic_batch")
    assert listed(ANTHROPIC).price(charge, extras(None)) is None
    assert listed(ANTHROPIC).rates(charge) is None
    one = a_charge("claude-3-haiku-20240307", usage)
    assert listed(ANTHROPIC).price(one, extras('{"service_tier":"batch"}')) is None
    assert listed(ANTHROPIC).price(one, extras(None)) == Decimal("0.25")


def test_the_price_is_that_of_the_day_of_the_request() -> None:
    """A12: o3 was 10 dollars in, and is 2 since June 10, 2025."""
    before, after = (
        a_charge(
            "o3",
            Usage(1_000_000, output_tokens=0),
            began=datetime.datetime(2025, 6, day, 12, tzinfo=datetime.UTC),
        )
        for day in (1, 20)
    )
    known = listed(OPENAI)
    assert [known.price(charge, extras(None)) for charge in (before, after)] == [10, 2]


def test_the_snapshot_is_the_package_and_its_version() -> None:
    import genai_prices

    found = Pricer(OwnPrices([]), listed(OPENAI)).price(
        a_charge("gpt-5-mini", Usage(1000, output_tokens=0))
    )
    assert found == Price(0.00025, f"genai-prices/{genai_prices.__version__}")


def test_own_prices_come_before_list_prices() -> None:
    pricer = Pricer(OwnPrices([prices(models=("gpt-5-mini*",))]), listed(OPENAI))
    usage = Usage(1_000_000, output_tokens=0)
    found = [pricer.price(a_charge(model, usage)) for model in ("gpt-5-mini-2025-08-07", "gpt-5")]
    assert [price and price.cost_usd for price in found] == [2.0, 1.25]


def test_an_own_price_is_the_last_word_also_where_the_tokens_are_unknown() -> None:
    pricer = Pricer(OwnPrices([prices()]), listed(OPENAI))
    assert pricer.price(a_charge("gpt-5-mini", Usage(input_tokens=10))) is None


@pytest.mark.parametrize(
    ("tokens", "saved"), [(200_000, Decimal("0.27")), (200_001, Decimal("0.54"))]
)
def test_what_the_cache_saved_knows_the_tiers(tokens: int, saved: Decimal) -> None:
    """Sonnet 4.5: 100k read at 0.3 and not 3, or at 0.6 and not 6."""
    usage = Usage(tokens, cache_read_tokens=100_000, output_tokens=0)
    rates = listed(ANTHROPIC).rates(a_charge("claude-sonnet-4-5", usage))
    assert rates is not None
    assert rates.saved(usage) == saved


def test_rates_and_costs_agree() -> None:
    """What a request cost and what its cache saved add up to what it would have cost without."""
    known = listed(ANTHROPIC)
    cached = Usage(500_000, 300_000, 100_000, 40_000, 7)
    plain = Usage(500_000, output_tokens=7)
    for model in ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"):
        rates = known.rates(a_charge(model, cached))
        with_cache, without = (
            known.price(a_charge(model, usage), extras(None)) for usage in (cached, plain)
        )
        assert rates is not None
        assert with_cache is not None
        assert with_cache + rates.saved(cached) == without


def test_names_that_are_asked_for_are_not_remembered_for_ever() -> None:
    known = listed(ANTHROPIC)
    for number in range(5000):
        known.price(a_charge(f"claude-haiku-4-5-{number}"), extras(None))
    assert len(known._lookups._provider_cache) < 2500
    assert len(known._lookups._lookup_cache) < 2500
