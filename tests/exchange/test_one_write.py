"""What one read brings of an answer goes out in one write, and nothing waits beyond that read."""

from __future__ import annotations

import gc

import pytest

from tests.conftest import LoggedFailures
from tests.transcripts import CHAT_BODY, CHAT_EVENTS
from tests.world import BUFFER, CHAT, CHAT_WHOLE, LAST, SSE_HEAD, Client, World, chunked

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SIZED = HEAD + b"Content-Length: %d\r\n\r\n" % len(CHAT_BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HTTP10 = (b"HTTP/1.1\r\n", b"HTTP/1.0\r\n")


def asked(request: bytes = CHAT_WHOLE) -> tuple[World, Client]:
    """A world whose client has asked and was written nothing yet."""
    world = World()
    client = world.client().send(request)
    assert client.wire.writes == 0
    return world, client


@pytest.mark.parametrize(
    "answer", [SIZED + CHAT_BODY, CHUNKED + chunked(CHAT_BODY) + LAST, SIZED + CHAT_BODY + b"X"]
)
def test_an_answer_that_comes_in_one_read_goes_out_in_one_write(answer: bytes) -> None:
    world, client = asked()
    world.up.deliver(answer)
    assert client.wire.writes == 1
    response = client.response()
    assert (response.status, response.body, response.whole) == (200, CHAT_BODY, True)


def test_an_answer_that_has_been_written_is_let_go_of() -> None:
    """Its request may wait for the garbage collector, which may let many gather."""
    world, client = asked()
    [request] = world.door.admitted
    world.up.deliver(SIZED + CHAT_BODY)
    assert client.response().whole
    kept = [value for value in gc.get_referents(request) if isinstance(value, bytes)]
    assert not [value for value in kept if CHAT_BODY in value]


def test_an_http_1_0_client_gets_head_and_body_in_one_write_and_the_end_by_a_close() -> None:
    world, client = asked(CHAT_WHOLE.replace(*HTTP10))
    world.up.deliver(CHUNKED + chunked(CHAT_BODY) + LAST)
    assert client.wire.writes == 1
    assert client.wire.closing
    assert client.raw().partition(b"\r\n\r\n")[2] == CHAT_BODY


def test_the_first_events_go_out_with_the_head_and_each_later_read_in_a_write_of_its_own() -> None:
    world, client = asked(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]) + chunked(CHAT_EVENTS[1]))
    assert client.wire.writes == 1
    assert client.response().body == CHAT_EVENTS[0] + CHAT_EVENTS[1]
    world.up.deliver(chunked(CHAT_EVENTS[2]))
    assert client.wire.writes == 2
    assert client.response().body == b"".join(CHAT_EVENTS[:3])


@pytest.mark.parametrize("behind", [b"", b"4", b"6\r\n", chunked(b"data: half an eve")])
def test_a_head_with_nothing_to_pass_on_behind_it_goes_out_at_once(behind: bytes) -> None:
    """D1: what follows may be seconds away."""
    world, client = asked(CHAT)
    world.up.deliver(SSE_HEAD + behind)
    assert client.response().status == 200
    assert client.response().body == b""


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_an_answer_without_a_body_is_one_write(method: bytes) -> None:
    world, client = asked(method + b" /v1/models HTTP/1.1\r\nHost: gw.test\r\n\r\n")
    world.up.deliver(SIZED if method == b"HEAD" else b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.wire.writes == 1
    assert client.response(method.decode()).whole


def test_an_interim_response_goes_out_before_the_head_that_came_with_it() -> None:
    world, client = asked()
    world.up.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n" + SIZED + CHAT_BODY)
    response = client.response()
    assert (response.interim, response.status, response.whole) == ([103], 200, True)


@pytest.mark.parametrize("body", [b"", chunked(b"{")])
def test_what_came_before_a_fault_is_written_before_the_body_is_broken(body: bytes) -> None:
    """What the client is told does not depend on how the upstream's bytes are cut into reads."""
    world, client = asked()
    world.up.deliver(CHUNKED + body + b"malformed\r\n")
    assert client.wire.aborted
    response = client.response()
    assert (response.status, response.whole) == (200, False)
    assert client.raw().endswith(body or b"\r\n\r\n")
    assert world.record.error == "malformed"


def test_an_error_of_our_own_behind_the_head_breaks_a_head_that_was_written(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    monkeypatch.setattr("gateway.exchange.relay.BodyRelay.feed", lambda self, data: 1 / 0)
    world, client = asked()
    world.up.deliver(SIZED + CHAT_BODY)
    assert client.wire.aborted
    assert client.raw().endswith(b"\r\n\r\n")
    assert (world.record.outcome, world.record.status_sent) == ("internal_error", 200)
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_a_client_that_takes_none_of_the_first_read_pauses_the_upstream_behind_it() -> None:
    """D5: head and events of one read are more than its buffer holds."""
    world, client = asked(CHAT)
    client.wire.stalled = True
    world.up.deliver(SSE_HEAD + chunked(b"data: " + b"x" * BUFFER + b"\n\n"))
    assert not world.up.reading
    client.raw()
    assert world.up.reading


def test_a_refusal_is_one_write() -> None:
    world = World()
    world.refuse_connections()
    client = world.client().send(CHAT_WHOLE)
    assert client.wire.writes == 1
    assert client.response().status == 502
