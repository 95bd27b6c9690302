"""Anthropic's messages, as "Messages" and "Streaming messages" of its API reference have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from .dialect import Json, Limit, Messages, Part, Refusal, decode, event, text_of, texts
from .models import Answer, Model, Prompt, count_input

_EPOCH = "1970-01-01T00:00:00Z"


class _Request(msgspec.Struct):
    """What is looked at of a request's body."""

    model: str
    messages: Messages
    max_tokens: Limit
    stream: bool = False
    system: str | list[Part] | None = None


class Anthropic:
    """``POST /v1/messages``, and the errors and the list of models that go with it."""

    request_id_header: ClassVar[str] = "request-id"

    #: Error types by status ("Errors" of the reference).
    _KINDS: ClassVar[dict[int, str]] = {404: "not_found_error"}

    def read(self, body: bytes) -> Prompt:
        """Understand a request's body; the system prompt counts as a text of the prompt."""
        asked = decode(body, _Request)
        system = text_of(asked.system)
        return Prompt(
            model=asked.model,
            stream=asked.stream,
            input_tokens=count_input([*([system] if system else []), *texts(asked.messages)]),
            max_tokens=asked.max_tokens,
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """Message and block opened, with the first token; token by token; both closed."""
        first, *rest = (_delta(token) for token in answer.tokens)
        return [_opening(answer) + first, *rest, _closing(answer)]

    def whole(self, answer: Answer) -> Json:
        """A ``message`` object."""
        content: list[Json] = [{"type": "text", "text": "".join(answer.tokens)}]
        return _message(answer, content, _reason(answer), len(answer.tokens))

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error object, which repeats the request's id."""
        kind = self._KINDS.get(refusal.status, "invalid_request_error")
        error = {"type": kind, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": request_id}

    def listing(self, models: Iterable[Model]) -> Json:
        """One page, which is all of it."""
        names = [model.name for model in models]
        data = [
            {"type": "model", "id": name, "display_name": name, "created_at": _EPOCH}
            for name in names
        ]
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}


def _opening(answer: Answer) -> bytes:
    # The real server tells one output token in advance; message_delta then overwrites it.
    message = _message(answer, [], None, output_tokens=1)
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
    usage = {"output_tokens": len(answer.tokens)}
    return (
        _named({"type": "content_block_stop", "index": 0})
        + _named({"type": "message_delta", "delta": delta, "usage": usage})
        + _named({"type": "message_stop"})
    )


def _message(answer: Answer, content: list[Json], reason: str | None, output_tokens: int) -> Json:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.prompt.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.prompt.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    }


def _named(data: Json) -> bytes:
    """An event under its type's name: Anthropic's SDKs drop events without an ``event:`` line."""
    return f"event: {data['type']}\n".encode() + event(data)


def _reason(answer: Answer) -> str:
    return "max_tokens" if answer.shortened else "end_turn"
