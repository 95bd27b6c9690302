"""OpenAI's embeddings, images and audio: which requests stream, and what is read of the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import BadRequest, Meter, Peek, Reading, Standing, Trouble
from gateway.record import ErrorCode, Usage

from .streams import DONE, IMAGE_USAGE, USAGE, chunk, event, image, read, read_stream, usage_chunk

EMBEDDINGS = for_request(Family.OPENAI, b"/v1/embeddings")
IMAGES = for_request(Family.OPENAI, b"/v1/images/generations")
TRANSCRIPTION = for_request(Family.OPENAI, b"/v1/audio/transcriptions")
SPEECH = for_request(Family.OPENAI, b"/v1/audio/speech")
ALL = [EMBEDDINGS, IMAGES, TRANSCRIPTION, SPEECH]

AUDIO_USAGE: dict[str, Any] = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    "output_tokens": 45,
    "total_tokens": 59,
}
SPOKEN = event({"type": "speech.audio.delta", "audio": "aGk="})
HEARD = event({"type": "transcript.text.delta", "delta": "the error"})


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def stream(meter: Meter, *events: bytes, ended: bool = True) -> tuple[Reading, bool]:
    """What is read of a stream, and whether it was complete."""
    reading = read(meter, events, ended=ended)
    return reading, meter.complete


# ---- requests ----


@pytest.mark.parametrize(
    ("members", "streams"),
    [
        ({"stream_format": "sse"}, True),
        ({"stream_format": "audio"}, False),
        ({"stream_format": None}, False),
        ({"stream_format": ["sse"]}, False),
        ({"stream": True}, False),
        ({}, False),
    ],
)
def test_speech_streams_where_events_are_asked_for(
    members: dict[str, object], streams: bool
) -> None:
    """K6: a server that knows ``stream`` answers with audio."""
    body = json.dumps({"model": "m", "input": "stream_format", **members}).encode()
    assert SPEECH.peek([body[:9], body[9:]]) == Peek("m", streams)
    assert SPEECH.peek([b"\xef\xbb\xbf" + body]) == Peek("m", streams)


def test_embeddings_never_stream() -> None:
    """K6: whatever the request says."""
    assert EMBEDDINGS.peek([b'{"model":"m","stream":true}']) == Peek("m")


def test_images_stream_as_chat_does() -> None:
    """K2: in JSON; a form is looked into while it goes by."""
    assert IMAGES.peek([b'{"model":"m","stream":true}']) == Peek("m", stream=True)
    assert [dialect.reads_forms for dialect in ALL] == [False, True, True, False]


@pytest.mark.parametrize("dialect", ALL)
def test_a_body_that_is_no_object_is_refused(dialect: Any) -> None:
    """A3: as everywhere."""
    with pytest.raises(BadRequest, match="Expected `object`"):
        dialect.peek([b"[]"])


# ---- what the gateway says ----


@pytest.mark.parametrize("dialect", ALL)
def test_beats_and_errors_are_those_of_chat(dialect: Any) -> None:
    """K7, E3: comments, and one event with an ``error``."""
    chat = for_request(Family.OPENAI, b"/v1/chat/completions")
    trouble = Trouble(502, ErrorCode.RESET, "x")
    for at in (Standing(), Standing(started=True, after_id=True)):
        assert dialect.keepalive(at) == chat.keepalive(at)
        assert dialect.error_event(trouble, at) == chat.error_event(trouble, at)


# ---- images ----


def test_an_images_usage_stands_in_its_last_event() -> None:
    """A8: tokens of text and of images are one input."""
    reading, complete = stream(IMAGES.stream_meter(), image(partial=True), image())
    assert reading.usage == Usage(input_tokens=50, output_tokens=60)
    assert reading.usage_raw == compact(IMAGE_USAGE)
    assert complete


@pytest.mark.parametrize("kind", ["image_generation.completed", "image_edit.completed"])
def test_an_image_that_came_and_a_clean_end_make_a_whole_stream(kind: str) -> None:
    """E4: there may be more than one image, so one alone is no end."""
    last = event({"type": kind, "usage": IMAGE_USAGE}, kind)
    assert not stream(IMAGES.stream_meter(), last, ended=False)[1]
    assert stream(IMAGES.stream_meter(), last)[1]
    assert stream(IMAGES.stream_meter(), last, DONE, ended=False)[1]
    assert not stream(IMAGES.stream_meter(), image(partial=True))[1]
    assert not stream(IMAGES.stream_meter())[1]


def test_the_usages_of_several_images_are_added() -> None:
    """A8: each tells its own; what is kept has all of them."""
    reading, _ = stream(IMAGES.stream_meter(), image() + image(), image())
    assert reading.usage == Usage(input_tokens=150, output_tokens=180)
    assert json.loads(reading.usage_raw or "") == [IMAGE_USAGE] * 3


def test_one_image_with_a_bad_usage_spoils_the_sum() -> None:
    """A10: a part of the truth would be taken for all of it."""
    bad = image(usage={**IMAGE_USAGE, "output_tokens": -1})
    for events in ((bad, image()), (image(), bad)):
        reading, _ = stream(IMAGES.stream_meter(), *events)
        assert reading.usage == Usage()
        assert reading.usage_problem == "output_tokens is negative"


def test_a_count_that_one_image_lacks_is_not_known_of_all() -> None:
    """A8: missing is not zero."""
    reading, _ = stream(IMAGES.stream_meter(), image(), image(usage={"output_tokens": 5}))
    assert reading.usage == Usage(output_tokens=65)


def test_usages_without_end_are_not_kept_without_end() -> None:
    """A10: and are flagged."""
    reading, _ = stream(IMAGES.stream_meter(), *[image()] * 300)
    assert len(reading.usage_raw or "") <= 16 * 1024 + 2
    assert "more than 16384 bytes" in (reading.usage_problem or "")
    assert reading.usage == Usage()


@pytest.mark.parametrize("first", ["type", "usage"])
def test_an_image_of_several_megabytes_is_metered(first: str) -> None:
    """D3, A8: it is one event, of which the ends are read."""
    data = {"b64_json": "x" * 3_000_000, "model": "small-1", "usage": IMAGE_USAGE}
    data = {"type": "image_edit.completed", **data}
    if first == "usage":
        data = dict(reversed(data.items()))
    whole = b"event: x\ndata: " + compact(data).encode() + b"\n\n"
    meter = IMAGES.stream_meter()
    reading = read_stream(meter, [whole[i : i + 65536] for i in range(0, len(whole), 65536)])
    assert reading.usage == Usage(input_tokens=50, output_tokens=60)
    assert meter.complete


def test_images_in_a_body_are_metered_by_its_end() -> None:
    """A8: behind megabytes of data."""
    body = {"created": 1, "data": [{"b64_json": "x" * 500_000}], "usage": IMAGE_USAGE}
    reading = read(IMAGES.body_meter(), [json.dumps(body).encode()])
    assert reading.usage == Usage(input_tokens=50, output_tokens=60)


@pytest.mark.parametrize("make", [IMAGES, TRANSCRIPTION, SPEECH])
@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        ({"type": "error", "error": {"type": "x", "message": "no"}}, "error", "x: no"),
        ({"error": {"message": "no", "code": 500}}, None, "no"),
        ({"type": "error", "code": "x", "message": "no"}, "error", "x: no"),
    ],
)
def test_an_error_inside_a_stream_is_its_last_word(
    make: Any, data: object, name: str | None, text: str
) -> None:
    """E5: of every kind of stream."""
    reading, complete = stream(make.stream_meter(), event(data, name), ended=False)
    assert (reading.error, complete) == (text, True)


# ---- audio ----


@pytest.mark.parametrize(
    ("dialect", "delta", "kind"),
    [
        (TRANSCRIPTION, HEARD, "transcript.text.done"),
        (SPEECH, SPOKEN, "speech.audio.done"),
    ],
)
def test_the_done_event_is_the_end_and_has_the_usage(dialect: Any, delta: bytes, kind: str) -> None:
    """A8, E4: nothing need follow it."""
    last = event({"type": kind, "usage": AUDIO_USAGE}, kind)
    reading, complete = stream(dialect.stream_meter(), delta, delta, last, ended=False)
    assert reading.usage == Usage(input_tokens=14, output_tokens=45)
    assert reading.usage_raw == compact(AUDIO_USAGE)
    assert complete
    assert not stream(dialect.stream_meter(), delta)[1]


def test_a_transcript_that_mentions_the_end_has_not_come_to_it() -> None:
    """E4: text is text."""
    text = event({"type": "transcript.text.delta", "delta": '"transcript.text.done" [DONE]'})
    assert not stream(TRANSCRIPTION.stream_meter(), text)[1]


def test_a_transcript_that_is_billed_by_time_has_no_tokens() -> None:
    """A8: what was told is kept."""
    usage = {"type": "duration", "seconds": 9.5}
    body = json.dumps({"text": "hi", "usage": usage}).encode()
    reading = read(TRANSCRIPTION.body_meter(), [body])
    assert reading.usage == Usage()
    assert reading.usage_raw == compact(usage)
    assert reading.usage_problem is None


@pytest.mark.parametrize("body", [b"WEBVTT\n\n00:00 --> 00:01\nhi", b"hi", b"", b"\x00" * 300_000])
def test_a_transcript_that_is_no_json_tells_nothing(body: bytes) -> None:
    """A8: and is whole when HTTP says so."""
    meter = TRANSCRIPTION.body_meter()
    assert read(meter, [body]) == Reading()
    assert meter.complete


def test_vllm_streams_transcripts_as_chunks() -> None:
    """A8: with usage in the last of them, or in each."""
    events = (
        chunk("a", usage={**USAGE, "completion_tokens": 33}),
        chunk(reason="stop"),
        usage_chunk(USAGE),
    )
    reading, complete = stream(TRANSCRIPTION.stream_meter(), *events, DONE, ended=False)
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (19, 40)
    assert complete
    assert not stream(TRANSCRIPTION.stream_meter(), *events)[1]


def test_nothing_counts_after_done() -> None:
    """E6: clients do not read past it."""
    meter = TRANSCRIPTION.stream_meter()
    late = event({"type": "transcript.text.done", "usage": AUDIO_USAGE})
    assert stream(meter, DONE, late)[0].usage_raw is None


def test_spoken_audio_tells_nothing() -> None:
    """A8: and is whole when HTTP says so."""
    meter = SPEECH.body_meter()
    assert read(meter, [b"ID3\x00", b'{"usage":{"input_tokens":1}}']) == Reading()
    assert meter.complete


# ---- embeddings ----


@pytest.mark.parametrize("size", [2, 100_000])
def test_embeddings_have_input_alone(size: int) -> None:
    """A8: at the end of a body of any length; no output is none told, not zero."""
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25] * size}],
        "model": "small-e",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    reading = read(EMBEDDINGS.body_meter(), [json.dumps(body).encode()])
    assert reading.usage == Usage(input_tokens=7)
    assert reading.usage_raw == '{"prompt_tokens":7,"total_tokens":7}'
    assert reading.model == "small-e"


def test_an_error_body_tells_its_error() -> None:
    """K3: in any of them."""
    body = b'{"error":{"message":"no","type":"invalid_request_error"}}'
    assert read(EMBEDDINGS.body_meter(), [body]).error == "invalid_request_error: no"
