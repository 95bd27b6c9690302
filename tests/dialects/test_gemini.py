"""What is read of Gemini's answers, streamed both ways and not, and what is seen in its targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import Meter, Peek, Reading, Standing, StreamKind, Trouble
from gateway.dialects.gemini_meter import GeminiArrayMeter, GeminiBodyMeter, GeminiStreamMeter
from gateway.jsonstream import ArrayScanner
from gateway.record import ErrorCode, Usage
from gateway.sse import EventScanner

from .streams import read, read_stream

GENERATE = for_request(Family.GEMINI, b"/v1beta/models/m:streamGenerateContent")
CUT = Trouble(502, ErrorCode.TRUNCATED, "upstream closed")

USAGE: dict[str, Any] = {
    "promptTokenCount": 40,
    "cachedContentTokenCount": 30,
    "toolUsePromptTokenCount": 2,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 54,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
}
KNOWN = Usage(input_tokens=42, cache_read_tokens=30, output_tokens=12, reasoning_tokens=5)


def piece(
    text: str = "Grüße, “you”", reason: str | None = None, usage: object = None, index: int = 0
) -> dict[str, Any]:
    """A response with one candidate, as it stands in a stream."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    if index:
        candidate["index"] = index
    whole: dict[str, Any] = {"candidates": [candidate], "modelVersion": "swift-3"}
    return whole if usage is None else {**whole, "usageMetadata": usage}


WHOLE = [piece("a", usage={"promptTokenCount": 40}), piece("b"), piece("", "STOP", USAGE)]


def events(pieces: list[Any]) -> bytes:
    """A stream as Google writes it with ``alt=sse``."""
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(p).encode() for p in pieces)


def array(pieces: list[Any], indent: int | None = 2) -> bytes:
    """A stream as Google writes it without: one array."""
    texts = (json.dumps(p, indent=indent, ensure_ascii=False).encode() for p in pieces)
    return b"[" + b"\n,\r\n".join(texts) + b"\n]\n"


def streamed(pieces: list[Any], *, ended: bool = True) -> tuple[Reading, bool]:
    """What is read of a stream, and whether it was complete; the same either way it comes."""
    one, other = GeminiStreamMeter(), GeminiArrayMeter()
    reading = read_stream(one, [events(pieces)], ended=ended)
    in_array = array(pieces)
    assert read(other, [in_array if ended else in_array[:-3]], ended=ended) == reading
    if ended:
        assert one.complete == other.complete
    return reading, one.complete


# ---- usage ----


def test_a_stream_is_read_from_its_last_usage_and_its_finish_reason() -> None:
    """A8: cached is part of the prompt, tool use and thoughts are beside what they add to."""
    reading, complete = streamed(WHOLE)
    assert (reading.model, reading.usage, reading.stop_reason) == ("swift-3", KNOWN, "STOP")
    assert json.loads(reading.usage_raw or "") == USAGE
    assert (reading.error, reading.usage_problem, complete) == (None, None, True)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"promptTokenCount": 4}, Usage(input_tokens=4)),
        ({"promptTokenCount": 4, "totalTokenCount": 4}, Usage(input_tokens=4, output_tokens=0)),
        ({"promptTokenCount": 4, "totalTokenCount": 9}, Usage(input_tokens=4)),
        (
            {"promptTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 7},
            Usage(input_tokens=4, output_tokens=3, reasoning_tokens=3),
        ),
        (
            {"promptTokenCount": 4, "thoughtsTokenCount": 3},
            Usage(input_tokens=4, reasoning_tokens=3),
        ),
        (
            {"promptTokenCount": 0, "candidatesTokenCount": 0},
            Usage(input_tokens=0, output_tokens=0),
        ),
        ({"candidatesTokenCount": 3}, Usage(output_tokens=3)),
        ({"promptTokenCount": None, "candidatesTokenCount": 3}, Usage(output_tokens=3)),
        (
            {"promptTokenCount": 4, "cachedContentTokenCount": 0, "candidatesTokenCount": 1},
            Usage(input_tokens=4, cache_read_tokens=0, output_tokens=1),
        ),
        ({"trafficType": "ON_DEMAND"}, Usage()),
        ({}, Usage()),
        (None, Usage()),
    ],
)
def test_what_is_left_out_is_zero_only_where_the_total_shows_it(
    usage: object, expected: Usage
) -> None:
    """A8: zero is not missing, and missing is not zero."""
    reading, complete = streamed([piece("", "STOP", usage)])
    assert (reading.usage, reading.usage_problem, complete) == (expected, None, True)


def test_a_total_without_output_proves_nothing_while_a_stream_goes_on() -> None:
    """A8: servers tell the prompt's count with every piece, and the rest with the last."""
    usage = {"promptTokenCount": 4, "totalTokenCount": 4}
    reading, complete = streamed([piece("words", usage=usage)], ended=False)
    assert (reading.usage, complete) == (Usage(input_tokens=4), False)


def test_usage_that_tells_no_count_does_not_hide_what_was_told() -> None:
    """A8: a type of traffic alone is no usage."""
    pieces = [piece("a", usage=USAGE), piece("", "STOP", {"trafficType": "ON_DEMAND"})]
    assert streamed(pieces)[0].usage == KNOWN


def test_usage_may_come_behind_the_finish_reason() -> None:
    """A8: in a piece without candidates."""
    reading, complete = streamed([piece("a", "STOP"), {"usageMetadata": USAGE}])
    assert (reading.usage, complete) == (KNOWN, True)


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({**USAGE, "promptTokenCount": -1}, "promptTokenCount is negative"),
        (
            {**USAGE, "candidatesTokenCount": "7"},
            "candidatesTokenCount is a string, not a whole number of tokens",
        ),
        (
            {**USAGE, "cachedContentTokenCount": 41},
            "cachedContentTokenCount is more than promptTokenCount, which includes it",
        ),
    ],
)
def test_one_bad_count_spoils_the_usage(usage: object, problem: str) -> None:
    """A10: no count is believed, what is wrong is told, and the provider's words are kept."""
    reading, complete = streamed([piece("", "STOP", usage)])
    assert (reading.usage, reading.usage_problem, complete) == (Usage(), problem, True)
    assert json.loads(reading.usage_raw or "") == usage


def test_usage_of_absurd_length_is_not_kept() -> None:
    """A10: what the records keep is bounded."""
    reading, _ = streamed([piece("", "STOP", {**USAGE, "x": "x" * 20000})])
    assert (reading.usage, reading.usage_raw) == (Usage(), None)
    assert reading.usage_problem is not None
    assert reading.usage_problem.endswith("bytes, more than 16384")


# ---- ends and errors ----


def test_a_finish_reason_is_no_end_before_http_ends() -> None:
    """E4: usage may still come; of an array, its bracket is the end."""
    reading, complete = streamed(WHOLE, ended=False)
    assert (reading.stop_reason, complete) == ("STOP", False)
    meter = GeminiArrayMeter()
    read(meter, [array(WHOLE)], ended=False)
    assert meter.complete


def test_an_array_without_its_bracket_is_not_whole() -> None:
    """E4: whatever HTTP says."""
    meter = GeminiArrayMeter()
    assert read(meter, [array(WHOLE)[:-3]]).stop_reason == "STOP"
    assert not meter.complete


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [piece()],
        [piece("a", "FINISH_REASON_UNSPECIFIED")],
        [piece("a", "")],
        [piece("a", "STOP"), piece("b", index=1)],
        [{"usageMetadata": USAGE}],
        [{"promptFeedback": {"safetyRatings": []}}],
        [{"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}}],
    ],
)
def test_a_stream_without_a_finish_reason_for_every_candidate_is_not_whole(
    pieces: list[Any],
) -> None:
    """E4: a clean end alone says nothing."""
    assert streamed(pieces)[1] is False


def test_every_candidate_has_to_finish_and_the_first_one_gives_the_reason() -> None:
    """E8: whichever ends first."""
    pieces = [piece("a"), piece("b", "SAFETY", index=1), piece("", "MAX_TOKENS")]
    reading, complete = streamed(pieces)
    assert (reading.stop_reason, complete) == ("MAX_TOKENS", True)


def test_a_stream_of_more_candidates_than_are_kept_apart_is_never_whole() -> None:
    """E4: rather a truncation too many reported than one too few."""
    assert streamed([piece("", "STOP", index=n) for n in range(256)])[1] is True
    assert streamed([piece("", "STOP", index=n) for n in range(257)])[1] is False


def test_a_blocked_prompt_is_a_whole_answer() -> None:
    """E8: its reason stands for a finish reason."""
    usage = {"promptTokenCount": 4, "totalTokenCount": 4}
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage}
    reading, complete = streamed([blocked])
    assert (reading.stop_reason, complete) == ("SAFETY", True)
    assert reading.usage == Usage(input_tokens=4, output_tokens=0)


def test_an_error_inside_a_stream_is_its_last_word() -> None:
    """E5: the row can say so, and nothing need be added to what the provider said."""
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    reading, complete = streamed([piece(usage=USAGE), error], ended=False)
    assert (reading.error, complete) == ("UNAVAILABLE: overloaded", True)
    assert (reading.usage, reading.stop_reason) == (KNOWN, None)


@pytest.mark.parametrize(
    "odd",
    [
        7,
        "STOP",
        [],
        {"candidates": 7},
        {"candidates": ["x", {"index": "0", "finishReason": 1}], "modelVersion": 7},
        {"promptFeedback": "x", "usageMetadata": [1]},
        {"promptFeedback": {"blockReason": 7}},
    ],
)
def test_a_piece_that_is_not_as_it_should_be_is_passed_over(odd: object) -> None:
    """A8: and what comes after it is read."""
    assert streamed([odd, *WHOLE]) == streamed(WHOLE)


# ---- splits and long pieces ----

LONG = piece("x" * 200_000, "STOP", USAGE)


@pytest.mark.parametrize("pieces", [WHOLE, [WHOLE[0], {"error": {"message": "no"}}]])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_events_split_at_any_byte_give_the_same_reading(pieces: list[Any], end: bytes) -> None:
    """A9: usage, model, finish reason, error and end."""
    data = events(pieces).replace(b"\r\n", end)
    expected = read_stream(GeminiStreamMeter(), [data])
    assert expected.usage.input_tokens is not None
    for cut in range(len(data)):
        meter = GeminiStreamMeter()
        assert read_stream(meter, [data[:cut], data[cut:]]) == expected
        assert meter.complete
    assert read_stream(GeminiStreamMeter(), [data[i : i + 1] for i in range(len(data))]) == expected


@pytest.mark.parametrize("pieces", [WHOLE, [WHOLE[0], {"error": {"message": "no"}}]])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_split_at_any_byte_gives_the_same_reading(
    pieces: list[Any], indent: int | None
) -> None:
    """A9: usage, model, finish reason, error and end."""
    data = array(pieces, indent)
    expected = read(GeminiArrayMeter(), [data])
    assert expected.usage.input_tokens is not None
    for cut in range(len(data)):
        meter = GeminiArrayMeter()
        assert read(meter, [data[:cut], data[cut:]]) == expected
        assert meter.complete
    assert read(GeminiArrayMeter(), [data[i : i + 1] for i in range(len(data))]) == expected


@pytest.mark.parametrize("size", [1000, 65536, 300_000])
def test_an_event_too_long_to_be_held_is_read_by_its_ends(size: int) -> None:
    """A8: an image may be in it, with the usage behind."""
    data = events([{"modelVersion": "swift-3", **LONG}])
    scanner, meter = EventScanner(), GeminiStreamMeter()
    for at in range(0, len(data), size):
        was_long = scanner.in_long_event
        block = scanner.feed(data[at : at + size])
        whole = scanner.whole or slice(0, len(block))
        if was_long:
            meter.feed_part(block[: whole.start], last=not scanner.in_long_event)
        meter.feed(block[whole])
        if block[whole.stop :]:
            meter.feed_part(block[whole.stop :], last=False)
    meter.end()
    reading = meter.reading()
    assert (reading.model, reading.usage, reading.stop_reason) == ("swift-3", KNOWN, "STOP")
    assert meter.complete


@pytest.mark.parametrize("size", [1000, 65536, 300_000])
def test_an_element_too_long_to_be_held_is_read_by_its_ends(size: int) -> None:
    """A8: and so is what stands before and behind it."""
    data = array([WHOLE[0], LONG, piece("y" * 100_000), {"usageMetadata": {"promptTokenCount": 1}}])
    meter = GeminiArrayMeter()
    reading = read(meter, [data[i : i + size] for i in range(0, len(data), size)])
    assert (reading.usage, reading.stop_reason) == (Usage(input_tokens=1), "STOP")
    assert meter.complete


# ---- whole bodies ----


@pytest.mark.parametrize("text", ["Hi", '"usageMetadata": {' * 50_000])
def test_a_response_that_is_not_streamed_is_read_as_a_whole(text: str) -> None:
    """A8: of any length, with bounded memory."""
    data = json.dumps(piece(text, "STOP", USAGE), indent=2).encode()
    reading = read(GeminiBodyMeter(), [data[i : i + 30_000] for i in range(0, len(data), 30_000)])
    assert (reading.model, reading.usage, reading.stop_reason) == ("swift-3", KNOWN, "STOP")


def test_an_error_body_tells_its_error() -> None:
    """E5: whatever its status."""
    data = b'{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}'
    assert read(GeminiBodyMeter(), [data]) == Reading(error="INVALID_ARGUMENT: no")


def test_counted_tokens_are_no_usage() -> None:
    """A8: the answer of ``countTokens`` is not billed."""
    dialect = for_request(Family.GEMINI, b"/v1beta/models/m:countTokens")
    data = b'{"totalTokens":31,"promptTokensDetails":[{"modality":"TEXT","tokenCount":31}]}'
    assert read(dialect.body_meter(), [data]) == Reading()


def test_an_embedding_may_tell_its_usage() -> None:
    """A8: there is only input."""
    dialect = for_request(Family.GEMINI, b"/v1beta/models/m:embedContent")
    data = {"embedding": {"values": [0.1] * 50_000}, "usageMetadata": {"promptTokenCount": 8}}
    assert read(dialect.body_meter(), [json.dumps(data).encode()]).usage == Usage(input_tokens=8)


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"modelVersion": "m', b"\x1f\x8b"])
@pytest.mark.parametrize("make", [GeminiBodyMeter, GeminiArrayMeter])
def test_a_body_that_is_no_response_tells_nothing(make: Callable[[], Meter], data: bytes) -> None:
    """A8: HTML, a coded or a truncated body."""
    assert read(make(), [data]) == Reading()


# ---- requests, and what the gateway says itself ----


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1beta/models/m:generateContent", Peek("m", False, events=False)),
        (b"/v1beta/models/m:streamGenerateContent", Peek("m", True, events=False)),
        (b"/v1beta/models/m:streamGenerateContent?alt=json", Peek("m", True, events=False)),
        (b"/v1beta/models/m:streamGenerateContent?alt=sse", Peek("m", True)),
        (b"/v1beta/models/m:streamGenerateContent?key=k&alt=sse", Peek("m", True)),
        (b"/v1beta/models/m:streamGenerateContent?%24alt=sse", Peek("m", True)),
        (
            b"/v1/p/publishers/google/models/m-2.5%20x:streamGenerateContent",
            Peek("m-2.5 x", True, events=False),
        ),
        (b"/v1beta/tunedModels/t-7:streamGenerateContent?alt=sse", Peek("t-7", True)),
        (b"/:streamGenerateContent?alt=sse", Peek(None, True)),
    ],
)
def test_the_target_tells_the_model_and_whether_to_stream(target: bytes, expected: Peek) -> None:
    """K6: the body tells neither, and is not judged."""
    seen = GENERATE.peek_target(b"POST", target)
    assert seen == expected
    assert GENERATE.peek([b"{contents: 'not strict',}"], seen) == seen


@pytest.mark.parametrize(
    ("media_type", "stream", "expected"),
    [
        (b"text/event-stream", True, StreamKind.EVENTS),
        (b"application/json", True, StreamKind.ARRAY),
        (b"application/json", False, None),
        (b"text/html", True, None),
    ],
)
def test_the_kind_of_a_stream_follows_from_its_type(
    media_type: bytes, stream: bool, expected: StreamKind | None
) -> None:
    """D2: JSON is a stream only where one was asked for."""
    assert GENERATE.stream_kind(media_type, Peek("m", stream)) is expected


def test_nothing_is_said_into_an_array() -> None:
    """K4: beats are for event streams; a client library of Google's fails at leading space."""
    assert GENERATE.keepalive(Standing(kind=StreamKind.ARRAY, started=True)) == b""


@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_error_is_the_last_element_of_an_array_that_stays_open(count: int) -> None:
    """E4: so that a reader that passes over errors still fails."""
    scanner = ArrayScanner()
    out = scanner.feed(array(WHOLE[:2])) if count == 2 else scanner.feed(array(WHOLE[:count])[:-3])
    scanner.discard()
    standing = Standing(kind=StreamKind.ARRAY, started=scanner.first_event_seen)
    out += GENERATE.error_event(CUT, standing)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(out)
    *before, error = json.loads(out + b"]")
    assert before == WHOLE[:count]
    assert error == {"error": {"code": 502, "message": "upstream closed", "status": "UNAVAILABLE"}}
    meter = GENERATE.stream_meter(StreamKind.ARRAY)
    meter.feed(out)
    assert meter.reading().error == "UNAVAILABLE: upstream closed"
