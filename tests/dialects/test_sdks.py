"""The official Python SDKs read what the gateway says itself: no network, only their parsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anthropic
import httpx2
import openai
import pytest

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import FRESH, Dialect, Peek, Standing, Trouble
from gateway.dialects.multipart import MultipartPeek
from gateway.record import ErrorCode
from gateway.sse import EventScanner

from .streams import (
    BLOCK,
    CREATED,
    DELTAS,
    DONE,
    MESSAGE_STOP,
    START_USAGE,
    chunk,
    completed,
    event,
    image,
    message_delta,
    message_start,
    usage_chunk,
)

CHAT = for_request(Family.OPENAI, b"/v1/chat/completions")
MESSAGES = for_request(Family.ANTHROPIC, b"/v1/messages")
RESPONSES = for_request(Family.OPENAI, b"/v1/responses")
IMAGES = for_request(Family.OPENAI, b"/v1/images/edits")
TRANSCRIPTION = for_request(Family.OPENAI, b"/v1/audio/transcriptions")
CUT = Trouble(502, ErrorCode.TRUNCATED, "the upstream was cut")

CHAT_STREAM = chunk("Hi") + chunk(" there") + chunk(reason="stop") + usage_chunk({}) + DONE
MESSAGE = message_start(START_USAGE) + BLOCK + message_delta({"output_tokens": 12}) + MESSAGE_STOP


def chat(stream: bytes) -> Iterator[str]:
    """The texts that OpenAI's SDK sees."""
    client = openai.OpenAI(
        api_key="none", http_client=openai.DefaultHttpxClient(transport=_answer(stream))
    )
    for part in client.chat.completions.create(model="m", messages=[], stream=True):
        yield from (choice.delta.content or "" for choice in part.choices)


def messages(stream: bytes) -> Iterator[str]:
    """The types of the events that Anthropic's SDK sees."""
    client = anthropic.Anthropic(
        api_key="none", http_client=anthropic.DefaultHttpxClient(transport=_answer(stream))
    )
    for part in client.messages.create(model="m", max_tokens=1, messages=[], stream=True):
        yield part.type


def openai_client(stream: bytes) -> openai.OpenAI:
    """OpenAI's SDK, to which every answer is this stream."""
    return openai.OpenAI(
        api_key="none", http_client=openai.DefaultHttpxClient(transport=_answer(stream))
    )


def responses(stream: bytes) -> Iterator[str]:
    """The types of the events that OpenAI's SDK sees of a response."""
    for part in openai_client(stream).responses.create(model="m", input="x", stream=True):
        yield part.type


def helped_responses(stream: bytes) -> Iterator[str]:
    """The same through the SDK's helper, which puts the response together."""
    with openai_client(stream).responses.stream(model="m", input="x") as parts:
        for part in parts:
            yield part.type


def images(stream: bytes) -> Iterator[str]:
    """The types of the events that OpenAI's SDK sees of an image."""
    for part in openai_client(stream).images.edit(
        image=b"x", prompt="x", model="img-1", stream=True
    ):
        yield part.type


def transcript(stream: bytes) -> Iterator[str]:
    """The types of the events that OpenAI's SDK sees of a transcription."""
    for part in openai_client(stream).audio.transcriptions.create(
        file=b"x", model="m", stream=True
    ):
        yield part.type


def _answer(stream: bytes) -> httpx2.MockTransport:
    head = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx2.MockTransport(lambda request: httpx2.Response(200, headers=head, content=stream))


def with_beats(stream: bytes, early: bytes, late: bytes) -> bytes:
    """The stream with a beat wherever the scanner allows one, in reads of 7 bytes."""
    scanner = EventScanner()
    out = b""
    for at in range(0, len(stream), 7):
        if scanner.injectable:
            out += late if scanner.saw_id else early
        out += scanner.feed(stream[at : at + 7])
    return out


@pytest.mark.parametrize("ids", [False, True])
def test_beats_do_not_disturb_openais_sdk(ids: bool) -> None:
    """K4: before the first event, between any two, and after an ``id`` line."""
    stream = CHAT_STREAM.replace(b"data: {", b"id: 7\ndata: {") if ids else CHAT_STREAM
    early = CHAT.keepalive(Standing(started=False, after_id=False))
    late = CHAT.keepalive(Standing(started=True, after_id=True))
    assert list(chat(with_beats(stream, early, late))) == list(chat(CHAT_STREAM))
    assert list(chat(CHAT_STREAM)) == ["Hi", " there", ""]


def test_beats_do_not_disturb_anthropics_sdk() -> None:
    """K4: before the first event and between any two."""
    beat = MESSAGES.keepalive(Standing(started=True, after_id=True))
    seen = list(messages(with_beats(MESSAGE, beat, beat)))
    assert seen == list(messages(MESSAGE))
    assert seen[0] == "message_start"
    assert seen[-1] == "message_stop"


def test_openais_sdk_raises_at_an_error_event() -> None:
    """E9: after what came before it."""
    seen = chat(chunk("Hi") + b": keepalive\n" + CHAT.error_event(CUT))
    assert next(seen) == "Hi"
    with pytest.raises(openai.APIError, match="the upstream was cut"):
        next(seen)


def test_anthropics_sdk_raises_at_an_error_event() -> None:
    """E9: after what came before it."""
    seen = messages(message_start(START_USAGE) + MESSAGES.error_event(CUT))
    assert next(seen) == "message_start"
    with pytest.raises(anthropic.APIStatusError, match="the upstream was cut"):
        next(seen)


RESPONSE = CREATED + event({"type": "response.in_progress", "sequence_number": 1, "response": {
    "id": "resp_7", "status": "in_progress", "output": []}}) + completed(2)  # fmt: skip
IMAGE_STREAM = image(partial=True) + image()
TRANSCRIPT = event({"type": "transcript.text.delta", "delta": "a"}) + event(
    {"type": "transcript.text.done", "text": "a"}
)


def spoken_into(stream: bytes, dialect: Dialect) -> bytes:
    """The stream with a beat wherever the scanner allows one, each as the dialect says then."""
    scanner, meter, out = EventScanner(), dialect.stream_meter(), b""
    for at in range(0, len(stream), 7):
        if scanner.injectable:
            standing = Standing(
                started=scanner.first_event_seen, after_id=scanner.saw_id, reading=meter.reading()
            )
            out += dialect.keepalive(standing)
        block = scanner.feed(stream[at : at + 7])
        meter.feed(block)
        out += block
    return out


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("sdk", [responses, helped_responses])
def test_beats_do_not_disturb_openais_sdk_in_a_response(
    sdk: Callable[[bytes], Iterator[str]], ids: bool
) -> None:
    """K7: raw and helped; before ``response.created`` and after it."""
    stream = RESPONSE.replace(b"data: {", b"id: 7\ndata: {") if ids else RESPONSE
    seen = list(sdk(spoken_into(stream, RESPONSES)))
    assert [kind for kind in seen if kind != "keepalive"] == list(sdk(RESPONSE))
    assert seen[0] == "response.created"
    assert seen.count("keepalive") > 1


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize(
    ("sdk", "dialect", "stream"),
    [(images, IMAGES, IMAGE_STREAM), (transcript, TRANSCRIPTION, TRANSCRIPT)],
)
def test_beats_do_not_disturb_openais_sdk_in_images_and_transcripts(
    sdk: Callable[[bytes], Iterator[str]], dialect: Dialect, stream: bytes, ids: bool
) -> None:
    """K7: comments only."""
    given = stream.replace(b"data: {", b"id: 7\ndata: {") if ids else stream
    spoken = spoken_into(given, dialect)
    assert spoken.count(b": keepalive") > 2
    assert list(sdk(spoken)) == list(sdk(stream))


@pytest.mark.parametrize("sdk", [responses, helped_responses])
@pytest.mark.parametrize("came", [b"", CREATED, CREATED + DELTAS[: DELTAS.index(b"\n\n") + 2]])
def test_openais_sdk_raises_at_the_failure_of_a_response(
    sdk: Callable[[bytes], Iterator[str]], came: bytes
) -> None:
    """E9: raw and helped, and also where nothing came before it but a beat."""
    meter = RESPONSES.stream_meter()
    meter.feed(came)
    standing = Standing(started=bool(came), reading=meter.reading())
    seen = sdk(came + RESPONSES.keepalive(FRESH) + RESPONSES.error_event(CUT, standing))
    for _ in range(came.count(b"\n\n")):
        next(seen)
    with pytest.raises(openai.APIError, match="the upstream was cut"):
        next(seen)


@pytest.mark.parametrize(("sdk", "dialect"), [(images, IMAGES), (transcript, TRANSCRIPTION)])
def test_openais_sdk_raises_at_the_failure_of_an_image_and_of_a_transcript(
    sdk: Callable[[bytes], Iterator[str]], dialect: Dialect
) -> None:
    """E9: at the event that chat has, too."""
    with pytest.raises(openai.APIError, match="the upstream was cut"):
        list(sdk(b": keepalive\n\n" + dialect.error_event(CUT)))


@pytest.mark.parametrize("streams", [False, True])
def test_a_form_as_openais_sdk_writes_it_is_read(streams: bool) -> None:
    """K2: an image to be edited, with its fields."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        request.read()
        asked.append(request)
        return httpx2.Response(400, json={"error": {"message": "seen"}})

    client = openai.OpenAI(
        api_key="none",
        http_client=openai.DefaultHttpxClient(transport=httpx2.MockTransport(answer)),
    )
    with pytest.raises(openai.BadRequestError):
        client.images.edit(
            image=("model.png", b"x" * 9000), prompt="x", model="img-1", stream=streams
        )
    peek = MultipartPeek(asked[0].headers["content-type"].encode())
    peek.feed(asked[0].content)
    assert peek.peek == Peek("img-1", stream=streams)
