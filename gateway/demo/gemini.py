"""Google's Gemini API, as "Generating content", "Counting tokens" and "Embeddings" of its API
reference describe it.

The path names the model and the method.  A stream is one of server-sent events with ``alt=sse``,
else one JSON array, sent element by element.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from . import samples
from .answers import THOUGHTS, Answer, Prompt
from .dialect import (
    EVENT_STREAM,
    FAILED,
    Asked,
    Body,
    Dialect,
    Json,
    Limit,
    Part,
    Refusal,
    decode,
    for_vectors,
    json_body,
    text_of,
)
from .models import Model, cached, count_input

#: Tokens of content that was cached before and is only named in a request.
_NAMED_CONTENT = 1024


class _Content(msgspec.Struct):
    parts: list[Part] = []


class _Thinking(msgspec.Struct, rename="camel"):
    thinking_budget: int | None = None
    thinking_level: str | None = None


class _Config(msgspec.Struct, rename="camel"):
    max_output_tokens: Limit | None = None
    thinking_config: _Thinking | None = None


class _Request(msgspec.Struct, rename="camel"):
    """What is looked at of a request's body."""

    contents: list[_Content] = []
    system_instruction: _Content | None = None
    generation_config: _Config | None = None
    cached_content: str | None = None


class _CountRequest(_Request, rename="camel"):
    generate_content_request: _Request | None = None


class _EmbedRequest(msgspec.Struct, rename="camel"):
    content: _Content
    output_dimensionality: Limit | None = None


class _BatchRequest(msgspec.Struct):
    requests: list[_EmbedRequest]


class _Gemini(Dialect):
    """The part that is the same everywhere."""

    #: Names of statuses ("Error handling" of the reference).
    _STATUSES: ClassVar = {404: "NOT_FOUND", 500: "INTERNAL", 503: "UNAVAILABLE"}

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error object with the status in it, as a number and as a name."""
        name = self._STATUSES.get(refusal.status, "INVALID_ARGUMENT")
        return {"error": {"code": refusal.status, "message": refusal.message, "status": name}}

    def listing(self, models: Iterable[Model]) -> Json:
        """All models on one page."""
        methods = ["generateContent", "countTokens", "embedContent"]
        return {
            "models": [
                {
                    "name": f"models/{model.name}",
                    "displayName": model.name,
                    "description": model.shows,
                    "supportedGenerationMethods": methods,
                }
                for model in models
            ]
        }


class Generate(_Gemini):
    """``POST /v1beta/models/{name}:generateContent`` and, if it `streams`,
    ``:streamGenerateContent``.
    """

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; content that is only named counts as some that is cached."""
        request = decode(asked.body, _Request)
        config = request.generation_config or _Config()
        tokens = _count(request)
        named = _NAMED_CONTENT if request.cached_content else 0
        return Prompt(
            model=asked.name,
            stream=self._streams,
            input_tokens=tokens + named,
            max_tokens=config.max_output_tokens,
            cached_tokens=named or cached(tokens),
            reasoning_tokens=_thoughts(config.thinking_config),
            form="sse" if asked.query.get("alt", asked.query.get("$alt")) == "sse" else "array",
        )

    def stream_type(self, prompt: Prompt) -> str:
        """Events, or an array."""
        return EVENT_STREAM if prompt.form == "sse" else "application/json; charset=UTF-8"

    def parts(self, answer: Answer) -> list[bytes]:
        """Token by token, each a response of its own; the last one tells why it ended."""
        chunks = [_chunk(answer, token) for token in answer.tokens]
        chunks.append(_chunk(answer, "", last=True))
        if answer.prompt.form == "sse":
            return [_event(chunk) for chunk in chunks]
        first, *rest = (msgspec.json.encode(chunk) for chunk in chunks)
        array = [b"[" + first, *(b",\r\n" + chunk for chunk in rest)]
        array[-1] += b"\n]"
        return array

    def failure(self, answer: Answer, given: int) -> bytes:
        """An event, or an element and the end of the array."""
        error = self.refusal(Refusal(503, FAILED), "")
        if answer.prompt.form == "sse":
            return _event(error)
        return (b",\r\n" if given else b"[") + msgspec.json.encode(error) + b"\n]"

    def whole(self, answer: Answer) -> Body:
        """One response."""
        return json_body(_chunk(answer, answer.text, last=True))


class CountTokens(_Gemini):
    """``POST /v1beta/models/{name}:countTokens``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; it may have one for content in it."""
        request = decode(asked.body, _CountRequest)
        tokens = _count(request.generate_content_request or request)
        return Prompt(model=asked.name, stream=False, input_tokens=tokens)

    def whole(self, answer: Answer) -> Body:
        """The count."""
        tokens = answer.prompt.input_tokens
        return json_body({"totalTokens": tokens, "promptTokensDetails": _details(tokens)})


class Embed(_Gemini):
    """``POST /v1beta/models/{name}:embedContent`` and, as a `batch`, ``:batchEmbedContents``."""

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; all vectors of a batch are as long as the longest asked for."""
        if self._batch:
            requests = decode(asked.body, _BatchRequest).requests
        else:
            requests = [decode(asked.body, _EmbedRequest)]
        sizes = [request.output_dimensionality or 16 for request in requests]
        return for_vectors(
            Prompt(
                model=asked.name,
                stream=False,
                input_tokens=count_input(text_of(request.content.parts) for request in requests),
                count=len(requests),
                dimensions=max(sizes, default=16),
            )
        )

    def whole(self, answer: Answer) -> Body:
        """A vector, or several."""
        prompt = answer.prompt
        vector = {"values": samples.vector(prompt.dimensions)}
        told: Json = (
            {"embeddings": [vector] * prompt.count} if self._batch else {"embedding": vector}
        )
        tokens = prompt.input_tokens
        usage = {"promptTokenCount": tokens, "promptTokenDetails": _details(tokens)}
        return json_body(told | {"usageMetadata": usage})


def _count(request: _Request) -> int:
    system = request.system_instruction
    contents = [*([system] if system else []), *request.contents]
    return count_input(text_of(content.parts) for content in contents)


def _thoughts(config: _Thinking | None) -> int:
    if config is None or config.thinking_budget == 0:
        return 0
    return THOUGHTS if config.thinking_budget or config.thinking_level else 0


def _event(chunk: Json) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\r\n\r\n"


def _chunk(answer: Answer, text: str, *, last: bool = False) -> Json:
    """A response with a piece of the text, or all of it; usage grows to what the last one tells."""
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if answer.shortened else "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(answer, last=last),
        "modelVersion": answer.prompt.model,
        "responseId": answer.id,
    }


def _usage(answer: Answer, *, last: bool) -> Json:
    """What is zero is left out, as everywhere in JSON that comes of Protocol Buffers."""
    prompt = answer.prompt
    usage: Json = {"promptTokenCount": prompt.input_tokens}
    if prompt.cached_tokens:
        usage["cachedContentTokenCount"] = prompt.cached_tokens
    if last and answer.tokens:
        usage["candidatesTokenCount"] = len(answer.tokens)
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    made = len(answer.tokens) if last else 0
    usage["totalTokenCount"] = prompt.input_tokens + made + answer.reasoning_tokens
    usage["promptTokensDetails"] = _details(prompt.input_tokens)
    return usage


def _details(tokens: int) -> list[Json]:
    return [{"modality": "TEXT", "tokenCount": tokens}]
