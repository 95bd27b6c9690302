"""Every way out: what the client sees, and the one row that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.python.failure import Failure

from tests.conftest import LoggedFailures
from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import CHAT, CHAT_WHOLE, LAST, MESSAGES, SSE_HEAD, Client, World, chunked, post

BOTH = [(CHAT, CHAT_EVENTS), (MESSAGES, MESSAGES_EVENTS)]
TERMINALS = (b"[DONE]", b"message_stop")


def error_event_of(body: bytes, passed: bytes) -> bytes:
    """What follows the passed bytes: exactly one error event and nothing that looks like an end."""
    assert body.startswith(passed)
    event = body.removeprefix(passed)
    assert event.count(b"\n\n") == 1
    assert event.endswith(b"\n\n")
    assert event.startswith((b'data: {"error":', b'event: error\ndata: {"type":"error"'))
    assert not any(terminal in event for terminal in TERMINALS)
    return event


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Refused(), "connect_refused"),
        (DNSLookupError(), "dns"),
        (SSL.Error([("SSL routines", "", "certificate verify failed")]), "tls"),
        (OSError("no route"), "connect_failed"),
    ],
)
@pytest.mark.parametrize("request_", [CHAT, MESSAGES])
def test_an_upstream_that_cannot_be_reached_is_a_502_with_its_cause(
    request_: bytes, failure: Exception, code: str
) -> None:
    """E1: in the dialect's shape, the cause in the row, the client's connection stays open."""
    world = World()
    world.endpoint.answer = lambda: Failure(failure)
    client = world.client().send(request_)
    response = client.response()
    assert response.status == 502
    assert b'"error"' in response.body
    assert (b'"type":"error"' in response.body) == (request_ is MESSAGES)
    record = world.record
    assert (record.outcome, record.phase, record.error) == ("upstream_failed", "connect", code)
    assert (record.status_sent, record.status_upstream) == (502, None)
    world.endpoint.answer = None
    client.send(CHAT_WHOLE)
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert [r.status for r in client.responses("POST", "POST")] == [502, 200]


@pytest.mark.parametrize(
    ("cut", "code"), [(lambda w: w.up.reset(), "reset"), (lambda w: w.up.lose(), "reset")]
)
def test_a_connection_lost_before_the_head_is_a_502(
    cut: Callable[[World], None], code: str
) -> None:
    """E1: a reset or a FIN before the head; nothing is tried again."""
    world = World()
    client = world.client().send(CHAT)
    cut(world)
    assert client.response().status == 502
    assert (world.record.phase, world.record.error) == ("head", code)
    assert len(world.endpoint.wires) == 1


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"])
def test_a_malformed_answer_is_a_502(answer: bytes) -> None:
    """E1: what could be misread is not passed on."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(answer)
    assert client.response().status == 502
    assert world.record.error == "malformed"
    assert world.up.aborted


def test_a_connection_attempt_that_takes_too_long_is_a_504() -> None:
    """E2: in phase `connect`."""
    world = World()
    world.never_connect()
    client = world.client().send(CHAT)
    world.clock.advance(world.pool.upstream.connect_timeout)
    assert client.response().status == 504
    record = world.record
    assert (record.outcome, record.phase, record.error) == (
        "timed_out",
        "connect",
        "connect_timeout",
    )


def test_a_head_that_does_not_come_in_time_is_a_504() -> None:
    """E2: in phase `head`; the upstream is let go."""
    world = World(head_timeout=600.0)
    client = world.client().send(CHAT_WHOLE)
    world.clock.advance(599)
    assert client.raw() == b""
    world.clock.advance(1)
    assert client.response().status == 504
    record = world.record
    assert (record.outcome, record.phase, record.error) == ("timed_out", "head", "head_timeout")
    assert world.up.aborted


@pytest.mark.parametrize(
    ("route", "events", "phase", "code"),
    [
        ({"first_event_timeout": 30.0}, 0, "first_event", "first_event_timeout"),
        ({"idle_timeout": 30.0}, 0, "first_event", "idle_timeout"),
        ({"idle_timeout": 30.0}, 1, "relay", "idle_timeout"),
        ({"total_timeout": 30.0}, 1, "relay", "total_timeout"),
    ],
)
def test_a_stream_that_stands_still_ends_in_an_error_event(
    route: dict[str, Any], events: int, phase: str, code: str
) -> None:
    """E2: each deadline has its own code, in the phase in which it passed."""
    world = World(**route, keepalive_interval=1000.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS[:events]))
    world.clock.advance(30)
    response = client.response()
    error_event_of(response.body, b"".join(CHAT_EVENTS[:events]))
    assert response.whole
    assert world.up.aborted
    record = world.record
    assert (record.outcome, record.phase, record.error) == ("timed_out", phase, code)


CUTS: list[tuple[str, bytes, Callable[[World], None], str]] = [
    ("reset", b"", lambda w: w.up.reset(), "reset"),
    ("FIN without last chunk", b"", lambda w: w.up.lose(), "truncated"),
    ("FIN inside a chunk", b"20\r\ndata: ", lambda w: w.up.lose(), "truncated"),
    ("malformed chunk", b"0x5\r\nhello", lambda w: None, "malformed"),
]


@pytest.mark.parametrize(("rest", "cut", "code"), [c[1:] for c in CUTS], ids=[c[0] for c in CUTS])
@pytest.mark.parametrize(("request_", "events"), BOTH)
def test_a_stream_that_is_cut_ends_in_exactly_one_error_event(
    request_: bytes, events: tuple[bytes, ...], rest: bytes, cut: Callable[[World], None], code: str
) -> None:
    """E3: after the last whole event, never a terminal one; a whole last chunk carries it."""
    world = World()
    client = world.client().send(request_)
    world.up.deliver(SSE_HEAD + chunked(events[0], b"data: {unfinished") + rest)
    cut(world)
    response = client.response()
    error_event_of(response.body, events[0])
    assert response.whole
    record = world.record
    assert (record.outcome, record.phase, record.error) == ("upstream_failed", "relay", code)
    assert record.stop_reason == "incomplete"
    world.clock.advance(0)
    assert client.wire.lost
    assert world.idle()


def test_a_stream_short_of_its_content_length_ends_in_an_error_event() -> None:
    """E3: an event stream with a Content-Length is cut like any other."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n"
        + CHAT_EVENTS[0]
    )
    world.up.lose()
    response = client.response()
    error_event_of(response.body, CHAT_EVENTS[0])
    assert response.get(b"content-length") is None
    assert world.record.error == "truncated"


def test_a_cut_inside_an_event_too_long_to_hold_breaks_the_body() -> None:
    """E3: there is no boundary for an error event to stand on."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(b"data: " + b"x" * 100_000))
    world.up.reset()
    assert client.wire.aborted
    assert not client.response().whole
    assert world.record.outcome == "upstream_failed"


@pytest.mark.parametrize(("request_", "events"), BOTH)
def test_a_clean_end_without_the_terminal_event_is_not_passed_off_as_one(
    request_: bytes, events: tuple[bytes, ...]
) -> None:
    """E4: an error event, and a row that says why."""
    world = World()
    client = world.client().send(request_)
    world.up.deliver(SSE_HEAD + chunked(*events[:2]) + LAST)
    response = client.response()
    error_event_of(response.body, b"".join(events[:2]))
    record = world.record
    assert (record.outcome, record.error) == ("upstream_failed", "no_terminal_event")


def test_a_chat_stream_without_done_is_whole_after_its_finish_reason() -> None:
    """E4: some servers leave `[DONE]` out; a finish reason for every choice and a clean end do."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS[:-1]) + LAST)
    assert client.response().body == b"".join(CHAT_EVENTS[:-1])
    assert (world.record.outcome, world.record.stop_reason) == ("finished", "stop")


def test_a_last_event_without_its_blank_line_is_given_out_unchanged() -> None:
    """E4: a clean end gives out what was held back."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0], b"data: [DONE]") + LAST)
    assert client.response().body == CHAT_EVENTS[0] + b"data: [DONE]"
    assert world.record.outcome == "finished"


IN_BAND = [
    (CHAT, b'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n'),
    (
        MESSAGES,
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"overloaded"}}\n\n',
    ),
]


@pytest.mark.parametrize(("request_", "error"), IN_BAND)
def test_a_providers_own_error_event_is_relayed_once_and_the_row_says_so(
    request_: bytes, error: bytes
) -> None:
    """E5: nothing is added to it."""
    world = World()
    client = world.client().send(request_)
    world.up.deliver(SSE_HEAD + chunked(error) + LAST)
    response = client.response()
    assert response.body == error
    assert response.whole
    record = world.record
    assert (record.outcome, record.error) == ("upstream_failed", "provider_error_event")
    assert "overloaded" in (record.error_detail or "")


@pytest.mark.parametrize(
    "cut", [lambda w: w.up.reset(), lambda w: w.up.lose(), lambda w: w.clock.advance(180)]
)
@pytest.mark.parametrize(("request_", "events"), BOTH)
def test_a_failure_after_the_terminal_event_adds_nothing(
    request_: bytes, events: tuple[bytes, ...], cut: Callable[[World], None]
) -> None:
    """E6: the stream was finished; the client has a whole body."""
    world = World(keepalive_interval=1000.0)
    client = world.client().send(request_)
    world.up.deliver(SSE_HEAD + chunked(*events))
    cut(world)
    response = client.response()
    assert response.body == b"".join(events)
    assert response.whole
    assert (world.record.outcome, world.record.phase) == ("finished", "done")


def test_an_http_1_0_client_sees_a_failure_as_a_reset() -> None:
    """E7: to it a FIN would look like success."""
    world = World()
    client = world.client().send(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    world.up.reset()
    assert client.wire.aborted
    raw = client.raw()
    assert raw.endswith(b"\r\n\r\n" + CHAT_EVENTS[0])
    assert b"ransfer-" not in raw


def test_an_http_1_0_client_gets_a_finished_stream_without_chunks() -> None:
    """E7: ended by the close."""
    world = World()
    client = world.client().send(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    assert client.raw().endswith(b"\r\n\r\n" + b"".join(CHAT_EVENTS))
    assert client.wire.closing
    assert not client.wire.aborted


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_another_body_that_is_cut_is_broken_visibly(head: bytes) -> None:
    """E7: no clean FIN, no last chunk."""
    world = World()
    client = world.client().send(CHAT_WHOLE)
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + b"\r\n")
    world.up.deliver(chunked(b'{"id"') if b"chunked" in head else b'{"id"')
    world.up.lose()
    assert client.wire.aborted
    assert not client.response().whole
    assert (world.record.outcome, world.record.error) == ("upstream_failed", "truncated")


def test_a_stop_reason_that_was_seen_before_the_cut_is_kept() -> None:
    """E8: `incomplete` only where there was none."""
    world = World()
    world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS[:3]))
    world.up.reset()
    assert (world.record.outcome, world.record.stop_reason) == ("upstream_failed", "stop")


@pytest.mark.parametrize(("request_", "events"), BOTH)
def test_a_clean_end_is_one_row(request_: bytes, events: tuple[bytes, ...]) -> None:
    """A1: opened before the upstream saw anything, settled once."""
    world = World()
    client = world.client()
    world.ledger.hold = True
    client.send(request_)
    assert len(world.ledger.intents) == 1
    assert not world.endpoint.wires
    world.ledger.release()
    world.up.deliver(SSE_HEAD + chunked(*events) + LAST)
    record = world.record
    assert record.intent is world.ledger.intents[0]
    assert (record.outcome, record.phase, record.error, record.attempts) == (
        "finished",
        "done",
        None,
        1,
    )
    assert record.usage_source == "provider"
    assert client.response().whole


STAGES: list[tuple[str, Callable[[World], None], str, str]] = [
    ("waiting for the ledger", lambda w: None, "client_gone", "request"),
    ("connecting", lambda w: w.ledger.release(), "client_gone", "connect"),
    ("before the head", lambda w: connect(w), "client_gone", "head"),
    ("before the first event", lambda w: connect(w, SSE_HEAD), "client_gone", "first_event"),
    (
        "in mid-stream",
        lambda w: connect(w, SSE_HEAD + chunked(CHAT_EVENTS[0])),
        "client_gone",
        "relay",
    ),
    (
        "after the terminal event",
        lambda w: connect(w, SSE_HEAD + chunked(*CHAT_EVENTS)),
        "finished",
        "done",
    ),
]


def connect(world: World, data: bytes = b"") -> None:
    world.ledger.release()
    world.endpoint.connect_now()
    world.up.deliver(data)


@pytest.mark.parametrize(
    ("stage", "outcome", "phase"), [s[1:] for s in STAGES], ids=[s[0] for s in STAGES]
)
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_is_one_row_whenever_it_does(
    stage: Callable[[World], None], outcome: str, phase: str, reset: bool
) -> None:
    """A2: the upstream is let go at once, nothing is written any more."""
    world = World()
    world.ledger.hold = True
    world.never_connect()
    client = world.client().send(CHAT)
    stage(world)
    if reset:
        client.wire.reset()
    else:
        client.wire.lose()
    assert (world.record.outcome, world.record.phase) == (outcome, phase)
    assert all(wire.aborted for wire in world.endpoint.wires)
    assert all(attempt.called for attempt, _ in world.endpoint.waiting), "it goes on connecting"
    world.ledger.release()
    world.endpoint.connect_now()
    world.clock.advance(0)
    assert all(wire.aborted for wire in world.endpoint.wires)
    assert len(world.ledger.records) == 1
    assert world.idle()


def test_a_client_that_leaves_after_the_last_byte_changes_nothing() -> None:
    """A2: the exchange is over."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    client.wire.lose()
    assert world.record.outcome == "finished"


def test_a_client_that_leaves_before_its_request_is_whole_has_asked_for_nothing() -> None:
    """A2: no upstream is asked, no row is opened."""
    world = World()
    client = world.client().send(CHAT[:-5])
    client.wire.lose()
    assert not world.ledger.intents
    assert not world.ledger.records
    assert world.idle()


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_the_first_of_two_ends_in_one_turn_is_the_one(first: str) -> None:
    """A4: client gone and upstream reset in the same turn: one row."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    ends = [client.wire.reset, world.up.reset]
    for end in ends if first == "client" else reversed(ends):
        end()
    assert world.record.outcome == {"client": "client_gone", "upstream": "upstream_failed"}[first]


def test_usage_that_cannot_be_believed_is_flagged_and_never_stored_as_truth() -> None:
    """A10: no counts, no claim to have them, what was sent, and why it is not believed."""
    world = World()
    world.client().send(CHAT)
    absurd = CHAT_EVENTS[3].replace(b'"prompt_tokens":9', b'"prompt_tokens":-9')
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS[:3], absurd, CHAT_EVENTS[4]) + LAST)
    record = world.record
    assert record.outcome == "finished"
    assert (record.usage.input_tokens, record.usage_source) == (None, "none")
    assert "-9" in (record.usage_raw or "")
    assert "prompt_tokens" in (record.error_detail or "")


def raising(*_: object) -> None:
    raise ZeroDivisionError("on purpose")


def test_an_error_of_our_own_before_the_head_is_a_500_and_one_row(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    """A3: `internal_error`; the next request is served."""
    world = World()
    client = world.client()
    monkeypatch.setattr("gateway.exchange.forward.request_bytes", raising)
    client.send(CHAT)
    monkeypatch.undo()
    assert client.response().status == 500
    assert b"on purpose" not in client.response().body
    assert (world.record.outcome, world.record.error) == ("internal_error", "bug")
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_an_error_of_our_own_in_mid_stream_breaks_that_stream_alone(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    """A3: latched before the upstream is blamed for it."""
    world = World()
    hit, other = world.client(), world.client()
    hit.send(CHAT)
    hit_up = world.up
    other.send(CHAT)
    hit_up.deliver(SSE_HEAD)
    world.up.deliver(SSE_HEAD)
    monkeypatch.setattr("gateway.sse.EventScanner.feed", raising)
    hit_up.deliver(chunked(CHAT_EVENTS[0]))
    monkeypatch.undo()
    assert hit.wire.aborted
    assert hit_up.aborted
    world.up.deliver(chunked(*CHAT_EVENTS) + LAST)
    assert other.response().whole
    assert [r.outcome for r in world.ledger.records] == ["internal_error", "finished"]
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_a_drained_stream_ends_in_an_error_event() -> None:
    """A3: `drained` by the operator."""
    world = World()
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    for exchange in tuple(world.services.running):
        exchange.drain()
    error_event_of(client.response().body, CHAT_EVENTS[0])
    assert client.response().whole
    assert (world.record.outcome, world.record.error) == ("drained", "operator")


def test_a_request_that_comes_while_draining_is_refused_with_a_row() -> None:
    """A3: 503 with Retry-After, settled without an intent."""
    world = World()
    client = world.client()
    world.accepting = False
    client.send(CHAT)
    response = client.response()
    assert response.status == 503
    assert 0 < int(response.get(b"retry-after") or 0) <= 60
    assert (world.record.outcome, world.record.error) == ("rejected", "overloaded")
    assert not world.ledger.intents


def test_a_ledger_that_takes_no_rows_refuses_the_request_and_nothing_is_asked() -> None:
    """A3, A15: refuse work before losing rows."""
    world = World()
    world.ledger.refuse = True
    response = world.client().send(CHAT).response()
    assert response.status == 503
    assert response.get(b"retry-after") is not None
    assert not world.endpoint.wires
    assert (world.record.outcome, world.record.error) == ("rejected", "ledger_unavailable")


def test_an_accounting_step_that_fails_reaches_neither_the_stream_nor_the_other_steps(
    logged_failures: LoggedFailures,
) -> None:
    """A15: it is logged with its cause."""
    world = World()
    world.chain.insert(0, ("broken", raising))
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    assert client.response().whole
    assert world.record.outcome == "finished"
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model":7}', b'{"stream":"yes"}', b"[\xff"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_request_that_cannot_be_read_is_a_400_in_the_dialects_shape(
    path: str, body: bytes
) -> None:
    """A3: `rejected`, a row without an intent, and no upstream is asked."""
    world = World()
    response = world.client().send(post(path, body)).response()
    assert response.status == 400
    assert b'"error"' in response.body
    assert (b'"type":"error"' in response.body) == (path == "/v1/messages")
    assert (world.record.outcome, world.record.error) == ("rejected", "bad_request")
    assert not world.endpoint.wires


def finish(client: Client, world: World) -> None:
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    assert client.response().whole


def test_a_finished_upstream_connection_is_used_again_and_a_cut_one_is_not() -> None:
    """E3: never again after a cut."""
    world = World()
    client = world.client().send(CHAT)
    finish(client, world)
    client.send(CHAT)
    assert len(world.endpoint.wires) == 1
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]) + b"zz\r\n")
    third = world.client().send(CHAT)
    assert len(world.endpoint.wires) == 2
    finish(third, world)
