"""What the tests of prices make: charges, and prices of an operator's own."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

from gateway.config.model import Prices
from gateway.prices import Charge
from gateway.record import Usage

#: When these requests began.
BEGAN = datetime.datetime(2026, 11, 1, 12, 0, tzinfo=datetime.UTC)


def a_charge(model: str | None = "m", usage: Usage | None = None, **changes: Any) -> Charge:
    """A request that a model answered."""
    values = {
        "upstream": "api",
        "dialect": "openai_chat",
        "model_served": model,
        "model_requested": None,
        "began": BEGAN,
        "usage": usage or Usage(input_tokens=1_000_000, output_tokens=0),
        "usage_raw": None,
    }
    return Charge(**{**values, **changes})


def prices(name: str = "mine", **changes: Any) -> Prices:
    """A section; amounts may be text."""
    values: dict[str, Any] = {"models": ("*",), "input": "2", "output": "8", **changes}
    for kind, amount in values.items():
        if isinstance(amount, str):
            values[kind] = Decimal(amount)
    return Prices(name=name, **values)
