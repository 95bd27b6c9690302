"""OpenAI's chat completions and completions, as "Create chat completion" and "Create completion" of
its API reference describe them.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from .answers import Answer, Prompt, effort
from .dialect import Asked, Body, Json, Limit, Messages, decode, event, framed, json_body, texts
from .models import cached, count_input
from .openai import OpenAI

_DONE = b"data: [DONE]\n\n"


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Options(msgspec.Struct, kw_only=True):
    """What is looked at of a request's body, at either endpoint."""

    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Limit | None = None

    @property
    def include_usage(self) -> bool:
        """Whether the stream is to tell its usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class _ChatRequest(_Options, kw_only=True):
    messages: Messages
    max_completion_tokens: Limit | None = None
    reasoning_effort: str | None = None


class _Request(_Options, kw_only=True):
    prompt: str | list[str | int | list[int]] = ""


class Chat(OpenAI):
    """``POST /v1/chat/completions``."""

    #: The prefix of ids, and the type of a whole answer and of a chunk.
    names: ClassVar[tuple[str, str, str]] = ("chatcmpl", "chat.completion", "chat.completion.chunk")

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; ``max_completion_tokens`` goes before ``max_tokens``."""
        request = decode(asked.body, _ChatRequest)
        tokens = count_input(texts(request.messages))
        return Prompt(
            model=request.model,
            stream=bool(request.stream),
            input_tokens=tokens,
            max_tokens=request.max_completion_tokens or request.max_tokens,
            include_usage=request.include_usage,
            cached_tokens=cached(tokens),
            reasoning_tokens=effort(request.reasoning_effort),
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """The role with the first token; token by token; the reason, the usage and ``[DONE]``."""
        last = self._chunk(answer, self.piece(""), _reason(answer))
        if answer.prompt.include_usage:
            last += event(self._frame(answer) | {"choices": [], "usage": _usage(answer)})
        tokens = [self._chunk(answer, self.piece(token)) for token in answer.tokens]
        return framed(self.opening(answer), tokens, last + _DONE)

    def whole(self, answer: Answer) -> Body:
        """A completion object."""
        frame = self._frame(answer) | {"object": self.names[1]}
        choice = self._choice(self.all(answer.text), _reason(answer))
        return json_body(frame | {"choices": [choice], "usage": _usage(answer)})

    def opening(self, answer: Answer) -> bytes:
        """What comes before the first token."""
        return self._chunk(answer, {"delta": {"role": "assistant", "content": "", "refusal": None}})

    def piece(self, token: str) -> Json:
        """A token as a chunk's choice tells it; the last chunk tells an empty one."""
        return {"delta": {"content": token} if token else {}}

    def all(self, text: str) -> Json:
        """The text as the choice of a whole answer tells it."""
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def _frame(self, answer: Answer) -> Json:
        """What every chunk of an answer says alike."""
        return {
            "id": f"{self.names[0]}-{answer.id}",
            "object": self.names[2],
            "created": answer.created,
            "model": answer.prompt.model,
        }

    def _chunk(self, answer: Answer, said: Json, reason: str | None = None) -> bytes:
        # Where usage was asked for, every chunk has the field, and only the last one has it filled.
        unfilled: Json = {"usage": None} if answer.prompt.include_usage else {}
        return event(self._frame(answer) | {"choices": [self._choice(said, reason)]} | unfilled)

    def _choice(self, said: Json, reason: str | None) -> Json:
        return {"index": 0, **said, "logprobs": None, "finish_reason": reason}


class Completions(Chat):
    """``POST /v1/completions``: the same, but for the request and for where the text stands."""

    names: ClassVar[tuple[str, str, str]] = ("cmpl", "text_completion", "text_completion")

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; of several prompts in one, all are counted and one is answered."""
        request = decode(asked.body, _Request)
        tokens = count_texts(request.prompt)
        return Prompt(
            model=request.model,
            stream=bool(request.stream),
            input_tokens=tokens,
            max_tokens=request.max_tokens,
            include_usage=request.include_usage,
            cached_tokens=cached(tokens),
        )

    def opening(self, answer: Answer) -> bytes:
        """Nothing: there is no role."""
        return b""

    def piece(self, token: str) -> Json:
        """A token as a chunk's choice tells it."""
        return {"text": token}

    def all(self, text: str) -> Json:
        """The text as the choice of a whole answer tells it."""
        return {"text": text}


def count_texts(asked: str | list[str | int | list[int]]) -> int:
    """Tokens of one text or several, each as text or as tokens already."""
    if isinstance(asked, str):
        return count_input([asked])
    tokens = count_input(text for text in asked if isinstance(text, str))
    return tokens + sum(
        1 if isinstance(item, int) else len(item) for item in asked if not isinstance(item, str)
    )


def _reason(answer: Answer) -> str:
    return "length" if answer.shortened else "stop"


def _usage(answer: Answer) -> Json:
    given, made = answer.prompt.input_tokens, answer.output_tokens
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": answer.prompt.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
        },
    }
