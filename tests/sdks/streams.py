"""Streams of every endpoint that the SDKs ask, made up for these tests, and how they are broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS

#: What every provider here says when it fails.
PROVIDERS_WORDS: Final = "it is overloaded"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, as the gateway's rows name its dialect, and a stream of it."""

    family: str
    dialect: str
    events: tuple[bytes, ...]
    text: str
    tokens: tuple[int, int]  #: in, out
    #: A stream that breaks off does so after so many events, and after so much of the text.
    cut_after: int
    cut_text: str
    #: The provider's own error inside a stream, and as a response.
    error_events: bytes
    error_body: bytes

    def with_ids(self) -> tuple[bytes, ...]:
        """The stream with an ``id`` in each of its events."""
        return tuple(b"id: %d\n%b" % (n, event) for n, event in enumerate(self.events))


def event(data: Mapping[str, Any], name: str | None = None, end: str = "\n") -> bytes:
    """An event with JSON data."""
    lead = "" if name is None else f"event: {name}{end}"
    return f"{lead}data: {json.dumps(data)}{end}{end}".encode()


def _typed(*events: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Events that are named by the type in their data."""
    return tuple(event(data, data["type"]) for data in events)


# OpenAI.

_OPENAI_ERROR: Final = {
    "message": PROVIDERS_WORDS,
    "type": "rate_limit_error",
    "param": None,
    "code": "rate_limit_exceeded",
}
_OPENAI_BODY: Final = json.dumps({"error": _OPENAI_ERROR}).encode()
_OPENAI_EVENT: Final = event({"error": _OPENAI_ERROR})

CHAT: Final = Endpoint(
    "openai",
    "openai_chat",
    CHAT_EVENTS,
    "Grüße",
    (9, 3),
    2,
    "Grüße",
    _OPENAI_EVENT,
    _OPENAI_BODY,
)


def _completion(text: str, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
    }


_COMPLETION_USAGE: Final = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
COMPLETIONS: Final = Endpoint(
    "openai",
    "openai_completions",
    (
        event(_completion("Grü")),
        event(_completion("ße")),
        event(_completion("", "stop")),
        event({**_completion(""), "choices": [], "usage": _COMPLETION_USAGE}),
        b"data: [DONE]\n\n",
    ),
    "Grüße",
    (9, 3),
    1,
    "Grü",
    _OPENAI_EVENT,
    _OPENAI_BODY,
)


def _response(status: str, **members: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "m-1",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
        **members,
    }


def _numbered(*events: dict[str, Any]) -> tuple[bytes, ...]:
    """Typed events with their sequence numbers."""
    return _typed(*({**data, "sequence_number": n} for n, data in enumerate(events)))


_PART: Final = {"type": "output_text", "annotations": [], "logprobs": []}
_ITEM: Final = {"id": "msg_1", "type": "message", "role": "assistant"}
_AT: Final = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_DONE_ITEM: Final = {**_ITEM, "status": "completed", "content": [{**_PART, "text": "Grüße"}]}
_RESPONSE_USAGE: Final = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 12,
}
_RESPONSE_EVENTS: Final = _numbered(
    {"type": "response.created", "response": _response("in_progress")},
    {"type": "response.in_progress", "response": _response("in_progress")},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**_ITEM, "status": "in_progress", "content": []},
    },
    {"type": "response.content_part.added", **_AT, "part": {**_PART, "text": ""}},
    {"type": "response.output_text.delta", **_AT, "delta": "Grü", "logprobs": []},
    {"type": "response.output_text.delta", **_AT, "delta": "ße", "logprobs": []},
    {"type": "response.output_text.done", **_AT, "text": "Grüße", "logprobs": []},
    {"type": "response.content_part.done", **_AT, "part": {**_PART, "text": "Grüße"}},
    {"type": "response.output_item.done", "output_index": 0, "item": _DONE_ITEM},
    {
        "type": "response.completed",
        "response": _response("completed", output=[_DONE_ITEM], usage=_RESPONSE_USAGE),
    },
)
_RESPONSE_ERROR: Final = {"code": "rate_limit_exceeded", "message": PROVIDERS_WORDS}
#: As OpenAI documents it: flat, without a member ``error``.
FLAT_ERROR: Final = event(
    {"type": "error", **_RESPONSE_ERROR, "param": None, "sequence_number": 5}, "error"
)
RESPONSE_FAILED: Final = event(
    {
        "type": "response.failed",
        "sequence_number": 6,
        "response": _response("failed", error=_RESPONSE_ERROR),
    },
    "response.failed",
)
RESPONSES: Final = Endpoint(
    "openai",
    "openai_responses",
    _RESPONSE_EVENTS,
    "Grüße",
    (9, 3),
    5,
    "Grü",
    FLAT_ERROR + RESPONSE_FAILED,
    _OPENAI_BODY,
)

_IMAGE: Final = {
    "background": "opaque",
    "created_at": 1,
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
}
IMAGES: Final = Endpoint(
    "openai",
    "openai_images",
    _typed(
        {
            "type": "image_generation.partial_image",
            "b64_json": "YQ==",
            "partial_image_index": 0,
            **_IMAGE,
        },
        {
            "type": "image_generation.completed",
            "b64_json": "YWI=",
            **_IMAGE,
            "usage": {
                "input_tokens": 9,
                "output_tokens": 3,
                "total_tokens": 12,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": 9},
            },
        },
    ),
    "YQ==YWI=",
    (9, 3),
    1,
    "YQ==",
    _OPENAI_EVENT,
    _OPENAI_BODY,
)
TRANSCRIPTION: Final = Endpoint(
    "openai",
    "openai_transcription",
    tuple(
        event(data)
        for data in (
            {"type": "transcript.text.delta", "delta": "Grü"},
            {"type": "transcript.text.delta", "delta": "ße"},
            {
                "type": "transcript.text.done",
                "text": "Grüße",
                "usage": {
                    "type": "tokens",
                    "input_tokens": 9,
                    "input_token_details": {"text_tokens": 0, "audio_tokens": 9},
                    "output_tokens": 3,
                    "total_tokens": 12,
                },
            },
        )
    ),
    "Grüße",
    (9, 3),
    1,
    "Grü",
    _OPENAI_EVENT,
    _OPENAI_BODY,
)


# Anthropic.

_ANTHROPIC_ERROR: Final = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": PROVIDERS_WORDS},
}
MESSAGES: Final = Endpoint(
    "anthropic",
    "anthropic",
    MESSAGES_EVENTS,
    "Grüße",
    (135, 12),
    4,
    "Grüße",
    event(_ANTHROPIC_ERROR, "error"),
    json.dumps(_ANTHROPIC_ERROR).encode(),
)


# Google.


def _piece(text: str, **members: Any) -> bytes:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **members}
    usage: dict[str, Any] = {"promptTokenCount": 9, "totalTokenCount": 9}
    if members:
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
    data = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m-1"}
    return event(data, end="\r\n")


_GOOGLE_ERROR: Final = {
    "error": {"code": 429, "message": PROVIDERS_WORDS, "status": "RESOURCE_EXHAUSTED"}
}
GEMINI: Final = Endpoint(
    "gemini",
    "gemini",
    (_piece("Grü"), _piece("ße"), _piece("", finishReason="STOP")),
    "Grüße",
    (9, 3),
    1,
    "Grü",
    event(_GOOGLE_ERROR, end="\r\n"),
    json.dumps(_GOOGLE_ERROR).encode(),
)
