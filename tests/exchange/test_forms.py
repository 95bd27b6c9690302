"""Forms with ``stream`` among their fields, which are passed on while they come."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import KeepaliveMode
from tests.canaries import CLIENTS_KEY
from tests.matrix.dialects import WAYS
from tests.world import LAST, SSE_HEAD, World, chunked, post

TRANSCRIPTION = WAYS["openai_transcription"]
COMMENT = b": keepalive\n\n"
AUDIO = b"RIFF" + b"\x00\r\n--a" * 20_000


def part(name: str, value: bytes, more: str = "") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name.encode(),
        more.encode(),
        value,
    )


MODEL, STREAM = part("model", b"whisper"), part("stream", b"true")
FILE = part("file", AUDIO, '; filename="a.wav"')


def form(*parts: bytes, path: str = "/v1/audio/transcriptions") -> tuple[bytes, bytes]:
    """Head and body of a form's request."""
    request = post(path, b"".join(parts) + b"--b--\r\n")
    head, mark, body = request.partition(b"\r\n\r\n")
    json_type = b"Content-Type: application/json"
    return head.replace(json_type, b"Content-Type: multipart/form-data; boundary=b") + mark, body


def world(**route: Any) -> World:
    return World(**{"keepalive_after": 5.0, "keepalive_interval": 15.0, **route})


@pytest.mark.parametrize("order", [(MODEL, STREAM, FILE), (FILE, MODEL, STREAM)])
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/audio/transcriptions", TRANSCRIPTION.pieces),
        ("/v1/images/edits", WAYS["openai_images"].pieces),
    ],
)
def test_what_a_form_asks_for_is_seen_while_it_goes_by(
    path: str, answer: tuple[bytes, ...], order: tuple[bytes, ...]
) -> None:
    """K2, D10: before the file or behind it; the upstream gets the form as it is."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE)
    head, body = form(*order, path=path)
    client = w.client().send(head)
    for at in range(0, len(body), 10_000):
        w.clock.advance(0)
        assert client.raw() == b"", "something was said before it was known what is asked for"
        client.send(body[at : at + 10_000])
    assert w.up.read().partition(b"\r\n\r\n")[2] == body
    w.clock.advance(0)
    assert client.response().body == COMMENT
    w.up.deliver(SSE_HEAD + chunked(*answer) + LAST)
    assert client.response().body == COMMENT + b"".join(answer)
    intent = w.record.intent
    assert (intent.model_requested, intent.stream) == ("whisper", True)
    assert intent.request_bytes == len(body)


def test_a_client_that_names_its_own_key_as_the_model_of_a_form_does_not_have_it_kept() -> None:
    """H8: as the model of any other body."""
    w = world()
    key = "a-key-like-no-other"
    head, body = form(part("model", key.encode()), FILE)
    head = head.replace(CLIENTS_KEY.encode(), key.encode())
    w.client().send(head + body)
    w.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    model = w.record.intent.model_requested
    assert model is not None
    assert key not in model


def test_a_delay_counts_from_the_end_of_the_form() -> None:
    """K1: an upload of minutes is no silence of the upstream's."""
    w = world()
    head, body = form(MODEL, STREAM, FILE)
    client = w.client().send(head + body[:-5])
    w.clock.advance(8)
    client.send(body[-5:])
    w.clock.advance(4.9)
    assert client.raw() == b""
    w.clock.advance(0.1)
    assert client.response().body == COMMENT
    w.clock.advance(15)
    assert client.response().body == COMMENT * 2
    w.up.reset()
    assert client.response().whole
    assert (w.record.error, w.record.keepalives) == ("reset", 2)


@pytest.mark.parametrize(
    "fields", [(MODEL,), (MODEL, part("stream", b"false")), (MODEL, part("x", b"true"))]
)
def test_a_form_that_asks_for_no_stream_is_untouched(fields: tuple[bytes, ...]) -> None:
    """K6: however long it takes."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE)
    head, body = form(*fields, FILE)
    client = w.client().send(head + body)
    w.clock.advance(100)
    assert client.raw() == b""
    w.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nHi")
    assert client.response().body == b"Hi"
    assert (w.record.outcome, w.record.intent.stream) == ("finished", False)


def test_an_answer_that_comes_before_the_form_is_whole_is_the_answer() -> None:
    """K4, D10: a stream is not begun any more."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE)
    head, body = form(MODEL, STREAM, FILE)
    client = w.client().send(head + body[:1000])
    w.up.deliver(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
    w.clock.advance(100)
    assert (client.response().status, client.response().body) == (413, b"{}")
    assert (w.record.outcome, w.record.keepalives) == ("finished", 0)


def test_nothing_is_said_into_an_answer_that_began_before_the_form_was_whole() -> None:
    """K4: whose head was not waited for."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE)
    head, body = form(MODEL, STREAM, FILE)
    client = w.client().send(head + body[:-5])
    w.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nHi")
    client.send(body[-5:])
    w.clock.advance(100)
    w.up.deliver(b"ya")
    assert (client.response().body, client.response().whole) == (b"Hiya", True)
    assert w.record.keepalives == 0


def test_a_stream_that_the_target_tells_is_spoken_into_though_the_body_goes_by() -> None:
    """K2: once all of it has gone by."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE, inspect_limit=10)
    request = WAYS["gemini"].request
    client = w.client().send(request[:-1])
    w.clock.advance(1)
    assert client.raw() == b""
    client.send(request[-1:])
    w.clock.advance(0)
    w.up.deliver(SSE_HEAD + chunked(*WAYS["gemini"].pieces) + LAST)
    assert client.response().body == b"".join((b"\n", *WAYS["gemini"].pieces))
    assert w.record.keepalives == 1


def test_a_form_that_is_compressed_is_not_looked_into() -> None:
    """K6: it goes on as it is."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE)
    head, body = form(MODEL, STREAM, FILE)
    client = w.client().send(head[:-2] + b"Content-Encoding: gzip\r\n\r\n" + body)
    w.clock.advance(100)
    assert client.raw() == b""
    w.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert (w.record.intent.model_requested, w.record.intent.stream) == (None, False)
