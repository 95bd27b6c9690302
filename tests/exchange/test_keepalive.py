"""What is said into a silent stream, when, and when nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionRefusedError as Refused

from gateway.config.model import KeepaliveMode
from gateway.exchange.relay import COLLECTED
from gateway.sse import BOM
from tests.transcripts import CHAT_BODY, CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import CHAT, CHAT_WHOLE, LAST, MESSAGES, SSE_HEAD, World, chunked, until_paused

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
COMMENT = b": keepalive\n\n"
BOTH = [(CHAT, COMMENT, CHAT_EVENTS), (MESSAGES, PING, MESSAGES_EVENTS)]


def world(**route: Any) -> World:
    return World(**{"keepalive_after": 10.0, "keepalive_interval": 15.0} | route)


@pytest.mark.parametrize(("request_", "beat", "events"), BOTH)
def test_delayed_says_nothing_before_its_time_and_then_beats(
    request_: bytes, beat: bytes, events: tuple[bytes, ...]
) -> None:
    """K1: the first beat commits the head; then one an interval; then the real stream."""
    w = world()
    client = w.client().send(request_)
    w.clock.advance(9.9)
    assert client.raw() == b""
    w.clock.advance(0.1)
    response = client.response()
    assert (response.status, response.body) == (200, beat)
    assert response.get(b"content-type") == b"text/event-stream; charset=utf-8"
    assert response.get(b"cache-control") == b"no-cache, no-transform"
    assert response.get(b"x-accel-buffering") == b"no"
    w.clock.advance(15)
    w.up.deliver(SSE_HEAD + chunked(*events) + LAST)
    response = client.response()
    assert response.body == beat * 2 + b"".join(events)
    assert response.whole
    assert (w.record.keepalives, w.record.outcome) == (2, "finished")


def test_an_error_that_comes_before_the_first_beat_keeps_its_status() -> None:
    """K1: a 429 is a 429."""
    w = world()
    client = w.client().send(CHAT)
    w.clock.advance(9)
    body = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'
    w.up.deliver(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    response = client.response()
    assert (response.status, response.body) == (429, body)
    assert response.get(b"retry-after") == b"120"
    assert (w.record.outcome, w.record.status_upstream) == ("finished", 429)


def test_immediate_begins_the_stream_once_the_intent_is_written() -> None:
    """K2: head and first beat before the upstream has even been reached."""
    w = world(keepalive=KeepaliveMode.IMMEDIATE)
    w.ledger.hold = True
    w.never_connect()
    client = w.client().send(CHAT)
    w.clock.advance(0)
    assert client.raw() == b""
    w.ledger.release()
    w.clock.advance(0)
    assert client.response().body == COMMENT


DOWN = b'{"error":{"message":"it is down","type":"rate_limit_error"}}'
ANSWERS = [
    (b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n%b" % (len(DOWN), DOWN), "http_error"),
    (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "http_error"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "not_sse",
    ),
    (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "not_sse"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not_sse"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", "not_sse"),
]


@pytest.mark.parametrize(("answer", "code"), ANSWERS)
@pytest.mark.parametrize(("request_", "beat"), [case[:2] for case in BOTH])
def test_after_the_commit_any_other_answer_is_one_error_event(
    request_: bytes, beat: bytes, answer: bytes, code: str
) -> None:
    """K3: 4xx, 5xx, JSON, HTML, empty: one error event, a whole last chunk, close."""
    w = world()
    client = w.client().send(request_)
    w.clock.advance(10)
    w.up.deliver(answer)
    if not w.ledger.records:
        w.up.lose()  # the close-delimited answer
    response = client.response()
    assert response.body.startswith(beat)
    error = response.body.removeprefix(beat)
    assert error.count(b"data: ") == 1
    assert error.count(b"\n\n") == 1
    assert b"error" in error
    assert response.whole
    w.clock.advance(0)
    assert client.wire.lost
    assert (w.record.outcome, w.record.error) == ("upstream_failed", code)


def test_the_error_event_says_what_the_upstream_said() -> None:
    """K3: its own type and message."""
    w = world()
    client = w.client().send(CHAT)
    w.clock.advance(10)
    w.up.deliver(b"HTTP/1.1 429 Slow\r\nContent-Length: %d\r\n\r\n%b" % (len(DOWN), DOWN))
    error = client.response().body.removeprefix(COMMENT)
    assert b"it is down" in error
    assert b"rate_limit_error" in error
    assert w.record.status_upstream == 429
    assert w.record.status_sent == 200
    assert w.record.error_detail == "it is down"


def test_an_answer_without_end_is_told_once_enough_of_it_is_there() -> None:
    """K3: the client does not wait for a deadline, nor does the row."""
    w = world()
    client = w.client().send(CHAT)
    w.clock.advance(10)
    w.up.deliver(b"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\n\r\n")
    for _ in range(COLLECTED // 1000):
        w.up.deliver(b"x" * 1000)
    assert not w.ledger.records
    w.up.deliver(b"x" * 1000)
    assert b"error" in client.response().body
    assert client.response().whole
    assert w.up.aborted
    assert (w.record.outcome, w.record.error) == ("upstream_failed", "http_error")
    w.clock.advance(0)
    assert w.idle()


def test_what_an_answer_in_place_of_a_stream_took_is_counted() -> None:
    """K3, A8: it is told as an error, and has its price all the same."""
    w = world()
    client = w.client().send(CHAT)
    w.clock.advance(10)
    length = b"Content-Length: %d" % len(CHAT_BODY)
    w.up.deliver(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%b\r\n\r\n" % length + CHAT_BODY
    )
    assert client.response().body.count(b"data: ") == 1
    record = w.record
    assert (record.error, record.stop_reason, record.model_served) == ("not_sse", "stop", "m-1")
    assert (record.usage.input_tokens, record.usage.output_tokens) == (9, 3)
    assert record.usage_source == "provider"


def test_an_answer_that_drips_does_not_keep_the_client_from_its_keepalives() -> None:
    """K3, E2: nothing of it is passed on, so it counts as silence, and for no longer than that."""
    w = world(idle_timeout=60.0)
    client = w.client().send(CHAT)
    w.clock.advance(10)
    w.up.deliver(b"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\n\r\n")
    for _ in range(59):
        w.clock.advance(1)
        w.up.deliver(b"x")
    assert client.response().body == COMMENT * 4
    w.clock.advance(1)
    assert b"error" in client.response().body
    assert (w.record.outcome, w.record.error) == ("timed_out", "idle_timeout")


def test_a_connection_refused_after_the_commit_is_one_error_event() -> None:
    """K3: the stream that we began is not left hanging."""
    w = world(keepalive_after=5.0)
    w.never_connect()
    client = w.client().send(CHAT)
    w.clock.advance(5)
    assert client.response().body == COMMENT
    w.endpoint.waiting[0][0].errback(Refused())
    assert b"error" in client.response().body
    assert client.response().whole


@pytest.mark.parametrize(("request_", "beat", "events"), BOTH)
def test_a_real_byte_resets_the_timer_and_no_beat_follows_the_end(
    request_: bytes, beat: bytes, events: tuple[bytes, ...]
) -> None:
    """K4: the silence is counted from the last byte, to the second; nothing runs after the end."""
    w = world()
    client = w.client().send(request_)
    w.up.deliver(SSE_HEAD + chunked(events[0]))
    w.clock.advance(12)
    w.up.deliver(chunked(events[1]))
    w.clock.advance(14.9)
    assert client.response().body == events[0] + events[1]
    w.clock.advance(0.1)
    assert client.response().body == events[0] + events[1] + beat
    w.clock.advance(7)
    w.up.deliver(chunked(*events[2:]) + LAST)
    w.clock.advance(100)
    assert client.response().body == events[0] + events[1] + beat + b"".join(events[2:])
    assert w.idle()


def test_a_beat_waits_for_the_end_of_a_long_event_and_stands_before_a_held_one() -> None:
    """K4: no beat inside an event, whether it is held back or already on its way."""
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(SSE_HEAD + chunked(b"data: a\n\ndata: hal"))
    w.clock.advance(15)
    assert client.response().body == b"data: a\n\n" + COMMENT
    w.up.deliver(chunked(b"f\n\n"))
    long = b"data: " + b"x" * 100_000
    w.up.deliver(chunked(long))
    body = client.response().body
    assert body.endswith(long)
    w.clock.advance(60)
    assert client.response().body == body
    w.up.deliver(chunked(b"\n\n"))
    w.clock.advance(15)
    assert client.response().body == body + b"\n\n" + COMMENT


def test_after_an_id_line_the_comment_has_no_blank_line() -> None:
    """K4: a blank line would dispatch an event that is nothing but an id, which SDKs choke on."""
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(SSE_HEAD + chunked(b"id: 7\ndata: a\n\n"))
    w.clock.advance(15)
    assert client.response().body.endswith(b"\n\n: keepalive\n")


def test_stopping_is_idempotent_and_safe_in_the_turn_of_the_first_byte() -> None:
    """K5: a beat that was due in the turn in which the stream ended does not come."""
    w = world()
    client = w.client().send(CHAT)
    w.clock.callLater(10, lambda: w.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST))
    w.clock.advance(10)
    body = client.response().body
    assert body.removeprefix(COMMENT) == b"".join(CHAT_EVENTS)
    assert w.record.outcome == "finished"
    w.clock.advance(100)
    assert client.response().body == body


@pytest.mark.parametrize("mode", list(KeepaliveMode))
def test_a_request_that_does_not_stream_is_untouched(mode: KeepaliveMode) -> None:
    """K6: no head of ours, no beat, however long it takes."""
    w = world(keepalive=mode)
    client = w.client().send(CHAT_WHOLE)
    w.clock.advance(500)
    assert client.raw() == b""


def test_off_is_off() -> None:
    """K6: nothing is said into the longest silence."""
    w = world(keepalive=KeepaliveMode.OFF, idle_timeout=None)
    client = w.client().send(CHAT)
    w.clock.advance(300)
    w.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    w.clock.advance(3000)
    assert client.response().body == CHAT_EVENTS[0]


def test_beats_do_not_hide_a_dead_upstream() -> None:
    """K8: the idle timeout runs on the upstream's bytes alone."""
    w = world(idle_timeout=40.0)
    client = w.client().send(CHAT)
    w.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    w.clock.pump([1.0] * 40)
    body = client.response().body.removeprefix(CHAT_EVENTS[0])
    assert body.startswith(COMMENT * 2)
    assert b'"error"' in body
    assert (w.record.outcome, w.record.error, w.record.phase) == (
        "timed_out",
        "idle_timeout",
        "relay",
    )


def test_beats_are_not_events_tokens_or_the_first_byte() -> None:
    """K9: what the row counts is the upstream's."""
    w = world()
    w.client().send(CHAT)
    w.clock.pump([5.0] * 8)
    w.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    record = w.record
    assert record.keepalives == 3
    assert record.events == len(CHAT_EVENTS)
    assert record.response_bytes == len(b"".join(CHAT_EVENTS))
    assert record.first_event_ms == 40_000


def test_no_beat_is_written_for_a_client_that_does_not_read() -> None:
    """K4: beats do not pile up behind a stalled reader."""
    w = world(client_write_timeout=None, idle_timeout=None)
    client = w.client().send(CHAT)
    client.wire.stalled = True
    w.up.deliver(SSE_HEAD)
    until_paused(w.up)
    size = len(client.wire.unread)
    w.clock.pump([15.0] * 20)
    assert len(client.wire.unread) == size


@pytest.mark.parametrize("first", ["the beat", "the upstream's head"])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_byte_order_mark_behind_a_beat_is_dropped(first: str, cut: int) -> None:
    """K4: the beat before it may have come before the upstream's head or after it."""
    w = world()
    client = w.client().send(CHAT)
    if first == "the beat":
        w.clock.advance(10)
        w.up.deliver(SSE_HEAD)
    else:
        w.up.deliver(SSE_HEAD)
        w.clock.advance(15)
    assert client.response().body == COMMENT
    stream = BOM + b"".join(CHAT_EVENTS)
    if cut:
        w.up.deliver(chunked(stream[:cut]))
    w.up.deliver(chunked(stream[cut:]) + LAST)
    assert client.response().body == COMMENT + b"".join(CHAT_EVENTS)
    assert w.record.response_bytes == len(stream)


def test_a_byte_order_mark_that_nothing_was_said_before_is_passed_on() -> None:
    """K4: a beat that comes after it changes nothing about it."""
    w = world()
    client = w.client().send(CHAT)
    w.up.deliver(SSE_HEAD + chunked(BOM + CHAT_EVENTS[0]))
    w.clock.advance(15)
    w.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    expected = BOM + CHAT_EVENTS[0] + COMMENT + b"".join(CHAT_EVENTS[1:])
    assert client.response().body == expected


def test_what_is_held_back_is_no_sign_of_life_to_the_client() -> None:
    """K4, K8: an event that drips in keeps a client waiting as silence does."""
    world = World(keepalive_after=1.0, keepalive_interval=1.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(b"data: 1\n\n"))
    world.up.deliver(chunked(b"data: "))
    for _ in range(10):
        world.clock.advance(0.5)
        world.up.deliver(chunked(b"x"))
    assert client.raw().count(b": keepalive\n\n") == 5
