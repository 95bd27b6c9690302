"""What a provider's usage object tells beyond the columns of a row.

Its own figure for the cost, in the three shapes that are known:

* ``cost`` in US dollars (OpenRouter, "Usage Accounting"; with ``is_byok`` the provider behind it is
  paid besides, ``cost_details.upstream_inference_cost``);
* ``cost.total_cost`` in US dollars (Perplexity);
* ``cost_in_usd_ticks``, of which 10^10 are a dollar (xAI, "Cost Tracking").

And what has a price of its own: searches, and tokens of audio and images.  A figure that cannot be
true is not taken, as with tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ..dialects.counts import MOST

#: The largest cost of one request that is believed, in US dollars.
MOST_DOLLARS: Final = 100_000
_TICKS: Final = 10**10

#: Where OpenAI and those who follow it tell tokens that have a price of their own: the place, and
#: the name that genai-prices has for them.
_DETAILS: Final = (
    ("prompt_tokens_details.audio_tokens", "input_audio_tokens"),
    ("input_tokens_details.audio_tokens", "input_audio_tokens"),
    ("input_token_details.audio_tokens", "input_audio_tokens"),
    ("completion_tokens_details.audio_tokens", "output_audio_tokens"),
    ("output_tokens_details.audio_tokens", "output_audio_tokens"),
    ("input_tokens_details.image_tokens", "input_image_tokens"),
    ("output_tokens_details.image_tokens", "output_image_tokens"),
    ("server_tool_use.web_search_requests", "web_searches"),
)
#: The same at Google, where the details are a list of ``{"modality": "AUDIO", "tokenCount": 1}``.
_MODALITIES: Final = (
    ("promptTokensDetails", "AUDIO", "input_audio_tokens"),
    ("candidatesTokensDetails", "AUDIO", "output_audio_tokens"),
    ("candidatesTokensDetails", "IMAGE", "output_image_tokens"),
    ("cacheTokensDetails", "AUDIO", "cache_audio_read_tokens"),
)


#: Where none of this is in a text, `extras` finds nothing in it: no name of a cost, no value that
#: selects another price, no count of its own but 0, and no escape that could hide one of them.
_HINT: Final = re.compile(
    r'\\|"cost|"(?:batch|fast|AUDIO|IMAGE)"'
    r'|"(?:(?:audio|image)_tokens|web_search_requests)"\s*:\s*(?!0\s*[,}]|null)'
)


@dataclass(frozen=True, slots=True)
class Extras:
    """See the module's text."""

    reported: Decimal | None = None  #: what it cost in US dollars, as the provider says
    #: Counts by the names of genai-prices; only those that are not 0.
    units: Mapping[str, int] = field(default_factory=dict)
    #: What selects another list price: ``processing`` (``batch``), ``speed`` (``fast``).
    context: Mapping[str, str] = field(default_factory=dict)


def extras(usage_raw: str | None) -> Extras:
    """What the text of a row's ``usage_raw`` tells; nothing where it cannot be read."""
    objects = list(usage_objects(usage_raw))
    units: dict[str, int] = {}
    for usage in objects:
        for name, count in _units(usage):
            units[name] = units.get(name, 0) + count
    costs = [_reported(usage) for usage in objects]
    known = [cost for cost in costs if cost is not None]
    return Extras(
        # Of several parts all must say what they cost.
        reported=sum(known, Decimal()) if known and len(known) == len(costs) else None,
        units=units,
        context=_context(objects[0]) if len(objects) == 1 else {},
    )


def has_extras(usage_raw: str) -> bool:
    """Whether `extras` may find anything: a tenth of its work, and True rather than wrong."""
    return _HINT.search(usage_raw) is not None


def usage_objects(usage_raw: str | None) -> Iterator[Mapping[str, object]]:
    """The usage objects that add up to a row's: mostly one, for several images one each.

    An Anthropic stream has two, the second of which overwrites what the first has told.
    """
    try:
        value = json.loads(usage_raw or "null", parse_float=Decimal)
    except (ValueError, RecursionError):
        return
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, dict):
            continue
        events = [part[name] for name in ("message_start", "message_delta") if name in part]
        if not events:
            yield part
            continue
        merged: dict[str, object] = {}
        for event in events:
            if isinstance(event, dict):
                merged.update({name: told for name, told in event.items() if told is not None})
        yield merged


def _reported(usage: Mapping[str, object]) -> Decimal | None:
    cost = usage.get("cost")
    ticks = _amount(usage.get("cost_in_usd_ticks"), MOST_DOLLARS * _TICKS)
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    dollars = _amount(cost, MOST_DOLLARS)
    if dollars is not None and usage.get("is_byok") is True:
        behind = _amount(_at(usage, "cost_details.upstream_inference_cost"), MOST_DOLLARS)
        return None if behind is None else dollars + behind
    if dollars is None and ticks is not None:
        return ticks / _TICKS
    return dollars


def _units(usage: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    for place, name in _DETAILS:
        if count := _count(_at(usage, place)):
            yield name, count
    for place, modality, name in _MODALITIES:
        details = usage.get(place)
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict) and detail.get("modality") == modality:
                yield name, _count(detail.get("tokenCount"))


def _context(usage: Mapping[str, object]) -> dict[str, str]:
    """Anthropic's usage tells of a batch and of fast mode, which have prices of their own."""
    context = {}
    if usage.get("service_tier") == "batch":
        context["processing"] = "batch"
    if usage.get("speed") == "fast":
        context["speed"] = "fast"
    return context


def _at(usage: Mapping[str, object], place: str) -> object:
    outer, _, inner = place.partition(".")
    value = usage.get(outer)
    return value.get(inner) if isinstance(value, dict) else None


def _amount(value: object, most: int) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    amount = Decimal(value)
    return amount if amount.is_finite() and 0 <= amount <= most else None


def _count(value: object) -> int:
    amount = _amount(value, MOST)
    return int(amount) if amount is not None and amount == int(amount) else 0
