"""What the door finds out about a request at its head, for those who handle it afterwards."""

from __future__ import annotations

from msgspec import Struct

from .callers import Caller
from .config.model import Route
from .dialects.base import Dialect
from .exchange.forward import Forward
from .front.verdict import Admission
from .redact import Redactor


class Texts(Struct, frozen=True):
    """What a row tells of a request's head, free of secrets."""

    method: str
    path: str
    session: str | None
    user_agent: str | None


class Match(Struct, frozen=True):
    """Where a request goes, from whom, and how.

    It holds for every request of a connection whose head is the same but for the length of the
    body.
    """

    route: Route
    dialect: Dialect
    caller: Caller
    forward: Forward
    redactor: Redactor  #: which knows the caller's credentials
    texts: Texts
    admission: Admission
