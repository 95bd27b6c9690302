"""The look into requests: bounded work, whatever is sent."""

from __future__ import annotations

import gzip

import pytest

from tests.transcripts import CHAT_EVENTS
from tests.world import BUFFER, LAST, SSE_HEAD, World, chunked, post

PATH = "/v1/chat/completions"


def compressed(body: bytes, behind: bytes = b"") -> bytes:
    return post(PATH, gzip.compress(body) + behind, "Content-Encoding: gzip")


def test_what_follows_a_compressed_body_is_refused_and_not_read_again_and_again() -> None:
    """H2: zlib would copy all of it with each further piece."""
    world = World()
    response = world.client().send(compressed(b'{"model":"m"}', b"\0" * 10)).response()
    assert response.status == 400
    assert b"follows the end" in response.body


@pytest.mark.parametrize("size", [2_000_000, 20_000_000])
def test_a_bomb_is_a_413(size: int) -> None:
    """H2: nothing becomes a hundred times as long, but for short bodies."""
    world = World(max_body=1 << 30, inspect_limit=1 << 30)
    body = b'{"model":"m","x":"' + b"y" * size + b'"}'
    assert world.client().send(compressed(body)).response().status == 413
    assert world.record.error == "body_too_large"


def test_a_compressed_prompt_is_looked_into_and_goes_on_as_it_came() -> None:
    """D9: it is decoded for the look alone."""
    world = World()
    body = b'{"model":"m","stream":true,"x":"' + b"".join(b"%d " % n for n in range(50_000)) + b'"}'
    request = compressed(body)
    world.client().send(request)
    assert world.up.read().endswith(request.partition(b"\r\n\r\n")[2])
    assert world.ledger.intents[0].model_requested == "m"


def test_a_form_that_asks_for_a_stream_hears_keepalives_once_it_is_whole() -> None:
    """K2, K5: also where it is whole before the upstream is there; and no timer stays behind."""
    world = World(keepalive_after=1.0, keepalive_interval=1.0)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n--b--\r\n'
    )
    request = (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%b"
    ) % (len(form), form)
    client = world.client()
    for _ in range(3):
        world.ledger.hold = True
        client.send(request)
        world.ledger.release()
        world.clock.pump([0.5] * 5)
        end = b'event: transcript.text.done\ndata: {"type":"transcript.text.done"}\n\n'
        world.up.deliver(SSE_HEAD + chunked(end) + LAST)
        world.clock.advance(0)
    assert [(r.intent.model_requested, r.intent.stream) for r in world.ledger.records] == [
        ("m", True)
    ] * 3
    assert [record.keepalives for record in world.ledger.records] == [2] * 3
    client.wire.lose()
    world.clock.advance(60)
    assert world.idle()


def test_usage_that_the_client_did_not_ask_for_is_counted_and_kept_from_it() -> None:
    """A14: and asked of the upstream."""
    world = World(usage_injection=True)
    client = world.client().send(post(PATH, b'{"model":"m","stream":true,"messages":[]}'))
    sent = world.up.read().partition(b"\r\n\r\n")[2]
    assert b'"stream_options":{"include_usage":true}' in sent
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n\n'
    events = [event for event in CHAT_EVENTS if b'"choices":[]' not in event]
    world.up.deliver(SSE_HEAD + chunked(*events[:-1], usage, events[-1]) + LAST)
    assert client.response().body == b"".join(events)
    assert world.record.usage.output_tokens == 3


def test_a_prompt_that_was_edited_is_written_as_the_upstream_takes_it() -> None:
    """D5: no more than a buffer waits in the transport."""
    world = World(usage_injection=True)
    client = world.client().send(post(PATH, b"{}"))
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    world.up.read()
    world.up.stalled = True  # it is asked again, and takes nothing
    body = b'{"model":"m","stream":true,"stream_options":{},"x":"' + b"y" * 1_000_000 + b'"}'
    client.send(post(PATH, body))
    assert len(world.up.unread) < 3 * BUFFER
    assert world.budget.held == len(body)


def test_many_words_that_look_like_the_option_are_read_once() -> None:
    """H2: only the outermost member counts, however often its name stands further in."""
    world = World(usage_injection=True)
    inner = b'{"stream_options":null},' * 2000
    body = b'{"a":[' + inner + b'0],"model":"m","stream":true,"stream_options":null}'
    world.client().send(post(PATH, body))
    sent = world.up.read().partition(b"\r\n\r\n")[2]
    assert sent == body[:-5] + b'{"include_usage":true}}'


def test_an_option_that_stands_among_a_million_others_is_not_searched_for() -> None:
    """H2: the request goes on as it came."""
    world = World(usage_injection=True)
    inner = b'{"stream_options":{}},' * 100
    body = b'{"a":[%b0],"stream":true,"stream_options":{},"b":[%b0]}' % (inner, inner)
    world.client().send(post(PATH, body))
    assert world.up.read().endswith(body)
