"""What is read of chat completions, streamed and not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import Reading
from gateway.dialects.openai_chat import ChatBodyMeter, ChatStreamMeter
from gateway.record import Usage

from .streams import DONE, USAGE, chunk, event, read, read_stream, usage_chunk

OPENING = chunk("", usage=None) + chunk("Hi")
KNOWN = Usage(
    input_tokens=19,
    cache_read_tokens=8,
    cache_write_tokens=2,
    output_tokens=40,
    reasoning_tokens=32,
)


def stream(*events: bytes, ended: bool = True) -> tuple[Reading, bool]:
    """What is read of a stream, and whether it was complete."""
    meter = ChatStreamMeter()
    reading = read(meter, events, ended=ended)
    return reading, meter.complete


# ---- usage ----


@pytest.mark.parametrize(
    "events",
    [
        (OPENING, chunk(reason="stop"), usage_chunk(USAGE), DONE),
        (OPENING, chunk(reason="stop", usage=USAGE), DONE),
        (OPENING, chunk(reason="stop", usage=USAGE), usage_chunk(None), DONE),
        (OPENING, chunk(reason="stop", usage=USAGE), usage_chunk({}), DONE),
        (OPENING + chunk(reason="stop") + usage_chunk(USAGE) + DONE,),
        (
            chunk("Hi", usage={**USAGE, "completion_tokens": 33}),
            chunk(" there", usage={**USAGE, "completion_tokens": 34}),
            chunk(reason="stop", usage=USAGE),
            DONE,
        ),
    ],
    ids=["no choices", "with choices", "null after", "empty after", "in one read", "continuous"],
)
def test_the_last_usage_told_counts_wherever_it_stands(events: tuple[bytes, ...]) -> None:
    """A8: in a chunk without choices, with choices, or in every chunk."""
    reading, complete = stream(*events)
    assert reading == Reading(
        "small-1", KNOWN, json.dumps(USAGE, separators=(",", ":")), None, "stop"
    )
    assert complete


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(input_tokens=0, output_tokens=0)),
        ({"prompt_tokens": 5}, Usage(input_tokens=5)),
        ({"prompt_tokens": 5, "completion_tokens": None}, Usage(input_tokens=5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, Usage(input_tokens=5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": []}, Usage(input_tokens=5)),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}},
            Usage(input_tokens=5, cache_read_tokens=0),
        ),
        (
            {"prompt_tokens": 5.0, "completion_tokens": 2e3},
            Usage(input_tokens=5, output_tokens=2000),
        ),
        ({"prompt_tokens": 10**9}, Usage(input_tokens=10**9)),
        ({"unheard_of": 1}, Usage()),
    ],
)
def test_zero_is_told_and_null_is_not(usage: object, expected: Usage) -> None:
    """A8: zero is not missing, and missing is not zero."""
    reading, _ = stream(OPENING, usage_chunk(usage), DONE)
    assert (reading.usage, reading.usage_problem) == (expected, None)


def test_reasoning_counted_beside_the_completion_is_part_of_the_output() -> None:
    """A8: xAI's total is the sum of prompt, completion and reasoning."""
    details = {"reasoning_tokens": 94}
    usage = {"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": details}
    reading, _ = stream(OPENING, usage_chunk({**usage, "total_tokens": 135}), DONE)
    assert reading.usage == Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"prompt_tokens": -1}, "prompt_tokens is negative"),
        ({"completion_tokens": 10**9 + 1}, "completion_tokens is more than 1000000000"),
        ({"completion_tokens": 10**40}, "completion_tokens is more than 1000000000"),
        ({"prompt_tokens": "19"}, "prompt_tokens is a string, not a whole number of tokens"),
        ({"prompt_tokens": True}, "prompt_tokens is a boolean, not a whole number of tokens"),
        ({"prompt_tokens": 1.5}, "prompt_tokens is a fraction, not a whole number of tokens"),
        ({"total_tokens": [59]}, "total_tokens is an array, not a whole number of tokens"),
        ({"prompt_tokens": {"n": 1}}, "prompt_tokens is an object, not a whole number of tokens"),
        (
            {"prompt_tokens_details": {"cached_tokens": -8}},
            "prompt_tokens_details.cached_tokens is negative",
        ),
        (
            {"prompt_tokens_details": "8"},
            "prompt_tokens_details.cached_tokens is a string, not a whole number of tokens",
        ),
        (
            {"prompt_tokens": 9},
            "prompt_tokens_details.cached_tokens + prompt_tokens_details.cache_write_tokens"
            " is more than prompt_tokens, which includes it",
        ),
        (
            {"completion_tokens": 31},
            "completion_tokens_details.reasoning_tokens is more than completion_tokens,"
            " which includes it",
        ),
    ],
)
def test_one_bad_count_spoils_the_usage_that_it_stands_in(
    members: dict[str, Any], problem: str
) -> None:
    """A10: no count of it is believed, what is wrong is told, and the provider's words are kept."""
    usage = {**USAGE, **members}
    reading, complete = stream(OPENING, usage_chunk(usage), DONE)
    assert (reading.usage, reading.usage_problem) == (Usage(), problem)
    assert reading.usage_raw == json.dumps(usage, separators=(",", ":"))
    assert complete


@pytest.mark.parametrize("usage", [7, "none", [1], True])
def test_usage_that_is_no_object_is_flagged(usage: object) -> None:
    """A10: it is no usage, and the rest of the stream is read all the same."""
    reading, complete = stream(OPENING, usage_chunk(usage), DONE)
    assert reading.usage == Usage()
    assert reading.usage_problem == "usage is not an object, or cannot be read"
    assert (reading.model, complete) == ("small-1", True)


def test_usage_with_a_number_out_of_all_range_is_flagged() -> None:
    """A10: a number that no float holds."""
    odd = usage_chunk({"prompt_tokens": 5}).replace(b":5}", b":1e999}")
    reading, _ = stream(OPENING, odd, DONE)
    assert reading.usage == Usage()
    assert reading.usage_problem == "usage is not an object, or cannot be read"
    assert reading.usage_raw == '{"prompt_tokens":1e999}'


def test_usage_of_absurd_length_is_not_kept() -> None:
    """A10: what the records keep is bounded."""
    reading, _ = stream(OPENING, usage_chunk({**USAGE, "padding": "x" * 20000}), DONE)
    assert (reading.usage, reading.usage_raw) == (Usage(), None)
    assert reading.usage_problem is not None
    assert reading.usage_problem.endswith("bytes, more than 16384")


def test_a_good_usage_after_a_bad_one_is_believed() -> None:
    """A10: the last one told counts."""
    reading, _ = stream(chunk("Hi", usage={"prompt_tokens": -1}), usage_chunk(USAGE), DONE)
    assert (reading.usage, reading.usage_problem) == (KNOWN, None)


# ---- odd servers ----


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("lead", [b"data: ", b"data:", b": beat\n\ndata: ", b"id: 7\ndata:"])
def test_line_ends_spaces_and_other_fields_do_not_matter(end: bytes, lead: bytes) -> None:
    """A8: what servers do differently around the same JSON."""
    body = OPENING + chunk(reason="stop") + usage_chunk(USAGE) + DONE
    body = body.replace(b"data: ", lead).replace(b"\n", end)
    meter = ChatStreamMeter()
    assert read_stream(meter, [body]).usage == KNOWN
    assert meter.complete


@pytest.mark.parametrize("separators", [(", ", ": "), (" , ", " : "), (",\t", ":\t")])
def test_white_space_in_json_does_not_matter(separators: tuple[str, str]) -> None:
    """A8: one serializer's spaces, or a change of them within a stream."""
    data = json.loads(usage_chunk(USAGE)[6:])
    spaced = f"data: {json.dumps(data, separators=separators)}\n\n".encode()
    for events in ([OPENING, spaced, DONE], [OPENING + spaced + DONE]):
        assert stream(*events)[0].usage == KNOWN


def test_data_over_several_lines_is_one_chunk() -> None:
    """A8: indented JSON, a ``data`` field a line."""
    data = json.dumps(json.loads(usage_chunk(USAGE)[6:]), indent=1)
    lines = "".join(f"data: {line}\n" for line in data.splitlines()) + "\n"
    assert stream(OPENING, lines.encode(), DONE)[0].usage == KNOWN


def test_padding_and_foreign_members_are_passed_over() -> None:
    """A8: ``obfuscation``, timings and the like."""
    events = [
        chunk("Hi", obfuscation="a8Xq"),
        chunk(reason="length", obfuscation="", timings={"usage": {"prompt_tokens": 1}}),
        usage_chunk({**USAGE, "queue_time": 0.06}),
    ]
    reading, _ = stream(*events, DONE)
    assert (reading.usage, reading.stop_reason) == (KNOWN, "length")


def test_text_that_looks_like_a_chunk_is_text() -> None:
    """A8: what the model says is not what the provider says."""
    text = 'data: [DONE]\n\n{"usage":{"prompt_tokens":1},"error":{"message":"no"}}'
    reading, complete = stream(OPENING, chunk(text), ended=False)
    assert (reading, complete) == (Reading("small-1"), False)


def test_the_model_is_the_first_that_is_not_empty() -> None:
    """A8: some servers leave it empty in a first chunk that only tells of filters."""
    first = event({"model": "", "choices": [], "prompt_filter_results": []})
    reading, _ = stream(first, chunk("Hi"), chunk("there", model="other"))
    assert reading.model == "small-1"


def test_a_chunk_that_is_not_as_it_should_be_is_read_as_far_as_it_can_be() -> None:
    """A8: wrong types, choices of null, half of a surrogate pair."""
    half = chunk("Hi", reason="stop", usage=USAGE).replace(b'"Hi"', b'"\\ud83d"')
    assert stream(half)[0] == stream(chunk("Hi", reason="stop", usage=USAGE))[0]
    odd = event({"model": 7, "choices": [None, {"index": "a", "finish_reason": 3}], "usage": USAGE})
    assert stream(odd)[0].usage == KNOWN
    assert stream(event({"model": "m", "choices": None}))[0].model == "m"
    assert stream(b"data: nonsense\n\n", OPENING, DONE)[1]


# ---- ends ----


@pytest.mark.parametrize(
    "done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE] bye\r\n\r\n"]
)
def test_done_is_the_end(done: bytes) -> None:
    """E6: matched by its beginning, as the official SDKs do."""
    assert stream(OPENING, ended=False)[1] is False
    assert stream(OPENING, done, ended=False)[1] is True


def test_nothing_counts_after_done() -> None:
    """E6: clients do not read on."""
    late = event({"error": {"message": "late"}})
    for events in ((OPENING, DONE, late), (OPENING + DONE + late,)):
        assert stream(*events)[0].error is None


def test_a_clean_end_is_enough_after_every_choice_finished() -> None:
    """E4: servers that send no ``[DONE]``."""
    finished = chunk(reason="stop")
    assert stream(OPENING, finished, ended=False)[1] is False
    assert stream(OPENING, finished)[1] is True
    assert stream(OPENING, finished, usage_chunk(USAGE))[1] is True
    assert stream(OPENING)[1] is False
    assert stream(usage_chunk(USAGE))[1] is False
    assert stream()[1] is False


def test_a_clean_end_is_not_enough_while_a_choice_is_open() -> None:
    """E4: each index that was seen has to finish, whichever is first."""
    second = chunk("Yo", index=1)
    assert stream(OPENING, second, chunk(reason="stop"))[1] is False
    assert stream(OPENING, second, chunk(reason="stop"), chunk(reason="length", index=1))[1] is True
    assert stream(chunk(reason="stop", index=1), second, OPENING)[1] is False


def test_more_choices_than_any_api_has_are_not_taken_for_finished() -> None:
    """E4: memory is bounded, and what was not kept apart is not known to have ended."""
    events = [chunk("a", index=i) for i in range(1025)] + [
        chunk(reason="stop", index=i) for i in range(1025)
    ]
    assert stream(*events)[1] is False
    assert stream(*events[:1024], *events[1025:-1])[1] is True


@pytest.mark.parametrize("reason", ["", None, 7, ["stop"]])
def test_only_text_is_a_finish_reason(reason: Any) -> None:
    """E8: an empty one, which some servers send with every chunk, is none."""
    reading, complete = stream(OPENING, chunk("x", reason=reason))
    assert (reading.stop_reason, complete) == (None, False)


def test_the_stop_reason_is_that_of_the_first_choice() -> None:
    """E8: of choice 0 where it has one, else of the first that finished."""
    second, first = chunk(reason="length", index=1), chunk(reason="stop")
    assert stream(OPENING, second)[0].stop_reason == "length"
    assert stream(OPENING, second, first)[0].stop_reason == "stop"
    assert stream(OPENING, first, second)[0].stop_reason == "stop"


def test_a_stop_reason_seen_before_a_cut_is_kept() -> None:
    """E8: and where none was seen there is none."""
    assert stream(OPENING, chunk(reason="tool_calls"), ended=False)[0].stop_reason == "tool_calls"
    assert stream(OPENING, ended=False)[0].stop_reason is None


# ---- errors ----


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "try later", "type": "server_error", "code": None}, "server_error: try later"),
        ({"message": "Engine\nloop  died", "code": 500}, "Engine loop died"),
        ({"message": "gone", "code": "upstream_gone"}, "upstream_gone: gone"),
        ("overloaded", "overloaded"),
        ({"odd": True}, "an error without type and message"),
        ([1], "an error without type and message"),
    ],
)
def test_an_error_inside_the_stream_is_its_last_word(error: object, text: str) -> None:
    """E5: the row can say so, and nothing need be added to what the provider said."""
    reading, complete = stream(OPENING, event({"error": error}), ended=False)
    assert (reading.error, complete) == (text, True)


def test_an_error_beside_choices_is_seen_too() -> None:
    """E5: in a chunk that is otherwise like any other."""
    reading, complete = stream(OPENING, chunk("", error={"message": "no"}), ended=False)
    assert (reading.error, complete) == ("no", True)


def test_usage_after_an_error_still_counts() -> None:
    """E5: what the provider bills before it gives up."""
    reading, _ = stream(OPENING, event({"error": "no"}), usage_chunk(USAGE), DONE)
    assert (reading.error, reading.usage) == ("no", KNOWN)


@pytest.mark.parametrize("error", [None, False, {}, ""])
def test_an_empty_error_is_none(error: object) -> None:
    """E5: as the official SDKs take it."""
    reading, complete = stream(OPENING, chunk("x", error=error))
    assert (reading.error, complete) == (None, False)


# ---- whole bodies ----

COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "model": "small-1",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ],
    "usage": USAGE,
}


def body(value: object, size: int = 1000, **options: Any) -> Reading:
    """What is read of a JSON body that comes in pieces of a size."""
    data = json.dumps(value, **options).encode()
    return read(ChatBodyMeter(), [data[i : i + size] for i in range(0, len(data), size)])


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"sort_keys": True}])
def test_a_completion_is_read_as_a_whole(options: dict[str, Any]) -> None:
    """A8: in whatever order and layout its members come."""
    reading = body(COMPLETION, **options)
    assert (reading.model, reading.usage, reading.stop_reason) == ("small-1", KNOWN, "stop")
    assert json.loads(reading.usage_raw or "") == USAGE


@pytest.mark.parametrize(
    "order", ["model choices usage", "usage choices model", "choices model usage"]
)
def test_a_completion_of_any_length_is_read_by_its_ends(order: str) -> None:
    """A8: with bounded memory, wherever the small members stand."""
    text = 'He said: "usage": {"prompt_tokens": 1}, "model": "x"}' * 20000
    tool = {"model": "not this", "usage": {"prompt_tokens": 1}}
    message = {"tool": tool, "content": text, "after": tool}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    completion = {**COMPLETION, "choices": choices}
    reading = body({name: completion[name] for name in order.split()}, size=30000)
    assert (reading.model, reading.usage, reading.stop_reason) == ("small-1", KNOWN, "stop")


def test_the_ends_of_a_body_without_small_members_tell_nothing() -> None:
    """A8: what only looks like one, at a deeper level, is not taken for one."""
    deep = {"a": {"model": "no", "usage": USAGE, "text": "x" * 300_000, "b": {"usage": USAGE}}}
    assert body(deep, size=50000) == Reading()
    assert body(["x" * 300_000, COMPLETION], size=50000) == Reading()
    other_names = {'a "model': "no", "text": "x" * 300_000, 'b "usage': USAGE}
    assert body(other_names, size=50000) == Reading()


def test_a_body_is_complete_when_http_says_so() -> None:
    """A8: its framing decides."""
    meter = ChatBodyMeter()
    read(meter, [json.dumps(COMPLETION).encode()], ended=False)
    assert not meter.complete
    meter.end()
    assert meter.complete


def test_an_error_body_tells_its_error() -> None:
    """E5: whatever its status."""
    error = {"message": "unknown model", "type": "invalid_request_error", "param": "model"}
    assert body({"error": error}) == Reading(error="invalid_request_error: unknown model")


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b'{"model": "m', b"\x1f\x8b\x08\x00", b"null"]
)
def test_a_body_that_is_no_json_object_tells_nothing(data: bytes) -> None:
    """A8: HTML, a coded or a truncated body."""
    assert read(ChatBodyMeter(), [data]) == Reading()


def test_a_body_that_is_nested_too_deeply_tells_nothing() -> None:
    """A8: and breaks nothing."""
    assert read(ChatBodyMeter(), [b'{"model":' + b"[" * 100_000]) == Reading()


# ---- other servers ----

TIMINGS: dict[str, Any] = {
    "cache_n": 236,
    "prompt_n": 4,
    "prompt_ms": 30.958,
    "predicted_n": 35,
    "predicted_per_second": 52.9,
}


def test_vllms_usage_grows_with_every_chunk() -> None:
    """A8: cut off, the last one told counts: it is what had been used by then."""
    grown = [chunk("x", usage={**USAGE, "completion_tokens": 32 + n}) for n in range(4)]
    reading, complete = stream(*grown)
    assert reading.usage.output_tokens == 35
    assert not complete


@pytest.mark.parametrize("code", [400, "BadRequestError", None])
def test_vllms_error_is_the_last_word_even_before_done(code: object) -> None:
    """E5: its code is a number."""
    error = {"object": "error", "message": "no", "type": "BadRequestError", "code": code}
    reading, complete = stream(OPENING, event({"error": error}), DONE)
    assert (reading.error, complete) == ("BadRequestError: no", True)


@pytest.mark.parametrize(
    "events",
    [
        (chunk(reason="stop", timings=TIMINGS), DONE),
        (chunk("x", timings={**TIMINGS, "predicted_n": 34}), chunk(reason="stop", timings=TIMINGS)),
        (chunk(reason="stop"), event({"choices": [], "timings": TIMINGS}), DONE),
    ],
)
def test_llama_cpps_timings_count_where_it_tells_no_usage(events: tuple[bytes, ...]) -> None:
    """A8: what came from its cache is told apart from the rest of the prompt."""
    reading, complete = stream(b":\n\n", OPENING, *events)
    assert reading.usage == Usage(input_tokens=240, cache_read_tokens=236, output_tokens=35)
    assert json.loads(reading.usage_raw or "") == {"timings": TIMINGS}
    assert complete


def test_timings_of_every_chunk_count_in_a_stream_that_is_cut() -> None:
    """A8: what had been used by then."""
    reading, complete = stream(OPENING, chunk("x", timings={**TIMINGS, "predicted_n": 7}))
    assert reading.usage.output_tokens == 7
    assert not complete


def test_usage_counts_before_timings() -> None:
    """A8: whichever comes last."""
    for last in (
        event({"choices": [], "usage": USAGE, "timings": TIMINGS}),
        usage_chunk(USAGE) + chunk(timings=TIMINGS),
    ):
        reading, _ = stream(OPENING, chunk(reason="stop"), last, DONE)
        assert reading.usage == KNOWN


def test_timings_without_the_cache_do_not_tell_the_input() -> None:
    """A8: older servers leave it out of both."""
    timings = {"prompt_n": 4, "predicted_n": 0}
    reading, _ = stream(chunk(reason="stop", timings=timings), DONE)
    assert reading.usage == Usage(output_tokens=0)


@pytest.mark.parametrize(
    ("timings", "problem"),
    [
        ({"predicted_n": -1}, "timings: predicted_n is negative"),
        ({"predicted_n": "1"}, "timings: predicted_n is a string"),
        ([1], "not an object"),
    ],
)
def test_timings_that_cannot_be_true_are_flagged(timings: object, problem: str) -> None:
    """A10: as usage is."""
    reading, _ = stream(chunk(reason="stop", timings=timings), DONE)
    assert reading.usage == Usage()
    assert problem in (reading.usage_problem or "")


def test_llama_cpps_field_named_error_is_no_event() -> None:
    """E4: clients do not see it, so that the stream is still without an end."""
    reading, complete = stream(OPENING, b'error: {"code":500,"message":"no"}\n\n')
    assert (reading.error, complete) == (None, False)


def test_a_body_of_llama_cpp_has_timings_too() -> None:
    """A8: behind a long answer as well."""
    for text in ("hi", "x" * 400_000):
        body = {"choices": [{"finish_reason": "stop", "message": text}], "timings": TIMINGS}
        reading = read(ChatBodyMeter(), [json.dumps(body).encode()])
        assert reading.usage.input_tokens == 240


@pytest.mark.parametrize("size", [10, 70_000, 900_000])
def test_a_chunk_of_any_length_is_read_by_its_ends(size: int) -> None:
    """A8: some servers send all of an answer at once."""
    data = chunk("y" * size, reason="stop", usage=USAGE) + DONE
    meter = ChatStreamMeter()
    reading = read_stream(meter, [data[i : i + 50_000] for i in range(0, len(data), 50_000)])
    assert (reading.usage, reading.model, reading.stop_reason) == (KNOWN, "small-1", "stop")
    assert meter.complete


# ---- completions ----


def test_completions_are_read_as_chat_is() -> None:
    """A8: with text in place of messages."""
    dialect = for_request(Family.OPENAI, b"/v1/completions")
    choices = [{"index": 0, "text": "hi", "logprobs": None, "finish_reason": "length"}]
    meter = dialect.stream_meter()
    data = {"model": "small-1", "choices": choices, "usage": USAGE}
    streamed = read(meter, [event({**data, "usage": None}), usage_chunk(USAGE)])
    whole = read(dialect.body_meter(), [json.dumps(data).encode()])
    assert streamed == whole
    assert (whole.usage, whole.stop_reason) == (KNOWN, "length")
    assert meter.complete
    assert dialect.injects_usage
