"""What comes in goes out: at once, unchanged, and no faster than the client takes it."""

from __future__ import annotations

import pytest

from gateway.exchange.deadlines import LOOKS
from gateway.front.channel import Channel
from tests.transcripts import CHAT_BODY, CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import (
    BUFFER,
    CHAT,
    CHAT_WHOLE,
    DATE,
    HOP,
    LAST,
    MESSAGES,
    SSE_HEAD,
    World,
    chunked,
    until_paused,
)

TRANSCRIPTS = [(CHAT, CHAT_EVENTS), (MESSAGES, MESSAGES_EVENTS)]


@pytest.mark.parametrize(("request_", "events"), TRANSCRIPTS)
def test_each_event_reaches_the_client_before_the_next_one_comes(
    request_: bytes, events: tuple[bytes, ...]
) -> None:
    """D1: no threshold, no timer, whatever the size of the event."""
    world = World()
    client = world.client().send(request_)
    world.up.deliver(SSE_HEAD)
    assert client.response().status == 200
    sent = b""
    for event in events:
        world.up.deliver(chunked(event))
        sent += event
        assert client.response().body == sent
    world.up.deliver(LAST)
    assert client.response().whole
    assert world.record.events == len(events)


@pytest.mark.parametrize(
    "content_type", [b"Text/Event-Stream; charset=utf-8", b"TEXT/EVENT-STREAM"]
)
def test_an_event_stream_is_recognised_in_any_case(content_type: bytes) -> None:
    """D2: media type and coding in any case, with parameters."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\ntransfer-encoding: Chunked\r\n\r\n" % content_type
    )
    world.up.deliver(chunked(*CHAT_EVENTS) + LAST)
    assert client.response().whole
    assert world.record.events == len(CHAT_EVENTS)
    assert world.record.usage.input_tokens == 9
    assert client.response().get(b"content-type") == content_type


@pytest.mark.parametrize(("request_", "events"), TRANSCRIPTS)
def test_a_stream_split_at_every_byte_is_the_same(
    request_: bytes, events: tuple[bytes, ...]
) -> None:
    """D3, A9: split anywhere, also in a character or a line end: the same bytes, the same row."""
    wire = SSE_HEAD + b"".join(chunked(event) for event in events) + LAST
    rows = set()
    for cut in range(1, len(wire)):
        world = World()
        client = world.client().send(request_)
        world.up.deliver(wire[:cut])
        world.up.deliver(wire[cut:])
        response = client.response()
        assert response.body == b"".join(events)
        assert response.whole
        rows.add((world.record.usage, world.record.events, world.record.stop_reason))
    assert len(rows) == 1


def test_events_of_several_megabytes_and_many_in_a_read_pass_unchanged() -> None:
    """D3: 1-byte reads, one event of 3 MB, a hundred events in a read."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    small = b"".join(b"data: %d\r\n\r\n" % n for n in range(100))
    large = b"data: " + b"A" * 3_000_000 + b"\n\n"
    done = b"data: [DONE]\n\n"
    world.up.deliver(chunked(small))
    for start in range(0, len(large), 65536):
        world.up.deliver(chunked(large[start : start + 65536]))
    for n in range(len(done)):
        world.up.deliver(chunked(done[n : n + 1]))
    world.up.deliver(LAST)
    response = client.response()
    assert response.body == small + large + done
    assert response.whole
    assert world.record.events == 102


def test_the_frames_to_the_client_pass_a_strict_parser_and_are_never_empty() -> None:
    """D4: read by h11; an unfinished event alone makes no write at all, not an empty chunk."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    before = len(client.raw())
    world.up.deliver(chunked(b"data: half an"))
    assert len(client.raw()) == before
    world.up.deliver(chunked(b" event\n\n") + chunked(b"data: [DONE]\n\n") + LAST)
    response = client.response()
    assert response.body == b"data: half an event\n\ndata: [DONE]\n\n"
    assert response.whole


def test_a_reader_that_stalls_pauses_its_upstream_and_a_reading_one_resumes_it() -> None:
    """D5: at most one buffer and one read are held for it, its neighbour is not touched."""
    world = World()
    slow, fast = world.client(), world.client()
    slow.send(CHAT)
    slow_up = world.up
    fast.send(CHAT)
    fast_up = world.up
    slow.wire.stalled = True
    for up in (slow_up, fast_up):
        up.deliver(SSE_HEAD)
    until_paused(slow_up, fast_up)
    assert len(slow.wire.unread) < BUFFER + 2000
    assert fast_up.reading
    world.clock.advance(5)
    slow.response()
    assert slow_up.reading
    for up in (slow_up, fast_up):
        up.deliver(chunked(b"data: [DONE]\n\n") + LAST)
    assert slow.response().whole
    assert fast.response().whole
    paused = sorted(r.paused_ms or 0 for r in world.ledger.records)
    assert paused == [0.0, 5000.0]


def test_the_idle_timeout_stands_still_while_we_do_not_read() -> None:
    """D5, D8: what was left of it before the pause is left after it."""
    world = World(idle_timeout=10.0, keepalive_interval=1000.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    client.wire.stalled = True
    until_paused(world.up)
    world.clock.advance(50)
    client.wire.stalled = False
    client.response()
    assert world.up.reading
    world.clock.advance(9.9)
    assert not world.ledger.records
    world.clock.advance(0.1)
    assert world.record.error == "idle_timeout"


def test_a_reader_that_never_reads_is_ended_by_its_own_deadline() -> None:
    """D5, E2: `client_write_timeout` resets the connection and lets the upstream go."""
    world = World(client_write_timeout=60.0, idle_timeout=10.0)
    client = world.client().send(CHAT)
    client.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    until_paused(world.up)
    world.clock.advance(59)  # the upstream's idle timeout stands still meanwhile
    assert not world.ledger.records
    world.clock.advance(1)
    assert client.wire.aborted
    assert world.up.aborted
    record = world.record
    assert (record.outcome, record.error) == ("timed_out", "client_write_timeout")
    assert record.paused_ms == 60_000
    world.clock.advance(0)
    assert world.idle()


def test_a_reader_that_is_slow_but_steady_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """D5, D8: its buffer is never empty, but it takes something; when it stops, its time begins."""
    taken = 0
    monkeypatch.setattr(Channel, "taken", lambda _: taken)
    world = World(client_write_timeout=60.0)
    client = world.client().send(CHAT)
    client.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    until_paused(world.up)
    for taken in range(1, 20):  # noqa: B007 - the channel reads it
        world.clock.pump([1.0] * 50)
        assert not world.ledger.records
    world.clock.pump([1.0] * 9)
    assert not world.ledger.records
    world.clock.pump([1.0] * (1 + 60 // LOOKS))
    assert world.record.error == "client_write_timeout"
    assert client.wire.aborted


def test_what_a_reader_takes_right_after_a_pause_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """D5, D8: it is compared with what had been taken when the pause began."""
    taken = 0
    monkeypatch.setattr(Channel, "taken", lambda _: taken)
    world = World(client_write_timeout=60.0)
    client = world.client().send(CHAT)
    client.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    until_paused(world.up)
    taken = 1
    world.clock.pump([1.0] * 61)
    assert not world.ledger.records
    world.clock.pump([1.0] * (60 // LOOKS))
    assert world.record.error == "client_write_timeout"


def test_the_upstream_is_asked_for_identity_coding() -> None:
    """D7: what the client accepts is replaced."""
    world = World()
    world.client().send(CHAT.replace(b"\r\n", b"\r\nAccept-Encoding: gzip, br\r\n", 1))
    sent = world.up.read()
    assert b"Accept-Encoding: identity\r\n" in sent
    assert b"gzip" not in sent


def test_a_coded_stream_passes_untouched_and_is_never_spoken_into() -> None:
    """D7, K4: no beat, no error event, no reading of usage; a cut is a visible break."""
    world = World(keepalive_after=1.0, keepalive_interval=1.0)
    client = world.client().send(CHAT)
    world.up.deliver(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    world.up.deliver(chunked(b"\x1f\x8b\x08 not for us"))
    world.clock.pump([1.0] * 10)
    assert client.response().body == b"\x1f\x8b\x08 not for us"
    world.up.reset()
    assert client.wire.aborted
    assert world.record.keepalives == 0


def test_a_whole_answer_keeps_status_headers_length_and_body() -> None:
    """D9: order, case and number of the fields too; Set-Cookie lines stay apart."""
    world = World()
    client = world.client().send(CHAT_WHOLE)
    world.up.deliver(
        b"HTTP/1.1 201 Made\r\nX-Request-ID: r1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%b"
        % (len(CHAT_BODY), CHAT_BODY)
    )
    response = client.response()
    assert (response.status, response.body, response.whole) == (201, CHAT_BODY, True)
    assert response.headers == [
        (b"X-Request-ID", b"r1"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(CHAT_BODY)),
        DATE,
    ]
    record = world.record
    assert (record.outcome, record.usage.input_tokens, record.usage.output_tokens) == (
        "finished",
        9,
        3,
    )
    assert record.upstream_request_id == "r1"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_answers_without_a_body_stay_without_one(method: str, head: bytes) -> None:
    """D9, H7: HEAD, 204 and 304; where a body was told, it could come yet, and be an answer."""
    world = World()
    client = world.client()
    request = b"%b /v1/models HTTP/1.1\r\nHost: a\r\n\r\n" % method.encode()
    client.send(request)
    world.up.deliver(head)
    client.send(request)
    assert len(world.endpoint.wires) == (2 if b"Content-Length" in head else 1)
    world.up.deliver(head)
    assert client.raw() == head.replace(b"\r\n\r\n", b"\r\nDate: %b\r\n\r\n" % DATE[1]) * 2
    assert [record.outcome for record in world.ledger.records] == ["finished"] * 2


def test_a_stream_longer_than_every_idle_timeout_completes() -> None:
    """D8: an event now and then keeps it alive for an hour."""
    world = World(idle_timeout=180.0, head_timeout=600.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    for _ in range(36):
        world.clock.advance(100)
        world.up.deliver(chunked(b"data: x\n\n"))
    world.up.deliver(chunked(b"data: [DONE]\n\n") + LAST)
    assert client.response().whole
    assert world.record.outcome == "finished"


def test_the_request_goes_out_unchanged_but_for_what_a_proxy_must_change() -> None:
    """D9: path, query, body and the order and case of fields; hop-by-hop fields go."""
    world = World()
    body = b'{"model":"m","stream":true}'
    world.client().send(
        b"POST /v1/messages?beta=true&x= HTTP/1.1\r\nHost: gw.test\r\nanthropic-Beta: a,b\r\n"
        b"X-Api-Key: k\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nanthropic-Beta: c\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    assert world.up.read() == (
        b"POST /v1/messages?beta=true&x= HTTP/1.1\r\nHost: 127.0.0.1:9\r\nanthropic-Beta: a,b\r\n"
        b"X-Api-Key: k\r\nanthropic-Beta: c\r\n%bAccept-Encoding: identity\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (HOP, len(body), body)
    )


def test_a_large_request_body_is_written_as_the_upstream_takes_it_and_let_go() -> None:
    """D5: towards the upstream too, no more than a buffer and a piece wait in the transport."""
    world = World()
    client = world.client()
    body = b'{"model":"m","x":"' + b"y" * 1_000_000 + b'"}'
    world.ledger.hold = True
    head = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    client.send(head)
    for start in range(0, len(body), 65536):
        client.send(body[start : start + 65536])
    assert world.budget.held == len(body)
    world.never_connect()
    world.ledger.release()
    world.endpoint.answer = None
    stalled_before = len(world.endpoint.wires)
    world.endpoint.connect_now()
    assert len(world.endpoint.wires) == stalled_before + 1
    sent = world.up.read()
    assert sent.endswith(body)
    assert world.budget.held == 0


def test_an_interim_response_is_passed_on_and_100_is_not() -> None:
    world = World()
    client = world.client().send(CHAT_WHOLE)
    world.up.deliver(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    response = client.response()
    assert response.interim == [103]
    assert (response.status, response.body) == (200, b"{}")
