"""The ledger's opening entry of a request: what is known before its upstream is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .dialects.base import Peek
from .http1 import Fields, RequestHead
from .match import Match, Texts
from .record import Intent, new_id
from .redact import Redactor

#: Where agents tell which session a request belongs to, the first one that is there: Claude Code,
#: Codex, opencode (docs/clients.rst).
_SESSION_FIELDS: Final = (b"x-claude-code-session-id", b"session-id", b"x-session-id")


#: How much of a path is kept: strangers may send long ones, again and again.
_PATH_LIMIT = 500


class Intents:
    """Makes them, free of secrets."""

    def __init__(self, instance: str, wall: Callable[[], float]) -> None:
        """`instance` is what this process calls itself; `wall` tells seconds since the epoch."""
        self._instance = instance
        self._wall = wall

    def of(self, match: Match, peek: Peek, size: int) -> Intent:
        """The intent of a request that was matched, of whose body `size` bytes have come."""
        caller, texts, model = match.caller, match.texts, peek.model
        return Intent(
            id=new_id(),
            started_at=self._wall(),
            instance=self._instance,
            route=match.route.name,
            upstream=match.route.upstream.name,
            dialect=match.dialect.name,
            method=texts.method,
            path=texts.path,
            model_requested=model and match.redactor.redact(model),
            stream=peek.stream,
            tenant=caller.tenant,
            session=texts.session,
            client=caller.origin.client,
            user_agent=texts.user_agent,
            request_bytes=size,
        )


def texts_of(head: RequestHead, redactor: Redactor) -> Texts:
    """What rows tell of a head; `redactor` knows the credentials in it."""
    texts = (
        head.method.decode("ascii"),
        head.path[:_PATH_LIMIT].decode("latin-1"),
        _session(head.fields),
        _text(head.fields.get(b"user-agent")),
    )
    method, path, session, user_agent = redactor.texts(texts)
    return Texts(method or "", path or "", session, user_agent)


def _session(fields: Fields) -> str | None:
    for name in _SESSION_FIELDS:
        if value := fields.get(name):
            return _text(value)
    return None


def _text(value: bytes | None, limit: int = 200) -> str | None:
    return None if value is None else value[:limit].decode("latin-1")
