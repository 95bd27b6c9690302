"""Everything that goes wrong, seen on the wire: each misbehaviour in each dialect that streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.demo.models import LONG

from .client import CHAT, MESSAGES, PROMPT, TOKENS, Answer, Client, form
from .test_dialects import metered

SPEECH = "/v1/audio/speech"

#: Requests for a stream, by the path with ``{}`` for the model where it names one.
STREAMS: dict[str, dict[str, Any]] = {
    CHAT: {**PROMPT, "stream": True, "stream_options": {"include_usage": True}},
    "/v1/completions": {"prompt": "hello", "stream": True},
    "/v1/responses": {"input": "hello", "stream": True},
    "/v1/images/generations": {"prompt": "hello", "stream": True, "partial_images": 3},
    SPEECH: {"input": "hello", "voice": "echo", "stream_format": "sse"},
    MESSAGES: {**PROMPT, "max_tokens": 1000, "stream": True},
    "/v1beta/models/{}:streamGenerateContent?alt=sse": {"contents": []},
    "/v1beta/models/{}:streamGenerateContent": {"contents": []},
    "/api/chat": PROMPT,
    "/api/generate": {"prompt": "hello"},
}
#: The same requests without a stream.
WHOLE: dict[str, dict[str, Any]] = {
    CHAT: PROMPT,
    "/v1/responses": {"input": "hello"},
    "/v1/embeddings": {"input": "hello"},
    MESSAGES: {**PROMPT, "max_tokens": 1000},
    "/v1beta/models/{}:generateContent": {"contents": []},
    "/api/chat": {**PROMPT, "stream": False},
}

streaming = pytest.mark.parametrize("path", STREAMS)
in_one_piece = pytest.mark.parametrize("path", WHOLE)


def begin(client: Client, model: str, path: str, asked: dict[str, dict[str, Any]]) -> None:
    """Ask a model at one of the paths."""
    client.ask(path.format(model), {"model": model, **asked[path]})


def ask(
    client: Client, model: str, path: str, asked: dict[str, dict[str, Any]] = STREAMS
) -> Answer:
    """Ask a model at one of the paths, and wait longer than any but the silent one takes."""
    begin(client, model, path, asked)
    client.wait(60)
    return client.answer()


def finished(answer: Answer, path: str) -> bool:
    """Whether the gateway's meter takes a stream for finished."""
    meter, kind, _ = metered(path.format("demo"), STREAMS[path], answer)
    assert kind is not None
    return meter.complete


@streaming
@pytest.mark.parametrize(("model", "seconds"), [("demo-slow-start", 6), ("demo-long-start", 360)])
def test_a_slow_start_is_silent_before_its_head_and_then_like_the_others(
    client: Client, path: str, model: str, seconds: int
) -> None:
    begin(client, model, path, STREAMS)
    client.wait(seconds - 0.1)
    assert client.transport.value() == b""
    client.wait(2.5)
    assert client.answer().whole
    assert finished(client.answer(), path)


@streaming
def test_a_slow_stream_falls_silent_three_times_and_ends_well(client: Client, path: str) -> None:
    begin(client, "demo-slow", path, STREAMS)
    seen, silences, quiet = b"", 0, 0
    while not (client.transport.value() and client.answer().whole):
        client.wait(1)
        quiet = quiet + 1 if client.transport.value() == seen else 0
        silences += quiet == 4
        seen = client.transport.value()
    assert silences == 3
    assert finished(client.answer(), path)


@streaming
def test_a_long_pause_is_one_of_six_minutes_behind_what_was_said(client: Client, path: str) -> None:
    begin(client, "demo-long-pause", path, STREAMS)
    client.wait(10)
    said = client.transport.value()
    assert client.answer().body
    client.wait(348)
    assert client.transport.value() == said
    client.wait(5)
    assert client.answer().whole
    assert finished(client.answer(), path)


@streaming
def test_a_late_error_has_its_status_after_six_seconds(client: Client, path: str) -> None:
    begin(client, "demo-late-error", path, STREAMS)
    client.wait(5.9)
    assert client.transport.value() == b""
    client.wait(0.2)
    answer = client.answer()
    assert (answer.status, answer.whole) == (400, True)
    assert answer.json["error"]


def test_a_late_error_has_the_code_after_which_codex_does_not_try_again(client: Client) -> None:
    error = ask(client, "demo-late-error", "/v1/responses").json["error"]
    assert error["code"] == "context_length_exceeded"


@streaming
def test_a_silent_stream_has_a_head_and_nothing_else_for_ever(client: Client, path: str) -> None:
    begin(client, "demo-silent", path, STREAMS)
    client.wait(100_000)
    answer = client.answer()
    assert (answer.status, answer.body, answer.whole) == (200, b"", False)
    assert not client.transport.disconnecting


@in_one_piece
def test_a_silent_body_has_a_head_and_nothing_else_for_ever(client: Client, path: str) -> None:
    begin(client, "demo-silent", path, WHOLE)
    client.wait(100_000)
    answer = client.answer()
    assert int(answer.fields["content-length"]) > 0
    assert (answer.body, client.transport.disconnecting) == (b"", False)


@streaming
@pytest.mark.parametrize(("model", "reset"), [("demo-cut", False), ("demo-reset", True)])
def test_a_stream_breaks_off_closed_or_reset(
    client: Client, path: str, model: str, reset: bool
) -> None:
    answer = ask(client, model, path)
    assert answer.body
    assert not answer.whole
    assert not finished(answer, path)
    assert client.transport.disconnecting
    assert client.transport.disconnected is reset


@in_one_piece
@pytest.mark.parametrize("model", ["demo-cut", "demo-reset"])
def test_a_body_breaks_off_before_its_length(client: Client, path: str, model: str) -> None:
    answer = ask(client, model, path, WHOLE)
    assert client.transport.disconnecting
    assert 0 < len(answer.body) < int(answer.fields["content-length"])


@streaming
def test_a_stream_that_ends_early_is_whole_for_http_alone(client: Client, path: str) -> None:
    answer = ask(client, "demo-early-eof", path)
    assert answer.body
    assert answer.whole
    assert not finished(answer, path)


@in_one_piece
def test_a_body_that_ends_early_is_half_of_its_json(client: Client, path: str) -> None:
    answer = ask(client, "demo-early-eof", path, WHOLE)
    assert answer.body
    assert answer.whole
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "asked"), [*((path, STREAMS) for path in STREAMS), *((path, WHOLE) for path in WHOLE)]
)
def test_a_bad_chunk_stands_where_a_size_has_to(
    client: Client, path: str, asked: dict[str, dict[str, Any]]
) -> None:
    answer = ask(client, "demo-bad-chunk", path, asked)
    assert answer.body
    assert client.transport.value().endswith(b"\r\nthis is no chunk\r\n")
    assert client.transport.disconnecting


@streaming
def test_an_error_event_is_the_last_word_and_the_meters_know_it(client: Client, path: str) -> None:
    answer = ask(client, "demo-error-event", path)
    assert answer.whole
    meter, _, reading = metered(path.format("demo"), STREAMS[path], answer)
    assert meter.complete
    assert "failed in the middle" in str(reading.error)


@in_one_piece
def test_an_error_in_the_place_of_a_body_has_status_200(client: Client, path: str) -> None:
    answer = ask(client, "demo-error-event", path, WHOLE)
    assert (answer.status, answer.whole) == (200, True)
    assert "error" in answer.json


OVERLOADED = {"/v1/messages": 529, "/v1beta/models/{}:streamGenerateContent": 503, "/api/chat": 503}


@streaming
def test_an_error_is_one_in_its_dialect(client: Client, path: str) -> None:
    answer = ask(client, "demo-error-500", path)
    assert answer.status == 500
    assert answer.json["error"]
    assert "retry-after" not in answer.fields


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (CHAT, b"HTTP/1.1 429 Too Many Requests"),
        (MESSAGES, b"HTTP/1.1 529 Overloaded"),
    ],
)
def test_an_error_has_its_reason_phrase(client: Client, path: str, line: bytes) -> None:
    ask(client, "demo-overloaded", path)
    assert client.transport.value().partition(b"\r\n")[0] == line


@streaming
def test_an_overloaded_server_says_when_to_come_back(client: Client, path: str) -> None:
    answer = ask(client, "demo-overloaded", path)
    assert answer.status in (429, 503, 529)
    assert answer.status == OVERLOADED.get(path, answer.status)
    assert answer.json["error"]
    assert answer.fields["retry-after"] == "2"


@pytest.mark.parametrize(
    ("path", "model", "kind"),
    [
        (CHAT, "demo-error-500", "server_error"),
        (CHAT, "demo-overloaded", "requests"),
        (MESSAGES, "demo-error-500", "api_error"),
        (MESSAGES, "demo-overloaded", "overloaded_error"),
    ],
)
def test_an_error_has_the_type_that_its_vendor_gives_it(
    client: Client, path: str, model: str, kind: str
) -> None:
    assert ask(client, model, path).json["error"]["type"] == kind


@streaming
def test_a_page_is_a_502_in_html(client: Client, path: str) -> None:
    answer = ask(client, "demo-html", path)
    assert (answer.status, answer.fields["content-type"]) == (502, "text/html")
    assert answer.body.startswith(b"<html>")
    assert answer.whole


@pytest.mark.parametrize("path", [path for path in STREAMS if path != SPEECH])
def test_an_answer_in_one_piece_comes_although_a_stream_was_asked_for(
    client: Client, path: str
) -> None:
    answer = ask(client, "demo-json", path)
    assert (answer.status, answer.fields["content-type"]) == (200, "application/json")
    assert answer.whole
    assert isinstance(answer.json, dict)


def test_speech_in_one_piece_is_sound(client: Client) -> None:
    answer = ask(client, "demo-json", SPEECH)
    assert answer.fields["content-type"] == "audio/wav"
    assert int(answer.fields["content-length"]) == len(answer.body)


@pytest.mark.parametrize(
    ("path", "asked"), [*((path, STREAMS) for path in STREAMS), *((path, WHOLE) for path in WHOLE)]
)
def test_an_empty_answer_is_whole_and_has_no_body(
    client: Client, path: str, asked: dict[str, dict[str, Any]]
) -> None:
    answer = ask(client, "demo-empty", path, asked)
    assert (answer.status, answer.body, answer.whole) == (200, b"", True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (CHAT, "length"),
        ("/v1/completions", "length"),
        ("/v1/responses", "max_output_tokens"),
        (MESSAGES, "max_tokens"),
        ("/v1beta/models/{}:streamGenerateContent", "MAX_TOKENS"),
        ("/api/chat", "length"),
    ],
)
def test_an_incomplete_answer_says_so_and_is_finished(
    client: Client, path: str, reason: str
) -> None:
    answer = ask(client, "demo-incomplete", path)
    meter, _, reading = metered(path.format("demo"), STREAMS[path], answer)
    assert (meter.complete, reading.stop_reason) == (True, reason)


@streaming
def test_a_long_event_is_two_megabytes_and_the_stream_ends_well(client: Client, path: str) -> None:
    answer = ask(client, "demo-long-event", path)
    assert max(map(len, answer.body.split(b"\n"))) > len(LONG)
    assert answer.whole
    assert finished(answer, path)


def test_a_form_misbehaves_like_any_other_request(client: Client) -> None:
    body, kind = form(("model", "demo-error-event"), ("stream", "true"), file=b"x")
    client.ask("/v1/audio/transcriptions", body, content_type=kind)
    client.wait(5)
    assert client.answer().events[-1][1]["error"]["type"] == "server_error"


def test_sound_that_fails_just_ends(client: Client) -> None:
    client.ask(SPEECH, {"model": "demo-error-event", "input": "hello", "voice": "echo"})
    client.wait(5)
    answer = client.answer()
    assert answer.whole
    assert 0 < len(answer.body) < 1200 * len(TOKENS)


def test_an_answer_of_one_event_breaks_before_it(client: Client) -> None:
    asked = {"model": "demo-early-eof", "prompt": "hello", "stream": True}
    client.ask("/v1/images/generations", asked)
    client.wait(5)
    assert (client.answer().body, client.answer().whole) == (b"", True)


def test_the_events_of_a_failed_response_are_numbered_to_the_end(client: Client) -> None:
    events = ask(client, "demo-error-event", "/v1/responses").events
    assert [name for name, _ in events[-2:]] == ["error", "response.failed"]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
