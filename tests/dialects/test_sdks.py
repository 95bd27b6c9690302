"""The official Python SDKs read what the gateway says itself: no network, only their parsers."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import httpx2
import openai
import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import Standing, Trouble
from gateway.record import ErrorCode
from gateway.sse import EventScanner

from .streams import (
    BLOCK,
    DONE,
    MESSAGE_STOP,
    START_USAGE,
    chunk,
    message_delta,
    message_start,
    usage_chunk,
)

CHAT = for_request(Family.OPENAI, b"/v1/chat/completions")
MESSAGES = for_request(Family.ANTHROPIC, b"/v1/messages")
CUT = Trouble(502, ErrorCode.TRUNCATED, "the upstream was cut")

CHAT_STREAM = chunk("Hi") + chunk(" there") + chunk(reason="stop") + usage_chunk({}) + DONE
MESSAGE = message_start(START_USAGE) + BLOCK + message_delta({"output_tokens": 12}) + MESSAGE_STOP


def chat(stream: bytes) -> Iterator[str]:
    """The texts that OpenAI's SDK sees."""
    client = openai.OpenAI(
        api_key="none", http_client=openai.DefaultHttpxClient(transport=_answer(stream))
    )
    for part in client.chat.completions.create(model="m", messages=[], stream=True):
        yield from (choice.delta.content or "" for choice in part.choices)


def messages(stream: bytes) -> Iterator[str]:
    """The types of the events that Anthropic's SDK sees."""
    client = anthropic.Anthropic(
        api_key="none", http_client=anthropic.DefaultHttpxClient(transport=_answer(stream))
    )
    for part in client.messages.create(model="m", max_tokens=1, messages=[], stream=True):
        yield part.type


def _answer(stream: bytes) -> httpx2.MockTransport:
    head = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx2.MockTransport(lambda request: httpx2.Response(200, headers=head, content=stream))


def with_beats(stream: bytes, early: bytes, late: bytes) -> bytes:
    """The stream with a beat wherever the scanner allows one, in reads of 7 bytes."""
    scanner = EventScanner()
    out = b""
    for at in range(0, len(stream), 7):
        if scanner.injectable:
            out += late if scanner.saw_id else early
        out += scanner.feed(stream[at : at + 7])
    return out


@pytest.mark.parametrize("ids", [False, True])
def test_beats_do_not_disturb_openais_sdk(ids: bool) -> None:
    """K4: before the first event, between any two, and after an ``id`` line."""
    stream = CHAT_STREAM.replace(b"data: {", b"id: 7\ndata: {") if ids else CHAT_STREAM
    early = CHAT.keepalive(Standing(started=False, after_id=False))
    late = CHAT.keepalive(Standing(started=True, after_id=True))
    assert list(chat(with_beats(stream, early, late))) == list(chat(CHAT_STREAM))
    assert list(chat(CHAT_STREAM)) == ["Hi", " there", ""]


def test_beats_do_not_disturb_anthropics_sdk() -> None:
    """K4: before the first event and between any two."""
    beat = MESSAGES.keepalive(Standing(started=True, after_id=True))
    seen = list(messages(with_beats(MESSAGE, beat, beat)))
    assert seen == list(messages(MESSAGE))
    assert seen[0] == "message_start"
    assert seen[-1] == "message_stop"


def test_openais_sdk_raises_at_an_error_event() -> None:
    """E9: after what came before it."""
    seen = chat(chunk("Hi") + b": keepalive\n" + CHAT.error_event(CUT))
    assert next(seen) == "Hi"
    with pytest.raises(openai.APIError, match="the upstream was cut"):
        next(seen)


def test_anthropics_sdk_raises_at_an_error_event() -> None:
    """E9: after what came before it."""
    seen = messages(message_start(START_USAGE) + MESSAGES.error_event(CUT))
    assert next(seen) == "message_start"
    with pytest.raises(anthropic.APIStatusError, match="the upstream was cut"):
        next(seen)
