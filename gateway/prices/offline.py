"""List prices of the package genai-prices, from the data that it carries: nothing is fetched.

The package is the extra ``prices``; importing it takes some 0.2 s and 14 MB, its first price 20 ms
and every other 0.15 ms, so it is loaded when the first list price is asked for, in a thread.

Its lookups remember every name that they were ever asked for.  Names of models come from clients
and upstreams, so the lookups are thrown away when they have seen `_MOST_NAMES`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

from ..config.model import Upstream
from ..config.price import AUTO, OFF
from .charge import Charge
from .linear import Amounts, Rule, Verdict, linear
from .rates import Rates
from .usage_raw import Extras

_MOST_NAMES: Final = 2000
#: What has a price and is never counted here unless `Extras` tells of it: it costs nothing then.
_UNCOUNTED: Final = frozenset(
    {
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
        "input_audio_mtok",
        "input_image_mtok",
        "input_video_mtok",
        "output_audio_mtok",
        "output_citation_mtok",
        "output_image_mtok",
        "output_reasoning_mtok",
        "output_video_mtok",
        "storage_searches_kcount",
        "web_searches_kcount",
    }
)
_COUNTED: Final = frozenset(
    {"input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok"}
)
_BATCH: Final[Mapping[str, str]] = {"processing": "batch"}


class ListPrices:
    """The prices of the providers behind a configuration's upstreams.  For one thread at a time."""

    def __init__(self, package: Any, upstreams: Mapping[str, Upstream]) -> None:
        """`package` is the imported genai_prices."""
        self._package = package
        self._all = package.data_snapshot.get_snapshot().providers
        self._renew()
        self._providers = {
            name: provider
            for name, upstream in upstreams.items()
            if (provider := self._provider_of(upstream)) is not None
        }
        self.snapshot = f"genai-prices/{package.__version__}"
        self._model_price = lru_cache(_MOST_NAMES)(self._look_up)

    @property
    def providers(self) -> Mapping[str, str]:
        """Names of upstreams to ids of providers; those without one are not there."""
        return self._providers

    def price(self, charge: Charge, extras: Extras) -> Decimal | None:
        """What the tokens of a request cost in US dollars; None if that is not known."""
        provider = self._providers.get(charge.upstream)
        usage, output = charge.usage, charge.output_tokens
        if provider is None or not charge.models or usage.input_tokens is None or output is None:
            return None
        counts: dict[str, int | None] = {
            "input_tokens": usage.input_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens,
            "output_tokens": output,
            **extras.units,
        }
        context = {**extras.context, **(_BATCH if charge.batched else {})}
        if context.get("processing") == "batch" and self._model(provider, charge, True) is None:
            return None
        result = self._calculated(provider, charge.models[0], charge.began, counts, context)
        return None if result is None else Decimal(result.total_price)

    def rates(self, charge: Charge) -> Rates | None:
        """What a million tokens of its input cost by kind; None if that is not known."""
        provider = self._providers.get(charge.upstream)
        total = charge.usage.input_tokens
        if provider is None or not charge.models or total is None:
            return None
        price = self._model(provider, charge, charge.batched)
        plain = _rate(getattr(price, "input_mtok", None), total)
        if plain is None:
            return None
        read = _rate(getattr(price, "cache_read_mtok", None), total)
        write = _rate(getattr(price, "cache_write_mtok", None), total)
        write_1h = _rate(getattr(price, "cache_write_1h_mtok", None), total)
        write = plain if write is None else write
        return Rates(
            input=plain,
            cache_read=plain if read is None else read,
            cache_write=write,
            cache_write_1h=write if write_1h is None else write_1h,
        )

    def rule(self, charge: Charge, until: datetime.datetime) -> Rule:
        """How requests like this one are priced from its moment to `until`, batches aside."""
        provider = self._providers.get(charge.upstream)
        if provider is None or not charge.models:
            return Verdict.UNKNOWN
        model = charge.models[0]
        price = self._look_up(provider, model, charge.began, False)
        last = until - datetime.timedelta.resolution
        if self._look_up(provider, model, last, False) is not price:
            return Verdict.ASK
        return Verdict.UNKNOWN if price is None else _rule(price, self.snapshot)

    def _model(self, provider: str, charge: Charge, batched: bool) -> object:
        """The prices of what answered; None if they are not known.

        Where the package knows none of batches, it falls back to others, which are twice as high.
        """
        # Some prices change with the half hour of the day, none faster.
        began = charge.began
        half = began.replace(minute=began.minute // 30 * 30, second=0, microsecond=0)
        plain = self._model_price(provider, charge.models[0], half, False)
        if not batched:
            return plain
        price = self._model_price(provider, charge.models[0], half, True)
        return None if price == plain else price

    def _look_up(
        self, provider: str, model: str, began: datetime.datetime, batched: bool
    ) -> object:
        counts = {"input_tokens": 0, "output_tokens": 0}
        context = _BATCH if batched else None
        result = self._calculated(provider, model, began, counts, context)
        return None if result is None else result.model_price

    def _calculated(
        self,
        provider: str,
        model: str,
        began: datetime.datetime,
        counts: Mapping[str, int | None],
        context: Mapping[str, str] | None = None,
    ) -> Any:
        """The package's calculation, or None where it has no price for this.

        LookupError is its word for an unknown model; ValueError, for counts that contradict one
        another, such as more tokens read from a cache than there are.
        """
        self._names.add(model)
        if len(self._names) > _MOST_NAMES:
            self._renew()
        try:
            usage = self._package.Usage(**counts)
            return self._lookups.calc(usage, model, provider, None, began, context or None)
        except (LookupError, ValueError):
            return None

    def _provider_of(self, upstream: Upstream) -> str | None:
        if upstream.prices == OFF:
            return None
        if upstream.prices != AUTO:
            return upstream.prices
        url = f"{upstream.url.scheme}://{upstream.url.authority}{upstream.url.base_path}"
        try:
            return str(self._lookups.find_provider(None, None, url).id)
        except LookupError:
            return None

    def _renew(self) -> None:
        self._names: set[str] = set()
        self._lookups = self._package.data_snapshot.DataSnapshot(self._all, from_auto_update=False)


def installed() -> bool:
    """Whether `load` will find the package; it is not imported."""
    return find_spec("genai_prices") is not None


def load(upstreams: Mapping[str, Upstream]) -> ListPrices | None:
    """The list prices, ready for use; None if the package is not installed.  Takes 0.2 s."""
    try:
        import genai_prices
    except ImportError:
        return None
    return ListPrices(genai_prices, upstreams)


def _rule(price: Any, snapshot: str) -> Rule:
    """The rule for a model's prices; other units than `_COUNTED` are left to the package."""
    told = {name: value for name, value in vars(price).items() if value is not None}
    counted = told.keys() & _COUNTED
    if not told.keys() <= _COUNTED | _UNCOUNTED:
        return Verdict.ASK
    if "input_mtok" not in counted and not counted <= {"output_mtok"}:
        return Verdict.ASK  # parts of an input that has no price as a whole
    borders = {tier.start for name in counted for tier in getattr(told[name], "tiers", ())}
    return linear(snapshot, [_amounts(told, beyond) for beyond in {-1, *borders}])


def _amounts(told: Mapping[str, Any], beyond: int) -> Amounts:
    """The prices of an input of more than `beyond` tokens, up to the next border.

    What has no price of its own is part of what has one; what is part of nothing is free.
    """
    plain, read, write, write_1h, output = (
        _rate(told.get(name), beyond + 1)
        for name in (
            "input_mtok",
            "cache_read_mtok",
            "cache_write_mtok",
            "cache_write_1h_mtok",
            "output_mtok",
        )
    )
    plain = Decimal() if plain is None else plain
    write = plain if write is None else write
    output = Decimal() if output is None else output
    return Amounts(
        beyond=beyond,
        input=plain,
        cache_read=plain if read is None else read,
        cache_write=write,
        cache_write_1h=write if write_1h is None else write_1h,
        output=output,
        reasoning=output,
    )


def _rate(price: Any, total_input: int) -> Decimal | None:
    """A price for a million tokens; of one with tiers the one that a whole input of this size has.

    The last tier that the input goes beyond holds for all of its tokens.
    """
    if price is None or isinstance(price, Decimal):
        return price
    rate: Decimal = price.base
    for tier in price.tiers:
        if total_input > tier.start:
            rate = tier.price
    return rate
