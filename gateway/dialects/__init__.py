"""The dialects: what endpoints speak, and which request speaks which.

A request's dialect follows from its upstream's family and the end of its raw path, so that prefixes
and base paths do not matter.  `gateway.dialects.base` says what a dialect can do.
"""

from __future__ import annotations

import re
from typing import Final

from ..config.model import Family
from . import anthropic, bedrock, gemini, ollama, openai
from .anthropic import Anthropic, AnthropicCountTokens
from .anthropic_batch import AnthropicBatches, AnthropicBatchResults
from .base import Dialect
from .bedrock import Bedrock
from .gemini import Gemini, GeminiCountTokens, GeminiEmbeddings
from .generic import Generic
from .ollama import Ollama, OllamaEmbeddings
from .openai_chat import OpenAIChat, OpenAICompletions
from .openai_media import OpenAIEmbeddings, OpenAIImages, OpenAISpeech, OpenAITranscription
from .openai_responses import OpenAIResponses
from .provider_error import ProviderError
from .provider_error import from_body as provider_error

__all__ = ["ProviderError", "error_dialect_for_path", "for_request", "provider_error"]

_OPENAI: Final = Generic(openai)
_ANTHROPIC: Final = Generic(anthropic)
_GEMINI: Final = Generic(gemini)
_OLLAMA: Final = Generic(ollama)
_BEDROCK: Final = Generic(bedrock)

_Table = tuple[tuple[re.Pattern[bytes], Dialect], ...]

#: By the ends of paths; the first that fits counts.
_OPENAI_TABLE: Final[_Table] = (
    (re.compile(rb"/chat/completions$"), OpenAIChat()),
    (re.compile(rb"/completions$"), OpenAICompletions()),
    (re.compile(rb"/responses(/compact)?$"), OpenAIResponses()),
    (re.compile(rb"/responses/(?!input_tokens$)[^/]+$"), OpenAIResponses(replay=True)),
    (re.compile(rb"/embeddings$"), OpenAIEmbeddings()),
    (re.compile(rb"/images/(generations|edits)$"), OpenAIImages()),
    (re.compile(rb"/audio/(transcriptions|translations)$"), OpenAITranscription()),
    (re.compile(rb"/audio/speech$"), OpenAISpeech()),
)
_ANTHROPIC_TABLE: Final[_Table] = (
    (re.compile(rb"/messages$"), Anthropic()),
    (re.compile(rb"/messages/count_tokens$"), AnthropicCountTokens()),
    (re.compile(rb"/messages/batches/[^/]+/results$"), AnthropicBatchResults()),
    (re.compile(rb"/messages/batches(/[^/]+(/cancel)?)?$"), AnthropicBatches()),
)
_GEMINI_TABLE: Final[_Table] = (
    (re.compile(rb":(generate|streamGenerate)Content$"), Gemini()),
    (re.compile(rb":countTokens$"), GeminiCountTokens()),
    (re.compile(rb":(e|batchE)mbedContents?$"), GeminiEmbeddings()),
)
_OLLAMA_TABLE: Final[_Table] = (
    (re.compile(rb"/api/(chat|generate)$"), Ollama()),
    (re.compile(rb"/api/embed(dings)?$"), OllamaEmbeddings()),
)
_BEDROCK_TABLE: Final[_Table] = (
    (re.compile(rb"/model/[^/]+/(converse|invoke)$"), Bedrock(streams=False)),
    (
        re.compile(rb"/model/[^/]+/(converse-stream|invoke-with-response-stream)$"),
        Bedrock(streams=True),
    ),
)

#: What a family knows.  ``/messages`` means something else at OpenAI; Google and Ollama offer
#: OpenAI's endpoints, too, and Ollama Anthropic's.
_TABLES: Final[dict[Family, _Table]] = {
    Family.OPENAI: _OPENAI_TABLE,
    Family.ANTHROPIC: _ANTHROPIC_TABLE,
    Family.GEMINI: _GEMINI_TABLE + _OPENAI_TABLE,
    Family.OLLAMA: _OLLAMA_TABLE + _OPENAI_TABLE + _ANTHROPIC_TABLE,
    Family.BEDROCK: _BEDROCK_TABLE,
    Family.GENERIC: (
        _OPENAI_TABLE + _ANTHROPIC_TABLE + _GEMINI_TABLE + _OLLAMA_TABLE + _BEDROCK_TABLE
    ),
}

#: What the rest of a family's endpoints speak, where errors have not OpenAI's shape.
_OTHERS: Final[dict[Family, Dialect]] = {
    Family.ANTHROPIC: _ANTHROPIC,
    Family.GEMINI: _GEMINI,
    Family.OLLAMA: _OLLAMA,
    Family.BEDROCK: _BEDROCK,
}


def for_request(family: Family, path: bytes) -> Dialect:
    """The dialect of a request to an upstream of a family; `path` is raw, a query does not count.

    An endpoint that is not known gets a dialect that meters nothing and looks into nothing, with
    the family's shape of errors.
    """
    path = path.partition(b"?")[0].rstrip(b"/")
    for ending, dialect in _TABLES.get(family, ()):
        if ending.search(path):
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
