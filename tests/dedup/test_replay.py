"""A finished answer is given again: the same bytes, at no cost, for its lifetime."""

from __future__ import annotations

import gzip
import json

import pytest

from gateway.config.model import Family, Upstream, Url
from gateway.record import Outcome, Phase, Usage, UsageSource
from tests.canaries import CLIENTS_KEY
from tests.dedup.stage import BODY, LIFETIME, WHOLE, answered, ask, deduped, rest, rows
from tests.transcripts import CHAT_EVENTS
from tests.world import BUFFER, CHAT, LAST, SSE_HEAD, Client, World, chunked, post

PLAIN = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"id": "abc"}'
)


def replayed(world: World, client: Client) -> bool:
    """Whether a client has its whole answer without another call of the upstream."""
    return client.response().whole and len(world.endpoint.wires) == 1


def asked_twice(world: World) -> bool:
    """Whether the upstream has the second request, on whichever connection, and no row a replay."""
    return len(world.ledger.intents) == 2 and world.ledger.intents[1].answer_of is None


def test_status_head_and_bytes_are_the_first_answers() -> None:
    """C2: with the age of the answer besides (RFC 9111, 5.1)."""
    world = deduped()
    first = answered(world)
    world.clock.advance(7)
    second = ask(world)
    assert replayed(world, second)
    assert second.response().status == 200
    assert second.response().body == first.response().body == BODY
    assert second.response().headers == [
        *first.response().headers[:1],
        (b"Age", b"7"),
        *first.response().headers[1:],
    ]
    rest(world)


def test_a_replay_has_a_row_and_costs_nothing() -> None:
    """C2: `replayed`, and whose answer it is."""
    world = deduped()
    answered(world)
    ask(world)
    first, second = rows(world).values()
    assert second.outcome is Outcome.REPLAYED
    assert second.intent.answer_of == first.intent.id
    assert (second.phase, second.status_sent, second.status_upstream) == (Phase.DONE, 200, None)
    assert (second.usage, second.usage_source) == (Usage(), UsageSource.NONE)
    assert (second.cost_usd, second.attempts) == (0.0, 0)
    assert (second.model_served, second.stop_reason) == (first.model_served, first.stop_reason)
    assert (second.response_bytes, second.events) == (len(BODY), first.events)
    rest(world)


def test_a_body_that_is_no_stream_is_given_again_with_its_length() -> None:
    """C2: framing included."""
    world = deduped()
    ask(world)
    world.up.deliver(PLAIN)
    again = ask(world)
    assert again.response().get(b"content-length") == b"13"
    assert again.response().body == b'{"id": "abc"}'
    assert replayed(world, again)
    rest(world)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", b'{"error":{"message":"overloaded","code":529}}'),
        ("/v1/messages", b'{"type":"error","error":{"type":"overloaded_error","message":"o"}}'),
        ("/v1/responses", b'{"id":"r","status":"failed","error":{"code":"server_error"}}'),
    ],
)
def test_an_error_inside_a_200_that_is_no_stream_is_not_given_again(path: str, body: bytes) -> None:
    """C2: some upstreams tell their errors so; the client's next try is for the upstream."""
    world = deduped()
    request = post(path, b'{"model":"m","messages":[],"input":[]}')
    ask(world, request)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    world.up.deliver(head % len(body) + body)
    ask(world, request)
    assert asked_twice(world)


def test_a_body_that_ends_with_its_connection_is_not_given_again() -> None:
    """C2: a cut looks just like that end, and must not last for the whole lifetime."""
    world = deduped()
    request = post("/v1/chat/completions", b'{"model":"m","messages":[]}')
    ask(world, request)
    world.up.deliver(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"id": "abc", "ch')
    world.up.lose()
    ask(world, request)
    assert asked_twice(world)


def test_an_answer_in_a_coding_that_is_not_read_is_not_given_again() -> None:
    """C2: nobody knows whether it holds an error, or its end."""
    world = deduped()
    ask(world)
    world.up.deliver(SSE_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: br\r\n\r\n") + WHOLE)
    ask(world)
    assert asked_twice(world)


def test_the_lifetime_counts_from_the_end_of_the_answer() -> None:
    """C3: a long answer is there for just as long."""
    world = deduped()
    ask(world)
    world.up.deliver(SSE_HEAD)
    world.clock.advance(LIFETIME + 5)
    world.up.deliver(WHOLE)
    world.clock.advance(LIFETIME - 0.1)
    assert replayed(world, ask(world))
    world.clock.advance(0.2)
    ask(world)
    assert len(world.ledger.intents) == 3
    assert world.ledger.intents[2].answer_of is None
    world.up.reset()
    rest(world)


def test_what_has_lived_its_life_is_forgotten_at_once() -> None:
    """C5: memory does not wait for the next request."""
    world = deduped()
    answered(world)
    assert world.dedup.used > len(BODY)
    world.clock.advance(LIFETIME)
    assert world.dedup.used == 0
    rest(world)


def test_an_answer_that_failed_is_not_given_again() -> None:
    """C3: neither an error status nor one that was cut."""
    for answer in (
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\n{}",
        SSE_HEAD + chunked(CHAT_EVENTS[0]) + LAST,
        SSE_HEAD + chunked(b'data: {"error": {"message": "no"}}\n\n') + LAST,
    ):
        world = deduped()
        ask(world)
        world.up.deliver(answer)
        world.clock.advance(1)
        assert world.dedup.used == 0
        ask(world)
        assert world.ledger.intents[1].answer_of is None
        world.up.reset()
        rest(world)


def test_an_answer_that_came_compressed_is_not_given_again() -> None:
    """C3, D7: it may have ended with an error that nobody has read."""
    body = gzip.compress(b'data: {"error": {"message": "no"}}\n\n')
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
    world = deduped()
    first, joined = ask(world), ask(world)
    world.up.deliver(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert [client.response().body for client in (first, joined)] == [body, body]
    assert world.dedup.used == 0
    ask(world)
    assert world.ledger.intents[2].answer_of is None
    world.up.reset()
    rest(world)


def test_no_answer_goes_to_another_credential() -> None:
    """C1: the same words, another key."""
    world = deduped()
    answered(world)
    ask(world, CHAT.replace(CLIENTS_KEY.encode(), CLIENTS_KEY.encode()[:-1] + b"~"))
    assert len(world.ledger.intents) == 2
    assert world.ledger.intents[1].answer_of is None
    world.up.reset()
    rest(world)


def test_a_retry_of_the_same_sdk_is_the_same_request() -> None:
    """C1: what tells only of the client does not count."""
    world = deduped()
    body = b'{"model":"m","stream":true,"messages":[]}'
    answered(world, post("/v1/chat/completions", body, "X-Stainless-Retry-Count: 0"))
    again = ask(world, post("/v1/chat/completions", body, "x-stainless-retry-count: 1"))
    assert replayed(world, again)
    rest(world)


def test_a_client_may_insist_on_an_answer_of_its_own() -> None:
    """C1: RFC 9111, 5.2.1; and its answer is nobody else's either."""
    world = deduped()
    own = post("/v1/chat/completions", b'{"model":"m","stream":true}', "Cache-Control: no-store")
    answered(world, own)
    assert world.dedup.used == 0
    ask(world, own)
    assert world.ledger.intents[1].answer_of is None
    world.up.reset()
    rest(world)


def test_what_asks_no_model_has_its_own_answer() -> None:
    """C1: batches and files."""
    world = deduped()
    for _ in range(2):
        ask(world, post("/v1/batches", b'{"input_file_id":"f"}'))
        world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert [intent.answer_of for intent in world.ledger.intents] == [None, None]
    rest(world)


def test_results_of_tools_may_live_longer() -> None:
    """C3: dedup_tool_results, where the last turn holds nothing else."""
    tool = {"role": "tool", "tool_call_id": "c", "content": "42"}
    for last, answer_is_there in ((tool, True), ({"role": "user", "content": "hi"}, False)):
        world = deduped(dedup_tool_results=100.0)
        body = {"model": "m", "stream": True, "messages": [{"role": "assistant"}, last]}
        request = post("/v1/chat/completions", json.dumps(body).encode())
        answered(world, request)
        world.clock.advance(LIFETIME + 1)
        ask(world, request)
        assert (world.ledger.intents[1].answer_of is not None) is answer_is_there
        if not answer_is_there:
            world.up.reset()
        rest(world)


def test_a_replay_waits_for_a_client_that_does_not_read() -> None:
    """C2, D5: no more than a buffer is written ahead, and its leaving is seen."""
    world = deduped()
    ask(world)
    event = b"data: " + b"x" * 1000 + b"\n\n"
    world.up.deliver(SSE_HEAD + chunked(event) * 300 + WHOLE)
    slow = world.client()
    slow.wire.stalled = True
    slow.send(CHAT)
    world.clock.pump([0.0] * 5)
    assert len(slow.wire.unread) < 3 * BUFFER
    slow.wire.reset()
    assert list(rows(world).values())[1].outcome is Outcome.CLIENT_GONE
    rest(world)


def test_a_replay_under_way_is_waited_for_and_cut_when_the_gateway_stops() -> None:
    """C2, O4: visibly, and with a row that says so."""
    world = deduped()
    ask(world)
    world.up.deliver(SSE_HEAD + chunked(b"data: " + b"x" * 300_000 + b"\n\n") + WHOLE)
    slow = world.client()
    slow.wire.stalled = True
    slow.send(CHAT)
    (replay,) = world.services.running
    replay.drain()
    assert slow.wire.aborted
    assert list(rows(world).values())[1].outcome is Outcome.DRAINED
    assert not world.services.running
    rest(world)


def test_usage_that_the_gateway_asked_for_makes_no_difference_between_two_that_did_not() -> None:
    """C1, A14: but it does to one that asked itself, in the words that the gateway would use."""
    upstream = Upstream("up", Url("http", "127.0.0.1", 9, ""), Family.OPENAI)
    world = deduped(upstream=upstream, usage_injection=True)
    answered(world)
    assert replayed(world, ask(world))
    sent = world.up.unread.partition(b"\r\n\r\n")[2]
    assert b"include_usage" in sent
    ask(world, post("/v1/chat/completions", bytes(sent)))
    assert world.ledger.intents[2].answer_of is None
    world.up.reset()
    rest(world)
