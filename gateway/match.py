"""What the door finds out about a request at its head, for those who handle it afterwards."""

from __future__ import annotations

from msgspec import Struct

from .callers import Caller
from .config.model import Route
from .dialects.base import Dialect
from .exchange.forward import Forward


class Match(Struct, frozen=True):
    """Where a request goes, from whom, and how."""

    route: Route
    dialect: Dialect
    caller: Caller
    forward: Forward
