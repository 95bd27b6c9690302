"""Token counts read once more from a row's ``usage_raw``, by the rules of the dialect's own meter.

The columns hold what an earlier version of the meter made of the same text.  The meter is fed an
answer of which only the usage is there.
"""

from __future__ import annotations

import json

from ..dialects.anthropic_meter import MessageBodyMeter, MessageStreamMeter
from ..dialects.base import Meter
from ..dialects.bedrock_meter import BedrockBodyMeter
from ..dialects.gemini_meter import GeminiBodyMeter
from ..dialects.ollama_meter import OllamaBodyMeter
from ..dialects.openai_usage import UNTOLD, added, read_timings, read_usage
from ..record import Usage


def recounted(dialect: str, usage_raw: str, *, whole: bool) -> Usage | None:
    """The counts; all of them None where the text is not believed, None where nothing reads it.

    `whole`: the answer had come to its end, so that what Google and Ollama left out is 0.
    """
    family = dialect.partition("_")[0]
    if family == "openai":
        return _openai(usage_raw)
    try:
        value = json.loads(usage_raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if family == "anthropic" or "message_start" in value or "message_delta" in value:
        return _anthropic(value)
    if family == "gemini":
        ends = {"candidates": [{"index": 0, "finishReason": "STOP"}]} if whole else {}
        return _read(GeminiBodyMeter(), {**ends, "usageMetadata": value})
    if family == "ollama":
        return _read(OllamaBodyMeter(), {"done": whole, **value})
    if family == "bedrock" and "inputTokenCount" not in value:
        return _read(BedrockBodyMeter(), {"usage": value})
    return None


def _openai(usage_raw: str) -> Usage:
    try:
        value = json.loads(usage_raw)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and "timings" in value:
        return read_timings(json.dumps(value["timings"]).encode()).usage
    told = UNTOLD
    for part in value if isinstance(value, list) else [value]:
        told = added(told, read_usage(json.dumps(part).encode()))
    return told.usage


def _anthropic(value: dict[str, object]) -> Usage:
    if not ("message_start" in value or "message_delta" in value):
        return _read(MessageBodyMeter(), {"type": "message", "usage": value})
    meter = MessageStreamMeter()
    told: list[tuple[str, dict[str, object]]] = [
        ("message_start", {"message": {"usage": value.get("message_start")}}),
        ("message_delta", {"usage": value.get("message_delta")}),
    ]
    for name, members in told:
        if name in value:
            data = json.dumps({"type": name, **members})
            meter.feed(f"event: {name}\ndata: {data}\n\n".encode())
    return meter.reading().usage


def _read(meter: Meter, answer: dict[str, object]) -> Usage:
    meter.feed(json.dumps(answer).encode())
    meter.end()
    return meter.reading().usage
