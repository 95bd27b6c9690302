"""Amazon Bedrock's Converse and Invoke, as its API reference has them.

"Converse", "ConverseStream", "InvokeModel" and "InvokeModelWithResponseStream" of the runtime's
reference; "Event stream encoding" of Amazon Transcribe's documentation tells how a frame is made.
Invoke speaks Anthropic's messages, whose requests then name no model.  Signatures are not checked.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final
from zlib import crc32

import msgspec

from ..sse import parse
from . import anthropic
from .answers import Answer, Prompt
from .dialect import FAILED, Asked, Body, Dialect, Json, Limit, Refusal, decode, framed, json_body
from .models import Model, count_input

_STREAM: Final = "application/vnd.amazon.eventstream"
_TEXT: Final = b"\x07"  # the type of a header's value

_KINDS: Final = {
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


class _Block(msgspec.Struct, rename="camel"):
    text: str = ""
    cache_point: Json | None = None


class _Message(msgspec.Struct):
    role: str
    content: list[_Block]


class _Inference(msgspec.Struct, rename="camel"):
    max_tokens: Limit | None = None


class _Converse(msgspec.Struct, kw_only=True, rename="camel"):
    """What is looked at of a request's body."""

    messages: list[_Message]
    system: list[_Block] = []
    inference_config: _Inference = msgspec.field(default_factory=_Inference)


class _Bedrock(Dialect):
    """The part that is the same everywhere."""

    request_id_header: ClassVar[str | None] = "x-amzn-RequestId"
    overloaded: ClassVar[int] = 429

    def stream_type(self, prompt: Prompt) -> str:
        """Frames."""
        return _STREAM

    def failure(self, answer: Answer, given: int) -> bytes:
        """An exception as a frame."""
        headers = {
            ":exception-type": "modelStreamErrorException",
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        content = {"message": FAILED, "originalStatusCode": 500}
        return _frame(headers, msgspec.json.encode(content))

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error as AWS's JSON protocol has it."""
        kind = _KINDS.get(refusal.status, "ValidationException")
        return {"__type": kind, "message": refusal.message}

    def listing(self, models: Iterable[Model]) -> Json:
        """As ``ListFoundationModels`` gives it."""
        return {"modelSummaries": [{"modelId": m.name, "modelName": m.shows} for m in models]}


class Converse(_Bedrock):
    """``POST /model/{}/converse`` and ``…/converse-stream``."""

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams

    def read(self, asked: Asked) -> Prompt:
        """Understand a request.

        What stands before a cache point counts as read from the cache in the system prompt, and as
        written to it in a message.
        """
        request = decode(asked.body, _Converse)
        blocks = [block for message in request.messages for block in message.content]
        return Prompt(
            model=asked.name,
            stream=self._streams,
            input_tokens=count_input(block.text for block in (*request.system, *blocks)),
            max_tokens=request.inference_config.max_tokens,
            cached_tokens=_before_cache_point(request.system),
            written_tokens=_before_cache_point(blocks),
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """The message opened with the first token; token by token; its end, and the usage."""
        opening = _event("messageStart", {"role": "assistant"})
        tokens = [
            _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": token}})
            for token in answer.tokens
        ]
        closing = (
            _event("contentBlockStop", {"contentBlockIndex": 0})
            + _event("messageStop", {"stopReason": _reason(answer)})
            + _event("metadata", {"usage": _usage(answer), "metrics": {"latencyMs": 1}})
        )
        return framed(opening, tokens, closing)

    def whole(self, answer: Answer) -> Body:
        """The answer as one object."""
        message = {"role": "assistant", "content": [{"text": answer.text}]}
        return json_body(
            {
                "output": {"message": message},
                "stopReason": _reason(answer),
                "usage": _usage(answer),
                "metrics": {"latencyMs": 1},
            }
        )


class Invoke(_Bedrock):
    """``POST /model/{}/invoke`` and ``…/invoke-with-response-stream``: Anthropic's messages."""

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams
        self._messages = anthropic.CreateMessage()

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; path and operation tell what its body does not."""
        body = decode(asked.body, dict[str, object])
        told = {**body, "model": asked.name, "stream": self._streams}
        return self._messages.read(Asked(msgspec.json.encode(told)))

    def parts(self, answer: Answer) -> list[bytes]:
        """Anthropic's events, each in a frame; the last tells Bedrock's own count."""
        return [
            b"".join(_chunk(data, answer) for _, data in parse(part))
            for part in self._messages.parts(answer)
        ]

    def whole(self, answer: Answer) -> Body:
        """Anthropic's message."""
        return self._messages.whole(answer)


def _chunk(data: bytes, answer: Answer) -> bytes:
    event = msgspec.json.decode(data, type=Json)
    if event["type"] == "message_stop":
        usage = _usage(answer)
        event["amazon-bedrock-invocationMetrics"] = {
            "inputTokenCount": usage["inputTokens"],
            "outputTokenCount": usage["outputTokens"],
            "invocationLatency": 1,
            "firstByteLatency": 1,
            "cacheReadInputTokenCount": usage["cacheReadInputTokens"],
            "cacheWriteInputTokenCount": usage["cacheWriteInputTokens"],
        }
    return _event("chunk", {"bytes": base64.b64encode(msgspec.json.encode(event)).decode()})


def _event(kind: str, content: Json) -> bytes:
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return _frame(headers, msgspec.json.encode(content))


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Lengths, a CRC of them, headers, payload, a CRC of it all."""
    coded = b"".join(
        bytes((len(name),)) + name.encode() + _TEXT + len(value).to_bytes(2) + value.encode()
        for name, value in headers.items()
    )
    lengths = (16 + len(coded) + len(payload)).to_bytes(4) + len(coded).to_bytes(4)
    frame = lengths + crc32(lengths).to_bytes(4) + coded + payload
    return frame + crc32(frame).to_bytes(4)


def _before_cache_point(blocks: Sequence[_Block]) -> int:
    """Tokens of the texts before the last cache point, without what comes with each text."""
    points = [place for place, block in enumerate(blocks) if block.cache_point is not None]
    return sum(-(-len(block.text) // 4) for block in blocks[: points[-1]]) if points else 0


def _usage(answer: Answer) -> Json:
    prompt = answer.prompt
    return {
        "inputTokens": prompt.input_tokens - prompt.cached_tokens - prompt.written_tokens,
        "outputTokens": answer.output_tokens,
        "totalTokens": prompt.input_tokens + answer.output_tokens,
        "cacheReadInputTokens": prompt.cached_tokens,
        "cacheWriteInputTokens": prompt.written_tokens,
    }


def _reason(answer: Answer) -> str:
    return "max_tokens" if answer.shortened else "end_turn"
