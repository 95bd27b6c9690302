"""What ``[prices NAME]`` and an upstream's ``prices`` say: amounts, dates, models, providers.

Only the text is checked here; `gateway.prices` gives it its meaning.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal

from .problem import BadValue, shown
from .values import is_off

#: An upstream whose provider follows from its URL, and one that has no list prices.
AUTO, OFF = "auto", "off"

_DOLLARS = re.compile(r"\$?(?P<number>[0-9]{1,6}(?:\.[0-9]{1,12})?)")
_SHARE = re.compile(r"0(?:\.[0-9]{1,12})?|1(?:\.0{1,12})?")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
#: Names of models as APIs have them, ARNs and deployments with slashes included, and ``*``.
_MODEL = re.compile(r"[A-Za-z0-9*._:/@+-]{1,200}")


def dollars(text: str) -> Decimal:
    """An amount of US dollars for a million tokens; 0 is free of charge."""
    found = _DOLLARS.fullmatch(text)
    if not found:
        raise BadValue(
            f"{shown(text)} is not an amount of dollars, write one such as 2.50 or 0.075"
        )
    return Decimal(found["number"])


def share(text: str) -> Decimal:
    """A share of a price, from 0 to 1."""
    if not _SHARE.fullmatch(text):
        raise BadValue(f"{shown(text)} is no share, write a number from 0 to 1 such as 0.5")
    return Decimal(text)


def day(text: str) -> datetime.date:
    """A day, which begins at midnight UTC (RFC 3339's full-date)."""
    try:
        if len(text) != 10:
            raise ValueError
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise BadValue(f"{shown(text)} is not a date, write one such as 2026-10-01") from None


def models(text: str) -> tuple[str, ...]:
    """One or more patterns of models with white space between them; ``*`` is any run."""
    words = text.split()
    for word in words:
        if not _MODEL.fullmatch(word):
            raise BadValue(f"{shown(word)} is no name of a model, write one such as gpt-5-mini*")
    return tuple(words)


def names(text: str) -> tuple[str, ...]:
    """One or more names with white space between them."""
    return tuple(text.split())


def provider(text: str) -> str:
    """``auto``, ``off``, or a provider's id, which is looked for where the prices are known."""
    if is_off(text):
        return OFF
    if not _PROVIDER.fullmatch(text):
        raise BadValue(
            f"{shown(text)} is no provider's id, write one such as openai or anthropic, auto or off"
        )
    return text


def provider_ids() -> frozenset[str] | None:
    """The ids that genai-prices knows; None if it is not installed.  Importing it takes 0.2 s."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    return frozenset(str(provider.id) for provider in get_snapshot().providers)
