"""Hooks and answers in common: every request is shown to them, whoever's answer it gets."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred

from gateway.exchange.story import LONGEST_TEXT
from gateway.hooks.heads import RequestHead
from gateway.hooks.loader import HookModule
from gateway.record import ErrorCode, Outcome
from tests.dedup.stage import BODY, WHOLE, answered, ask, deduped, leader_and_follower, rest
from tests.world import CHAT_WHOLE, SSE_HEAD


class Policy:
    """Lets the first request through, and does with the second what a test says."""

    def __init__(self, second: object = None) -> None:
        self.seen: list[RequestHead] = []
        self._second = second

    def __call__(self, head: RequestHead) -> object:
        self.seen.append(head)
        head.tag("number", str(len(self.seen)))
        if len(self.seen) < 2:
            return None
        if self._second == "refuse":
            head.refuse(429, "that was the last one")
        return self._second if isinstance(self._second, Deferred) else None


def test_a_hook_refuses_a_request_that_would_have_been_given_a_replay() -> None:
    """D11, C2: a policy holds for what costs nothing, too."""
    policy = Policy("refuse")
    world = deduped(hooks=HookModule(request=policy))
    answered(world)
    second = ask(world)
    assert second.response().status == 429
    assert b"that was the last one" in second.response().body
    leader, follower = leader_and_follower(world)
    assert leader.outcome is Outcome.FINISHED
    assert (follower.outcome, follower.error) == (Outcome.REJECTED, ErrorCode.HOOK)
    assert follower.error_detail == "that was the last one"
    rest(world)


def test_a_refusal_is_as_long_as_where_the_upstream_would_have_been_asked() -> None:
    """D11: what a row and an answer hold is bounded, whatever a hook says."""

    def request(head: RequestHead) -> None:
        if len(world.ledger.intents) > 1:
            head.refuse(403, "x" * 5000)

    world = deduped(hooks=HookModule(request=request))
    answered(world)
    joined, alone = ask(world), ask(world, CHAT_WHOLE)
    assert joined.response().body == alone.response().body
    details = [row.error_detail for row in world.ledger.records[1:]]
    assert details == ["x" * LONGEST_TEXT] * 2
    rest(world)


def test_a_refusal_that_was_waited_for_is_the_answer_of_those_that_joined_meanwhile() -> None:
    """D11, C4: as every answer is that was under way (docs/hooks.rst)."""
    verdict: Deferred[None] = Deferred()

    def request(head: RequestHead) -> object:
        if len(world.ledger.intents) > 1:
            return None
        return verdict.addCallback(lambda _: head.refuse(403, "not you"))

    world = deduped(hooks=HookModule(request=request))
    clients = [ask(world), ask(world)]
    verdict.callback(None)
    assert [client.response().status for client in clients] == [403, 403]
    assert [row.error for row in world.ledger.records] == [ErrorCode.HOOK] * 2
    rest(world)


def test_a_hook_tags_the_row_of_a_request_that_joins() -> None:
    """D11, C4: each row has its own."""
    policy = Policy()
    world = deduped(hooks=HookModule(request=policy))
    ask(world)
    second = ask(world)
    world.up.deliver(SSE_HEAD + WHOLE)
    assert second.response().body == BODY
    tags = [json.loads(row.tags or "{}") for row in leader_and_follower(world)]
    assert tags == [{"number": "1"}, {"number": "2"}]
    rest(world)


def test_a_request_waits_for_its_hook_before_it_is_given_anothers_answer() -> None:
    """D11, C4: and then gets all of it."""
    waiting: Deferred[None] = Deferred()
    world = deduped(hooks=HookModule(request=Policy(waiting)))
    answered(world)
    second = ask(world)
    assert second.wire.unread == b""
    waiting.callback(None)
    assert second.response().body == BODY
    rest(world)


def test_a_client_that_leaves_while_its_hook_thinks_is_gone_and_the_hook_cancelled() -> None:
    """D11, A2: nobody waits for what nobody wants."""
    cancelled: list[object] = []
    waiting: Deferred[None] = Deferred(cancelled.append)
    world = deduped(hooks=HookModule(request=Policy(waiting)))
    answered(world)
    second = ask(world)
    second.wire.reset()
    assert cancelled == [waiting]
    _, follower = leader_and_follower(world)
    assert follower.outcome is Outcome.CLIENT_GONE
    rest(world)
