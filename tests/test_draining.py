"""The end of the listeners' connections: nothing is cut that can be finished, nothing is left."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from gateway.config.model import KeepaliveMode
from gateway.draining import LAST_WORDS, Drain
from gateway.front.patience import ON_ITS_WAY
from gateway.record import Outcome
from tests.transcripts import CHAT_EVENTS
from tests.world import BUFFER, CHAT, CHAT_WHOLE, LAST, SSE_HEAD, Client, World, chunked

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LIMIT = 60.0


class Stop:
    """A gateway that has been told to stop, or, for a `reload`, to let another take over."""

    def __init__(self, world: World, *, reload: bool = False) -> None:
        self.clock = world.clock
        self.drain = Drain([world.site], world.clock)
        world.accepting = self.drain.accepting = reload
        running = self.drain.run(world.services.running, LIMIT)
        self.done: Deferred[None] = Deferred.fromCoroutine(running)

    def after(self, seconds: float) -> Stop:
        """Let time pass, in small steps."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
        return self

    @property
    def over(self) -> bool:
        return self.done.called


@pytest.fixture
def world() -> World:
    return World(keepalive=KeepaliveMode.OFF, idle_timeout=None)


def stream_begun(world: World) -> Client:
    """A client in mid-stream."""
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    return client


def test_without_any_connection_it_is_over_at_once(world: World) -> None:
    """O4: there is nothing to wait for."""
    assert Stop(world).after(0.1).over
    assert world.idle()


def test_connections_without_a_request_are_closed_at_once(world: World) -> None:
    """O4: new ones, and those that had their answer."""
    fresh, used = world.client(), world.client().send(CHAT_WHOLE)
    world.up.deliver(OK)
    stop = Stop(world).after(0.1)
    assert fresh.wire.lost
    assert used.wire.lost
    assert not fresh.wire.aborted
    assert not used.wire.aborted
    assert stop.over


def test_a_stream_goes_on_to_its_end(world: World) -> None:
    """O4: and the stop is over with it, not at its limit."""
    client = stream_begun(world)
    stop = Stop(world).after(LIMIT - 1)
    assert not stop.over
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    assert stop.after(0.2).over
    assert client.response().body == b"".join(CHAT_EVENTS)
    assert client.response().whole
    assert not client.wire.aborted
    assert world.record.outcome == "finished"


def test_the_last_bytes_of_an_answer_have_their_time(world: World) -> None:
    """O4: an exchange ends when all is written; its client still reads."""
    client = stream_begun(world)
    client.wire.stalled = True
    stop = Stop(world)
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    assert world.record.outcome == "finished"
    assert not stop.after(30).over
    assert not client.wire.aborted
    assert client.response().whole
    client.wire.lose()
    assert stop.after(0.1).over


def test_last_bytes_that_nobody_takes_end_in_a_reset_not_in_an_end(world: World) -> None:
    """O4: a FIN would make a cut answer that ends with its connection look whole."""
    client = stream_begun(world)
    client.wire.stalled = True
    stop = Stop(world)
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    stop.drain.hurry()
    stop.after(LAST_WORDS - 0.1)
    assert not client.wire.aborted
    assert stop.after(0.3).over
    assert client.wire.aborted
    assert not world.site.open_channels


@pytest.mark.parametrize("sent", [CHAT[:20], CHAT[:-1]])
def test_a_request_that_is_still_arriving_is_served(world: World, sent: bytes) -> None:
    """O4: unless its head was not whole: that is refused, as a new request is."""
    client = world.client().send(sent)
    stop = Stop(world).after(5)
    assert not stop.over
    client.send(CHAT[len(sent) :])
    if sent == CHAT[:-1]:
        world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
        assert client.response().body == b"".join(CHAT_EVENTS)
        assert world.record.outcome == "finished"
    else:
        assert client.response().status == 503
        assert world.record.error == "overloaded"
    assert client.response().get(b"connection") == b"close"
    assert stop.after(3).over


@pytest.mark.parametrize("sent", [CHAT[:20], CHAT[:-1]])
def test_a_request_that_does_not_come_to_its_end_is_refused(world: World, sent: bytes) -> None:
    """O4: it is told so; nothing was asked."""
    client = world.client().send(sent)
    stop = Stop(world).after(1)
    stop.drain.hurry()
    stop.after(0.1)
    assert client.response().status == 503
    assert not world.ledger.intents
    errors = [record.error for record in world.ledger.records]
    assert errors == (["overloaded"] if sent == CHAT[:-1] else [])
    assert stop.after(LAST_WORDS + 0.1).over
    assert world.idle()


def test_a_stream_beyond_the_limit_is_told_and_has_a_moment_to_hear_it(world: World) -> None:
    """O4, A3: the error event, a whole last chunk, and a close that is not a reset."""
    client = stream_begun(world)
    client.wire.stalled = True
    stop = Stop(world).after(LIMIT + 1)
    assert not stop.over
    body = client.response().body
    assert body.startswith(CHAT_EVENTS[0] + b'data: {"error":')
    assert client.response().whole
    client.wire.lose()
    assert stop.after(0.1).over
    assert not client.wire.aborted
    assert (world.record.outcome, world.record.error) == ("drained", "operator")


def test_a_third_signal_skips_the_last_moment_too(world: World) -> None:
    """O4: what is open then is reset."""
    client = stream_begun(world)
    client.wire.stalled = True
    stop = Stop(world)
    stop.drain.hurry()
    stop.after(0.1)
    assert world.record.outcome == "drained"
    assert not stop.over
    stop.drain.hurry()
    assert stop.after(0.2).over
    assert client.wire.aborted


# Another process takes over.


@pytest.mark.parametrize("sent", [CHAT[:20], CHAT[:-1]])
def test_a_request_that_was_arriving_at_a_reload_is_served(world: World, sent: bytes) -> None:
    """O3: with Connection: close, after which the client comes to the new process."""
    client = world.client().send(sent)
    stop = Stop(world, reload=True).after(5)
    client.send(CHAT[len(sent) :])
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    assert client.response().body == b"".join(CHAT_EVENTS)
    assert client.response().get(b"connection") == b"close"
    assert world.record.outcome == "finished"
    assert stop.after(1).over
    assert client.wire.lost


def test_at_a_reload_an_answer_that_has_not_begun_announces_the_end(world: World) -> None:
    """O3: RFC 9112, 9.6."""
    client = world.client().send(CHAT)
    stop = Stop(world, reload=True).after(1)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    assert client.response().get(b"connection") == b"close"
    assert stop.after(1).over
    assert client.wire.lost
    assert not client.wire.aborted


@pytest.mark.parametrize(("reload", "status"), [(True, 200), (False, 503)])
def test_what_was_sent_behind_a_promise_to_stay_is_answered(
    world: World, reload: bool, status: int
) -> None:
    """O3, O4: the running answer had not announced an end; the one behind it does."""
    client = stream_begun(world)
    stop = Stop(world, reload=reload)
    client.send(CHAT_WHOLE)
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    stop.after(0.1)
    if reload:
        world.up.deliver(OK)
    first, second = client.responses("POST", "POST")
    assert first.whole
    assert first.get(b"connection") is None
    assert second.status == status
    assert second.get(b"connection") == b"close"
    assert stop.after(3).over
    assert client.wire.lost
    assert not client.wire.aborted


def test_connections_that_wait_are_closed_at_a_reload_unless_a_request_comes_soon(
    world: World,
) -> None:
    """O3: it may have been on its way already, on a new connection or on one that was kept."""
    used, fresh, quiet = world.client().send(CHAT_WHOLE), world.client(), world.client()
    world.up.deliver(OK)
    stop = Stop(world, reload=True).after(ON_ITS_WAY - 1)
    for client in (used, fresh):
        client.send(CHAT_WHOLE)
        world.up.deliver(OK)
    assert fresh.response().status == 200
    assert fresh.response().get(b"connection") == b"close"
    [_, second] = used.responses("POST", "POST")
    assert (second.status, second.get(b"connection")) == (200, b"close")
    assert not quiet.wire.lost
    assert stop.after(1.1).over
    assert quiet.wire.lost
    assert not quiet.wire.aborted


def test_a_request_behind_a_stream_that_a_reload_overtook_is_served(world: World) -> None:
    """O3: its head had promised that the connection stays, so its client may use it again."""
    client = stream_begun(world)
    stop = Stop(world, reload=True).after(ON_ITS_WAY + 10)
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    stop.after(ON_ITS_WAY - 1)
    client.send(CHAT_WHOLE)
    world.up.deliver(OK)
    first, second = client.responses("POST", "POST")
    assert first.whole
    assert (second.status, second.get(b"connection")) == (200, b"close")
    assert stop.after(3).over


def test_a_connection_that_was_promised_to_stay_is_closed_if_nothing_comes(world: World) -> None:
    """O3: a reload does not wait for what nobody has sent."""
    client = stream_begun(world)
    stop = Stop(world, reload=True).after(1)
    world.up.deliver(chunked(*CHAT_EVENTS[1:]) + LAST)
    assert not stop.after(ON_ITS_WAY - 1).over
    assert stop.after(1.1).over
    assert client.response().whole
    assert not client.wire.aborted


def test_a_stop_does_not_wait_for_requests_that_a_reload_waits_for(world: World) -> None:
    """O4, O3: new ones would be refused."""
    client = world.client()
    stop = Stop(world, reload=True).after(0.1)
    assert not client.wire.lost
    stop.drain.accepting = False
    assert stop.after(0.2).over
    assert client.wire.lost


def test_a_stream_that_goes_on_beyond_a_reload_s_limit_is_told(world: World) -> None:
    """O3: as at a stop."""
    client = stream_begun(world)
    stop = Stop(world, reload=True).after(LIMIT + 1)
    assert client.response().whole
    assert world.record.outcome == "drained"
    assert stop.after(LAST_WORDS + 1).over


def test_after_a_reload_s_limit_requests_are_refused(world: World) -> None:
    """O3: a reload cuts nothing that is held."""
    stream_begun(world)
    stop = Stop(world, reload=True).after(LIMIT - 1)
    assert stop.drain.accepting
    stop.after(2)
    assert not stop.drain.accepting
    stop.after(LAST_WORDS)


@pytest.mark.parametrize("lags", [0, 1])
def test_who_shares_an_answer_and_lags_is_drained_whether_it_came_first_or_not(lags: int) -> None:
    """O4, C4: its client did not leave, and its row does not say so."""
    world = World(dedup=15.0, client_write_timeout=None)
    clients = [world.client().send(CHAT), world.client().send(CHAT)]
    clients[lags].wire.stalled = True
    world.up.deliver(SSE_HEAD)
    for _ in range(2 * BUFFER // 1000):
        world.up.deliver(chunked(b"data: " + b"x" * 1000 + b"\n\n"))
        clients[1 - lags].raw()
    assert Stop(world).after(LIMIT + LAST_WORDS + 0.5).over
    assert [row.outcome for row in world.ledger.records] == [Outcome.DRAINED] * 2
    assert not world.services.running
