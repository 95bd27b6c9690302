"""Any order of coming, leaving, stalling, sending and failing: what must hold of answers in common.

Each example is a list of actions against a gateway in memory with clients that all ask the same;
those that cannot happen as things stand are left out.  Afterwards everything is brought to rest:

- what a client got is the beginning of one upstream's true answer, beats left out, with at most one
  error event behind it; a body that ended well is all of it;
- a client that did nothing wrong gets all of an answer that came whole; none hangs;
- one row a request, no more; usage stands in leaders' rows alone;
- the memory is never above its bound, and at the end nothing is held: no byte, timer, upstream.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.config.model import KeepaliveMode
from gateway.dedup.recording import OVERHEAD
from gateway.record import Outcome, Usage
from tests.dedup.stage import LIFETIME
from tests.transcripts import CHAT_EVENTS
from tests.world import CHAT, LAST, SSE_HEAD, Client, Wire, World, chunked

BEAT = b": keepalive\n\n"
ERROR = b'data: {"error"'
LARGE = b"data: " + b"x" * 5000 + b"\n\n"
MOST_CLIENTS = 5


@dataclass
class Script:
    """What one connection of the upstream says: an answer that no other one gives."""

    number: int
    position: int = 0
    truth: bytes = b""  #: the body as far as it was delivered
    ended: bool = False
    large: bool = True  #: it may still be made longer
    pieces: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        mark = b'data: {"object": "chat.completion.chunk", "n": %d}\n\n' % self.number
        self.pieces = [SSE_HEAD, *map(chunked, (mark, *CHAT_EVENTS)), LAST]
        self.bodies = [b"", mark, *CHAT_EVENTS, b""]

    def next(self) -> bytes:
        """The next piece: the head, an event, the last chunk."""
        piece = self.pieces[self.position]
        self.truth += self.bodies[self.position]
        self.position += 1
        self.ended = self.position == len(self.pieces)
        return piece


class Run:
    """One example."""

    def __init__(self, memory: int, on_disconnect: float) -> None:
        self.memory = memory
        self.world = World(
            dedup=LIFETIME,
            dedup_memory=memory,
            on_disconnect=on_disconnect,
            client_write_timeout=8.0,
            idle_timeout=10.0,
            head_timeout=20.0,
            total_timeout=60.0,
            keepalive=KeepaliveMode.DELAYED,
            keepalive_after=2.0,
            keepalive_interval=3.0,
        )
        self.clients: list[Client] = []
        self.touched: set[int] = set()
        self.scripts: list[Script] = []
        self.drained = False

    def act(self, action: str, which: int) -> None:
        world = self.world
        if action == "ask":
            if len(self.clients) < MOST_CLIENTS:
                self.clients.append(world.client())
                if world.ledger.refuse:
                    self.touched.add(len(self.clients) - 1)
                self.clients[-1].send(CHAT)
        elif action == "tick":
            world.clock.advance(float(which))
        elif action == "hold":
            world.ledger.hold = True
        elif action == "release":
            world.ledger.hold = False
            world.ledger.release()
        elif action == "refuse":
            world.ledger.refuse = not world.ledger.refuse
        elif action == "drain":
            self.drained = True
            for answer in tuple(world.services.running):
                answer.drain()
        elif action in ("stall", "read", "gone") and self.clients:
            self.from_client(action, which % len(self.clients))
        elif action in ("send", "large", "finish", "reset", "fin") and world.endpoint.wires:
            self.from_upstream(action, which % len(world.endpoint.wires))
        slack = len(LARGE) * 10 + OVERHEAD * (MOST_CLIENTS + 1)
        assert world.dedup.used <= self.memory + slack

    def from_client(self, action: str, number: int) -> None:
        client = self.clients[number]
        if action == "stall":
            self.touched.add(number)
            client.raw()
            client.wire.stalled = True
        elif action == "read":
            client.wire.stalled = False
            client.raw()
        elif not client.wire.lost:
            self.touched.add(number)
            client.raw()
            client.wire.reset()

    def from_upstream(self, action: str, number: int) -> None:
        while len(self.scripts) <= number:
            self.scripts.append(Script(len(self.scripts)))
        wire, script = self.world.endpoint.wires[number], self.scripts[number]
        if not can_send(wire):
            return
        if action == "send" and not script.ended:
            wire.deliver(script.next())
        elif action == "finish":
            while not script.ended and can_send(wire):
                wire.deliver(script.next())
        elif action == "large" and 1 < script.position < 4:
            for _ in range(10):
                if can_send(wire):
                    script.truth += LARGE
                    wire.deliver(chunked(LARGE))
        elif action == "reset":
            wire.reset()
        elif action == "fin":
            wire.lose()

    def check(self) -> None:
        world = self.world
        world.ledger.hold = world.ledger.refuse = False
        for _ in range(80):
            for client in self.clients:
                client.wire.stalled = False
                client.raw()
            world.ledger.release()
            world.clock.advance(0)
            world.clock.advance(2.0)
        for number, client in enumerate(self.clients):
            self.check_client(number, client)
        self.check_rows()
        world.pool.close()
        for client in self.clients:
            client.wire.lose()
        world.clock.advance(100)
        assert world.idle()
        assert world.dedup.used == 0

    def check_client(self, number: int, client: Client) -> None:
        response = client.response()
        assert response.whole or client.wire.lost, "a client hangs"
        if response.status != 200:
            assert response.status in (0, 502, 503, 504)
            return
        passed, told, error = response.body.replace(BEAT, b"").partition(ERROR)
        assert error.count(b"\n\n") == (1 if told else 0)
        sources = [script for script in self.scripts if script.truth.startswith(passed)]
        assert sources or not passed
        if not passed:
            return
        (script,) = sources
        if response.whole and not told:
            assert script.ended or b'"finish_reason":"stop"' in passed
            assert passed == script.truth
        if script.ended and number not in self.touched and not self.drained:
            assert response.whole
            assert passed == script.truth

    def check_rows(self) -> None:
        rows = self.world.ledger.records
        ids = [row.intent.id for row in rows]
        assert len(set(ids)) == len(ids) == len(self.clients)
        assert {intent.id for intent in self.world.ledger.intents} <= set(ids)
        for row in rows:
            if row.intent.answer_of is not None:
                assert row.intent.answer_of in ids
                assert (row.cost_usd, row.usage, row.usage_raw) == (0.0, Usage(), None)
            else:
                assert row.outcome is not Outcome.REPLAYED
            event(f"{'followed' if row.intent.answer_of else 'led'}: {row.outcome}")


def can_send(wire: Wire) -> bool:
    """Whether what the upstream says on this connection is heard, and asked for."""
    return wire.reading and not wire.lost and not wire.aborted and b"POST" in wire.unread


STEPS = ["ask", "ask", "send", "send", "large", "finish", "stall", "read", "gone"]
RARE = ["reset", "fin", "hold", "release", "refuse", "drain"]
#: What has come to pass before the first action.
STARTS: dict[str, list[tuple[str, int]]] = {
    "one asks": [("ask", 0)],
    "two ask, and one stalls": [("ask", 0), ("ask", 0), ("stall", 0), ("send", 0), ("send", 0)],
    "two have an event": [("ask", 0), ("send", 0), ("send", 0), ("ask", 0)],
    "one is far behind": [
        *[("ask", 0), ("ask", 0), ("stall", 0), ("send", 0), ("send", 0)],
        *[("large", 0), ("read", 1)] * 3,
    ],
    "an answer is stored": [("ask", 0), ("finish", 0), ("ask", 0)],
}
actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(STEPS), st.integers(0, 9)),
        st.tuples(st.sampled_from(STEPS), st.integers(0, 1)),
        st.tuples(st.sampled_from(RARE), st.integers(0, 9)),
        st.tuples(st.just("tick"), st.sampled_from([0, 1, 2, 3, 5, 9])),
    ),
    max_size=40,
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    memory=st.sampled_from([64 * 1024, 256 * 1024, 8 * 1024 * 1024]),
    on_disconnect=st.sampled_from([0.0, 5.0]),
    start=st.sampled_from(sorted(STARTS)),
    script=actions,
)
def test_whatever_clients_and_upstreams_do_in_whatever_order(
    memory: int,
    on_disconnect: float,
    start: str,
    script: list[tuple[str, int]],
) -> None:
    """C2, C3, C4, C5: honest bytes, one row each, cost once, nothing left behind."""
    run = Run(memory, on_disconnect)
    for action, which in STARTS[start] + script:
        run.act(action, which)
    run.check()
