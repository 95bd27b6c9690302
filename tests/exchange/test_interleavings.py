"""Any order of events, any split: what must hold of every exchange all the same.

Each example is a list of actions against a gateway in memory; actions that cannot happen as things
stand (bytes from an upstream that was let go, say) are left out.  Afterwards the world is brought
to rest and the invariants of `gateway.exchange` are checked:

- one record, no more; its outcome is that of the first thing that ended the exchange;
- the client's body is the upstream's bytes in order, with beats at event boundaries only, and at
  most one error event behind them;
- a last chunk is written only if the upstream's stream was whole or an error event was;
- no timer and no producer is left, the upstream's connection is pooled or closed, and what is
  buffered while the client does not read stays bounded;
- nothing is written once the client has gone.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.config.model import KeepaliveMode
from gateway.exchange.exchange import Exchange
from tests.conftest import LoggedFailures
from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import BUFFER, CHAT, LAST, MESSAGES, SSE_HEAD, World, chunked

DIALECTS = {
    "chat": (CHAT, CHAT_EVENTS, b": keepalive\n\n", b'data: {"error"'),
    "anthropic": (
        MESSAGES,
        MESSAGES_EVENTS,
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b"event: error",
    ),
}
ROUTE: dict[str, Any] = {
    "keepalive_after": 2.0,
    "keepalive_interval": 3.0,
    "head_timeout": 20.0,
    "first_event_timeout": 15.0,
    "idle_timeout": 10.0,
    "total_timeout": 60.0,
    "client_write_timeout": 8.0,
}
#: The outcomes that an action can cause, if it is what ends the exchange.
ENDS = {
    "reset": {"upstream_failed", "finished"},
    "fin": {"upstream_failed", "finished"},
    "malformed": {"upstream_failed", "finished"},
    "gone": {"client_gone", "finished"},
    "drain": {"drained", "finished"},
    "raise": {"internal_error"},
    "tick": {"timed_out", "finished"},
    "send": {"finished", "upstream_failed"},
}

PLAIN = ["reset", "fin", "malformed", "gone", "drain", "raise"]
PLAIN += ["stall", "read", "release", "connect", "flood", "flood"]
actions = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 400)),
        st.tuples(st.just("tick"), st.sampled_from([0.0, 0.5, 2.0, 3.0, 5.0, 9.0])),
        st.tuples(st.sampled_from(PLAIN), st.just(0)),
    ),
    max_size=25,
)
#: How far the exchange has come before the first action.
STARTS: dict[str, list[tuple[str, float]]] = {
    "the ledger is asked": [],
    "connecting": [("release", 0)],
    "the upstream is asked": [("release", 0), ("connect", 0)],
    "the head has come": [("release", 0), ("connect", 0), ("send", len(SSE_HEAD))],
    "an event has come": [("release", 0), ("connect", 0), ("send", len(SSE_HEAD)), ("event", 0)],
}


class Run:
    """One example: a world, and what is known about it from outside."""

    def __init__(self, dialect: str, mode: KeepaliveMode) -> None:
        self.request, self.events, self.beat, self.error = DIALECTS[dialect]
        self.world = World(keepalive=mode, **ROUTE)
        self.world.ledger.hold = True
        self.world.never_connect()
        self.client = self.world.client().send(self.request)
        self.wire = SSE_HEAD + b"".join(map(chunked, self.events)) + LAST
        self.sent = 0
        self.flooded = b""
        self.raised = 0
        self.ended_by: str | None = None
        self.gone_at: int | None = None

    def act(self, action: str, argument: float) -> None:
        world, before = self.world, len(self.world.ledger.records)
        up = world.endpoint.wires[-1] if world.endpoint.wires else None
        live = up is not None and not up.lost and not up.aborted and up.reading
        if action == "tick":
            world.clock.advance(argument)
        elif action == "release":
            world.ledger.release()
        elif action == "connect":
            world.endpoint.connect_now()
        elif action == "stall":
            self.client.raw()
            self.client.wire.stalled = True
        elif action == "read":
            self.client.wire.stalled = False
            self.client.raw()
        elif action == "gone" and not self.client.wire.lost:
            self.gone_at = len(self.client.wire.unread)
            self.client.wire.reset()
        elif action == "drain":
            for exchange in tuple(world.services.running):
                exchange.drain()
        elif live and up is not None and world.services.running:
            self.from_upstream(action, int(argument), up)
        if len(world.ledger.records) > before:
            assert self.ended_by is None
            self.ended_by = action

    def from_upstream(self, action: str, size: int, up: Any) -> None:
        if action == "event":
            size = len(chunked(self.events[0]))
        if action in ("send", "event") and self.sent < len(self.wire) and not self.flooded:
            piece = self.wire[self.sent : self.sent + size]
            self.sent += len(piece)
            up.deliver(piece)
        elif action == "flood" and self.sent > len(SSE_HEAD) and self.at_event_boundary():
            flood = b"data: " + b"x" * 5000 + b"\n\n"
            for _ in range(40):
                if not up.reading or up.aborted:
                    break
                self.flooded += flood
                up.deliver(chunked(flood))
        elif action == "reset":
            up.reset()
        elif action == "fin":
            up.lose()
        elif action == "malformed" and self.flooded:
            up.deliver(b"zz\r\n")
        elif action == "raise" and len(SSE_HEAD) < self.sent < len(self.wire) - len(LAST) - 2:
            (exchange,) = self.world.services.running
            assert isinstance(exchange, Exchange)
            self.raised += 1
            with mock.patch.object(
                exchange._connection, "_take_body", side_effect=ZeroDivisionError
            ):
                up.deliver(chunked(b"x") if self.flooded else self.wire[self.sent :])

    def at_event_boundary(self) -> bool:
        position = len(SSE_HEAD)
        for passed in self.events:
            position += len(chunked(passed))
            if position == self.sent:
                return True
        return False

    def check(self) -> None:
        self.world.clock.pump([1.0] * 5)
        for _ in range(40):
            self.client.wire.stalled = False
            self.client.raw()
            self.world.ledger.release()
            self.world.endpoint.connect_now()
            self.world.clock.advance(7.0)
        records = self.world.ledger.records
        assert len(records) == 1
        outcome = records[0].outcome.value
        if self.ended_by is not None and self.ended_by in ENDS:
            assert outcome in ENDS[self.ended_by], (outcome, self.ended_by)
        self.check_body(outcome)
        assert not self.world.services.running
        assert self.client.channel._producer is None
        assert (
            all(w.lost or w.aborted for w in self.world.endpoint.wires) or self.world.pool.idle == 0
        )
        self.world.pool.close()
        self.client.wire.lose()
        self.world.clock.advance(100)
        assert self.world.idle()

    def check_body(self, outcome: str) -> None:
        response = self.client.response()
        if self.gone_at is not None and self.ended_by == "gone":
            assert len(self.client.wire.unread) == 0
        if response.status != 200:
            return
        whole = b"".join(self.events)
        body = response.body
        plain = body.replace(self.beat, b"")  # the transcripts' own pings go, too
        passed, mark, error = plain.partition(self.error)
        source = (whole if not self.flooded else whole + self.flooded).replace(self.beat, b"")
        if self.flooded:
            assert all(event.replace(self.beat, b"") in source for event in self.events[:1])
            assert (
                passed.replace(b"data: " + b"x" * 5000 + b"\n\n", b"")
                in whole.replace(self.beat, b"") + b"x"
            )
        else:
            assert source.startswith(passed)
        if mark:
            assert error.count(b"\n\n") == 1
            assert b"[DONE]" not in error
            assert b"message_stop" not in error
        if response.whole:
            assert mark or outcome == "finished"
            if not mark:
                assert (
                    passed == whole.replace(self.beat, b"")
                    or self.flooded
                    or passed.count(b"finish_reason")
                )
        else:
            assert outcome != "finished" or self.gone_at is not None


@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    dialect=st.sampled_from(sorted(DIALECTS)),
    mode=st.sampled_from(list(KeepaliveMode)),
    start=st.sampled_from(sorted(STARTS)),
    script=actions,
)
def test_whatever_happens_in_whatever_order(
    dialect: str,
    mode: KeepaliveMode,
    start: str,
    script: list[tuple[str, float]],
    logged_failures: LoggedFailures,
) -> None:
    """A1, A2, A3, A4, K4, K5: one record, honest bytes, nothing left behind."""
    run = Run(dialect, mode)
    for action, argument in STARTS[start] + script:
        run.act(action, argument)
        assert not run.client.wire.stalled or len(run.client.wire.unread) < 2 * BUFFER
    run.check()
    event(f"ended by {run.ended_by} as {run.world.record.outcome}")
    assert len(logged_failures.flush(ZeroDivisionError)) == run.raised
