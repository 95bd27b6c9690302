"""What answers in common cost, by the prices that hold; and errors of our own."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.python.failure import Failure

from gateway.config.model import KeepaliveMode
from gateway.front.request import Request
from gateway.prices import PriceLink, Pricer
from gateway.prices.own import OwnPrices
from gateway.record import Outcome, Record
from tests.conftest import LoggedFailures
from tests.dedup.stage import (
    BODY,
    WHOLE,
    ask,
    deduped,
    leader_and_follower,
    rest,
    rows,
)
from tests.prices.helpers import prices
from tests.transcripts import CHAT_EVENTS
from tests.world import SSE_HEAD, Client, chunked

FIRST = chunked(CHAT_EVENTS[0])
OTHERS = WHOLE[len(FIRST) :]


class Unasked(Pricer):
    """Nothing may reach it."""

    def __init__(self) -> None:
        super().__init__(OwnPrices([prices()]))

    def priced_record(self, record: Record) -> Record:
        raise AssertionError(f"{record.intent.id} was sent to be priced")


def test_prices_are_asked_for_no_follower() -> None:
    """C2, C4, A12: its cost is none, and stays so; the link of prices does not touch it."""
    world = deduped()
    link = PriceLink(Unasked(), world.clock)
    priced: list[object] = []
    world.chain.insert(
        0, ("prices", lambda row: priced.append(link.price(row)) if row.intent.answer_of else None)
    )
    ask(world)
    ask(world)
    world.up.deliver(SSE_HEAD + WHOLE)
    ask(world)
    followers = [row for row in rows(world).values() if row.intent.answer_of]
    assert len(followers) == 2
    assert priced == followers
    assert link.skipped == 0
    assert [row.cost_usd for row in followers] == [0.0, 0.0]
    rest(world)


def test_an_error_in_giving_to_one_client_ends_that_one_alone(
    logged_failures: LoggedFailures,
) -> None:
    """C4, A3: internal_error for it, and for nobody else."""
    world = deduped()
    first, second = ask(world), ask(world)
    world.up.deliver(SSE_HEAD)
    send = Request.send

    def fails_for_one(request: Request, data: bytes) -> None:
        if request.channel is second.channel:
            raise ZeroDivisionError
        send(request, data)

    with mock.patch.object(Request, "send", fails_for_one):
        world.up.deliver(FIRST)
    world.up.deliver(OTHERS)
    assert second.wire.aborted
    assert first.response().body == BODY
    leader, follower = leader_and_follower(world)
    assert leader.outcome is Outcome.FINISHED
    assert follower.outcome is Outcome.INTERNAL_ERROR
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    rest(world)


def test_an_error_in_giving_what_is_no_part_of_the_answer_ends_one_client_alone(
    logged_failures: LoggedFailures,
) -> None:
    """C4, A3: an interim response to one, a keepalive to another."""
    world = deduped(keepalive=KeepaliveMode.IMMEDIATE, keepalive_interval=3.0)
    first, second, third = ask(world), ask(world), ask(world)
    send_interim, send_beat = Request.send_interim, Request.send_beat

    def interim(request: Request, *told: Any) -> None:
        if request.channel is second.channel:
            raise ZeroDivisionError
        send_interim(request, *told)

    def beat(request: Request, data: bytes) -> None:
        if request.channel is third.channel:
            raise ZeroDivisionError
        send_beat(request, data)

    with mock.patch.multiple(Request, send_interim=interim, send_beat=beat):
        world.up.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        world.clock.advance(3)
    world.up.deliver(SSE_HEAD + WHOLE)
    assert first.response().body == b": keepalive\n\n" + BODY
    assert sorted(row.outcome for row in rows(world).values()) == [
        Outcome.FINISHED,
        Outcome.INTERNAL_ERROR,
        Outcome.INTERNAL_ERROR,
    ]
    assert len(logged_failures.flush(ZeroDivisionError)) == 2
    rest(world)


def test_an_error_in_the_exchange_ends_all_of_them_and_leaves_nobody_waiting(
    logged_failures: LoggedFailures,
) -> None:
    """C4, A3: the body is broken for each, and each has its row."""
    world = deduped()
    clients = [ask(world), ask(world)]
    world.up.deliver(SSE_HEAD + FIRST)
    with mock.patch("gateway.sse.EventScanner.feed", side_effect=ZeroDivisionError):
        world.up.deliver(OTHERS)
    assert all(client.wire.aborted for client in clients)
    assert [row.outcome for row in rows(world).values()] == [Outcome.INTERNAL_ERROR] * 2
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    world.clock.advance(1)
    assert world.dedup.used == 0
    rest(world)


def test_a_link_of_the_chain_that_fails_keeps_nobody_from_a_row(
    logged_failures: LoggedFailures,
) -> None:
    """C4, A15: accounting of one kind does not reach another."""
    world = deduped()
    world.chain.insert(0, ("broken", lambda row: Failure(ZeroDivisionError())))
    clients: list[Client] = [ask(world), ask(world)]
    world.up.deliver(SSE_HEAD + WHOLE)
    assert all(client.response().body == BODY for client in clients)
    assert len(rows(world)) == 2
    assert len(logged_failures.flush(ZeroDivisionError)) == 2
    rest(world)
