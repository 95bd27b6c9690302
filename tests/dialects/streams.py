"""Streams and bodies made up for these tests, and how a meter reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.dialects.base import Meter, Reading
from gateway.dialects.long_events import show
from gateway.sse import EventScanner


def event(data: object, name: str | None = None) -> bytes:
    """An event with JSON data, as most servers write it."""
    lead = "" if name is None else f"event: {name}\n"
    return f"{lead}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def chunk(
    text: str | None = None,
    *,
    reason: str | None = None,
    index: int = 0,
    usage: object = None,
    **members: object,
) -> bytes:
    """A chat completion chunk with one choice."""
    delta = {} if text is None else {"content": text}
    return event(
        {
            "id": "chatcmpl-7",
            "object": "chat.completion.chunk",
            "model": "small-1",
            "choices": [{"index": index, "delta": delta, "finish_reason": reason}],
            "usage": usage,
            **members,
        }
    )


def usage_chunk(usage: object) -> bytes:
    """The chunk that `stream_options.include_usage` adds."""
    return event({"id": "chatcmpl-7", "model": "small-1", "choices": [], "usage": usage})


DONE = b"data: [DONE]\n\n"

USAGE: dict[str, Any] = {
    "prompt_tokens": 19,
    "completion_tokens": 40,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 32, "audio_tokens": 0},
}


def named(kind: str, **members: object) -> bytes:
    """An event of Anthropic's."""
    return event({"type": kind, **members}, kind)


def message_start(usage: object, model: str = "large-2") -> bytes:
    """The event that begins a message."""
    message: dict[str, object] = {
        "id": "msg_7",
        "type": "message",
        "model": model,
        "content": [],
        "stop_reason": None,
    }
    return named("message_start", message={**message, "usage": usage})


def message_delta(usage: object, reason: str | None = "end_turn") -> bytes:
    """The event that tells how a message ended."""
    return named("message_delta", delta={"stop_reason": reason}, usage=usage)


MESSAGE_STOP = named("message_stop")
BLOCK = (
    named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + named("ping")
    + named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Grüße, “you”"})
    + named("content_block_stop", index=0)
)
START_USAGE: dict[str, Any] = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens": 1,
    "service_tier": "standard",
}


# ---- Responses ----

RESPONSE_USAGE: dict[str, Any] = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 4},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}


def response(status: str = "in_progress", usage: object = None, **members: object) -> object:
    """A response, as events and bodies have it."""
    return {
        "id": "resp_7",
        "object": "response",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": "Be “brief”.",
        "model": "small-1",
        "output": [],
        "tools": [{"type": "function", "name": "error"}],
        "usage": usage,
        **members,
    }


def numbered(kind: str, number: int, **members: object) -> bytes:
    """An event of a response's stream."""
    return event({"type": kind, "sequence_number": number, **members}, kind)


CREATED = numbered("response.created", 0, response=response())
DELTAS = (
    numbered("response.in_progress", 1, response=response())
    + numbered("response.output_text.delta", 2, delta='Grüße, "response"', obfuscation="x")
    + numbered("response.output_text.delta", 3, delta="the error is")
)


def completed(number: int = 4, usage: object = None, **members: object) -> bytes:
    """The last event of a response that went well."""
    usage = RESPONSE_USAGE if usage is None else usage
    return numbered("response.completed", number, response=response("completed", usage, **members))


# ---- images and audio ----

IMAGE_USAGE: dict[str, Any] = {
    "total_tokens": 110,
    "input_tokens": 50,
    "output_tokens": 60,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}


def image(data: str = "aGk=", *, partial: bool = False, usage: object = None) -> bytes:
    """An event of a stream of images; a last one has usage."""
    kind = "image_generation." + ("partial_image" if partial else "completed")
    members: dict[str, object] = {"type": kind, "model": "small-1", "b64_json": data}
    if not partial:
        members["usage"] = IMAGE_USAGE if usage is None else usage
    return event(members, kind)


def read(meter: Meter, blocks: Iterable[bytes], *, ended: bool = True) -> Reading:
    """What a meter makes of a body, given as it is cut here."""
    for block in blocks:
        meter.feed(block)
    if ended:
        meter.end()
    return meter.reading()


def read_stream(
    meter: Meter, pieces: Iterable[bytes], *, ended: bool = True, hold_limit: int = 65536
) -> Reading:
    """What a meter makes of an event stream in these pieces, behind a scanner."""
    scanner = EventScanner(hold_limit)
    for piece in pieces:
        block = scanner.feed(piece)
        if block:
            show(meter, block, scanner)
    return read(meter, (), ended=ended)
