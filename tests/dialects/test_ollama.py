"""What is read of Ollama's answers, streamed and not, and what is seen in its requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import BadRequest, Peek, Reading, Standing, StreamKind, Trouble
from gateway.dialects.ollama_meter import OllamaBodyMeter, OllamaStreamMeter
from gateway.jsonstream import LineScanner
from gateway.record import ErrorCode, Usage

from .streams import read

CHAT = for_request(Family.OLLAMA, b"/api/chat")
EMBED = for_request(Family.OLLAMA, b"/api/embed")
CUT = Trouble(502, ErrorCode.TRUNCATED, "upstream closed\n")

COUNTS = {"prompt_eval_count": 26, "eval_count": 259}
KNOWN = Usage(input_tokens=26, output_tokens=259)
LAST: dict[str, Any] = {
    "model": "small:7b",
    "created_at": "2026-01-02T03:04:05.6Z",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "total_duration": 4883583458,
    **COUNTS,
}


def line(value: object) -> bytes:
    """A line as Ollama writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def word(text: str) -> bytes:
    """A line that tells a word of the answer."""
    message = {"role": "assistant", "content": text}
    return line({"model": "small:7b", "message": message, "done": False})


WORDS = word("Grüße, “you”") + word('it is true: {"error":"x","done":true}\n')
WHOLE = WORDS + line(LAST)


def streamed(data: bytes, *, size: int = 100, ended: bool = True) -> tuple[Reading, bool]:
    """What is read of a stream behind a scanner, and whether it was complete."""
    scanner, meter = LineScanner(), OllamaStreamMeter()
    for at in range(0, len(data), size):
        was_long = scanner.in_long_event
        block = scanner.feed(data[at : at + size])
        whole = scanner.whole or slice(0, len(block))
        if was_long:
            meter.feed_part(block[: whole.start], last=not scanner.in_long_event)
        meter.feed(block[whole])
        if block[whole.stop :]:
            meter.feed_part(block[whole.stop :], last=False)
    if ended:
        meter.feed(scanner.finish())
        meter.end()
    return meter.reading(), meter.complete


# ---- usage ----


def test_an_answer_is_read_from_its_last_line() -> None:
    """A8: text that looks like it is text."""
    reading, complete = streamed(WHOLE)
    assert (reading.model, reading.usage, reading.stop_reason) == ("small:7b", KNOWN, "stop")
    assert json.loads(reading.usage_raw or "") == COUNTS
    assert (reading.error, reading.usage_problem, complete) == (None, None, True)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_eval_count": 26}, Usage(input_tokens=26, output_tokens=0)),
        ({"eval_count": 3}, Usage(output_tokens=3)),
        ({"prompt_eval_count": 0, "eval_count": 0}, Usage(input_tokens=0, output_tokens=0)),
        ({}, Usage()),
        ({"prompt_eval_count": None, "eval_count": None}, Usage()),
    ],
)
def test_a_count_that_is_left_out_is_zero_only_for_an_answer(
    counts: dict[str, Any], expected: Usage
) -> None:
    """A8: no prompt is empty, so a prompt's count that is missing is not known."""
    last = {name: value for name, value in LAST.items() if name not in COUNTS}
    reading, complete = streamed(WORDS + line({**last, **counts}))
    assert (reading.usage, reading.usage_problem, complete) == (expected, None, True)
    assert (reading.usage_raw is None) == (expected == Usage())


def test_a_bad_count_spoils_the_usage() -> None:
    """A10: no count is believed, what is wrong is told, and the provider's words are kept."""
    reading, complete = streamed(line({**LAST, "eval_count": -1}))
    assert (reading.usage, reading.usage_problem) == (Usage(), "eval_count is negative")
    assert json.loads(reading.usage_raw or "") == {**COUNTS, "eval_count": -1}
    assert complete


# ---- ends and errors ----


def test_a_stream_without_its_last_line_is_not_whole() -> None:
    """E4: whatever HTTP says; half of the line is no line."""
    for data in (word("a"), WORDS, WORDS + line(LAST)[:-40]):
        assert streamed(data) == (Reading(model="small:7b"), False)


def test_the_last_line_is_the_end_before_http_ends() -> None:
    """E6: and may lack its line feed, if HTTP ends cleanly."""
    assert streamed(WHOLE, ended=False) == streamed(WHOLE)
    assert streamed(WHOLE[:-1]) == streamed(WHOLE)
    assert streamed(WHOLE[:-1], ended=False)[1] is False


def test_an_error_inside_a_stream_is_its_last_word() -> None:
    """E5: the row can say so, and nothing need be added to what the provider said."""
    reading, complete = streamed(WORDS + line({"error": "model runner has stopped"}), ended=False)
    assert reading == Reading(model="small:7b", error="model runner has stopped")
    assert complete


@pytest.mark.parametrize(
    "odd",
    [
        b"\n",
        b" \r\n",
        b"true\n",
        b'"error"\n',
        b'{"done":"true","model":7,"done_reason":["error"]}\n',
        b'{"done":true\n',
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_passed_over(odd: bytes) -> None:
    """A8: and what comes after it is read."""
    assert streamed(odd)[0] == Reading()
    assert streamed(odd + WHOLE) == streamed(WHOLE)


# ---- splits and long lines ----


@pytest.mark.parametrize(
    "data", [WHOLE, WHOLE.replace(b"\n", b"\r\n"), WORDS + line({"error": "no"})]
)
def test_a_split_at_any_byte_gives_the_same_reading(data: bytes) -> None:
    """A9: usage, model, done reason, error and end."""
    expected, complete = streamed(data, size=len(data))
    assert complete
    for cut in range(1, len(data)):
        scanner, meter = LineScanner(), OllamaStreamMeter()
        assert read(meter, [scanner.feed(data[:cut]), scanner.feed(data[cut:])]) == expected
        assert meter.complete
    assert streamed(data, size=1) == (expected, True)


@pytest.mark.parametrize("size", [1000, 65536, 2_000_000])
def test_a_line_too_long_to_be_held_is_read_by_its_ends(size: int) -> None:
    """A8: the tokens of a long context stand before the counts."""
    context = list(range(100_000))
    last = {**LAST, "message": None, "done": True, "context": context, **COUNTS}
    for name in COUNTS:
        last[name] = last.pop(name)
    reading, complete = streamed(WORDS + line(last), size=size)
    assert (reading.usage, reading.stop_reason, complete) == (KNOWN, "stop", True)


# ---- whole bodies ----


@pytest.mark.parametrize("text", ["Hi", '"eval_count": 7, "done": false, ' * 20_000])
def test_an_answer_that_is_not_streamed_is_read_as_a_whole(text: str) -> None:
    """A8: of any length, with bounded memory."""
    data = line({**LAST, "message": {"role": "assistant", "content": text}})
    reading = read(OllamaBodyMeter(), [data[i : i + 30_000] for i in range(0, len(data), 30_000)])
    assert (reading.model, reading.usage, reading.stop_reason) == ("small:7b", KNOWN, "stop")


def test_an_embedding_has_input_alone() -> None:
    """A8: of any length; nothing was to be generated."""
    body = {"model": "e:1b", "embeddings": [[0.25] * 50_000], "prompt_eval_count": 8}
    reading = read(EMBED.body_meter(), [json.dumps(body).encode()])
    assert (reading.model, reading.usage) == ("e:1b", Usage(input_tokens=8))


def test_an_error_body_tells_its_error() -> None:
    """E5: whatever its status."""
    assert read(OllamaBodyMeter(), [b'{"error":"no such model"}']) == Reading(error="no such model")


# ---- requests, and what the gateway says itself ----


@pytest.mark.parametrize(
    ("body", "stream"),
    [
        (b'{"model":"m"}', True),
        (b'{"model":"m","stream":true}', True),
        (b'{"model":"m","stream":null}', True),
        (b'{"model":"m", "stream" : false }', False),
        (b'\xef\xbb\xbf{"model":"m","messages":[{"stream":false}]}', True),
    ],
)
def test_a_request_streams_unless_it_says_that_it_does_not(body: bytes, stream: bool) -> None:
    """K6: an answer's lines are no events, so nothing is begun before the upstream does."""
    assert CHAT.peek([body]) == Peek("m", stream, events=False)
    assert CHAT.peek([body[i : i + 1] for i in range(len(body))]) == CHAT.peek([body])
    assert EMBED.peek([body]) == Peek("m", False)


def test_a_body_that_cannot_be_understood_is_refused() -> None:
    """One that does not begin as JSON passes unseen."""
    with pytest.raises(BadRequest, match="stream"):
        CHAT.peek([b'{"stream":"no"}'])
    assert CHAT.peek([b"model=m"]) == Peek(events=False)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (b"application/x-ndjson", StreamKind.LINES),
        (b"application/json", None),
        (b"text/event-stream", None),
    ],
)
def test_the_kind_of_a_stream_follows_from_its_type(
    media_type: bytes, expected: StreamKind | None
) -> None:
    """D2: one JSON object is no stream."""
    assert CHAT.stream_kind(media_type, Peek("m", True)) is expected


def test_an_error_is_one_line_and_nothing_is_said_into_a_silence() -> None:
    """E3, K4: the official clients raise at the line, and one of them at a blank one."""
    standing = Standing(kind=StreamKind.LINES, started=True)
    assert CHAT.error_event(CUT, standing) == b'{"error":"upstream closed\\n"}\n'
    assert CHAT.error_body(CUT) == b'{"error":"upstream closed\\n"}'
    assert CHAT.keepalive(standing) == b""
    meter = CHAT.stream_meter(StreamKind.LINES)
    meter.feed(WORDS + CHAT.error_event(CUT, standing))
    assert (meter.reading().error, meter.complete) == ("upstream closed", True)
