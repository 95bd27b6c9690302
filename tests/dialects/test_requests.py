"""Which request speaks which dialect, and what is seen in its body."""

from __future__ import annotations

import json

import pytest

from gateway.config.model import Family
from gateway.dialects import error_dialect_for_path, for_request
from gateway.dialects.base import BadRequest, Peek, Trouble
from gateway.record import ErrorCode

CHAT = for_request(Family.OPENAI, b"/v1/chat/completions")


@pytest.mark.parametrize(
    ("family", "path", "name"),
    [
        (Family.OPENAI, b"/v1/chat/completions", "openai_chat"),
        (Family.OPENAI, b"/base/chat/completions?api-version=1", "openai_chat"),
        (Family.OPENAI, b"/v1/chat/completions/", "openai_chat"),
        (Family.OPENAI, b"/v1/chat/completions/chatcmpl-7", "generic"),
        (Family.OPENAI, b"/v1/completions", "openai_completions"),
        (Family.OPENAI, b"/v1/responses", "openai_responses"),
        (Family.OPENAI, b"/v1/responses/compact", "openai_responses"),
        (Family.OPENAI, b"/v1/responses/resp_7?stream=true", "openai_responses"),
        (Family.OPENAI, b"/v1/responses/input_tokens", "generic"),
        (Family.OPENAI, b"/v1/responses/resp_7/cancel", "generic"),
        (Family.OPENAI, b"/v1/responses/resp_7/input_items", "generic"),
        (Family.OPENAI, b"/v1/embeddings", "openai_embeddings"),
        (Family.OPENAI, b"/v1/images/generations", "openai_images"),
        (Family.OPENAI, b"/v1/images/edits", "openai_images"),
        (Family.OPENAI, b"/v1/images/variations", "generic"),
        (Family.OPENAI, b"/v1/audio/transcriptions", "openai_transcription"),
        (Family.OPENAI, b"/v1/audio/translations", "openai_transcription"),
        (Family.OPENAI, b"/v1/audio/speech", "openai_speech"),
        (Family.OPENAI, b"/v1/models", "generic"),
        (Family.OPENAI, b"/v1/threads/t/messages", "generic"),
        (Family.OPENAI, b"/v1/models?x=/chat/completions", "generic"),
        (Family.ANTHROPIC, b"/v1/messages", "anthropic"),
        (Family.ANTHROPIC, b"/v1/messages?beta=true", "anthropic"),
        (Family.ANTHROPIC, b"/v1/messages/count_tokens?beta=true", "anthropic_count_tokens"),
        (Family.ANTHROPIC, b"/v1/messages/batches", "anthropic_batches"),
        (Family.ANTHROPIC, b"/v1/chat/completions", "generic"),
        (Family.GENERIC, b"/v1/chat/completions", "openai_chat"),
        (Family.GENERIC, b"/anything/messages", "anthropic"),
        (Family.GENERIC, b"/anything/embeddings", "openai_embeddings"),
        (Family.GENERIC, b"/anything", "generic"),
        (Family.GENERIC, b"/v1/messages/count_tokens", "anthropic_count_tokens"),
        (Family.GEMINI, b"/v1beta/models/m:generateContent", "gemini"),
        (Family.GEMINI, b"/v1beta/models/m:streamGenerateContent?alt=sse", "gemini"),
        (
            Family.GEMINI,
            b"/v1/projects/p/locations/l/publishers/g/models/m:countTokens",
            "gemini_count_tokens",
        ),
        (Family.GEMINI, b"/v1beta/models/m:embedContent", "gemini_embeddings"),
        (Family.GEMINI, b"/v1beta/models/m:batchEmbedContents", "gemini_embeddings"),
        (Family.GEMINI, b"/v1beta/models/m:batchGenerateContent", "generic"),
        (Family.GEMINI, b"/v1beta/models/m", "generic"),
        (Family.GEMINI, b"/v1beta/openai/chat/completions", "openai_chat"),
        (Family.OLLAMA, b"/api/chat", "ollama"),
        (Family.OLLAMA, b"/api/generate", "ollama"),
        (Family.OLLAMA, b"/api/embed", "ollama_embeddings"),
        (Family.OLLAMA, b"/api/embeddings", "ollama_embeddings"),
        (Family.OLLAMA, b"/api/pull", "generic"),
        (Family.OLLAMA, b"/v1/chat/completions", "openai_chat"),
        (Family.OLLAMA, b"/v1/messages", "anthropic"),
        (Family.BEDROCK, b"/model/m/converse", "bedrock"),
        (Family.BEDROCK, b"/model/m/converse-stream", "bedrock"),
        (Family.BEDROCK, b"/model/m/invoke-with-response-stream", "bedrock"),
        (Family.BEDROCK, b"/model/m/count-tokens", "generic"),
    ],
)
def test_family_and_end_of_the_path_name_the_dialect(
    family: Family, path: bytes, name: str
) -> None:
    dialect = for_request(family, path)
    assert dialect.name == name
    assert dialect.inspects == (name not in ("generic", "anthropic_batches"))


@pytest.mark.parametrize(
    ("family", "path", "shape"),
    [
        (Family.ANTHROPIC, b"/v1/messages/batches", b'{"type":"error",'),
        (Family.GEMINI, b"/v1beta/models/m", b'{"error":{"code":502,'),
        (Family.OPENAI, b"/v1/responses", b'{"error":{"message":'),
        (Family.OLLAMA, b"/api/pull", b'{"error":"'),
        (Family.BEDROCK, b"/model/m/count-tokens", b'{"__type":"'),
        (Family.GENERIC, b"/anything", b'{"error":{"message":'),
    ],
)
def test_endpoints_that_are_not_known_have_their_familys_errors(
    family: Family, path: bytes, shape: bytes
) -> None:
    trouble = Trouble(502, ErrorCode.RESET, "x")
    assert for_request(family, path).error_body(trouble).startswith(shape)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (b"/v1/messages", b'{"type":"error",'),
        (b"/v1/messages/count_tokens?beta=true", b'{"type":"error",'),
        (b"/v1beta/models/m:generateContent", b'{"error":{"code":404,'),
        (b"/v1/models/m:generateContent?key=k", b'{"error":{"code":404,'),
        (b"/v1/models/m", b'{"error":{"message":'),
        (b"/v1/chat/completions", b'{"error":{"message":'),
        (b"/", b'{"error":{"message":'),
        (b"", b'{"error":{"message":'),
    ],
)
def test_a_request_without_a_route_is_refused_in_its_paths_shape(path: bytes, shape: bytes) -> None:
    trouble = Trouble(404, ErrorCode.BAD_REQUEST, "x")
    assert error_dialect_for_path(path).error_body(trouble).startswith(shape)


# ---- peek ----


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", Peek()),
        (b'{"model":"m","stream":true}', Peek("m", True)),
        (b' \n{"stream": false, "messages": [{"model": 7}], "model": "m"}\n', Peek("m", False)),
        (b'{"model":null,"stream":null}', Peek()),
        (b'\xef\xbb\xbf{"model":"m"}', Peek("m")),
        (b'{"model":"m","prompt":"\\ud83d"}', Peek("m")),
        ('{"model":"modèle"}'.encode(), Peek("modèle")),
        (b'{"model":"m","prompt":"\xff"}', Peek("m")),
    ],
)
@pytest.mark.parametrize("family", [Family.OPENAI, Family.ANTHROPIC])
def test_model_and_stream_are_seen(family: Family, body: bytes, expected: Peek) -> None:
    """In one chunk and in many."""
    path = b"/v1/chat/completions" if family is Family.OPENAI else b"/v1/messages"
    dialect = for_request(family, path)
    assert dialect.peek([body]) == expected
    assert dialect.peek([body[i : i + 1] for i in range(len(body))]) == expected


def test_the_name_of_a_model_is_kept_within_bounds() -> None:
    assert CHAT.peek([json.dumps({"model": "m" * 9999}).encode()]).model == "m" * 256


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{model=secret", "cannot be read as JSON: JSON is malformed: object keys must be str"),
        (b'{"model": "secret', "cannot be read as JSON: Input data was truncated"),
        (b'{"a": secret}', "invalid character (byte 6)"),
        (b'{"p":"\\ud83d", "a": secret}', "invalid character (byte 20)"),
        (b'{"a": 1} secret', "trailing characters"),
        (b'["secret"]', "Expected `object`, got `array`"),
        (b'{"model": 7}', "Expected `str | null`, got `int` - at `$.model`"),
        (b'{"model": {"secret": 1}}', "got `object` - at `$.model`"),
        (b'{"stream": "secret"}', "Expected `bool | null`, got `str` - at `$.stream`"),
        (b'{"stream": 1}', "at `$.stream`"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b"{\x28\xb5\x2f\xfd secret", "cannot be read as JSON"),
    ],
)
def test_a_body_that_cannot_be_understood_is_refused_with_the_place(body: bytes, told: str) -> None:
    """And the refusal repeats nothing of what the body says."""
    with pytest.raises(BadRequest) as refused:
        CHAT.peek([body])
    text = str(refused.value)
    assert text.startswith("the request body ")
    assert told in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "body",
    [
        b"model=m&stream=true",
        b"\x28\xb5\x2f\xfdzstd",
        b'"text"',
        b"null",
        b" \r\n--boundary",
        b"\xff",
    ],
)
@pytest.mark.parametrize("lead", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
def test_a_body_that_does_not_begin_as_json_passes_unseen(body: bytes, lead: bytes) -> None:
    """Whatever media type it came under: what it means is the upstream's to judge."""
    assert CHAT.peek([lead + body]) == Peek()
    known = Peek("m", stream=True, replay=True)
    assert CHAT.peek([lead, body], known) == known


@pytest.mark.parametrize("body", [b"{}", b'{"stream":false}', b'{"model":null}'])
def test_a_body_takes_nothing_back_of_what_the_target_told(body: bytes) -> None:
    known = Peek("m", stream=True, replay=True)
    assert CHAT.peek([body], known) == known


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (b'{"include_usage":true}', True),
        (b'{ "x": [1], "include_usage" : true }', True),
        (b'{"include_usage":false}', False),
        (b'{"include_usage":null}', False),
        (b'{"include_usage":1}', False),
        (b"{}", False),
        (b"null", False),
        (b'"include_usage"', False),
        (b"[true]", False),
    ],
)
def test_it_is_seen_whether_the_client_asked_for_usage_itself(options: bytes, asked: bool) -> None:
    """A14: what is not as it should be is the upstream's to refuse."""
    body = b'{"stream":true,"stream_options":%b}' % options
    assert CHAT.peek([body]) == Peek(stream=True, include_usage=asked)


def test_a_body_that_is_not_inspected_may_be_anything() -> None:
    generic = for_request(Family.OPENAI, b"/v1/files")
    assert generic.peek([b"--boundary\r\n"]) == Peek()
