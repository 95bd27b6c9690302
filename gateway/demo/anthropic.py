"""Anthropic's messages, as "Messages" and "Streaming messages" of its API reference have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from .answers import THOUGHTS, Answer, Prompt
from .dialect import (
    FAILED,
    Asked,
    Body,
    Dialect,
    Json,
    Limit,
    Messages,
    Part,
    Refusal,
    decode,
    event,
    framed,
    json_body,
    text_of,
    texts,
)
from .models import Model, count_input

_EPOCH = "1970-01-01T00:00:00Z"


class _Thinking(msgspec.Struct):
    type: str = "disabled"


class _CountRequest(msgspec.Struct, kw_only=True):
    """What is looked at of a request's body."""

    model: str
    messages: Messages
    system: str | list[Part] | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the prompt; the system prompt counts as a text of it."""
        system = text_of(self.system)
        return count_input([*([system] if system else []), *texts(self.messages)])


class _Request(_CountRequest, kw_only=True):
    max_tokens: Limit
    stream: bool = False
    thinking: _Thinking | None = None


class Anthropic(Dialect):
    """The part that is the same everywhere."""

    request_id_header: ClassVar[str | None] = "request-id"
    overloaded: ClassVar[int] = 529

    #: Error types by status ("Errors" of the reference).
    _KINDS: ClassVar[dict[int, str]] = {
        404: "not_found_error",
        500: "api_error",
        503: "overloaded_error",
        529: "overloaded_error",
    }

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error object, which repeats the request's id."""
        kind = self._KINDS.get(refusal.status, "invalid_request_error")
        error = {"type": kind, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": request_id}

    def listing(self, models: Iterable[Model]) -> Json:
        """One page, which is all of it."""
        data = [
            {
                "type": "model",
                "id": model.name,
                "display_name": f"{model.name}: {model.shows}",
                "created_at": _EPOCH,
            }
            for model in models
        ]
        ids = [entry["id"] for entry in data]
        return {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}


class CreateMessage(Anthropic):
    """``POST /v1/messages``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request.

        Of texts marked with ``cache_control``, those of the system prompt count as read from the
        cache, the others as written to it.
        """
        request = decode(asked.body, _Request)
        thinking = request.thinking is not None and request.thinking.type != "disabled"
        contents = [message.content for message in request.messages]
        return Prompt(
            model=request.model,
            stream=request.stream,
            input_tokens=request.tokens,
            max_tokens=request.max_tokens,
            cached_tokens=_marked([request.system]),
            written_tokens=_marked(contents),
            reasoning_tokens=THOUGHTS if thinking else 0,
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """Message and block opened, with the first token; token by token; both closed."""
        return framed(
            _opening(answer), [_delta(token) for token in answer.tokens], _closing(answer)
        )

    def failure(self, answer: Answer, given: int) -> bytes:
        """An ``error`` event."""
        error = {"type": "overloaded_error", "message": FAILED}
        return _named({"type": "error", "error": error})

    def whole(self, answer: Answer) -> Body:
        """A ``message`` object."""
        content: list[Json] = [{"type": "text", "text": answer.text}]
        return json_body(_message(answer, content, _reason(answer), _output(answer)))


class CountTokens(Anthropic):
    """``POST /v1/messages/count_tokens``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request."""
        request = decode(asked.body, _CountRequest)
        return Prompt(model=request.model, stream=False, input_tokens=request.tokens)

    def whole(self, answer: Answer) -> Body:
        """The count."""
        return json_body({"input_tokens": answer.prompt.input_tokens})


def _marked(contents: Iterable[str | list[Part] | None]) -> int:
    """Tokens of the parts that are marked for the cache, without what comes with each message."""
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return sum(-(-len(part.text) // 4) for part in parts if part.cache_control)


def _opening(answer: Answer) -> bytes:
    # The real server tells one output token in advance; message_delta then overwrites it.
    message = _message(answer, [], None, {"output_tokens": 1})
    block = {"type": "text", "text": ""}
    return (
        _named({"type": "message_start", "message": message})
        + _named({"type": "content_block_start", "index": 0, "content_block": block})
        + _named({"type": "ping"})
    )


def _delta(token: str) -> bytes:
    delta = {"type": "text_delta", "text": token}
    return _named({"type": "content_block_delta", "index": 0, "delta": delta})


def _closing(answer: Answer) -> bytes:
    delta = {"stop_reason": _reason(answer), "stop_sequence": None}
    return (
        _named({"type": "content_block_stop", "index": 0})
        + _named({"type": "message_delta", "delta": delta, "usage": _output(answer)})
        + _named({"type": "message_stop"})
    )


def _message(answer: Answer, content: list[Json], reason: str | None, output: Json) -> Json:
    prompt = answer.prompt
    uncached = prompt.input_tokens - prompt.cached_tokens - prompt.written_tokens
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": prompt.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": uncached,
            "cache_creation_input_tokens": prompt.written_tokens,
            "cache_read_input_tokens": prompt.cached_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": prompt.written_tokens,
                "ephemeral_1h_input_tokens": 0,
            },
            **output,
            "service_tier": "standard",
        },
    }


def _output(answer: Answer) -> Json:
    """The members of usage that tell of the answer; of its thoughts only if there were any."""
    output: Json = {"output_tokens": answer.output_tokens}
    if answer.reasoning_tokens:
        output["output_tokens_details"] = {"thinking_tokens": answer.reasoning_tokens}
    return output


def _named(data: Json) -> bytes:
    """An event under its type's name: Anthropic's SDKs drop events without an ``event:`` line."""
    return event(data, str(data["type"]))


def _reason(answer: Answer) -> str:
    return "max_tokens" if answer.shortened else "end_turn"
