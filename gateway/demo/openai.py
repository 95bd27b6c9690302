"""OpenAI's chat completions, as "Create chat completion" of its API reference describes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from .dialect import Json, Limit, Messages, Refusal, decode, event, texts
from .models import Answer, Model, Prompt, count_input


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    """What is looked at of a request's body."""

    model: str
    messages: Messages
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None


class OpenAI:
    """``POST /v1/chat/completions``, and the errors and the list of models that go with it."""

    request_id_header: ClassVar[str] = "x-request-id"

    def read(self, body: bytes) -> Prompt:
        """Understand a request's body; `max_completion_tokens` goes before `max_tokens`."""
        asked = decode(body, _Request)
        options = asked.stream_options
        return Prompt(
            model=asked.model,
            stream=bool(asked.stream),
            input_tokens=count_input(texts(asked.messages)),
            max_tokens=asked.max_completion_tokens or asked.max_tokens,
            include_usage=options is not None and options.include_usage,
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """The role with the first token; token by token; the reason, the usage and ``[DONE]``."""
        role = _chunk(answer, {"role": "assistant", "content": "", "refusal": None})
        first, *rest = (_chunk(answer, {"content": token}) for token in answer.tokens)
        last = _chunk(answer, {}, reason=_reason(answer))
        if answer.prompt.include_usage:
            last += event(_frame(answer) | {"choices": [], "usage": _usage(answer)})
        return [role + first, *rest, last + b"data: [DONE]\n\n"]

    def whole(self, answer: Answer) -> Json:
        """A ``chat.completion`` object."""
        message = {"role": "assistant", "content": "".join(answer.tokens), "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _reason(answer),
        }
        frame = _frame(answer) | {"object": "chat.completion"}
        return frame | {"choices": [choice], "usage": _usage(answer)}

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error object; the request's id is told in the header alone."""
        error = {
            "message": refusal.message,
            "type": "invalid_request_error",
            "param": refusal.param,
            "code": refusal.code,
        }
        return {"error": error}

    def listing(self, models: Iterable[Model]) -> Json:
        """A list of ``model`` objects."""
        data = [
            {"id": model.name, "object": "model", "created": 0, "owned_by": "txgateway"}
            for model in models
        ]
        return {"object": "list", "data": data}


def _frame(answer: Answer) -> Json:
    """What every chunk of an answer says alike."""
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.prompt.model,
    }


def _chunk(answer: Answer, delta: Json, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    # Where usage was asked for, every chunk has the field, and only the last one has it filled.
    unfilled: Json = {"usage": None} if answer.prompt.include_usage else {}
    return event(_frame(answer) | {"choices": [choice]} | unfilled)


def _reason(answer: Answer) -> str:
    return "length" if answer.shortened else "stop"


def _usage(answer: Answer) -> Json:
    given, made = answer.prompt.input_tokens, len(answer.tokens)
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
