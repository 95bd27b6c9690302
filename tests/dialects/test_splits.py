"""Meters behind the scanner: no split of a stream and no garbage changes or breaks anything."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.anthropic_meter import MessageBodyMeter, MessageStreamMeter
from gateway.dialects.base import Meter
from gateway.dialects.bedrock_meter import BedrockBodyMeter, BedrockStreamMeter
from gateway.dialects.gemini_meter import (
    GeminiArrayMeter,
    GeminiBodyMeter,
    GeminiStreamMeter,
)
from gateway.dialects.ollama_meter import OllamaBodyMeter, OllamaStreamMeter
from gateway.dialects.openai_chat import ChatBodyMeter, ChatStreamMeter
from gateway.dialects.openai_events import TypedStreamMeter, UsageBodyMeter
from gateway.dialects.openai_responses_meter import ResponseBodyMeter, ResponseStreamMeter

from .streams import (
    BLOCK,
    CREATED,
    DELTAS,
    DONE,
    MESSAGE_STOP,
    RESPONSE_USAGE,
    START_USAGE,
    USAGE,
    chunk,
    completed,
    event,
    image,
    message_delta,
    message_start,
    named,
    numbered,
    read,
    read_stream,
    response,
    usage_chunk,
)


def images() -> Meter:
    return TypedStreamMeter(frozenset({"image_generation.completed"}), several=True)


def transcript() -> Meter:
    return TypedStreamMeter(frozenset({"transcript.text.done"}))


STREAM_METERS: list[Callable[[], Meter]] = [
    ChatStreamMeter,
    MessageStreamMeter,
    ResponseStreamMeter,
    images,
    transcript,
]
METERS: list[Callable[[], Meter]] = [
    *STREAM_METERS,
    ChatBodyMeter,
    MessageBodyMeter,
    GeminiStreamMeter,
    GeminiArrayMeter,
    GeminiBodyMeter,
    OllamaStreamMeter,
    OllamaBodyMeter,
    ResponseBodyMeter,
    UsageBodyMeter,
    BedrockStreamMeter,
    BedrockBodyMeter,
]

CHAT_END = chunk("Grüße 🙂") + chunk(reason="stop") + usage_chunk(USAGE)
MESSAGE = message_start(START_USAGE) + BLOCK + message_delta({"output_tokens": 12}) + MESSAGE_STOP
STREAMS: dict[str, tuple[Callable[[], Meter], bytes]] = {
    "chat": (ChatStreamMeter, chunk("") + CHAT_END + DONE),
    "chat, CRLF, ids, comments": (
        ChatStreamMeter,
        (b": hello\n\n" + chunk("") + b"id: 7\n" + CHAT_END + DONE).replace(b"\n", b"\r\n"),
    ),
    "chat, CR": (ChatStreamMeter, (chunk("") + CHAT_END).replace(b"\n", b"\r")),
    "chat, two choices": (
        ChatStreamMeter,
        chunk("a") + chunk("b", index=1) + chunk(reason="length", index=1) + chunk(reason="stop"),
    ),
    "chat, error": (ChatStreamMeter, chunk("") + event({"error": {"message": "no"}})),
    "chat, spaces": (
        ChatStreamMeter,
        chunk("")
        + f"data: {json.dumps(json.loads(usage_chunk(USAGE)[6:]), indent=0)}".replace(
            "\n", "\ndata:"
        ).encode()
        + b"\n\n"
        + DONE,
    ),
    "chat, byte order mark": (ChatStreamMeter, b"\xef\xbb\xbf" + chunk("") + CHAT_END + DONE),
    "chat, usage in every chunk": (
        ChatStreamMeter,
        chunk("a", usage={**USAGE, "completion_tokens": 33}) + chunk(reason="stop", usage=USAGE),
    ),
    "chat, timings": (
        ChatStreamMeter,
        b":\n\n" + chunk("a") + chunk(reason="stop", timings={"prompt_n": 3, "cache_n": 1}) + DONE,
    ),
    "responses": (ResponseStreamMeter, CREATED + DELTAS + completed() + DONE),
    "responses, CRLF, ids": (
        ResponseStreamMeter,
        (CREATED + b"id: 7\n" + DELTAS + completed()).replace(b"\n", b"\r\n"),
    ),
    "responses, failed": (
        ResponseStreamMeter,
        CREATED
        + numbered("error", 1, message="no")
        + numbered("response.failed", 2, response=response("failed")),
    ),
    "images": (images, image(partial=True) + image() + image()),
    "transcript": (
        transcript,
        event({"type": "transcript.text.delta", "delta": "Grüße", "model": "small-1"})
        + event({"type": "transcript.text.done", "text": "Grüße", "usage": RESPONSE_USAGE}),
    ),
    "transcript of vLLM": (transcript, chunk("a") + chunk(reason="stop", usage=USAGE) + DONE),
    "messages": (MessageStreamMeter, MESSAGE),
    "messages, no spaces, CRLF": (
        MessageStreamMeter,
        MESSAGE.replace(b": ", b":").replace(b"\n", b"\r\n"),
    ),
    "messages, CR, comments": (MessageStreamMeter, b":\r\r" + MESSAGE.replace(b"\n", b"\r")),
    "messages, error": (
        MessageStreamMeter,
        message_start(START_USAGE) + named("error", error={"type": "api_error", "message": "no"}),
    ),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_split_at_any_byte_gives_the_same_reading(stream: str) -> None:
    """A9: usage, model, stop reason, error and end, whichever way the reads fall."""
    make, data = STREAMS[stream]
    meter = make()
    expected = read_stream(meter, [data])
    assert meter.complete
    assert expected.model == ("large-2" if make is MessageStreamMeter else "small-1")
    for cut in range(1, len(data)):
        meter = make()
        assert read_stream(meter, [data[:cut], data[cut:]]) == expected
        assert meter.complete
    meter = make()
    assert read_stream(meter, [data[i : i + 1] for i in range(len(data))]) == expected
    assert meter.complete


@pytest.mark.parametrize("make", [ResponseStreamMeter, images, transcript])
@pytest.mark.parametrize("limit", [60, 200])
def test_it_does_not_matter_which_events_are_too_long_to_be_held(
    make: Callable[[], Meter], limit: int
) -> None:
    """A9: usage and end are read of long events too."""
    stream = next(data for meter, data in STREAMS.values() if meter is make)
    expected = read_stream(make(), [stream])
    for cut in range(1, len(stream)):
        meter = make()
        assert read_stream(meter, [stream[:cut], stream[cut:]], hold_limit=limit) == expected
        assert meter.complete


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (ChatBodyMeter, "choices"),
        (MessageBodyMeter, "content"),
        (ResponseBodyMeter, "output"),
        (UsageBodyMeter, "data"),
    ],
)
def test_a_body_split_at_any_byte_gives_the_same_reading(
    make: Callable[[], Meter], key: str
) -> None:
    """A9: for bodies too."""
    data = json.dumps({"model": "m", key: [{}], "usage": {**USAGE, **START_USAGE}}).encode()
    expected = read(make(), [data])
    assert expected.usage.input_tokens is not None
    for cut in range(len(data)):
        assert read(make(), [data[:cut], data[cut:]]) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "stop"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("usage", "choices", "index", "finish_reason", "error", "model", "type"),
                    *("message", "delta", "stop_reason", "cached_tokens", *USAGE, *START_USAGE),
                    *("response", "id", "status", "sequence_number", "incomplete_details"),
                    *("timings", "prompt_n", "cache_n", "code", *RESPONSE_USAGE),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
_NAMES = st.sampled_from(
    [
        *(None, "message_start", "message_delta", "message_stop", "error", "ping"),
        *("response.created", "response.completed", "response.failed", "transcript.text.done"),
    ]
)
_EVENTS = st.builds(event, _JSON, _NAMES) | st.binary(max_size=40) | st.sampled_from([DONE, BLOCK])


@given(st.sampled_from(METERS), st.lists(_EVENTS, max_size=8))
@settings(max_examples=300, deadline=None)
def test_no_bytes_of_an_upstream_make_a_meter_raise(
    make: Callable[[], Meter], blocks: list[bytes]
) -> None:
    """A10: and whatever is stored as a count is a believable one."""
    meter = make()
    reading = read(meter, blocks)
    counts = (
        reading.usage.input_tokens,
        reading.usage.output_tokens,
        reading.usage.cache_read_tokens,
    )
    assert all(count is None or 0 <= count <= 3 * 10**9 for count in counts)
    assert len(reading.usage_raw or "") <= 3 * 16384


@given(
    st.sampled_from(STREAM_METERS),
    st.lists(_EVENTS, max_size=6),
    st.lists(st.integers(0, 400), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_no_split_of_any_stream_changes_its_reading(
    make: Callable[[], Meter], blocks: list[bytes], cuts: list[int]
) -> None:
    """A9: of garbage too."""
    data = b"".join(blocks)
    points = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(points)]
    one, other = make(), make()
    assert read_stream(one, [data]) == read_stream(other, pieces)
    assert one.complete == other.complete


@pytest.mark.parametrize("make", METERS)
def test_a_meter_of_an_endless_answer_stays_small(make: Callable[[], Meter]) -> None:
    """A8: what a meter keeps is bounded by what it was fed at once, not by the answer."""
    meter = make()
    for n in range(3000):
        meter.feed(chunk("word " * 100, index=n, model=f"m{n}", usage=USAGE))
    assert _size(meter) < 300_000


def _size(value: object, seen: set[int] | None = None) -> int:
    """About how many bytes an object and all that it refers to hold."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, type):
        return 0
    seen.add(id(value))
    size = len(value) if isinstance(value, bytes | bytearray | str) else 64
    if isinstance(value, dict):
        return size + sum(_size(part, seen) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return size + sum(_size(part, seen) for part in value)
    return size + sum(_size(part, seen) for part in getattr(value, "__dict__", {}).values())
