"""Each dialect's answer, as the gateway's own meters read it: whole, and with its usage."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.config.model import Family
from gateway.demo.models import TEXT
from gateway.dialects import for_request
from gateway.dialects.base import Meter, Peek, Reading, StreamKind
from gateway.dialects.long_events import show
from gateway.record import Usage
from gateway.sse import EventScanner

from .client import CHAT, MESSAGES, PROMPT, TOKENS, Answer, Client, form

MADE = len(TOKENS)
PARTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
CACHED = {"type": "text", "text": "12345678", "cache_control": {"type": "ephemeral"}}
GENERATE = "/v1beta/models/demo:generateContent"
STREAM = "/v1beta/models/demo:streamGenerateContent"


@dataclass(frozen=True)
class Case:
    """A request and what its answer has to tell."""

    path: str
    content: dict[str, Any] | tuple[bytes, str]
    usage: Usage
    stop_reason: str | None = None
    kind: StreamKind | None = None

    def __str__(self) -> str:
        return f"{self.path} {self.kind and self.kind.name} {self.stop_reason}"


def told(
    given: int,
    made: int = MADE,
    reasoning: int | None = 0,
    cached: int | None = 0,
    written: int | None = None,
) -> Usage:
    return Usage(
        input_tokens=given,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=made,
        reasoning_tokens=reasoning,
    )


EVENTS, LINES, ARRAY = StreamKind.EVENTS, StreamKind.LINES, StreamKind.ARRAY
LONG = {"messages": [{"role": "user", "content": "1234" * 1500}]}
MODEL = {"model": "demo"}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
AUDIO = form(("model", "demo"), file=b"\r\n--" * 500)
AUDIO_STREAM = form(("model", "demo"), ("stream", "true"), file=b"x" * 2000)
EDIT = form(("model", "demo"), ("prompt", "hello"), ("stream", "True"), file=b"x")
HEARD = Usage(input_tokens=3, output_tokens=MADE)
IMAGE = Usage(input_tokens=6, output_tokens=272)
LIMIT = {"max_tokens": 5}

CASES = [
    Case(CHAT, {**MODEL, **PROMPT}, told(6), "stop"),
    Case(CHAT, {**MODEL, **PROMPT, **WITH_USAGE}, told(6), "stop", EVENTS),
    Case(CHAT, {**MODEL, **PROMPT, **LIMIT, **WITH_USAGE}, told(6, 5), "length", EVENTS),
    Case(
        CHAT,
        {**MODEL, **LONG, **WITH_USAGE, "reasoning_effort": "high", "max_completion_tokens": 9},
        told(1504, 9, reasoning=9, cached=1408),
        "length",
        EVENTS,
    ),
    Case("/v1/completions", {**MODEL, "prompt": ["hello", "12345678"]}, told(12), "stop"),
    Case(
        "/v1/completions", {**MODEL, "prompt": [[1, 2], [3]], **WITH_USAGE}, told(3), "stop", EVENTS
    ),
    Case("/v1/completions", {**MODEL, "prompt": [1, 2, 3], **LIMIT}, told(3, 5), "length"),
    Case("/v1/responses", {**MODEL, "input": "hello"}, told(6, written=0), "completed"),
    Case(
        "/v1/responses",
        {
            **MODEL,
            "input": [{"role": "user", "content": "hello"}, {"type": "function_call"}],
            "instructions": "hi",
            "reasoning": {"effort": "low"},
            "stream": True,
        },
        told(6 + 4 + 5, MADE + 16, reasoning=16, written=0),
        "completed",
        EVENTS,
    ),
    Case(
        "/v1/responses",
        {**MODEL, "input": "hello", "max_output_tokens": 5, "stream": True},
        told(6, 5, written=0),
        "max_output_tokens",
        EVENTS,
    ),
    Case("/v1/embeddings", {**MODEL, "input": ["hello", "hello"]}, Usage(input_tokens=12)),
    Case("/v1/images/generations", {**MODEL, "prompt": "hello"}, IMAGE),
    Case(
        "/v1/images/generations",
        {**MODEL, "prompt": "hello", "stream": True, "n": 2, "partial_images": 1},
        Usage(input_tokens=12, output_tokens=2 * 372),
        kind=EVENTS,
    ),
    Case("/v1/images/edits", EDIT, Usage(input_tokens=262, output_tokens=272), kind=EVENTS),
    Case("/v1/audio/transcriptions", AUDIO, HEARD),
    Case("/v1/audio/transcriptions", AUDIO_STREAM, HEARD, kind=EVENTS),
    Case("/v1/audio/translations", AUDIO, HEARD),
    Case(
        "/v1/audio/speech",
        {**MODEL, "input": "hello", "voice": "echo", "stream_format": "sse"},
        Usage(input_tokens=6, output_tokens=MADE),
        kind=EVENTS,
    ),
    Case("/v1/audio/speech", {**MODEL, "input": "hello", "voice": "echo"}, Usage()),
    Case(
        MESSAGES,
        {**MODEL, **PROMPT, "max_tokens": 1000},
        Usage(6, 0, 0, 0, MADE),
        "end_turn",
    ),
    Case(
        MESSAGES,
        {
            **MODEL,
            "system": [CACHED, CACHED],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, CACHED]}],
            "max_tokens": 50,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "stream": True,
        },
        Usage(8 + 7, 4, 2, 0, 50, 32),
        "max_tokens",
        EVENTS,
    ),
    Case(f"{MESSAGES}/count_tokens", {**MODEL, **PROMPT}, Usage()),
    Case(GENERATE, PARTS, told(6, reasoning=None, cached=None), "STOP"),
    Case(f"{STREAM}?alt=sse", PARTS, told(6, reasoning=None, cached=None), "STOP", EVENTS),
    Case(
        STREAM,
        {
            **PARTS,
            "systemInstruction": {"parts": [{"text": "hi"}]},
            "cachedContent": "cachedContents/7",
            "generationConfig": {
                "maxOutputTokens": 40,
                "thinkingConfig": {"thinkingBudget": 100, "includeThoughts": True},
            },
        },
        told(1024 + 11, 40, reasoning=32, cached=1024),
        "MAX_TOKENS",
        ARRAY,
    ),
    Case("/v1beta/models/demo:countTokens", PARTS, Usage()),
    Case(
        "/v1beta/models/demo:embedContent", {"content": PARTS["contents"][0]}, Usage(input_tokens=6)
    ),
    Case(
        "/v1beta/models/demo:batchEmbedContents",
        {"requests": [{"content": PARTS["contents"][0]}] * 2},
        Usage(input_tokens=12),
    ),
    Case("/api/chat", {**MODEL, **PROMPT}, told(6, reasoning=None, cached=None), "stop", LINES),
    Case(
        "/api/chat",
        {**MODEL, **PROMPT, "stream": False, "think": True},
        told(6, MADE + 32, reasoning=None, cached=None),
        "stop",
    ),
    Case(
        "/api/generate",
        {"model": "demo:latest", "prompt": "hello", "options": {"num_predict": 5}},
        told(6, 5, reasoning=None, cached=None),
        "length",
        LINES,
    ),
    Case("/api/embed", {**MODEL, "input": ["hello"]}, Usage(input_tokens=6)),
]


def ask(client: Client, path: str, content: Any) -> Answer:
    """Ask, and wait until the answer must be over."""
    if isinstance(content, tuple):
        client.ask(path, content[0], content_type=content[1])
    else:
        client.ask(path, content)
    client.wait(5)
    return client.answer()


def metered(path: str, content: object, answer: Answer) -> tuple[Meter, StreamKind | None, Reading]:
    """What the gateway makes of an answer."""
    target = path.encode()
    dialect = for_request(Family.GENERIC, urlsplit(path).path.encode())
    peek = dialect.peek_target(b"POST", target)
    if isinstance(content, dict):
        peek = dialect.peek([json.dumps(content).encode()], peek)
    else:
        peek = Peek(stream=answer.fields["content-type"].startswith("text/event-stream"))
    media_type = answer.fields["content-type"].partition(";")[0].lower().encode()
    kind = dialect.stream_kind(media_type, peek)
    meter = dialect.body_meter() if kind is None else dialect.stream_meter(kind)
    if kind is StreamKind.EVENTS:
        scanner = EventScanner(65536)
        show(meter, scanner.feed(answer.body), scanner)
    else:
        meter.feed(answer.body)
    meter.end()
    return meter, kind, meter.reading()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_is_complete_and_tells_its_usage_as_the_meters_read_it(
    client: Client, case: Case
) -> None:
    answer = ask(client, case.path, case.content)
    assert answer.status == 200, answer.body
    assert answer.whole
    meter, kind, reading = metered(case.path, case.content, answer)
    assert kind is case.kind
    assert meter.complete
    assert (reading.usage, reading.usage_problem, reading.error) == (case.usage, None, None)
    assert reading.stop_reason == case.stop_reason


def test_embeddings_are_floats_or_base64_of_floats_as_asked(client: Client) -> None:
    asked = {**MODEL, "input": "hello", "dimensions": 4}
    floats = ask(client, "/v1/embeddings", asked).json["data"][0]["embedding"]
    assert floats == [0.5] * 4
    client.transport.clear()
    packed = ask(client, "/v1/embeddings", {**asked, "encoding_format": "base64"}).json
    assert base64.b64decode(packed["data"][0]["embedding"]) == b"\0\0\0\x3f" * 4


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v1/embeddings", {**MODEL, "input": ["a"] * 50, "dimensions": 4001}),
        (
            "/v1beta/models/demo:batchEmbedContents",
            {"requests": [{"content": {"parts": []}, "outputDimensionality": 4001}] * 50},
        ),
        ("/api/embed", {**MODEL, "input": ["a"] * 50, "dimensions": 4001}),
    ],
)
def test_more_vectors_than_a_few_megabytes_are_refused(
    client: Client, path: str, content: object
) -> None:
    answer = ask(client, path, content)
    assert answer.status == 400
    assert "All vectors together" in answer.body.decode()


def test_the_context_of_a_long_prompt_is_no_longer_than_a_window(client: Client) -> None:
    asked = {**MODEL, "prompt": "1234" * 5000, "stream": False}
    answer = ask(client, "/api/generate", asked).json
    assert (answer["prompt_eval_count"], len(answer["context"])) == (5004, 4096)


def test_images_on_the_way_are_numbered_and_come_before_the_whole_ones(client: Client) -> None:
    asked = {**MODEL, "prompt": "hello", "stream": True, "n": 2, "partial_images": 2}
    events = ask(client, "/v1/images/generations", asked).events
    assert [(name, data.get("partial_image_index")) for name, data in events] == [
        ("image_generation.partial_image", 0),
        ("image_generation.partial_image", 1),
        ("image_generation.completed", None),
        ("image_generation.completed", None),
    ]
    assert base64.b64decode(events[0][1]["b64_json"]).startswith(b"\x89PNG\r\n")


def test_the_events_of_an_edit_have_names_of_their_own(client: Client) -> None:
    events = ask(client, "/v1/images/edits", EDIT).events
    assert [name for name, _ in events] == ["image_edit.completed"]


def test_a_transcript_comes_as_plain_text_if_asked_for(client: Client) -> None:
    asked = form(("response_format", "text"), ("model", "demo"), file=b"x")
    answer = ask(client, "/v1/audio/transcriptions", asked)
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == TEXT + "\n"


@pytest.mark.parametrize(
    ("path", "content", "missing"),
    [
        ("/v1/audio/transcriptions", form(("stream", "true")), "model"),
        ("/v1/audio/transcriptions", MODEL, "multipart/form-data"),
        (
            "/v1/images/edits",
            form(("model", "demo"), ("prompt", "x"), ("n", "11")),
            "n has to be a number from 1 to 10",
        ),
    ],
)
def test_a_form_that_will_not_do_is_refused_by_name(
    client: Client, path: str, content: Any, missing: str
) -> None:
    answer = ask(client, path, content)
    assert answer.status == 400
    assert missing in answer.json["error"]["message"]


@pytest.mark.parametrize(("form", "kind"), [("mp3", "audio/wav"), ("pcm", "audio/pcm")])
def test_speech_is_a_wav_file_unless_only_samples_are_asked_for(
    client: Client, form: str, kind: str
) -> None:
    asked = {**MODEL, "input": "hello", "voice": "echo", "response_format": form}
    answer = ask(client, "/v1/audio/speech", asked)
    assert answer.fields["content-type"] == kind
    assert answer.body.startswith(b"RIFF") == (form == "mp3")
    assert len(answer.body) >= MADE * 1200


def test_counts_are_told_under_their_own_names(client: Client) -> None:
    assert ask(client, f"{MESSAGES}/count_tokens", {**MODEL, **PROMPT}).json == {"input_tokens": 6}
    client.transport.clear()
    nested = {"generateContentRequest": {"model": "models/demo", **PARTS}}
    assert ask(client, "/v1beta/models/demo:countTokens", nested).json["totalTokens"] == 6


@pytest.mark.parametrize("version", ["v1", "v1alpha", "v1beta"])
def test_gemini_is_spoken_in_every_version_of_its_path(client: Client, version: str) -> None:
    answer = ask(client, f"/{version}/models/demo%3AgenerateContent", PARTS)
    parts = answer.json["candidates"][0]["content"]["parts"]
    assert parts == [{"text": TEXT}]


def test_the_array_of_a_stream_is_json(client: Client) -> None:
    chunks = ask(client, STREAM, PARTS).json
    texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks]
    assert "".join(texts) == TEXT
    assert "candidatesTokenCount" not in chunks[0]["usageMetadata"]


@pytest.mark.parametrize(
    ("path", "content", "error"),
    [
        ("/v1beta/models/none:generateContent", PARTS, {"code": 404, "status": "NOT_FOUND"}),
        (GENERATE, {"contents": 7}, {"code": 400, "status": "INVALID_ARGUMENT"}),
        ("/v1beta/nothing", PARTS, {"code": 404, "status": "NOT_FOUND"}),
    ],
)
def test_gemini_refusals_have_its_shape(
    client: Client, path: str, content: object, error: dict[str, object]
) -> None:
    answer = ask(client, path, content)
    told = answer.json["error"]
    assert answer.status == error["code"]
    assert told.pop("message")
    assert told == error


@pytest.mark.parametrize("path", ["/api/chat", "/api/nothing"])
def test_ollama_refusals_are_words_alone(client: Client, path: str) -> None:
    answer = ask(client, path, {"model": "none", **PROMPT})
    assert answer.status == 404
    assert set(answer.json) == {"error"}
    assert isinstance(answer.json["error"], str)
