"""Records on their way to the ledger get their prices: at once if they can, or in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from gateway.exchange.completion import complete
from gateway.prices import PriceLink, Pricer
from gateway.prices.own import OwnPrices
from gateway.record import Outcome, Record, Usage
from tests.ledger.helpers import a_record
from tests.prices.helpers import prices

WITH_USAGE = Usage(input_tokens=1_000_000, output_tokens=0)


class SlowPricer(Pricer):
    """Prices only once it is let go."""

    def __init__(self) -> None:
        super().__init__(OwnPrices([prices()]))
        self.go = threading.Event()
        self.threads: set[str] = set()

    def priced_record(self, record: Record) -> Record:
        self.threads.add(threading.current_thread().name)
        assert self.go.wait(10)
        return super().priced_record(record)


@pytest.fixture
def pricer() -> SlowPricer:
    return SlowPricer()


@pytest.fixture
def link(pricer: SlowPricer) -> Iterator[PriceLink]:
    """A link that runs and takes two records at a time."""
    from twisted.internet import reactor

    made = PriceLink(pricer, reactor, limit=2)
    made.start()
    yield made
    pricer.go.set()
    pytest_twisted.blockon(made.stop())


def chained(link: PriceLink) -> tuple[Deferred[Record], list[Record]]:
    """A completion chain with the link, and what the link behind it gets."""
    got: list[Record] = []
    links = [("prices", link.price), ("ledger", got.append)]
    chain: Deferred[Record] = Deferred()
    return chain.addCallback(complete, links), got


async def test_the_links_behind_get_the_record_with_its_price(
    link: PriceLink, pricer: SlowPricer
) -> None:
    """A12: cost and snapshot are in the row."""
    chain, got = chained(link)
    record = a_record(usage=WITH_USAGE)
    chain.callback(record)
    assert got == []  # the reactor went on
    pricer.go.set()
    await chain
    (priced,) = got
    assert (priced.intent, priced.cost_usd) == (record.intent, 2.0)
    assert str(priced.price_snapshot).startswith("mine/always/")
    assert pricer.threads != {threading.current_thread().name}


def test_a_record_without_usage_is_not_held_up(link: PriceLink) -> None:
    """A15: what is nothing to pay for goes on at once."""
    chain, got = chained(link)
    record = a_record(usage=Usage(), outcome=Outcome.REJECTED)
    chain.callback(record)
    assert got == [record]


async def test_where_too_many_wait_records_go_on_without_a_price(
    link: PriceLink, pricer: SlowPricer
) -> None:
    """A15: accounting does not wait for prices, and says so."""
    waiting = [chained(link) for _ in range(3)]
    for chain, _ in waiting:
        chain.callback(a_record(usage=WITH_USAGE))
    assert [len(got) for _, got in waiting] == [0, 0, 1]
    assert (waiting[2][1][0].cost_usd, link.skipped) == (None, 1)
    pricer.go.set()
    for chain, _ in waiting:
        await chain
    assert [got[0].cost_usd for _, got in waiting[:2]] == [2.0, 2.0]


async def test_the_next_record_of_a_model_is_priced_at_once(
    link: PriceLink, pricer: SlowPricer
) -> None:
    """A12, A15: no thread is asked for what is known, however many wait for it."""
    pricer.go.set()
    first, _ = chained(link)
    first.callback(a_record(usage=WITH_USAGE))
    await first
    pricer.go.clear()
    waiting = [chained(link)[0] for _ in range(2)]
    for chain in waiting:
        chain.callback(a_record(usage=WITH_USAGE, model_served="another"))
    chain, got = chained(link)
    chain.callback(a_record(usage=WITH_USAGE))
    assert [(record.cost_usd, link.skipped) for record in got] == [(2.0, 0)]
    pricer.go.set()
    for chain in waiting:
        await chain
    assert (pricer.priced, pricer.unpriced) == (4, 0)


async def test_stopping_waits_for_what_is_being_priced(link: PriceLink, pricer: SlowPricer) -> None:
    """A15: the ledger stops only after this."""
    chain, got = chained(link)
    chain.callback(a_record(usage=WITH_USAGE))
    stopped = link.stop()
    assert not stopped.called
    pricer.go.set()
    await stopped
    assert [record.cost_usd for record in got] == [2.0]


async def test_a_record_that_cannot_be_priced_goes_on_as_it_is(
    link: PriceLink, pricer: SlowPricer, logged_failures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A15: an error in our own code costs the price, not the row."""

    def broken(record: Record) -> Record:
        raise RuntimeError("a bug")

    monkeypatch.setattr(pricer, "priced_record", broken)
    chain, got = chained(link)
    record = a_record(usage=WITH_USAGE)
    chain.callback(record)
    await chain
    assert got == [record]
    assert [failure.type for failure in logged_failures.flush(RuntimeError)] == [RuntimeError]


def test_an_unknown_model_is_counted_and_has_no_cost() -> None:
    """A12: NULL and counted, never 0."""
    pricer = Pricer(OwnPrices([prices(models=("known",))]))
    priced = pricer.priced_record(a_record(usage=WITH_USAGE))
    assert (priced.cost_usd, priced.price_snapshot, pricer.unpriced) == (None, None, 1)


def test_what_is_answered_from_a_copy_is_not_paid_for_again() -> None:
    record = a_record(usage=WITH_USAGE, outcome=Outcome.REPLAYED)
    assert Pricer(OwnPrices([prices()])).priced_record(record) is record
