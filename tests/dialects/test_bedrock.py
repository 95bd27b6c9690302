"""What is read of Bedrock's answers, streamed and not, and what is seen in its targets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import Peek, Reading, Trouble
from gateway.record import ErrorCode, Usage

from ..test_awsstream import frame
from .streams import START_USAGE, read

CONVERSE = for_request(Family.BEDROCK, b"/model/m/converse")
STREAMED = for_request(Family.BEDROCK, b"/model/m/converse-stream")
INVOKE = for_request(Family.BEDROCK, b"/model/m/invoke")

USAGE: dict[str, Any] = {
    "inputTokens": 5,
    "outputTokens": 12,
    "totalTokens": 17,
    "cacheReadInputTokens": 200,
    "cacheWriteInputTokens": 30,
}
KNOWN = Usage(input_tokens=235, cache_read_tokens=200, cache_write_tokens=30, output_tokens=12)
METRICS = {"inputTokenCount": 5, "outputTokenCount": 12, "invocationLatency": 700}


def event(kind: str, value: object) -> bytes:
    """A frame of an event."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(value).encode())


def native(value: object) -> bytes:
    """A frame of a model's own event, as Invoke wraps it."""
    coded = base64.b64encode(json.dumps(value, indent=1).encode()).decode()
    return event("chunk", {"bytes": coded, "p": "abcdefgh"})


def streamed(data: bytes) -> Reading:
    """What is read of a stream; the same wherever it is split."""
    expected = read(STREAMED.body_meter(), [data])
    for cut in range(1, len(data)):
        assert read(STREAMED.body_meter(), [data[:cut], data[cut:]]) == expected
    return expected


def test_a_stream_of_converse_is_read_from_its_stop_and_its_metadata() -> None:
    """A8, A9: what was read from a cache and written to it is beside the input."""
    delta = event("contentBlockDelta", {"delta": {"text": "Grüße"}, "contentBlockIndex": 0})
    stop = event("messageStop", {"stopReason": "end_turn"})
    reading = streamed(delta + stop + event("metadata", {"usage": USAGE, "metrics": {}}))
    assert (reading.usage, reading.stop_reason) == (KNOWN, "end_turn")
    assert json.loads(reading.usage_raw or "") == USAGE


def test_a_stream_of_anthropics_events_is_read_as_anthropics() -> None:
    """A8, A9: they tell more than Bedrock's metrics do."""
    message = {"model": "large-2", "stop_reason": None, "usage": START_USAGE}
    reading = streamed(
        native({"type": "message_start", "message": message})
        + native(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use"},
                "usage": {"output_tokens": 12},
            }
        )
        + native({"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS})
    )
    assert (reading.model, reading.stop_reason) == ("large-2", "tool_use")
    assert reading.usage.input_tokens == 255
    assert (reading.usage.cache_write_1h_tokens, reading.usage.output_tokens) == (10, 12)


@pytest.mark.parametrize(
    ("last", "stop_reason", "expected"),
    [
        (
            {"stop_reason": "length", "amazon-bedrock-invocationMetrics": METRICS},
            "length",
            Usage(input_tokens=5, output_tokens=12),
        ),
        ({"metadata": {"usage": USAGE}}, None, KNOWN),
        ({"messageStop": {"stopReason": "max_tokens"}}, "max_tokens", Usage()),
    ],
)
def test_a_stream_of_another_models_events_is_read_by_what_bedrock_adds(
    last: object, stop_reason: str | None, expected: Usage
) -> None:
    """A8: or by Converse's names, which Nova's events have."""
    reading = streamed(native({"generation": "Hi", "stop_reason": None}) + native(last))
    assert (reading.usage, reading.stop_reason) == (expected, stop_reason)


@pytest.mark.parametrize(
    ("headers", "payload", "error"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message":"slow down"}',
            "throttlingException: slow down",
        ),
        (
            {":message-type": "error", ":error-code": "500", ":error-message": "oh"},
            b"",
            "500: oh",
        ),
    ],
)
def test_an_exception_inside_a_stream_is_told(
    headers: dict[str, str], payload: bytes, error: str
) -> None:
    """E5: the row can say so."""
    assert streamed(frame(headers, payload)) == Reading(error=error)


@pytest.mark.parametrize(
    "odd",
    [
        event("chunk", {"bytes": "!"}),
        event("chunk", {"bytes": 7}),
        event("chunk", [1]),
        native(["stop_reason", "messageStop"]),
        native({"messageStop": 7, "metadata": []}),
        event("metadata", "x"),
        event("metadata", {"usage": {"totalTokens": 1}}),
        event("messageStop", {"stopReason": 7}),
        frame({":event-type": "metadata"}, b"nonsense"),
    ],
)
def test_an_event_that_is_not_as_it_should_be_is_passed_over(odd: bytes) -> None:
    """A8: and what comes after it is read."""
    assert streamed(odd) == Reading()
    assert streamed(odd + event("metadata", {"usage": USAGE})).usage == KNOWN


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({**USAGE, "outputTokens": -1}, "outputTokens is negative"),
        ({**USAGE, "x": "x" * 20000}, "bytes, more than 16384"),
    ],
)
def test_a_usage_that_cannot_be_believed_is_told(usage: object, problem: str) -> None:
    """A10: no count of it is kept."""
    reading = read(STREAMED.body_meter(), [event("metadata", {"usage": usage})])
    assert reading.usage == Usage()
    assert reading.usage_problem is not None
    assert reading.usage_problem.endswith(problem)


def test_a_stream_that_ends_inside_a_frame_is_told_of() -> None:
    """A10: as is a frame whose CRC does not fit; what else was read counts."""
    stop, usage = (
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": USAGE}),
    )
    cut = read(STREAMED.body_meter(), [stop + usage[:-1]])
    assert (cut.stop_reason, cut.usage) == ("end_turn", Usage())
    assert cut.usage_problem == "frame 2 of the event stream has not come to its end"
    damaged = read(STREAMED.body_meter(), [stop[:-1] + b"\0" + usage])
    assert (damaged.stop_reason, damaged.usage) == (None, KNOWN)
    assert str(damaged.usage_problem).startswith("frame 1 of the event stream has a CRC")


@pytest.mark.parametrize("size", [1, 100_000])
def test_an_answer_of_converse_is_read_as_a_whole(size: int) -> None:
    """A8: of any length."""
    output = {"message": {"content": [{"text": '"usage": {' * size}]}}
    data = json.dumps({"output": output, "stopReason": "end_turn", "usage": USAGE}).encode()
    meter = CONVERSE.body_meter()
    reading = read(meter, [data[i : i + 50_000] for i in range(0, len(data), 50_000)])
    assert (reading.usage, reading.stop_reason, meter.complete) == (KNOWN, "end_turn", True)


def test_an_answer_of_anthropics_is_read_as_anthropics() -> None:
    """A8: as Invoke gives it."""
    message = {
        "model": "large-2",
        "stop_reason": "end_turn",
        "usage": {**START_USAGE, "output_tokens": 12},
    }
    reading = read(INVOKE.body_meter(), [json.dumps(message).encode()])
    assert (reading.model, reading.stop_reason) == ("large-2", "end_turn")
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (255, 12)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/model/m-1%3A0/converse", Peek("m-1:0", False, events=False)),
        (
            b"/model/arn%3Aaws%3Ax%2Fm/invoke-with-response-stream?a=b",
            Peek("arn:aws:x/m", True, events=False),
        ),
        (b"/base/model/m/converse-stream", Peek("m", True, events=False)),
    ],
)
def test_the_target_tells_the_model_and_whether_to_stream(target: bytes, expected: Peek) -> None:
    """K6: bodies are signed and pass as they are; nothing is begun before the upstream does."""
    dialect = for_request(Family.BEDROCK, target)
    seen = dialect.peek_target(b"POST", target)
    assert seen == expected
    assert dialect.peek([b"{}"], seen) == seen


def test_nothing_is_said_into_a_stream_of_frames() -> None:
    """E7, K4: one that failed is broken visibly; before the head an error has AWS's shape."""
    trouble = Trouble(429, ErrorCode.HTTP_ERROR, "slow down")
    assert STREAMED.error_event(trouble) == STREAMED.keepalive() == b""
    assert STREAMED.stream_kind(b"application/vnd.amazon.eventstream", Peek("m", True)) is None
    assert json.loads(STREAMED.error_body(trouble)) == {
        "__type": "ThrottlingException",
        "message": "slow down",
    }
