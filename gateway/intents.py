"""The ledger's opening entry of a request: what is known before its upstream is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .dialects.base import Peek
from .front.request import Request
from .http1 import Fields
from .match import Match
from .record import Intent, new_id
from .redact import Redactor

#: Where agents tell which session a request belongs to, the first one that is there: Claude Code,
#: Codex, opencode (docs/clients.rst).
_SESSION_FIELDS: Final = (b"x-claude-code-session-id", b"session-id", b"x-session-id")


#: How much of a path is kept: strangers may send long ones, again and again.
_PATH_LIMIT = 500


class Intents:
    """Makes them, free of secrets."""

    def __init__(self, instance: str, wall: Callable[[], float], redactor: Redactor) -> None:
        """`instance` is what this process calls itself; `wall` tells seconds since the epoch."""
        self._instance = instance
        self._wall = wall
        self._redactor = redactor

    def of(self, request: Request, match: Match, peek: Peek, size: int) -> Intent:
        """The intent of `request`, of whose body `size` bytes have come."""
        fields = request.head.fields
        caller = match.caller
        intent = Intent(
            id=new_id(),
            started_at=self._wall(),
            instance=self._instance,
            route=match.route.name,
            upstream=match.route.upstream.name,
            dialect=match.dialect.name,
            method=request.head.method.decode("ascii"),
            path=request.head.path[:_PATH_LIMIT].decode("latin-1"),
            model_requested=peek.model,
            stream=peek.stream,
            tenant=caller.tenant,
            session=_session(fields),
            client=caller.origin.client,
            user_agent=_text(fields.get(b"user-agent")),
            request_bytes=size,
        )
        return self._redactor.intent(intent, caller.credentials)


def _session(fields: Fields) -> str | None:
    for name in _SESSION_FIELDS:
        if value := fields.get(name):
            return _text(value)
    return None


def _text(value: bytes | None, limit: int = 200) -> str | None:
    return None if value is None else value[:limit].decode("latin-1")
