"""Tokens read again from what a provider sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_meter import MessageStreamMeter
from gateway.prices.recount import recounted
from gateway.record import Usage


@pytest.mark.parametrize(
    ("dialect", "raw", "usage"),
    [
        (
            "openai_chat",
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
            Usage(9, 4, None, None, 3),
        ),
        ("openai_responses", {"input_tokens": 9, "output_tokens": 3}, Usage(9, output_tokens=3)),
        ("openai_embeddings", {"prompt_tokens": 9, "total_tokens": 9}, Usage(9)),
        (
            "openai_images",
            [{"input_tokens": 9, "output_tokens": 3}, {"input_tokens": 1, "output_tokens": 2}],
            Usage(10, output_tokens=5),
        ),
        (
            "openai_chat",
            {"timings": {"prompt_n": 5, "cache_n": 4, "predicted_n": 3}},
            Usage(9, 4, output_tokens=3),
        ),
        (
            "anthropic_messages",
            {
                "input_tokens": 1,
                "cache_read_input_tokens": 2,
                "cache_creation_input_tokens": 4,
                "output_tokens": 8,
            },
            Usage(7, 2, 4, None, 8),
        ),
        (
            "anthropic_messages",
            {
                "message_start": {
                    "input_tokens": 1,
                    "cache_creation_input_tokens": 4,
                    "cache_creation": {"ephemeral_1h_input_tokens": 3},
                    "output_tokens": 1,
                },
                "message_delta": {"output_tokens": 8},
            },
            Usage(5, None, 4, 3, 8),
        ),
        (
            "gemini_generate",
            {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
            Usage(9, output_tokens=5, reasoning_tokens=2),
        ),
        ("ollama_chat", {"prompt_eval_count": 26, "eval_count": 259}, Usage(26, output_tokens=259)),
        ("ollama_chat", {"prompt_eval_count": 26}, Usage(26, output_tokens=0)),
        ("bedrock", {"inputTokens": 9, "outputTokens": 3}, Usage(9, output_tokens=3)),
        ("openai_chat", {"prompt_tokens": -9, "completion_tokens": 3}, Usage()),
        ("bedrock", {"inputTokenCount": 9, "outputTokenCount": 3}, None),
        ("generic", {"whatever": 1}, None),
    ],
    ids=str,
)
def test_tokens_are_counted_again_as_the_dialects_meter_counts_them(
    dialect: str, raw: Any, usage: Usage | None
) -> None:
    """A12: from ``usage_raw`` alone."""
    assert recounted(dialect, json.dumps(raw), whole=True) == usage


def test_what_a_meter_kept_of_a_stream_is_counted_as_it_was_then() -> None:
    """A12: the text in the row is enough, whatever the events around it were."""
    meter = MessageStreamMeter()
    start = {"message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 7}}}
    events: tuple[tuple[str, dict[str, Any]], ...] = (
        ("message_start", start),
        ("ping", {}),
        ("message_delta", {"usage": {"output_tokens": 3}}),
        ("message_delta", {"usage": {"output_tokens": 11}}),
    )
    for name, members in events:
        data = json.dumps({"type": name, **members})
        meter.feed(f"event: {name}\ndata: {data}\n\n".encode())
    reading = meter.reading()
    assert reading.usage_raw is not None
    assert recounted("anthropic_messages", reading.usage_raw, whole=True) == reading.usage


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini", "ollama", "x"])
@pytest.mark.parametrize("raw", ["", "{", "null", "[]", "7", '"a"', "[" * 5000])
def test_what_cannot_be_read_tells_no_tokens(dialect: str, raw: str) -> None:
    """A10: and raises nothing."""
    assert recounted(dialect, raw, whole=True) in (None, Usage())
