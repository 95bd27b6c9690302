"""The dialects: what endpoints speak, and which request speaks which.

A request's dialect follows from its upstream's family and the end of its raw path, so that prefixes
and base paths do not matter.  `gateway.dialects.base` says what a dialect can do.
"""

from __future__ import annotations

from typing import Final

from ..config.model import Family
from . import anthropic, gemini, ollama, openai
from .anthropic import Anthropic, AnthropicCountTokens
from .base import Dialect
from .gemini import Gemini, GeminiCountTokens, GeminiEmbeddings
from .generic import Generic
from .ollama import Ollama, OllamaEmbeddings
from .openai_chat import OpenAIChat
from .provider_error import ProviderError
from .provider_error import from_body as provider_error

__all__ = ["ProviderError", "error_dialect_for_path", "for_request", "provider_error"]

_OPENAI: Final = Generic(openai)
_ANTHROPIC: Final = Generic(anthropic)
_GEMINI: Final = Generic(gemini)
_OLLAMA: Final = Generic(ollama)

_CHAT: Final = (b"/chat/completions", OpenAIChat())
_MESSAGES: Final = (
    (b"/messages", Anthropic()),
    (b"/messages/count_tokens", AnthropicCountTokens()),
)
_GENERATE: Final = Gemini()
_EMBED: Final = GeminiEmbeddings()
_GEMINI_METHODS: Final = (
    (b":generateContent", _GENERATE),
    (b":streamGenerateContent", _GENERATE),
    (b":countTokens", GeminiCountTokens()),
    (b":embedContent", _EMBED),
    (b":batchEmbedContents", _EMBED),
)
_ANSWER: Final = Ollama()
_OLLAMA_EMBED: Final = OllamaEmbeddings()
_OLLAMA_API: Final = (
    (b"/api/chat", _ANSWER),
    (b"/api/generate", _ANSWER),
    (b"/api/embed", _OLLAMA_EMBED),
    (b"/api/embeddings", _OLLAMA_EMBED),
)

#: Which ends of a path a family knows.  ``/messages`` means something else at OpenAI.
_ENDINGS: Final[dict[Family, tuple[tuple[bytes, Dialect], ...]]] = {
    Family.OPENAI: (_CHAT,),
    Family.ANTHROPIC: _MESSAGES,
    Family.GEMINI: (*_GEMINI_METHODS, _CHAT),
    Family.OLLAMA: (*_OLLAMA_API, _CHAT, *_MESSAGES),
    Family.GENERIC: (_CHAT, *_MESSAGES),
}

#: What the rest of a family's endpoints speak, where errors have not OpenAI's shape.
_OTHERS: Final[dict[Family, Dialect]] = {
    Family.ANTHROPIC: _ANTHROPIC,
    Family.GEMINI: _GEMINI,
    Family.OLLAMA: _OLLAMA,
}


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
