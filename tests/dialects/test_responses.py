"""OpenAI's Responses: what is read of them, and what the gateway says into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import FRESH, Peek, Reading, Standing, Trouble
from gateway.dialects.openai_responses_meter import ResponseBodyMeter, ResponseStreamMeter
from gateway.record import ErrorCode, Usage
from gateway.sse import parse

from .streams import (
    CREATED,
    DELTAS,
    DONE,
    RESPONSE_USAGE,
    completed,
    event,
    numbered,
    read,
    read_stream,
    response,
)

RESPONSES = for_request(Family.OPENAI, b"/v1/responses")
REPLAY = for_request(Family.OPENAI, b"/v1/responses/resp_7")
CUT = Trouble(502, ErrorCode.TRUNCATED, "upstream closed")
KNOWN = Usage(
    input_tokens=36,
    cache_read_tokens=20,
    cache_write_tokens=4,
    output_tokens=87,
    reasoning_tokens=64,
)
RAW = json.dumps(RESPONSE_USAGE, separators=(",", ":"))


def stream(*events: bytes) -> tuple[Reading, bool, bool]:
    """What is read of a stream that ended cleanly, whether it was complete, and whether over."""
    meter = ResponseStreamMeter()
    reading = read(meter, events)
    return reading, meter.complete, meter.over


# ---- usage and end ----


def test_everything_stands_in_the_last_event() -> None:
    """A8: and the model and the id in the first one."""
    reading, complete, over = stream(CREATED, DELTAS, completed(4))
    assert reading == Reading(
        "small-1", KNOWN, RAW, None, "completed", response_id="resp_7", sequence=4
    )
    assert complete
    assert over


def test_a_done_marker_behind_the_last_event_means_nothing() -> None:
    """E6: some servers add it."""
    assert stream(CREATED, completed(1), DONE) == stream(CREATED, completed(1))


@pytest.mark.parametrize(
    ("status", "members", "stop_reason", "error"),
    [
        ("completed", {}, "completed", None),
        ("incomplete", {"incomplete_details": {"reason": "max_tokens"}}, "max_tokens", None),
        ("incomplete", {}, "incomplete", None),
        ("failed", {"error": {"code": "x", "message": "no"}}, "failed", "x: no"),
        ("failed", {}, "failed", "an error without type and message"),
    ],
)
def test_three_events_are_the_end_and_one_of_them_is_an_error(
    status: str, members: dict[str, object], stop_reason: str, error: str | None
) -> None:
    """E8, E5: a response that is incomplete has finished; one that failed has not."""
    last = numbered(f"response.{status}", 1, response=response(status, RESPONSE_USAGE, **members))
    reading, complete, over = stream(CREATED, last)
    assert (reading.stop_reason, reading.error, reading.usage) == (stop_reason, error, KNOWN)
    assert complete
    assert over


def test_the_type_of_the_last_event_tells_what_its_response_does_not() -> None:
    """E8: some servers leave the status as it was."""
    for inner in ({"id": "resp_7"}, response("in_progress")):
        reading, *_ = stream(numbered("response.completed", 0, response=inner))
        assert reading.stop_reason == "completed"


@pytest.mark.parametrize("events", [(), (CREATED,), (CREATED, DELTAS)])
def test_a_clean_end_without_the_last_event_is_no_end(events: tuple[bytes, ...]) -> None:
    """E4: the model and the id are known all the same."""
    reading, complete, over = stream(*events)
    assert not complete
    assert not over
    assert reading.stop_reason is None
    assert reading.usage == Usage()
    assert reading.model == ("small-1" if events else None)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"error": {"type": "server_error", "code": "x", "message": "no"}}, "server_error: no"),
        ({"code": "server_error", "message": "no", "param": None}, "server_error: no"),
        ({}, "an error without type and message"),
    ],
    ids=["nested", "flat", "empty"],
)
def test_an_error_event_completes_a_stream_but_more_may_follow(
    data: dict[str, object], text: str
) -> None:
    """E5: Codex reads the ``response.failed`` that comes after it."""
    meter = ResponseStreamMeter()
    meter.feed(CREATED + numbered("error", 1, **data))
    assert meter.complete
    assert not meter.over
    assert meter.reading().error == text
    meter.feed(numbered("response.failed", 2, response=response("failed", error={"message": "b"})))
    assert meter.over
    assert meter.reading().error == text
    assert meter.reading().sequence == 2


def test_an_error_without_a_type_is_one_where_the_sdks_say_so() -> None:
    """E5: the SDKs look for the member; an event's name counts where its data has no type."""
    for last in (event({"error": {"message": "no"}}), event({"message": "no"}, "error")):
        reading, complete, over = stream(CREATED, last)
        assert (reading.error, complete, over) == ("no", True, False)


def test_words_in_text_and_tools_are_no_events() -> None:
    """E4: nor is an item's own error an error of the stream."""
    item = {"type": "mcp_call", "error": "tool failed", "output": None}
    text = 'data: {"type":"response.completed","response":{"usage":{}}} error'
    reading, complete, _ = stream(
        CREATED,
        numbered("response.output_text.delta", 1, delta=text),
        numbered("response.output_item.done", 2, item=item),
        numbered("response.mcp_call.failed", 3, item_id="x"),
    )
    assert not complete
    assert reading.error is None
    assert reading.sequence == 3


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({**RESPONSE_USAGE, "input_tokens": -1}, "input_tokens is negative"),
        ({**RESPONSE_USAGE, "output_tokens": "9"}, "output_tokens is a string"),
        ({**RESPONSE_USAGE, "output_tokens": 9}, "is more than output_tokens"),
        ([1], "not an object"),
    ],
)
def test_usage_that_cannot_be_true_is_flagged(usage: object, problem: str) -> None:
    """A10: and kept as it was told."""
    reading, *_ = stream(completed(usage=usage))
    assert reading.usage == Usage()
    assert problem in (reading.usage_problem or "")
    assert reading.usage_raw == json.dumps(usage, separators=(",", ":"))


def test_a_zero_is_told_and_a_null_is_not() -> None:
    """A8: zero is not missing."""
    reading, *_ = stream(completed(usage={"input_tokens": 0, "output_tokens": None}))
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (0, None)


# ---- numbers ----


def test_the_number_is_that_of_the_last_event_that_has_one() -> None:
    """E3: comments and foreign events between do not matter."""
    meter = ResponseStreamMeter()
    assert meter.reading().sequence is None
    meter.feed(CREATED + numbered("response.in_progress", 1, response=response()))
    meter.feed(b": beat\n\n")
    meter.feed(event({"type": "other"}))
    assert meter.reading().sequence == 1
    meter.feed(numbered("x", 8) + event({"type": "y"}) + event({"sequence_number": "z"}))
    assert meter.reading().sequence == 8


# ---- long events ----

LONG: dict[str, Any] = {
    "instructions": "x" * 150_000,
    "tools": [{"type": "function", "usage": {"input_tokens": 1}}] * 2000,
    "usage": RESPONSE_USAGE,
}


@pytest.mark.parametrize("sort", [False, True], ids=["as OpenAI has them", "sorted keys"])
@pytest.mark.parametrize("tail", [b"", b"id: 7\n"])
def test_a_last_event_of_any_length_is_read_by_its_ends(sort: bool, tail: bytes) -> None:
    """A8: it repeats the request's instructions and tools."""
    inner = {"id": "resp_7", "status": "completed", **LONG}
    data = {"type": "response.completed", "sequence_number": 9, "response": inner}
    last = b"event: response.completed\ndata: %b\n%b\n" % (
        json.dumps(data, sort_keys=sort).encode(),
        tail,
    )
    stream = CREATED + last
    meter = ResponseStreamMeter()
    reading = read_stream(meter, [stream[i : i + 9000] for i in range(0, len(stream), 9000)])
    assert json.loads(reading.usage_raw or "") == RESPONSE_USAGE
    assert replace(reading, usage_raw=None) == Reading(
        "small-1", KNOWN, stop_reason="completed", response_id="resp_7", sequence=9
    )
    assert meter.complete
    assert meter.over


def test_a_long_event_in_the_middle_is_no_end_but_has_a_number() -> None:
    """E3: an image as it grows."""
    partial = numbered("response.image_generation_call.partial_image", 5, b64="x" * 300_000)
    meter = ResponseStreamMeter()
    reading = read_stream(meter, [CREATED + partial])
    assert reading.sequence == 5
    assert not meter.complete


# ---- bodies ----


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"sort_keys": True}])
def test_a_response_is_read_as_a_whole(options: dict[str, Any]) -> None:
    """A8: with its id."""
    body = json.dumps(response("completed", RESPONSE_USAGE), **options).encode()
    reading = read(ResponseBodyMeter(), [body])
    assert json.loads(reading.usage_raw or "") == RESPONSE_USAGE
    assert replace(reading, usage_raw=None) == Reading(
        "small-1", KNOWN, stop_reason="completed", response_id="resp_7"
    )


def test_a_response_of_any_length_is_read_by_its_ends() -> None:
    """A8: and what its tools say of usage is not its own."""
    output = [{"type": "message", "content": "y" * 400_000}]
    body = {"id": "resp_7", "status": "completed", "model": "small-1", "output": output, **LONG}
    reading = read(ResponseBodyMeter(), [json.dumps(body).encode()])
    assert (reading.usage, reading.model) == (KNOWN, "small-1")
    assert (reading.response_id, reading.stop_reason) == ("resp_7", "completed")


def test_a_response_in_the_background_has_used_nothing_yet() -> None:
    """A11: whoever asks for it by its id later is told."""
    reading = read(ResponseBodyMeter(), [json.dumps(response("queued")).encode()])
    assert (reading.usage, reading.usage_raw, reading.stop_reason) == (Usage(), None, None)
    assert reading.response_id == "resp_7"


def test_a_response_that_failed_tells_its_error() -> None:
    """E5: inside a 200."""
    body = response("failed", error={"code": "server_error", "message": "no"})
    assert read(ResponseBodyMeter(), [json.dumps(body).encode()]).error == "server_error: no"


# ---- replays ----


@pytest.mark.parametrize(
    ("target", "streams"),
    [
        (b"/v1/responses/resp_7?stream=true&starting_after=4", True),
        (b"/v1/responses/resp_7?include[]=x&stream=True", True),
        (b"/v1/responses/resp_7?stream=false", False),
        (b"/v1/responses/resp_7?stream=", False),
        (b"/v1/responses/resp_7?%ff=&&stream", False),
        (b"/v1/responses/resp_7", False),
    ],
)
def test_an_answer_asked_for_by_its_id_is_a_replay(target: bytes, streams: bool) -> None:
    """A11: and the query tells whether it streams."""
    assert REPLAY.peek_target(b"GET", target) == Peek(stream=streams, replay=True)
    assert RESPONSES.peek_target(b"POST", b"/v1/responses?stream=true") == Peek()


# ---- what the gateway says ----


def standing(*events: bytes, after_id: bool = False) -> Standing:
    """How far a stream has come that had these events."""
    meter = ResponseStreamMeter()
    for part in events:
        meter.feed(part)
    return Standing(started=bool(events), after_id=after_id, reading=meter.reading())


def beat(number: int) -> bytes:
    return b'event: keepalive\ndata: {"type":"keepalive","sequence_number":%d}\n\n' % number


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (FRESH, b": keepalive\n\n"),
        (standing(CREATED), beat(0)),
        (standing(CREATED, DELTAS), beat(3)),
        (standing(CREATED, after_id=True), beat(0)),
        (standing(event({"type": "response.created"})), b": keepalive\n\n"),
        (standing(event({"type": "response.created"}), after_id=True), b": keepalive\n"),
    ],
    ids=["nothing yet", "created", "later", "after an id", "no numbers", "no numbers, after an id"],
)
def test_a_beat_is_an_event_once_there_were_numbered_ones(at: Standing, said: bytes) -> None:
    """K7: with the last number, again."""
    assert RESPONSES.keepalive(at) == said


def test_a_beat_tells_a_meter_nothing_and_changes_no_number() -> None:
    """K9: also where a gateway stands behind another."""
    meter = ResponseStreamMeter()
    meter.feed(CREATED + DELTAS)
    before = meter.reading()
    meter.feed(RESPONSES.keepalive(standing(CREATED, DELTAS)))
    assert meter.reading() == before
    assert not meter.complete


def test_a_failure_is_told_twice_with_the_id_and_the_next_numbers() -> None:
    """E3: nested, so that the SDKs raise, and as ``response.failed``, which Codex reads."""
    said = RESPONSES.error_event(CUT, standing(CREATED, DELTAS))
    (first, error), (second, failed) = parse(said)
    assert (first, second) == (b"error", b"response.failed")
    assert json.loads(error) == {
        "type": "error",
        "sequence_number": 4,
        "code": "server_error",
        "message": "upstream closed",
        "param": None,
        "error": {
            "type": "server_error",
            "code": "server_error",
            "message": "upstream closed",
            "param": None,
            "status": 502,
        },
    }
    assert json.loads(failed) == {
        "type": "response.failed",
        "sequence_number": 5,
        "response": {
            "id": "resp_7",
            "object": "response",
            "status": "failed",
            "error": {"code": "server_error", "message": "upstream closed"},
        },
    }


def test_a_failure_before_anything_came_is_numbered_from_the_beginning() -> None:
    """E3, K3: there is no id yet."""
    error, failed = (json.loads(data) for _, data in parse(RESPONSES.error_event(CUT)))
    assert (error["sequence_number"], failed["sequence_number"]) == (0, 1)
    assert failed["response"]["id"] == ""


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (500, None, "server_error"),
        (503, "overloaded", "server_error"),
        (408, None, "server_error"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (429, "insufficient_quota", "insufficient_quota"),
        (400, "invalid_request_error", "invalid_prompt"),
        (400, "context_length_exceeded", "context_length_exceeded"),
        (404, None, "invalid_prompt"),
    ],
)
def test_the_code_tells_whether_to_try_again(status: int, kind: str | None, code: str) -> None:
    """K3: Codex goes by it; the provider's own type is kept beside it."""
    trouble = Trouble(status, ErrorCode.HTTP_ERROR, "x", kind)
    error, failed = (json.loads(data) for _, data in parse(RESPONSES.error_event(trouble)))
    assert error["code"] == failed["response"]["error"]["code"] == code
    assert error["error"]["type"] == (kind or code)


@pytest.mark.parametrize(
    "message", ['quotes " and \\', "lines\r\nand\ndata: [DONE]\n\n", "Grüße \u2028 \x00", "a\ud83d"]
)
def test_a_failure_is_two_events_whatever_the_message(message: str) -> None:
    """E3: no text of an upstream's ends or begins an event."""
    said = RESPONSES.error_event(Trouble(502, ErrorCode.MALFORMED, message, kind=message))
    assert said.isascii()
    events = [json.loads(data) for _, data in parse(said)]
    assert [data["type"] for data in events] == ["error", "response.failed"]
    shown = message.replace("\ud83d", "?")
    assert events[0]["message"] == events[0]["error"]["message"] == shown
    assert events[1]["response"]["error"]["message"] == shown


def test_what_the_gateway_says_of_a_failure_is_an_error_to_a_gateway_in_front() -> None:
    """E3: it forges no good end."""
    reading, complete, over = stream(CREATED, RESPONSES.error_event(CUT, standing(CREATED)))
    assert (reading.error, reading.stop_reason) == ("server_error: upstream closed", "failed")
    assert complete
    assert over
