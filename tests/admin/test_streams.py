"""Requests that run, as an operator sees them, and ended by one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.admin import streams as module
from gateway.admin.streams import ENDED, kill_stream, row, streams
from gateway.record import Outcome, Phase
from tests.ledger.helpers import an_intent
from tests.transcripts import CHAT_EVENTS
from tests.world import (
    CHAT,
    CHAT_WHOLE,
    LAST,
    MESSAGES,
    SSE_HEAD,
    UPSTREAM,
    World,
    chunked,
    post,
    until_paused,
)

USAGE = (
    b'data: {"id":"c","model":"gpt-served","choices":[],'
    b'"usage":{"prompt_tokens":12,"completion_tokens":34}}\n\n'
)


def only(world: World) -> dict[str, Any]:
    """The one request that runs."""
    [found] = listed(world)
    return found


def listed(world: World) -> list[dict[str, Any]]:
    """What an operator is told."""
    services = world.services
    return streams(services.running, services.clock.seconds(), services.wall())


def test_a_request_that_waits_for_its_head_says_so() -> None:
    world = World()
    world.client().send(CHAT)
    world.clock.advance(3)
    found = only(world)
    assert found["id"] == world.ledger.intents[0].id
    assert (found["route"], found["upstream"], found["dialect"]) == ("r", "up", "openai_chat")
    assert (found["phase"], found["age_seconds"], found["model"]) == ("head", 3.0, "m")
    assert found["upstream_silent_seconds"] is None
    assert found["client_silent_seconds"] is None


def test_what_has_come_of_a_stream_is_told_while_it_runs() -> None:
    world = World()
    world.client().send(CHAT)
    world.clock.advance(1)
    sent = [*CHAT_EVENTS[:2], USAGE]
    world.up.deliver(SSE_HEAD + chunked(*sent))
    world.clock.advance(2)
    found = only(world)
    assert (found["phase"], found["events"]) == ("relay", 3)
    assert found["response_bytes"] == sum(map(len, sent))
    assert (found["input_tokens"], found["output_tokens"]) == (12, 34)
    assert found["model"] == "m-1", "who answers knows best"
    assert (found["upstream_silent_seconds"], found["client_silent_seconds"]) == (2.0, 2.0)
    assert (found["paused"], found["paused_seconds"]) == (False, 0.0)


def test_what_is_held_back_of_an_event_is_no_silence_of_the_upstream() -> None:
    world = World()
    world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    world.clock.advance(4)
    world.up.deliver(chunked(CHAT_EVENTS[1][:10]))
    world.clock.advance(1)
    found = only(world)
    assert (found["upstream_silent_seconds"], found["client_silent_seconds"]) == (1.0, 5.0)


def test_a_whole_answer_that_comes_slowly_is_heard_by_its_client() -> None:
    world = World()
    world.client().send(CHAT_WHOLE)
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    world.clock.advance(5)
    world.up.deliver(b" ")
    world.clock.advance(1)
    assert only(world)["client_silent_seconds"] == 1.0


def test_a_client_that_does_not_read_is_seen_to_be_paused() -> None:
    world = World()
    client = world.client().send(CHAT)
    client.wire.stalled = True
    world.up.deliver(SSE_HEAD)
    until_paused(world.up)
    world.clock.advance(7)
    found = only(world)
    assert (found["paused"], found["paused_seconds"]) == (True, 7.0)
    assert found["client_silent_seconds"] == 7.0


def test_keepalives_are_counted() -> None:
    world = World(keepalive_after=2.0, keepalive_interval=2.0)
    world.client().send(CHAT)
    world.clock.pump([1.0] * 5)
    assert only(world)["keepalives"] == 2


def test_what_is_read_on_behind_a_client_that_left_is_told() -> None:
    world = World(on_disconnect=60.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.wire.lose()
    assert only(world)["client_left"]


def test_a_body_that_is_passed_on_while_it_comes_is_counted_as_it_comes() -> None:
    world = World(inspect_limit=0)
    body = b'{"model":"m","stream":true,"messages":[]}' + b" " * 5000
    world.client().send(post("/v1/chat/completions", body)[:-3000])
    found = only(world)
    assert 1000 < found["request_bytes"] < len(body)


def test_looking_changes_nothing() -> None:
    told = []
    for looks in (0, 3):
        world = World()
        world.client().send(CHAT)
        for piece in (SSE_HEAD, chunked(*CHAT_EVENTS), LAST):
            for _ in range(looks):
                listed(world)
            world.clock.advance(1)
            world.up.deliver(piece)
        row = world.record.as_row()
        told.append({name: value for name, value in row.items() if name != "id"})
    assert told[0] == told[1]
    assert told[0]["outcome"] == "finished"


def test_no_key_is_in_what_is_told() -> None:
    """H8: the client's own key came with the request."""
    world = World()
    world.client().send(CHAT)
    assert "canary" not in str(listed(world))


def test_what_cannot_tell_how_far_it_is_is_listed_all_the_same() -> None:
    class Joined:
        intent = an_intent(answer_of="another")
        phase = Phase.RELAY
        paused = True

        def drain(self) -> None:
            """Never called here."""

        def kill(self, detail: str) -> None:
            """Never called here."""

    found = row(Joined(), now=0.0, wall=Joined.intent.started_at + 4)
    assert (found["answer_of"], found["phase"], found["age_seconds"]) == ("another", "relay", 4.0)
    assert found["paused"]


def test_of_very_many_the_oldest_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    world = World()
    for _ in range(4):
        world.client().send(CHAT)
        world.clock.advance(1)
    oldest = [intent.id for intent in world.ledger.intents[:2]]
    assert [found["id"] for found in listed(world)] == oldest


# Ended by an operator.


def test_a_stream_that_an_operator_ends_is_told_in_its_dialect_and_drained() -> None:
    """O4: as a stop would end it, but with the operator's reason."""
    world = World()
    client = world.client().send(MESSAGES)
    world.up.deliver(SSE_HEAD + chunked(b"event: ping\ndata: {}\n\n"))
    assert kill_stream(world.services, only(world)["id"])
    answer = client.response()
    assert answer.whole
    assert b"event: error\n" in answer.body
    assert ENDED.encode() in answer.body
    record = world.record
    assert (record.outcome, record.error) == (Outcome.DRAINED, "operator")
    assert (record.error_detail, record.phase) == (ENDED, Phase.RELAY)
    assert world.up.aborted
    world.clock.advance(1)
    assert world.idle()


def test_a_request_that_has_no_answer_yet_is_answered_503() -> None:
    world = World()
    client = world.client().send(CHAT)
    assert kill_stream(world.services, only(world)["id"])
    answer = client.response()
    assert answer.status == 503
    assert ENDED.encode() in answer.body


def test_only_the_one_that_was_meant_is_ended() -> None:
    world = World()
    clients = [world.client().send(CHAT) for _ in range(3)]
    meant = world.ledger.intents[1].id
    assert kill_stream(world.services, meant)
    assert [bool(client.raw()) for client in clients] == [False, True, False]
    assert world.record.intent.id == meant


def test_what_does_not_run_cannot_be_ended() -> None:
    world = World(upstream=UPSTREAM)
    world.client().send(CHAT)
    assert not kill_stream(world.services, "01a1fdab-f43f-7f22-b7ef-d5dad4cafcb8")
    assert not world.ledger.records
