"""Which path of the simulated provider speaks which dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from . import (
    anthropic,
    anthropic_batch,
    bedrock,
    gemini,
    ollama,
    openai_chat,
    openai_media,
    openai_responses,
)
from .dialect import Dialect, Refusal

#: Versions of Gemini's API in a path; one is as good as the other.
_VERSION: Final = re.compile(r"^/v1(?:beta|alpha)?(?=/models/[^/]+:)")


@dataclass(frozen=True, slots=True)
class Found:
    """What answers a request, and what the path names."""

    dialect: Dialect
    method: str
    name: str = ""
    lists: bool = False  #: the list of models is asked for


class Endpoints:
    """All of them, with the responses that one keeps and another gives again."""

    def __init__(self) -> None:
        store = openai_responses.ResponseStore()
        chat = openai_chat.Chat()
        self._openai = chat
        self._anthropic = anthropic.CreateMessage()
        self._gemini = gemini.Generate(streams=False)
        self._ollama = ollama.Chat()
        self._bedrock = bedrock.Converse(streams=False)
        transcription = openai_media.Transcription()
        #: The path, where ``{}`` stands for a name; the method; the dialect.
        self._table: tuple[tuple[str, str, Dialect], ...] = (
            ("/v1/chat/completions", "POST", chat),
            ("/v1/completions", "POST", openai_chat.Completions()),
            ("/v1/responses", "POST", openai_responses.Responses(store)),
            ("/v1/responses/{}", "GET", openai_responses.Replay(store)),
            ("/v1/embeddings", "POST", openai_media.Embeddings()),
            ("/v1/images/generations", "POST", openai_media.Images("image_generation")),
            ("/v1/images/edits", "POST", openai_media.Images("image_edit")),
            ("/v1/audio/transcriptions", "POST", transcription),
            ("/v1/audio/translations", "POST", transcription),
            ("/v1/audio/speech", "POST", openai_media.Speech()),
            ("/v1/messages", "POST", self._anthropic),
            ("/v1/messages/count_tokens", "POST", anthropic.CountTokens()),
            *anthropic_batch.endpoints(),
            ("/v1beta/models/{}:generateContent", "POST", self._gemini),
            ("/v1beta/models/{}:streamGenerateContent", "POST", gemini.Generate(streams=True)),
            ("/v1beta/models/{}:countTokens", "POST", gemini.CountTokens()),
            ("/v1beta/models/{}:embedContent", "POST", gemini.Embed(batch=False)),
            ("/v1beta/models/{}:batchEmbedContents", "POST", gemini.Embed(batch=True)),
            ("/api/chat", "POST", self._ollama),
            ("/api/generate", "POST", ollama.Generate()),
            ("/api/embed", "POST", ollama.Embed()),
            ("/model/{}/converse", "POST", self._bedrock),
            ("/model/{}/converse-stream", "POST", bedrock.Converse(streams=True)),
            ("/model/{}/invoke", "POST", bedrock.Invoke(streams=False)),
            ("/model/{}/invoke-with-response-stream", "POST", bedrock.Invoke(streams=True)),
        )
        #: Fields by which clients tell where paths do not.
        self._fields: tuple[tuple[str, Dialect], ...] = (
            ("anthropic-version", self._anthropic),
            ("x-goog-api-key", self._gemini),
            ("x-goog-api-client", self._gemini),
        )
        #: Where models are listed; /v1/models as the client speaks.
        self._lists: dict[str, Dialect | None] = {
            "/v1/models": None,
            "/v1beta/models": self._gemini,
            "/api/tags": self._ollama,
        }
        self._patterns = [
            (re.compile(re.escape(path).replace(r"\{\}", "([^/:]+)")), method, dialect)
            for path, method, dialect in self._table
        ]

    def find(self, path: str, has: Callable[[str], bool]) -> Found:
        """What answers at a raw path; `has` tells whether the request has a field of that name.

        Raises `Refusal` where nothing answers, after which `speaker` says in whose words.
        """
        if path in self._lists:
            return Found(self._lists[path] or self.speaker(path, has), "GET", lists=True)
        plain = _VERSION.sub("/v1beta", unquote(path))
        for pattern, method, dialect in self._patterns:
            if match := pattern.fullmatch(plain):
                return Found(dialect, method, "".join(match.groups()))
        known = ", ".join([*(path for path, _, _ in self._table), *self._lists])
        raise Refusal(404, f"The simulated provider has no such path; it has {known}.")

    def speaker(self, path: str, has: Callable[[str], bool]) -> Dialect:
        """Whose errors a client expects at a path that is not known."""
        if path.startswith("/api/"):
            return self._ollama
        if path.startswith("/v1beta/"):
            return self._gemini
        if path.startswith("/model/"):
            return self._bedrock
        return next((dialect for name, dialect in self._fields if has(name)), self._openai)
