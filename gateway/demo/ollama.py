"""Ollama's API, as "Generate a chat message", "Generate a response", "Generate embeddings" and
"List models" of its documentation describe it.

A request streams unless it says that it does not; a stream is lines, each a JSON object.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from . import samples
from .answers import THOUGHTS, Answer, Prompt
from .dialect import (
    FAILED,
    Asked,
    Body,
    Dialect,
    Json,
    Limit,
    Messages,
    Refusal,
    decode,
    for_vectors,
    json_body,
    texts,
)
from .models import Model, count_input

_WINDOW = 4096  # tokens of context
_SECOND = 1_000_000_000  # in nanoseconds, which durations are told in


class _Options(msgspec.Struct):
    num_predict: int | None = None  # a number below 1 is no limit


class _Common(msgspec.Struct, kw_only=True):
    """What is looked at of a request's body."""

    model: str
    stream: bool | None = None
    options: _Options | None = None
    think: bool | str | None = None


class _ChatRequest(_Common, kw_only=True):
    messages: Messages


class _GenerateRequest(_Common, kw_only=True):
    prompt: str
    system: str | None = None


class _EmbedRequest(msgspec.Struct):
    model: str
    input: str | list[str]
    dimensions: Limit | None = None


class _Ollama(Dialect):
    """The part that is the same everywhere."""

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """The words alone."""
        return {"error": refusal.message}

    def listing(self, models: Iterable[Model]) -> Json:
        """The models as if they were on this machine; what each shows stands for its family."""
        return {
            "models": [
                {
                    "name": model.name,
                    "model": model.name,
                    "modified_at": _time(0),
                    "size": 0,
                    "digest": "0" * 64,
                    "details": {"format": "gguf", "family": "demo", "description": model.shows},
                }
                for model in models
            ]
        }


class Chat(_Ollama):
    """``POST /api/chat``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request."""
        request = decode(asked.body, _ChatRequest)
        return _prompt(request, count_input(texts(request.messages)))

    def stream_type(self, prompt: Prompt) -> str:
        """Lines."""
        return "application/x-ndjson"

    def parts(self, answer: Answer) -> list[bytes]:
        """Token by token, and a line that tells why and how much."""
        lines = [_line(self._frame(answer, token)) for token in answer.tokens]
        return [*lines, _line(self._frame(answer, "") | _ended(answer) | self.extra(answer))]

    def failure(self, answer: Answer, given: int) -> bytes:
        """A line with an error."""
        return _line({"error": FAILED})

    def whole(self, answer: Answer) -> Body:
        """One object that has everything."""
        return json_body(self._frame(answer, answer.text) | _ended(answer) | self.extra(answer))

    def said(self, text: str) -> Json:
        """A text as a line tells it."""
        return {"message": {"role": "assistant", "content": text}}

    def extra(self, answer: Answer) -> Json:
        """What the last line tells besides."""
        return {}

    def _frame(self, answer: Answer, text: str) -> Json:
        frame = {"model": answer.prompt.model, "created_at": _time(answer.created)}
        return frame | self.said(text) | {"done": False}


class Generate(Chat):
    """``POST /api/generate``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request."""
        request = decode(asked.body, _GenerateRequest)
        said = [request.prompt, *([request.system] if request.system else [])]
        return _prompt(request, count_input(said))

    def said(self, text: str) -> Json:
        """A text as a line tells it."""
        return {"response": text}

    def extra(self, answer: Answer) -> Json:
        """The context, in tokens, with which a client goes on; no longer than a window."""
        tokens = answer.prompt.input_tokens + len(answer.tokens)
        return {"context": list(range(min(tokens, _WINDOW)))}


class Embed(_Ollama):
    """``POST /api/embed``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request."""
        request = decode(asked.body, _EmbedRequest)
        inputs = [request.input] if isinstance(request.input, str) else request.input
        return for_vectors(
            Prompt(
                model=_plain(request.model),
                stream=False,
                input_tokens=count_input(inputs),
                count=len(inputs),
                dimensions=request.dimensions or 16,
            )
        )

    def whole(self, answer: Answer) -> Body:
        """A list of vectors."""
        prompt = answer.prompt
        return json_body(
            {
                "model": prompt.model,
                "embeddings": [samples.vector(prompt.dimensions)] * prompt.count,
                "total_duration": _SECOND // 10,
                "load_duration": 0,
                "prompt_eval_count": prompt.input_tokens,
            }
        )


def _prompt(request: _Common, tokens: int) -> Prompt:
    allowed = request.options.num_predict if request.options else None
    return Prompt(
        model=_plain(request.model),
        stream=request.stream is not False,
        input_tokens=tokens,
        max_tokens=allowed if allowed and allowed > 0 else None,
        reasoning_tokens=THOUGHTS if request.think else 0,
    )


def _plain(model: str) -> str:
    """A model's name without the tag that Ollama's clients add."""
    return model.removesuffix(":latest")


def _line(data: Json) -> bytes:
    return msgspec.json.encode(data) + b"\n"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _ended(answer: Answer) -> Json:
    spoken = answer.output_tokens * _SECOND // 40
    return {
        "done": True,
        "done_reason": "length" if answer.shortened else "stop",
        "total_duration": _SECOND // 10 + spoken,
        "load_duration": 0,
        "prompt_eval_count": answer.prompt.input_tokens,
        "prompt_eval_duration": _SECOND // 10,
        "eval_count": answer.output_tokens,
        "eval_duration": spoken,
    }
