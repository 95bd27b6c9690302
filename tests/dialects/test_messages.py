"""What is read of Anthropic's messages, streamed and not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.anthropic_meter import MessageBodyMeter, MessageStreamMeter
from gateway.dialects.base import Peek, Reading
from gateway.record import Usage

from .streams import (
    BLOCK,
    MESSAGE_STOP,
    START_USAGE,
    event,
    message_delta,
    message_start,
    named,
    read,
    read_stream,
)

KNOWN = Usage(
    input_tokens=255,
    cache_read_tokens=200,
    cache_write_tokens=30,
    cache_write_1h_tokens=10,
    output_tokens=12,
)


def stream(*events: bytes, ended: bool = True) -> tuple[Reading, bool]:
    """What is read of a stream, and whether it was complete."""
    meter = MessageStreamMeter()
    reading = read(meter, events, ended=ended)
    return reading, meter.complete


def usage(start: object, *deltas: object) -> Usage:
    """The counts of a whole stream with these usage objects."""
    events = [message_start(start), BLOCK, *(message_delta(delta) for delta in deltas)]
    reading, _ = stream(*events, MESSAGE_STOP)
    assert reading.usage_problem is None
    return reading.usage


# ---- usage ----


def test_a_message_is_read_from_its_start_its_delta_and_its_stop() -> None:
    """A8: the whole input is what was fresh, what was written to a cache and what was read."""
    delta = {"output_tokens": 12}
    reading, complete = stream(
        message_start(START_USAGE), BLOCK, message_delta(delta), MESSAGE_STOP
    )
    assert (reading.model, reading.usage, reading.stop_reason) == ("large-2", KNOWN, "end_turn")
    assert json.loads(reading.usage_raw or "") == {
        "message_start": START_USAGE,
        "message_delta": delta,
    }
    assert (reading.error, reading.usage_problem, complete) == (None, None, True)


@pytest.mark.parametrize(
    ("delta", "changed"),
    [
        ({"output_tokens": 0}, {"output_tokens": 0}),
        ({}, {"output_tokens": None}),
        (None, {"output_tokens": None}),
        ({"output_tokens": None}, {"output_tokens": None}),
        ({"output_tokens": 12, "input_tokens": 0}, {}),
        (
            {
                "output_tokens": 12,
                "input_tokens": None,
                "cache_creation_input_tokens": None,
                "cache_read_input_tokens": 0,
            },
            {},
        ),
        ({"output_tokens": 12, "input_tokens": 0.0, "cache_creation_input_tokens": 0}, {}),
        ({"output_tokens": 12, "input_tokens": 26}, {"input_tokens": 256}),
        (
            {"output_tokens": 12, "cache_read_input_tokens": 300},
            {"input_tokens": 355, "cache_read_tokens": 300},
        ),
        (
            {"output_tokens": 12, "output_tokens_details": {"thinking_tokens": 7}},
            {"reasoning_tokens": 7},
        ),
        (
            {"output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 0}},
            {"reasoning_tokens": 0},
        ),
        ({"output_tokens": 12, "prompt_tokens_details": {"cached_tokens": 5}}, {}),
    ],
)
def test_a_delta_overwrites_and_never_adds(delta: object, changed: dict[str, Any]) -> None:
    """A8: null overwrites nothing, zero no known input; output always is the last one told."""
    expected = {
        "input_tokens": 255,
        "cache_read_tokens": 200,
        "cache_write_tokens": 30,
        "cache_write_1h_tokens": 10,
        "output_tokens": 12,
        **changed,
    }
    assert usage(START_USAGE, delta) == Usage(**expected)


def test_a_delta_may_tell_what_the_start_had_wrong() -> None:
    """A8: a server that first takes the whole prompt for fresh."""
    start = {"input_tokens": 34000, "output_tokens": 0}
    delta = {
        "input_tokens": 4000,
        "output_tokens": 49,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 30000,
    }
    assert usage(start, delta) == Usage(
        input_tokens=34000, cache_read_tokens=30000, cache_write_tokens=0, output_tokens=49
    )


def test_several_deltas_are_cumulative() -> None:
    """A8: the last one that tells a field counts."""
    deltas = ({"output_tokens": 5, "input_tokens": 9}, {"output_tokens": 12})
    assert usage({"input_tokens": 8}, *deltas) == Usage(input_tokens=9, output_tokens=12)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"input_tokens": 0, "output_tokens": 0}, Usage(input_tokens=0)),
        ({"output_tokens": 1}, Usage()),
        ({"cache_read_input_tokens": 5, "output_tokens": 1}, Usage(cache_read_tokens=5)),
        ({"input_tokens": 3, "cache_creation": None}, Usage(input_tokens=3)),
        (None, Usage()),
        ({}, Usage()),
    ],
)
def test_zero_is_told_and_null_is_not(start: object, expected: Usage) -> None:
    """A8: zero is not missing, and missing is not zero."""
    assert usage(start) == expected


def test_a_cut_stream_keeps_what_its_start_told() -> None:
    """A8, E8: its input; the output told there is a placeholder, and a stop reason is not known."""
    reading, complete = stream(message_start(START_USAGE), BLOCK, ended=False)
    assert reading.usage == replace(KNOWN, output_tokens=None)
    assert json.loads(reading.usage_raw or "") == {"message_start": START_USAGE}
    assert (reading.stop_reason, complete) == (None, False)


@pytest.mark.parametrize(
    ("start", "delta", "problem"),
    [
        ({"input_tokens": -1}, {"output_tokens": 1}, "input_tokens is negative"),
        ({"input_tokens": 1}, {"output_tokens": -1}, "output_tokens is negative"),
        (
            {"input_tokens": 1},
            {"output_tokens": "12"},
            "output_tokens is a string, not a whole number of tokens",
        ),
        (
            {"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": True}},
            None,
            "cache_creation.ephemeral_1h_input_tokens is a boolean, not a whole number of tokens",
        ),
        ({"input_tokens": 1}, [1], "usage of message_delta is not an object"),
        (7, {"output_tokens": 1}, "usage of message_start is not an object"),
    ],
)
def test_one_bad_count_spoils_the_usage(start: object, delta: object, problem: str) -> None:
    """A10: no count is believed, what is wrong is told, and the provider's words are kept."""
    reading, complete = stream(message_start(start), message_delta(delta), MESSAGE_STOP)
    assert (reading.usage, reading.usage_problem) == (Usage(), problem)
    kept = {"message_start": start, "message_delta": delta}
    assert json.loads(reading.usage_raw or "") == {k: v for k, v in kept.items() if v is not None}
    assert complete


def test_usage_of_absurd_length_is_not_kept() -> None:
    """A10: what the records keep is bounded."""
    reading, _ = stream(message_start({**START_USAGE, "padding": "x" * 20000}))
    assert (reading.usage, reading.usage_raw) == (Usage(), None)
    assert reading.usage_problem is not None
    assert reading.usage_problem.endswith("bytes, more than 16384")


# ---- odd servers ----


def test_a_start_of_zeros_is_overwritten_by_the_delta() -> None:
    """A8: as vLLM begins, and an old one ends, with OpenAI's last word behind Anthropic's."""
    start, delta = {"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 9, "output_tokens": 3}
    events = [message_start(start), BLOCK, message_delta(delta), MESSAGE_STOP]
    reading, complete = stream(*events, b"data: [DONE]\n\n")
    assert (reading.usage, complete) == (Usage(input_tokens=9, output_tokens=3), True)


def test_a_count_of_the_cache_may_stand_in_the_start_alone() -> None:
    """A8: as llama.cpp tells it; its comments are nothing."""
    start = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 0}
    reading, _ = stream(b":\n\n", message_start(start), message_delta({"output_tokens": 3}))
    assert reading.usage == Usage(input_tokens=12, cache_read_tokens=7, output_tokens=3)


WHOLE = message_start(START_USAGE) + BLOCK + message_delta({"output_tokens": 12}) + MESSAGE_STOP


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("colon", [b":", b": "])
def test_line_ends_and_spaces_do_not_matter(end: bytes, colon: bytes) -> None:
    """A8: ``event:`` and ``data:`` without a space, any line end."""
    body = WHOLE.replace(b"event: ", b"event" + colon).replace(b"data: ", b"data" + colon)
    meter = MessageStreamMeter()
    assert read_stream(meter, [body.replace(b"\n", end)]).usage == KNOWN
    assert meter.complete


def test_padding_inside_events_does_not_matter() -> None:
    """A8: white space before the last brace."""
    assert stream(WHOLE.replace(b"}\n\n", b"     }\n\n"))[0].usage == KNOWN


def test_events_without_a_name_are_known_by_their_type() -> None:
    """A8: servers that leave the names out."""
    lines = WHOLE.split(b"\n")
    nameless = b"\n".join(line for line in lines if not line.startswith(b"event:"))
    reading, complete = stream(nameless)
    assert (reading.usage, complete) == (KNOWN, True)


def test_the_name_of_an_event_goes_before_its_type() -> None:
    """E4: clients go by the name, so what another event's data says ends nothing."""
    assert stream(event({"type": "message_stop"}, "ping"))[1] is False
    assert stream(b"event: message_stop\ndata: {}\n\n")[1] is True


def test_text_that_looks_like_an_event_is_text() -> None:
    """A8: what the model says is not what the provider says."""
    text = 'event: message_stop\ndata: {"type":"error","error":{"message":"no"}}\n\n'
    delta = named("content_block_delta", delta={"type": "text_delta", "text": text})
    reading, complete = stream(message_start(START_USAGE), delta, ended=False)
    assert (reading.error, complete) == (None, False)


@pytest.mark.parametrize(
    "odd",
    [
        b"event: message_start\ndata: nonsense\n\n",
        b"event: message_start\ndata: [1]\n\n",
        event({"type": ["message_start"]}),
        named("message_start", message=None),
        named("message_start", message={"model": 7, "stop_reason": []}),
        named("message_delta", delta="x"),
        event({"type": "message_delta"}),
    ],
)
def test_an_event_that_is_not_as_it_should_be_is_passed_over(odd: bytes) -> None:
    """A8: and what comes after it is read."""
    assert stream(odd)[0] == Reading()
    assert stream(odd, WHOLE)[0] == stream(WHOLE)[0]


# ---- ends and errors ----


def test_message_stop_is_the_end_and_a_clean_end_of_http_is_not() -> None:
    """E4: without it a message is not whole, whatever its stop reason."""
    events = [message_start(START_USAGE), BLOCK, message_delta({"output_tokens": 12})]
    assert stream(*events)[1] is False
    assert stream(*events, MESSAGE_STOP, ended=False)[1] is True


def test_nothing_counts_after_message_stop() -> None:
    """E6: clients do not read on."""
    late = named("error", error={"type": "api_error", "message": "late"})
    assert stream(WHOLE, late)[0].error is None
    assert stream(WHOLE + late)[0].error is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            named("error", error={"type": "overloaded_error", "message": "Overloaded"}),
            "overloaded_error: Overloaded",
        ),
        (event({"type": "error", "error": {"message": "no name"}}), "no name"),
        (event({"error": {"message": "foreign"}}), "foreign"),
        (b"event: error\ndata: broken\n\n", "an error without type and message"),
        (
            event({"code": 500, "type": "server_error", "message": "llama.cpp's"}, "error"),
            "server_error: llama.cpp's",
        ),
    ],
)
def test_an_error_event_is_the_streams_last_word(error: bytes, text: str) -> None:
    """E5: the row can say so, and nothing need be added to what the provider said."""
    reading, complete = stream(message_start(START_USAGE), BLOCK, error, ended=False)
    assert (reading.error, complete) == (text, True)
    assert reading.usage.input_tokens == 255


def test_the_stop_reason_is_that_of_the_last_delta_that_has_one() -> None:
    """E8: null is none."""
    first, second = message_delta({}, "tool_use"), message_delta({}, None)
    assert stream(first, second, ended=False)[0].stop_reason == "tool_use"


# ---- counting without using ----


def test_counted_tokens_are_no_usage() -> None:
    """A8: the answer of ``count_tokens`` is not billed."""
    dialect = for_request(Family.ANTHROPIC, b"/v1/messages/count_tokens")
    assert dialect.peek([b'{"model":"large-2"}']) == Peek("large-2")
    assert read(dialect.body_meter(), [b'{"input_tokens":14}']) == Reading()


# ---- whole bodies ----

MESSAGE: dict[str, Any] = {
    "id": "msg_7",
    "type": "message",
    "role": "assistant",
    "model": "large-2",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "max_tokens",
    "stop_sequence": None,
    "usage": {**START_USAGE, "output_tokens": 12},
}


def body(value: object, size: int = 1000) -> Reading:
    """What is read of a JSON body that comes in pieces of a size."""
    data = json.dumps(value).encode()
    return read(MessageBodyMeter(), [data[i : i + size] for i in range(0, len(data), size)])


def test_a_message_that_is_not_streamed_is_read_as_a_whole() -> None:
    """A8: its usage is kept as it stands."""
    reading = body(MESSAGE)
    assert (reading.model, reading.usage, reading.stop_reason) == ("large-2", KNOWN, "max_tokens")
    assert json.loads(reading.usage_raw or "") == MESSAGE["usage"]


@pytest.mark.parametrize("order", [list(MESSAGE), sorted(MESSAGE), sorted(MESSAGE, reverse=True)])
def test_a_message_of_any_length_is_read_by_its_ends(order: list[str]) -> None:
    """A8: with bounded memory; a tool's input may have members of the same names."""
    tool = {"model": "no", "usage": {"input_tokens": 1}, "stop_reason": "no"}
    content = [
        {"type": "tool_use", "input": tool},
        {"type": "text", "text": '"usage": {' * 50000},
        {"type": "tool_use", "input": tool},
    ]
    message = {**MESSAGE, "content": content}
    reading = body({name: message[name] for name in order}, size=30000)
    assert (reading.model, reading.usage, reading.stop_reason) == ("large-2", KNOWN, "max_tokens")


def test_a_body_is_complete_when_http_says_so() -> None:
    """A8: its framing decides."""
    meter = MessageBodyMeter()
    read(meter, [json.dumps(MESSAGE).encode()], ended=False)
    assert not meter.complete
    meter.end()
    assert meter.complete


def test_an_error_body_tells_its_error() -> None:
    """E5: whatever its status."""
    error = {"type": "not_found_error", "message": "model: large-3"}
    reading = body({"type": "error", "error": error, "request_id": "req_7"})
    assert reading == Reading(error="not_found_error: model: large-3")


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"model": "m', b"\x1f\x8b\x08\x00"])
def test_a_body_that_is_no_json_object_tells_nothing(data: bytes) -> None:
    """A8: HTML, a coded or a truncated body."""
    assert read(MessageBodyMeter(), [data]) == Reading()


def test_half_a_surrogate_pair_in_a_message_does_not_hide_its_usage() -> None:
    """A8: text that was cut between its halves."""
    data = json.dumps(MESSAGE).replace('"Hi"', '"\\ud83d"').encode()
    assert read(MessageBodyMeter(), [data]).usage == KNOWN
