"""The dialects: what endpoints speak, and which request speaks which.

A request's dialect follows from its upstream's family and the end of its raw path, so that prefixes
and base paths do not matter.  `gateway.dialects.base` says what a dialect can do.
"""

from __future__ import annotations

from typing import Final

from ..config.model import Family
from . import anthropic, gemini, openai
from .anthropic import Anthropic
from .base import Dialect
from .generic import Generic
from .openai_chat import OpenAIChat
from .provider_error import ProviderError
from .provider_error import from_body as provider_error

__all__ = ["ProviderError", "error_dialect_for_path", "for_request", "provider_error"]

_OPENAI: Final = Generic(openai)
_ANTHROPIC: Final = Generic(anthropic)
_GEMINI: Final = Generic(gemini)

_CHAT: Final = (b"/chat/completions", OpenAIChat())
_MESSAGES: Final = (b"/messages", Anthropic())

#: Which ends of a path a family knows.  ``/messages`` means something else at OpenAI.
_ENDINGS: Final[dict[Family, tuple[tuple[bytes, Dialect], ...]]] = {
    Family.OPENAI: (_CHAT,),
    Family.ANTHROPIC: (_MESSAGES,),
    Family.GENERIC: (_CHAT, _MESSAGES),
}

#: What the rest of a family's endpoints speak, where errors have not OpenAI's shape.
_OTHERS: Final[dict[Family, Dialect]] = {Family.ANTHROPIC: _ANTHROPIC, Family.GEMINI: _GEMINI}


def for_request(family: Family, path: bytes) -> Dialect:
    """The dialect of a request to an upstream of a family; `path` is raw, a query does not count.

    An endpoint that is not known gets a dialect that meters nothing and looks into nothing, with
    the family's shape of errors.
    """
    path = path.partition(b"?")[0].rstrip(b"/")
    for ending, dialect in _ENDINGS.get(family, ()):
        if path.endswith(ending):
            return dialect
    return _OTHERS.get(family, _OPENAI)


def error_dialect_for_path(path: bytes) -> Dialect:
    """The dialect to refuse a request in that has no route: judged by the public APIs' paths."""
    if path.startswith(b"/v1/messages"):
        return _ANTHROPIC
    if path.startswith(b"/v1beta"):
        return _GEMINI
    if path.startswith(b"/v1/models/") and b":" in path:
        return _GEMINI
    return _OPENAI
