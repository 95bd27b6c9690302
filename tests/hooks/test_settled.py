"""The hook ``settled``: it sees every row, delays nothing, and is waited for by a stop alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.config.model import Family
from gateway.hooks import RequestHead, Row
from gateway.hooks.calls import MOST_SETTLED, SETTLED_LIMIT, STOP_LIMIT
from gateway.hooks.loader import HookModule
from gateway.record import COLUMNS
from tests.exchange.test_batches import Fetch, lines
from tests.hooks.conftest import HookLog
from tests.hooks.test_request import Boom
from tests.transcripts import CHAT_EVENTS
from tests.world import CHAT, LAST, SSE_HEAD, UPSTREAM, World, chunked


def with_settled(hook: Callable[[Row], Any]) -> World:
    """A world in which that hook sees rows."""
    return World(hooks=HookModule(settled=hook))


def finish(world: World) -> None:
    """One request, which ends well."""
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    assert client.response().whole


def test_a_row_is_seen_as_gatewayctl_shows_it() -> None:
    """D11: plain values that JSON knows, under the names of the columns, with the tags."""
    rows: list[Row] = []
    world = World(hooks=HookModule(lambda head: head.tag("team", "red"), settled=rows.append))
    finish(world)
    [row] = rows
    assert tuple(row) == COLUMNS
    assert (row["outcome"], row["output_tokens"], row["stream"]) == ("finished", 3, True)
    assert row["tags"] == '{"team": "red"}'
    assert json.loads(json.dumps(row)) == row
    assert all(value is None or type(value) in (str, int, float, bool) for value in row.values())


def test_the_ledger_has_the_row_before_the_hook_sees_it() -> None:
    """D11, A15: so what the hook does cannot lose it."""
    known: list[int] = []
    world = with_settled(lambda row: known.append(len(world.ledger.records)))
    finish(world)
    assert known == [1]


def test_a_result_that_is_fetched_again_is_seen_again_under_its_id() -> None:
    """D11, A8: it sees what was fetched, and docs/hooks.rst says what that means for costs."""
    rows: list[Row] = []
    hooks = HookModule(settled=rows.append)
    world = World(upstream=replace(UPSTREAM, family=Family.ANTHROPIC), hooks=hooks)
    for _ in range(2):
        Fetch(world).answer(lines(1)).settled()
    first, again = [row["id"] for row in rows if row["dialect"] == "anthropic_batch"]
    assert first == again


def test_a_refusal_has_a_row_that_is_seen() -> None:
    """D11: those of the gateway's own, too."""
    rows: list[Row] = []
    world = with_settled(rows.append)
    world.accepting = False
    world.client().send(CHAT)
    assert [row["outcome"] for row in rows] == ["rejected"]


def test_an_exception_in_settled_harms_no_row(hook_log: HookLog) -> None:
    """D11, A3, A15: counted and logged."""

    def hook(row: Row) -> None:
        raise Boom

    world = with_settled(hook)
    finish(world)
    assert world.record.outcome == "finished"
    assert world.hooks.failures["settled"] == 1
    assert hook_log.take_raised(Boom) == 1


def test_nonsense_from_settled_is_told(hook_log: HookLog) -> None:
    """D11, A3: and means nothing."""
    world = with_settled(lambda row: 1)
    finish(world)
    assert world.hooks.failures["settled"] == 1
    assert hook_log.lines[0].endswith("it returns None or a Deferred of None")


def test_a_webhook_that_hangs_is_cancelled_in_the_end(hook_log: HookLog) -> None:
    """D11: nothing has waited for it."""
    cancelled: list[bool] = []
    world = with_settled(lambda row: Deferred(lambda _: cancelled.append(True)))
    finish(world)
    assert not world.services.running
    world.clock.advance(SETTLED_LIMIT)
    assert cancelled == [True]
    assert world.hooks.failures["settled"] == 1
    assert hook_log.lines == ["the hook settled did not end within 30 s and was cancelled"]
    world.clock.advance(100)
    assert world.idle()


def test_a_failure_that_comes_later_is_told(hook_log: HookLog) -> None:
    """D11, A3: as one that comes at once."""
    wait: Deferred[None] = Deferred()

    async def hook(row: Row) -> None:
        await wait
        raise Boom

    world = with_settled(hook)
    finish(world)
    wait.callback(None)
    assert world.hooks.failures["settled"] == 1
    assert hook_log.take_raised(Boom) == 1
    world.clock.advance(100)
    assert world.idle()


def test_so_many_rows_at_most_wait_for_a_hook(hook_log: HookLog) -> None:
    """D11: those above it are not shown; memory has a bound."""
    shown: list[Row] = []

    def hook(row: Row) -> Deferred[None]:
        shown.append(row)
        return Deferred()

    world = with_settled(hook)
    finish(world)
    for _ in range(MOST_SETTLED + 1):
        world.hooks.settled(world.record)
    assert len(shown) == MOST_SETTLED
    assert world.hooks.failures["settled"] == 2
    assert "1000 rows" in hook_log.lines[0]
    world.clock.advance(SETTLED_LIMIT)
    world.hooks.settled(world.record)
    assert len(shown) == MOST_SETTLED + 1


def test_a_stop_waits_for_what_is_under_way() -> None:
    """D11, O4: until it has come to its end."""
    waits: list[Deferred[None]] = []

    def hook(row: Row) -> Deferred[None]:
        waits.append(Deferred())
        return waits[-1]

    world = with_settled(hook)
    finish(world)
    world.hooks.settled(world.record)
    stopped = Deferred.fromCoroutine(world.hooks.stop())
    waits[0].callback(None)
    assert not stopped.called
    waits[1].callback(None)
    assert stopped.called
    world.clock.advance(100)
    assert world.idle()


def test_a_stop_does_not_wait_for_ever(hook_log: HookLog) -> None:
    """D11, O4: what is left is cancelled and told."""
    cancelled: list[bool] = []
    world = with_settled(lambda row: Deferred(lambda _: cancelled.append(True)))
    finish(world)
    stopped = Deferred.fromCoroutine(world.hooks.stop())
    world.clock.advance(STOP_LIMIT)
    assert stopped.called
    assert cancelled == [True]
    assert world.hooks.failures["settled"] == 1
    assert hook_log.lines[-1] == "the hook settled did not end before the gateway did"
    world.clock.advance(100)
    assert world.idle()


@pytest.mark.parametrize("early", [True, False])
def test_a_second_signal_ends_the_wait(early: bool, hook_log: HookLog) -> None:
    """D11, O4: also one that came while streams were waited for."""
    cancelled: list[bool] = []
    world = with_settled(lambda row: Deferred(lambda _: cancelled.append(True)))
    finish(world)
    if early:
        world.hooks.hurry()
    stopped = Deferred.fromCoroutine(world.hooks.stop())
    assert stopped.called is early
    world.hooks.hurry()
    assert stopped.called
    assert cancelled == [True]
    world.clock.advance(100)
    assert world.idle()


@pytest.mark.parametrize("hook", [None, lambda row: None])
def test_a_stop_with_nothing_under_way_is_over_at_once(hook: Callable[[Row], None] | None) -> None:
    world = World(hooks=HookModule(settled=hook))
    finish(world)
    assert Deferred.fromCoroutine(world.hooks.stop()).called


def test_a_module_with_settled_alone_costs_requests_nothing() -> None:
    """D11: exchanges are not told of it."""
    assert not World(hooks=HookModule(settled=lambda row: None)).hooks.sees_requests
    assert World(hooks=HookModule(request=_nothing)).hooks.sees_requests


def _nothing(head: RequestHead) -> None:
    """A hook that does nothing."""
