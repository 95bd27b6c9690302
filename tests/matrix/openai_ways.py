"""OpenAI's endpoints, each in the ways in which it answers."""

from __future__ import annotations

from typing import Any, Final

from gateway.config.model import Family
from gateway.record import Usage
from tests.dialects.streams import (
    DONE,
    IMAGE_USAGE,
    RESPONSE_USAGE,
    USAGE,
    chunk,
    completed,
    event,
    image,
    numbered,
    response,
    usage_chunk,
)
from tests.matrix.clients import OPENAI, RESPONSES
from tests.matrix.way import PROMPT, End, Shape, Way, comment, halves, numbered_keepalive
from tests.world import post

_OPENAI_USAGE: Final = Usage(19, 8, 2, None, 40, 32)
_OPENAI_ERROR: Final = event({"error": {"message": "It broke.", "type": "engine", "code": None}})
_CHOICE: Final = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
_AUDIO_USAGE: Final = {"type": "tokens", "input_tokens": 14, "output_tokens": 45}
_FORM: Final = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n%b'
    b"--b--\r\n"
)
_STREAM_FIELD: Final = b'--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n'


def _form(path: str, body: bytes) -> bytes:
    json_type = b"Content-Type: application/json"
    return post(path, body).replace(json_type, b"Content-Type: multipart/form-data; boundary=b")


def _openai(
    name: str, path: str, body: str, *pieces: bytes, streams: bool = True, **more: Any
) -> Way:
    """One of OpenAI's ways: an event stream with comments for beats, or else one JSON object."""
    more.setdefault("request", post(path, body.encode()))
    more.setdefault("errors", OPENAI)
    if streams:
        more = {
            "ends": End.EVENT, "beat": comment, "error_piece": _OPENAI_ERROR,
            "media_type": b"text/event-stream", **more,
        }  # fmt: skip
    return Way(
        id=name if streams else f"{name} whole",
        name=name,
        family=Family.OPENAI,
        shape=Shape.EVENTS if streams else Shape.BODY,
        pieces=pieces,
        streams=streams,
        **{"media_type": b"application/json", **more},
    )


WAYS: Final = (
    _openai(
        "openai_chat", "/v1/chat/completions", f'{{"model":"m","stream":true,{PROMPT}}}',
        chunk("Hi"), chunk(" you"), chunk(reason="stop"), usage_chunk(USAGE), DONE,
        usage=_OPENAI_USAGE, stop_reason="stop", whole="openai_chat whole",
    ),
    _openai(
        "openai_chat", "/v1/chat/completions", f'{{"model":"m",{PROMPT}}}',
        *halves({"id": "c1", "model": "small-1", "choices": [_CHOICE], "usage": USAGE}),
        streams=False, usage=_OPENAI_USAGE, stop_reason="stop",
    ),
    _openai(
        "openai_completions", "/v1/completions", '{"model":"m","stream":true,"prompt":"Hi"}',
        chunk("Hi"), chunk(" you"), chunk(reason="length"), usage_chunk(USAGE), DONE,
        usage=_OPENAI_USAGE, stop_reason="length",
    ),
    _openai(
        "openai_responses", "/v1/responses", '{"model":"m","stream":true,"input":"Hi"}',
        numbered("response.created", 0, response=response()),
        numbered("response.output_text.delta", 1, delta="Hi"),
        completed(2),
        beat=numbered_keepalive, errors=RESPONSES, whole="openai_responses whole",
        error_piece=numbered("error", 1, code="engine", message="It broke.", param=None),
        usage=Usage(36, 20, 4, None, 87, 64), stop_reason="completed",
    ),
    _openai(
        "openai_responses", "/v1/responses", '{"model":"m","input":"Hi"}',
        *halves({"id": "resp_7", "status": "completed", "usage": RESPONSE_USAGE}),
        streams=False, usage=Usage(36, 20, 4, None, 87, 64), stop_reason="completed",
    ),
    _openai(
        "openai_images", "/v1/images/generations", '{"model":"m","stream":true,"prompt":"Hi"}',
        image(partial=True), image(partial=True), image(),
        ends=End.EVENT_AND_HTTP, usage=Usage(input_tokens=50, output_tokens=60),
    ),
    _openai(
        "openai_images", "/v1/images/generations", '{"model":"m","prompt":"Hi"}',
        *halves({"data": [{"b64_json": "aGk="}], "usage": IMAGE_USAGE}),
        streams=False, usage=Usage(input_tokens=50, output_tokens=60),
    ),
    _openai(
        "openai_transcription", "", "",
        event({"type": "transcript.text.delta", "delta": "Hi"}),
        event({"type": "transcript.text.delta", "delta": " you"}),
        event({"type": "transcript.text.done", "text": "Hi you", "usage": _AUDIO_USAGE}),
        request=_form("/v1/audio/transcriptions", _FORM % _STREAM_FIELD),
        goes_by=True, usage=Usage(input_tokens=14, output_tokens=45),
    ),
    _openai(
        "openai_transcription", "", "",
        b"Hi", b" " * 100, b"you",
        request=_form("/v1/audio/transcriptions", _FORM % b""),
        media_type=b"text/plain", streams=False, goes_by=True,
    ),
    _openai(
        "openai_speech", "/v1/audio/speech", '{"model":"m","stream_format":"sse","input":"Hi"}',
        event({"type": "speech.audio.delta", "audio": "aGk="}),
        event({"type": "speech.audio.delta", "audio": "aGo="}),
        event({"type": "speech.audio.done", "usage": _AUDIO_USAGE}),
        usage=Usage(input_tokens=14, output_tokens=45),
    ),
    _openai(
        "openai_speech", "/v1/audio/speech", '{"model":"m","input":"Hi"}',
        b"ID3\x04", b"\xff\xf3" * 50, b"\xff\xf3", media_type=b"audio/mpeg", streams=False,
    ),
    _openai(
        "openai_embeddings", "/v1/embeddings", '{"model":"m","input":"Hi"}',
        *halves({"data": [], "model": "e-1", "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
        streams=False, usage=Usage(input_tokens=8),
    ),
)  # fmt: skip
