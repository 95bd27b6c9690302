"""What the door finds out about a request at its head, for those who handle it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from .callers import Caller
from .config.model import Route
from .dialects.base import Dialect
from .exchange.forward import Forward


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request goes, from whom, and how."""

    route: Route
    dialect: Dialect
    caller: Caller
    forward: Forward
