"""The results of batches on their way through the gateway: their bytes, and a row for each."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from gateway.config.model import Family
from gateway.exchange.results import HIGH, LOOK, PATIENCE, SLICE, UNDER_WAY
from gateway.record import ErrorCode, Outcome, Record, Usage, UsageSource, derived_id
from tests.dialects.test_batches import BODY, KNOWN, line
from tests.world import UPSTREAM, World, post

PATH = "/v1/messages/batches/msgbatch_1/results"
CODED = b"\r\nContent-Encoding: %b"


def a_world() -> World:
    """One whose upstream is Anthropic's."""
    return World(upstream=replace(UPSTREAM, family=Family.ANTHROPIC))


class Fetch:
    """A fetch of results by one client."""

    def __init__(self, world: World, path: str = PATH) -> None:
        self.world = world
        request = f"GET {path} HTTP/1.1\r\nHost: gw.test\r\n\r\n"
        self.client = world.client().send(request.encode())
        self.up = world.up

    def answer(self, body: bytes, *, fields: bytes = b"", length: int | None = None) -> Fetch:
        """Answer, in pieces of 16 KiB, unless the upstream is not read; `length` is announced."""
        size = len(body) if length is None else length
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-jsonl\r\nContent-Length: %d%b\r\n\r\n"
        )
        self.up.deliver(head % (size, fields))
        return self.more(body)

    def more(self, body: bytes) -> Fetch:
        """More of the body."""
        for at in range(0, len(body), 16384):
            while not self.up.reading:
                self.world.clock.advance(0)
            self.up.deliver(body[at : at + 16384])
            self.client.raw()
        return self

    def settled(self) -> Fetch:
        """Let the rows be made."""
        while self.world.services.results:
            self.world.clock.advance(0)
        return self

    @property
    def body(self) -> bytes:
        """What the client has got."""
        return self.client.response("GET").body


def rows_of(world: World) -> tuple[list[Record], list[Record]]:
    """The rows of fetches, and those of results."""
    fetches = [r for r in world.ledger.records if r.intent.dialect == "anthropic_batches"]
    results = [r for r in world.ledger.records if r.intent.dialect == "anthropic_batch"]
    assert len(fetches) + len(results) == len(world.ledger.records)
    return fetches, results


def due(world: World) -> list[DelayedCall]:
    """What a turn of a reactor would call now."""
    now = world.clock.seconds()
    calls = [call for call in world.clock.calls if isinstance(call, DelayedCall)]
    return [call for call in calls if call.getTime() <= now]


def turn(world: World) -> None:
    """Call what is due, as a turn of a reactor does: what is asked for meanwhile waits."""
    for call in due(world):
        world.clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)


def quiet(world: World) -> bool:
    """Nothing is left to be done for results."""
    return not (world.services.results or world.services.running or due(world))


def lines(count: int, first: int = 0) -> bytes:
    """So many results."""
    return b"".join(line(f"r{number}") + b"\n" for number in range(first, first + count))


def test_each_result_gets_a_row_and_the_fetch_one_without_tokens() -> None:
    """A8: the bytes are passed on as they came; only what succeeded is billed."""
    world = a_world()
    fetch = Fetch(world).answer(BODY).settled()
    assert fetch.body == BODY
    (own,), (first, *others) = rows_of(world)
    assert (own.outcome, own.usage, own.usage_source) == (
        Outcome.FINISHED,
        Usage(),
        UsageSource.NONE,
    )
    assert own.error_detail == "lines that were not counted: 1 not readable as results"
    assert len(others) == 2
    assert first.intent.id == derived_id("up", "msgbatch_1", "a")
    assert first.intent.answer_of == own.intent.id
    assert (first.intent.method, first.intent.path) == ("GET", PATH)
    assert (first.intent.tenant, first.intent.route) == (own.intent.tenant, "r")
    assert (first.outcome, first.usage, first.usage_source) == (
        Outcome.FINISHED,
        KNOWN,
        UsageSource.PROVIDER,
    )
    assert (first.model_served, first.stop_reason) == ("large-2", "end_turn")
    assert world.ledger.intents == [own.intent]
    assert quiet(world)


def test_a_result_has_the_same_row_each_time_and_those_of_other_batches_another() -> None:
    """A8: by this the ledger counts it once."""
    world = a_world()
    for path in (PATH, "/x" + PATH + "?a=b", PATH.replace("_1", "_2")):
        Fetch(world, path).answer(line("a")).settled()
    one, again, other = [row.intent.id for row in rows_of(world)[1]]
    assert one == again != other


@pytest.mark.parametrize("end", ["cut", "gone"])
def test_what_came_whole_of_a_fetch_that_was_cut_has_rows(end: str) -> None:
    """A8: whoever cut it; the client sees that the rest is missing."""
    world = a_world()
    body = lines(3)
    fetch = Fetch(world).answer(body[:-5], length=len(body))
    if end == "cut":
        fetch.up.lose()
    else:
        fetch.client.wire.reset()
    fetch.settled()
    (own,), results = rows_of(world)
    wanted = Outcome.UPSTREAM_FAILED if end == "cut" else Outcome.CLIENT_GONE
    assert own.outcome is wanted
    assert len(results) == 2
    assert not fetch.client.response("GET").whole


def test_a_fetch_of_many_results_is_read_no_faster_than_rows_are_made() -> None:
    """A15: some hundred results wait, not all; no turn of the reactor makes more than a few."""
    world = a_world()
    body = lines(3000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    fetch = Fetch(world)
    fetch.up.deliver(head)
    at, held = 0, 0
    while at < len(body):
        if fetch.up.reading:
            fetch.up.deliver(body[at : at + 16384])
            fetch.client.raw()
            at += 16384
        else:
            held += 1
            made = len(world.ledger.records)
            turn(world)
            assert len(world.ledger.records) - made <= SLICE
        (rows,) = world.services.results
        assert len(rows._waiting) <= HIGH + 16384 // len(line("r1"))
    fetch.settled()
    assert held
    assert fetch.body == body
    assert len({row.intent.id for row in rows_of(world)[1]}) == 3000
    assert quiet(world)


def test_a_first_read_of_many_results_holds_the_upstream_behind_it() -> None:
    """A15: what came with the head waits for its rows like all that follows."""
    world = a_world()
    body = lines(HIGH + 1)
    fetch = Fetch(world)
    fetch.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body) + 1, body))
    assert not fetch.up.reading
    fetch.client.raw()
    assert not fetch.up.reading
    while not fetch.up.reading:
        world.clock.advance(0)
    fetch.up.deliver(b"\n")
    fetch.settled()
    assert len(rows_of(world)[1]) == HIGH + 1
    assert quiet(world)


def test_rows_wait_while_others_are_priced() -> None:
    """A15: so many are on their way at most, and the next ones follow them."""
    world = a_world()
    held: list[Deferred[None]] = []

    def price(record: Record) -> object:
        if record.intent.dialect != "anthropic_batch":
            return record
        held.append(Deferred())
        return held[-1]

    world.chain.insert(0, ("prices", price))
    fetch = Fetch(world).answer(lines(200))
    for _ in range(100):
        world.clock.advance(0)
    assert len(held) == UNDER_WAY
    while held:
        held.pop(0).callback(None)
        world.clock.advance(0)
        assert len(held) <= UNDER_WAY
    fetch.settled()
    assert len(rows_of(world)[1]) == 200
    assert quiet(world)


def test_rows_wait_for_room_in_the_ledger() -> None:
    """A6: what comes in the meantime is passed on."""
    world = a_world()
    world.ledger.full = True
    fetch = Fetch(world).answer(lines(20))
    for _ in range(5):
        world.clock.advance(LOOK)
    assert not rows_of(world)[1]
    assert fetch.body == lines(20)
    world.ledger.full = False
    world.clock.advance(LOOK)
    fetch.settled()
    assert len(rows_of(world)[1]) == 20
    assert quiet(world)


def test_results_that_the_ledger_has_no_room_for_are_told_of_and_can_be_fetched_again() -> None:
    """A6, A15: the answer goes on without rows."""
    world = a_world()
    world.ledger.full = True
    fetch = Fetch(world).answer(lines(20), length=len(lines(40)))
    for _ in range(int(PATIENCE / LOOK) + 2):
        world.clock.advance(LOOK)
    fetch.more(lines(20, first=20)).settled()
    (own,), results = rows_of(world)
    assert not results
    assert (own.outcome, fetch.body) == (Outcome.FINISHED, lines(40))
    told = "40 results were not counted: the ledger took no rows; fetch them again"
    assert own.error_detail == told
    assert quiet(world)
    world.ledger.full = False
    Fetch(world).answer(lines(40)).settled()
    assert len(rows_of(world)[1]) == 40


def test_an_upstream_that_is_not_read_because_rows_wait_is_not_idle() -> None:
    """D5, E3: it may have sent the rest long since; its time begins again when it is read."""
    world = World(upstream=replace(UPSTREAM, family=Family.ANTHROPIC), idle_timeout=3.0)
    world.ledger.full = True
    body = lines(2 * HIGH)
    fetch = Fetch(world)
    fetch.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1))
    fetch.up.deliver(body)
    fetch.client.raw()
    assert not fetch.up.reading
    for _ in range(50):
        world.clock.advance(LOOK)
    assert world.services.running
    world.ledger.full = False
    world.clock.advance(LOOK)
    while not fetch.up.reading:
        world.clock.advance(0)
    world.clock.advance(2.9)
    assert world.services.running
    world.clock.advance(0.2)
    assert rows_of(world)[0][0].error is ErrorCode.IDLE_TIMEOUT


def test_an_upstream_is_not_idle_after_rows_and_then_the_client_were_waited_for() -> None:
    """D5, E3: both times together are not its own."""
    world = World(upstream=replace(UPSTREAM, family=Family.ANTHROPIC), idle_timeout=3.0)
    world.ledger.full = True
    body = lines(2 * HIGH)
    fetch = Fetch(world)
    fetch.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1))
    fetch.up.deliver(body)
    fetch.client.raw()
    world.clock.advance(4)
    channel = fetch.client.channel
    channel.pauseProducing()
    world.ledger.full = False
    while world.services.results and due(world):
        turn(world)
    assert not fetch.up.reading
    world.clock.advance(1)
    channel.resumeProducing()
    assert fetch.up.reading
    world.clock.advance(2.9)
    assert world.services.running


def test_what_waits_when_the_gateway_stops_gets_its_rows_at_once() -> None:
    """A3: no result that was passed on is lost."""
    world = a_world()
    Fetch(world).answer(lines(300))
    for rows in list(world.services.results):
        rows.flush()
    assert len(rows_of(world)[1]) == 300
    assert quiet(world)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_results_that_come_compressed_are_read_all_the_same(coding: bytes) -> None:
    """A8, D7: and are passed on as they came."""
    world = a_world()
    body = lines(1000)
    coded = gzip.compress(body) if coding == b"gzip" else zlib.compress(body)
    fetch = Fetch(world).answer(coded, fields=CODED % coding).settled()
    assert fetch.body == coded
    (own,), results = rows_of(world)
    assert (len(results), own.error_detail) == (1000, None)


@pytest.mark.parametrize(
    ("coded", "problem"),
    [
        (gzip.compress(lines(5)) + b"x", "something follows the end of what is compressed"),
        (gzip.compress(lines(5))[:-1], "the body is not whole gzip"),
        (b"no" * 100, "the body is not gzip"),
        (gzip.compress(b" " * 10_000_000), "the body decodes to more than 4194304 bytes"),
    ],
)
def test_compressed_results_that_cannot_be_read_are_told_of(coded: bytes, problem: str) -> None:
    """A8: a few bytes that stand for many cost no more than some."""
    world = a_world()
    fetch = Fetch(world).answer(coded, fields=CODED % b"gzip").settled()
    assert fetch.body == coded
    assert rows_of(world)[0][0].error_detail == f"usage was not read to the end: {problem}"


@pytest.mark.parametrize("coding", [b"br", b"gzip, gzip"])
def test_results_in_a_coding_that_is_not_known_are_told_of(coding: bytes) -> None:
    """A8: nothing else would show that they were not counted."""
    world = a_world()
    fetch = Fetch(world).answer(lines(5), fields=CODED % coding).settled()
    assert fetch.body == lines(5)
    (own,), results = rows_of(world)
    told = "usage was not read: this content coding is not known here"
    assert (results, own.outcome, own.error_detail) == ([], Outcome.FINISHED, told)


def test_an_error_in_place_of_results_has_no_rows() -> None:
    """A8: whatever it looks like."""
    world = a_world()
    fetch = Fetch(world)
    body = line("a")
    fetch.up.deliver(b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    (own,), results = rows_of(world)
    assert (results, own.error_detail, own.status_sent) == ([], None, 404)


def told_of(world: World, body: bytes) -> list[str]:
    """What the log says of the results of a fetch, after the request's id."""
    told: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "gateway.exchange":
            told.append(formatEvent(event).partition(": ")[2])

    globalLogPublisher.addObserver(observe)
    try:
        Fetch(world).answer(body).settled()
    finally:
        globalLogPublisher.removeObserver(observe)
    return told


@pytest.mark.parametrize(("count", "results"), [(1, "1 result"), (2, "2 results")])
def test_the_log_says_that_results_are_counted_once(count: int, results: str) -> None:
    """A8: a second fetch gives the ledger the same rows again."""
    world = a_world()
    told = f"{results} of msgbatch_1 given to the ledger, which keeps the first row of each"
    assert told_of(world, lines(count)) == told_of(world, lines(count)) == [told]


@pytest.mark.parametrize(
    ("coding", "coded", "wanted"),
    [
        (b"gzip", gzip.compress, KNOWN),
        (b"br", bytes, Usage()),
        (b"gzip, gzip", bytes, Usage()),
    ],
)
def test_a_message_that_comes_compressed_is_metered_all_the_same(
    coding: bytes, coded: Callable[[bytes], bytes], wanted: Usage
) -> None:
    """A8, D7: where the coding is known; the client gets what came."""
    world = a_world()
    content = json.loads(line("a"))["result"]["message"]
    body = coded(json.dumps(content).encode())
    client = world.client().send(post("/v1/messages", b'{"model":"large-2"}'))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d%b\r\n\r\n"
    world.up.deliver(head % (len(body), CODED % coding) + body)
    assert client.response().body == body
    assert (world.record.usage, world.record.error_detail) == (wanted, None)


def test_an_event_stream_that_comes_compressed_is_not_read() -> None:
    """D7: its meter wants whole events; nothing is said into it either."""
    world = a_world()
    body = gzip.compress(b"event: message_stop\ndata: {}\n\n")
    client = world.client().send(post("/v1/messages", b'{"stream":true}'))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d%b\r\n\r\n"
    world.up.deliver(head % (len(body), CODED % b"gzip") + body)
    assert client.response().body == body
    assert (world.record.usage, world.record.error_detail) == (Usage(), None)


@pytest.mark.parametrize("first", ["rows", "client"])
def test_an_upstream_is_read_on_when_both_the_rows_and_the_client_have_caught_up(
    first: str,
) -> None:
    """D5: whichever does so first."""
    world = a_world()
    fetch = Fetch(world)
    body = lines(2 * HIGH)
    fetch.client.wire.stalled = True
    fetch.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1))
    fetch.up.deliver(body)
    assert not fetch.up.reading

    def make_rows() -> None:
        while world.services.results and due(world):
            turn(world)

    steps: list[Callable[[], object]] = [make_rows, fetch.client.raw]
    for step in steps if first == "rows" else reversed(steps):
        assert not fetch.up.reading
        step()
    assert fetch.up.reading
