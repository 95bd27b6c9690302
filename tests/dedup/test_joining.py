"""An identical request while the first still streams: one upstream call, everybody gets it all."""

from __future__ import annotations

import itertools
from unittest import mock

from gateway.config.model import KeepaliveMode
from gateway.dedup.listener import BITE
from gateway.front.request import Request
from gateway.record import ErrorCode, Outcome, Usage, UsageSource
from tests.dedup.stage import BODY, WHOLE, ask, deduped, leader_and_follower, rest, rows
from tests.transcripts import CHAT_EVENTS
from tests.world import BUFFER, CHAT, LAST, SSE_HEAD, World, chunked, until_paused

FIRST = chunked(CHAT_EVENTS[0])
OTHERS = b"".join(map(chunked, CHAT_EVENTS[1:]))
EVENT = b"data: " + b"x" * 1000 + b"\n\n"


def test_who_joins_in_mid_stream_gets_every_byte_of_one_upstream_call() -> None:
    """C4: what was sent before it came, and the rest as it comes."""
    world = deduped()
    first = ask(world)
    world.up.deliver(SSE_HEAD + FIRST)
    second = ask(world)
    assert second.response().body == CHAT_EVENTS[0]
    world.up.deliver(OTHERS + LAST)
    for client in (first, second):
        assert client.response().body == BODY
        assert client.response().whole
    assert len(world.endpoint.wires) == 1
    rest(world)


def test_who_joins_before_the_answer_has_begun_gets_its_head_and_body() -> None:
    """C4: the head is the upstream's but for what was meant for one client alone."""
    world = deduped()
    first, second = ask(world), ask(world)
    head = SSE_HEAD[:-2] + b"X-Kept: yes\r\nSet-Cookie: a=b\r\n\r\n"
    world.up.deliver(head + WHOLE)
    assert first.response().get(b"set-cookie") == b"a=b"
    assert second.response().get(b"set-cookie") is None
    assert second.response().get(b"x-kept") == b"yes"
    assert second.response().body == BODY
    rest(world)


def test_a_cookie_in_an_interim_response_is_for_the_first_client_alone() -> None:
    """C4: as in the head; what else it tells goes to all of them."""
    world = deduped()
    first, second = ask(world), ask(world)
    world.up.deliver(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\n\r\n")
    assert first.raw() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\n\r\n"
    assert second.raw() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    world.up.deliver(SSE_HEAD + WHOLE)
    rest(world)


def test_a_joined_request_has_its_own_row_and_costs_nothing() -> None:
    """C4, A1: it says whom it joined; usage and cost are the first one's."""
    world = deduped()
    ask(world)
    world.up.deliver(SSE_HEAD + FIRST)
    ask(world)
    world.up.deliver(OTHERS + LAST)
    leader, follower = leader_and_follower(world)
    assert leader.intent.answer_of is None
    assert leader.usage != Usage()
    assert leader.attempts == 1
    assert follower.intent.answer_of == leader.intent.id
    assert follower.outcome is leader.outcome is Outcome.FINISHED
    assert (follower.usage, follower.usage_source) == (Usage(), UsageSource.NONE)
    assert (follower.cost_usd, follower.attempts, follower.usage_raw) == (0.0, 0, None)
    assert (follower.stop_reason, follower.model_served) == (leader.stop_reason, "m-1")
    assert follower.status_upstream is None
    assert follower.response_bytes == len(BODY)
    rest(world)


def test_the_first_clients_leaving_does_not_cut_the_second() -> None:
    """C4: its row is client_gone, and has what the answer took all the same."""
    world = deduped()
    first = ask(world)
    world.up.deliver(SSE_HEAD + FIRST)
    second = ask(world)
    first.wire.reset()
    assert not world.ledger.records
    world.up.deliver(OTHERS + LAST)
    assert second.response().body == BODY
    leader, follower = leader_and_follower(world)
    assert (leader.outcome, leader.error) == (Outcome.CLIENT_GONE, None)
    assert leader.usage != Usage()
    assert follower.outcome is Outcome.FINISHED
    rest(world)


def test_the_second_clients_leaving_does_not_cut_the_first() -> None:
    """C4: its row is there at once."""
    world = deduped()
    first = ask(world)
    world.up.deliver(SSE_HEAD + FIRST)
    second = ask(world)
    second.wire.reset()
    assert world.record.outcome is Outcome.CLIENT_GONE
    assert world.record.intent.answer_of is not None
    world.up.deliver(OTHERS + LAST)
    assert first.response().body == BODY
    rest(world)


def test_the_upstream_is_let_go_when_the_last_one_leaves() -> None:
    """C4, A2: and not before."""
    world = deduped()
    first = ask(world)
    world.up.deliver(SSE_HEAD + FIRST)
    second = ask(world)
    first.wire.reset()
    assert not world.up.aborted
    second.wire.reset()
    assert world.up.aborted
    assert {row.outcome for row in rows(world).values()} == {Outcome.CLIENT_GONE}
    rest(world)


def test_a_request_after_everybody_left_asks_the_upstream_anew() -> None:
    """C3, C4: nobody joins an answer that was let go."""
    world = deduped(on_disconnect=30.0)
    ask(world).wire.reset()
    ask(world)
    assert len(world.endpoint.wires) == 2
    for wire in world.endpoint.wires:
        wire.deliver(SSE_HEAD + WHOLE)
    rest(world)


def test_a_client_that_leaves_right_after_the_terminal_event_has_finished() -> None:
    """C4, A2: as it would have alone, though another one still listens."""
    world = deduped()
    first, second = ask(world), ask(world)
    world.up.deliver(SSE_HEAD + WHOLE[: -len(LAST)])
    first.wire.reset()
    second.wire.reset()
    world.clock.advance(1)
    assert [row.outcome for row in rows(world).values()] == [Outcome.FINISHED] * 2
    rest(world)


def test_one_that_does_not_read_does_not_slow_the_other_down() -> None:
    """C4, D5: the upstream is paused only once nobody keeps up."""
    world = deduped()
    fast, slow = ask(world), ask(world)
    slow.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    for _ in range(2 * BUFFER // len(EVENT)):
        world.up.deliver(chunked(EVENT))
        fast.raw()
    assert world.up.reading
    fast.wire.stalled = True
    until_paused(world.up)
    fast.raw()
    assert world.up.reading
    world.up.deliver(WHOLE)
    assert fast.response().whole
    assert not slow.wire.aborted
    fast.wire.stalled = slow.wire.stalled = False
    for _ in range(10):
        slow.raw()
        world.clock.advance(0)
    assert slow.response().body == fast.response().body
    assert slow.response().whole
    rest(world)


def test_the_first_ones_row_waits_until_it_has_been_given_everything() -> None:
    """C4, A1: the exchange is over, the first client is not."""
    world = deduped()
    slow = ask(world)
    fast = ask(world)
    slow.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    for _ in range(2 * BUFFER // len(EVENT)):
        world.up.deliver(chunked(EVENT))
        fast.raw()
    world.up.deliver(WHOLE)
    world.clock.advance(2)
    assert world.record.intent.answer_of is not None
    assert len(world.services.running) == 1
    slow.wire.stalled = False
    for _ in range(10):
        slow.raw()
        world.clock.advance(0)
    leader = next(row for row in rows(world).values() if row.intent.answer_of is None)
    assert leader.outcome is Outcome.FINISHED
    assert leader.paused_ms == 2000
    rest(world)


def test_a_client_that_takes_nothing_for_too_long_is_cut_alone() -> None:
    """C4, D5: client_write_timeout is each one's own."""
    world = deduped(client_write_timeout=8.0)
    fast, slow = ask(world), ask(world)
    slow.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    for _ in range(2 * BUFFER // len(EVENT)):
        world.up.deliver(chunked(EVENT))
        fast.raw()
    world.clock.pump([2.0] * 5)
    assert slow.wire.aborted
    assert (world.record.outcome, world.record.error) == (
        Outcome.TIMED_OUT,
        ErrorCode.CLIENT_WRITE_TIMEOUT,
    )
    world.up.deliver(WHOLE)
    assert fast.response().whole
    rest(world)


def test_a_client_too_far_behind_another_one_is_cut_visibly() -> None:
    """C4, C5: no more than an eighth of dedup_memory is held for it."""
    world = deduped(dedup_memory=8 * 64 * 1024)
    fast, slow = ask(world), ask(world)
    slow.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    most = 0
    for _ in range(4 * BUFFER // len(EVENT)):
        world.up.deliver(chunked(EVENT))
        fast.raw()
        most = max(most, world.dedup.used)
    assert slow.wire.aborted
    assert world.record.error is ErrorCode.CLIENT_WRITE_TIMEOUT
    assert "dedup_memory" in str(world.record.error_detail)
    assert most < 64 * 1024 + 4096
    world.up.deliver(WHOLE)
    assert fast.response().whole
    rest(world)


def test_an_answer_that_outgrew_its_part_of_the_memory_is_joined_no_more() -> None:
    """C5: who asks then gets an answer of its own, and the first one is not stored."""
    world = deduped(dedup_memory=8 * 16 * 1024)
    first = ask(world)
    world.up.deliver(SSE_HEAD)
    for _ in range(20):
        world.up.deliver(chunked(EVENT))
    assert world.dedup.used < 4096
    ask(world)
    assert len(world.endpoint.wires) == 2
    world.endpoint.wires[0].deliver(WHOLE)
    world.endpoint.wires[1].deliver(SSE_HEAD + WHOLE)
    assert first.response().body == EVENT * 20 + BODY
    rest(world)


def test_who_joins_late_is_given_what_it_lacks_in_bites() -> None:
    """C4: a turn of the reactor is not filled with what one client missed."""
    world = deduped(dedup_memory=1 << 23)
    first = ask(world)
    world.up.deliver(SSE_HEAD)
    for _ in range(3 * BITE // len(EVENT)):
        world.up.deliver(chunked(EVENT))
        first.raw()
    second = ask(world)
    assert len(second.response().body) == BITE
    world.up.deliver(WHOLE)
    for _ in range(4):
        world.clock.advance(0)
        second.raw()
    assert second.response().body == first.response().body
    rest(world)


def test_an_upstream_that_fails_fails_for_everybody() -> None:
    """C4, E3: one error event each, and rows that say so."""
    world = deduped()
    clients = [ask(world), ask(world)]
    world.up.deliver(SSE_HEAD + FIRST)
    world.up.reset()
    for client in clients:
        assert client.response().body.count(b'data: {"error"') == 1
        assert client.response().whole
    assert [(row.outcome, row.error) for row in rows(world).values()] == [
        (Outcome.UPSTREAM_FAILED, ErrorCode.RESET)
    ] * 2
    rest(world)


def test_a_refusal_by_the_upstream_is_everybodys() -> None:
    """C4: status and body; the next request asks anew."""
    world = deduped()
    clients = [ask(world), ask(world)]
    world.up.deliver(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\n{}")
    for client in clients:
        assert (client.response().status, client.response().body) == (429, b"{}")
        assert client.response().get(b"retry-after") == b"7"
    ask(world)
    assert len(world.ledger.intents) == 3
    assert world.ledger.intents[2].answer_of is None
    world.up.reset()
    rest(world)


def test_an_upstream_that_cannot_be_reached_is_told_to_everybody() -> None:
    """C4, E1: before the head, a 502 each."""
    world = deduped()
    world.never_connect()
    clients = [ask(world), ask(world)]
    world.clock.advance(600)
    for client in clients:
        assert client.response().status == 504
    assert {row.outcome for row in rows(world).values()} == {Outcome.TIMED_OUT}
    rest(world)


def test_beats_are_heard_by_all_and_are_no_part_of_the_answer() -> None:
    """C4, K9: who comes later gets the upstream's bytes alone."""
    world = deduped(keepalive=KeepaliveMode.IMMEDIATE, keepalive_interval=3.0)
    clients = [ask(world), ask(world)]
    world.clock.advance(0)
    world.clock.advance(3)
    late = ask(world)
    world.up.deliver(SSE_HEAD + WHOLE)
    for client in clients:
        assert client.response().body == b": keepalive\n\n" * 2 + BODY
    assert late.response().body == BODY
    assert sorted(row.keepalives or 0 for row in rows(world).values()) == [0, 2, 2]
    again = ask(world)
    assert again.response().body == BODY
    rest(world)


def test_nothing_is_given_before_the_clients_own_intent_is_written() -> None:
    """C4, A6: a row first; then all that there is by then."""
    world = deduped()
    ask(world)
    world.ledger.hold = True
    second = ask(world)
    world.up.deliver(SSE_HEAD + WHOLE)
    assert second.raw() == b""
    world.ledger.release()
    assert second.response().body == BODY
    assert second.response().whole
    rest(world)


def test_a_client_whose_intent_is_not_taken_is_refused_alone() -> None:
    """C4, A6: 503 for it, the others get their answer."""
    world = deduped()
    first = ask(world)
    world.ledger.refuse = True
    second = ask(world)
    assert second.response().status == 503
    world.ledger.refuse = False
    world.up.deliver(SSE_HEAD + WHOLE)
    assert first.response().body == BODY
    rest(world)


def test_whoever_joined_a_request_that_the_ledger_refuses_is_refused_and_has_a_row() -> None:
    """C4, A6: its own intent was written, so its end has to be."""
    world = deduped()
    world.ledger.hold = True
    first, second = ask(world), ask(world)
    leaders, followers = world.ledger.held
    followers.callback(None)
    leaders.errback(RuntimeError("the disk is full"))
    world.ledger.held.clear()
    for client in (first, second):
        assert client.response().status == 503
    follower = next(row for row in rows(world).values() if row.intent.answer_of)
    assert (follower.outcome, follower.error) == (Outcome.REJECTED, ErrorCode.OVERLOADED)
    rest(world)


def test_stopping_ends_everybody_with_the_error_event() -> None:
    """C4, O4: whoever lags too far for that is cut."""
    world = deduped()
    clients = [ask(world), ask(world)]
    world.up.deliver(SSE_HEAD + FIRST)
    for answer in tuple(world.services.running):
        answer.drain()
    for client in clients:
        assert b'data: {"error"' in client.response().body
    assert {row.outcome for row in rows(world).values()} == {Outcome.DRAINED}
    assert not world.services.running
    rest(world)


def test_a_client_that_sends_too_much_behind_its_request_is_cut_alone() -> None:
    """C4, H6: the other one's answer goes on."""
    world = deduped()
    first, second = ask(world), ask(world)
    world.up.deliver(SSE_HEAD + FIRST)
    second.send(b"x" * 100_000)
    assert second.wire.aborted
    world.up.deliver(OTHERS + LAST)
    assert first.response().body == BODY
    assert {row.outcome for row in rows(world).values()} == {Outcome.FINISHED, Outcome.REJECTED}
    rest(world)


def test_without_dedup_identical_requests_have_nothing_in_common() -> None:
    """C1: off by default."""
    world = World()
    ask(world)
    ask(world)
    assert len(world.endpoint.wires) == 2
    for wire in world.endpoint.wires:
        wire.deliver(SSE_HEAD + WHOLE)
    rest(world)


def test_stalled_clients_of_many_answers_are_not_cut_for_the_sake_of_the_memory() -> None:
    """C5, D5: what one read of each upstream held waits where it would wait without dedup."""
    world = deduped(dedup_memory=64 * 1024)
    clients = []
    for number in range(30):
        clients.append(world.client())
        clients[-1].wire.stalled = True
        clients[-1].send(CHAT.replace(b'"m"', b'"%d"' % (10 + number)).replace(b": 41", b": 42"))
        world.up.deliver(SSE_HEAD)
        until_paused(world.up)
        world.up.reading = True
        world.up.deliver(b"".join(chunked(EVENT) for _ in range(20)))
    assert not any(client.wire.aborted for client in clients)
    for wire, client in zip(world.endpoint.wires, clients, strict=True):
        wire.reset()
        client.wire.stalled = False
        client.raw()  # and then there is room for the rest
        assert client.response().whole
    rest(world)


def test_a_client_that_is_behind_hears_no_beat_in_the_middle_of_what_it_lacks() -> None:
    """C4, K4: a beat may stand where those are that keep up, and nowhere else."""
    world = deduped(keepalive_after=2.0, keepalive_interval=3.0)
    fast, slow = ask(world), world.client()
    world.up.deliver(SSE_HEAD + chunked(EVENT) * 100)
    fast.raw()
    slow.wire.stalled = True
    slow.send(CHAT)
    world.clock.pump([1.0] * 4)
    slow.wire.stalled = False
    slow.raw()
    world.clock.advance(0)
    assert fast.response().body == EVENT * 100 + b": keepalive\n\n"
    assert slow.response().body == EVENT * 100
    world.up.reset()
    rest(world)


def test_a_client_that_reads_slowly_but_steadily_is_not_cut() -> None:
    """C4, D5: TCP is asked what it takes; nobody's deadline is the whole audience's."""
    world = deduped(client_write_timeout=8.0)
    with mock.patch.object(Request, "taken", side_effect=itertools.count()):
        client = ask(world)
        client.wire.stalled = True
        world.up.deliver(SSE_HEAD)
        until_paused(world.up)
        world.clock.pump([2.0] * 20)
    assert not client.wire.aborted
    world.up.reset()
    client.wire.stalled = False
    client.raw()
    rest(world)


def test_bodies_of_requests_that_joined_are_not_held() -> None:
    """C4, D10: their words have been said already."""
    world = deduped()
    world.never_connect()
    ask(world)
    held = world.budget.held
    ask(world)
    assert world.budget.held == held > 0
    world.clock.advance(600)
    rest(world)


def test_a_body_counts_as_held_when_the_client_that_sent_it_has_left() -> None:
    """C4, D10: else bodies without number could wait for an upstream that does not take them."""
    world = deduped()
    world.never_connect()
    first = ask(world)
    held = world.budget.held
    second = ask(world)
    first.wire.lose()
    assert world.budget.held == held > 0
    world.endpoint.connect_now()
    assert world.budget.held == 0
    world.up.deliver(SSE_HEAD + WHOLE)
    assert second.response().body == BODY
    rest(world)


def test_a_body_that_no_upstream_took_is_released_once() -> None:
    """C4, D10: also when everybody who waited has left."""
    world = deduped()
    world.never_connect()
    clients = [ask(world), ask(world)]
    for client in clients:
        client.wire.lose()
    assert world.budget.held == 0
    rest(world)
