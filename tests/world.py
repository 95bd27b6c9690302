"""A gateway in memory: the real channel, proxy, exchange and upstream connection, and no socket.

`World` joins them with transports that tests drive by hand and a clock that only tests move, so
that pauses, resumptions, cuts and timeouts happen exactly when a test says so.  What is faked is
the edge alone: the two transports, the endpoint that connects, and the store behind the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import h11
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.callers import Callers
from gateway.config.model import Client as ConfiguredClient
from gateway.config.model import Family, Pattern, Route, Upstream, Url
from gateway.dedup import Dedup
from gateway.descriptors import Descriptors
from gateway.door import FrontDoor
from gateway.exchange.forward import Outbound
from gateway.exchange.services import Services
from gateway.forwarded import pseudonym
from gateway.front.budget import BodyBudget
from gateway.front.channel import Channel
from gateway.front.site import FrontLimits, GatewaySite
from gateway.hooks.calls import Hooks
from gateway.hooks.loader import HookModule
from gateway.hosts import ANY_HOST, AllowedHosts
from gateway.intents import Intents
from gateway.ledger import LedgerUnavailable
from gateway.proxy import ReverseProxy
from gateway.record import Intent, Record
from gateway.redact import Redactor
from gateway.routing import Router
from gateway.upstream.pool import Pool
from tests.canaries import CLIENTS_KEY, assert_clean

#: Bytes that a transport takes before it pauses its producer, as Twisted's do.
BUFFER = 65536


class Wire:
    """A transport driven by hand: what is written stays in `unread` until `read` takes it.

    `reading` tells whether the protocol wants to be given data; `aborted` and `closing` how it let
    go of the connection; `writes` how often something was written.
    """

    def __init__(self, protocol: Protocol, clock: Clock) -> None:
        self.protocol = protocol
        self.clock = clock
        self.unread = bytearray()
        self.writes = 0
        self.reading = True
        self.stalled = False  # the peer does not read: the buffer fills
        self.aborted = False
        self.closing = False
        self.lost = False
        self.producer: IPushProducer | None = None
        self.keeps_clients_key = False  # the peer must not be told it
        self._last = b""  # of what was written
        self._producer_paused = False

    def makeConnection(self) -> None:
        self.protocol.makeConnection(self)

    # What protocols call.

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.lost or self.aborted or self.closing:
            return
        if self.keeps_clients_key:
            assert CLIENTS_KEY.encode() not in self._last + data, "H8: an upstream was told a key"
            self._last = (self._last + data)[-len(CLIENTS_KEY) :]
        self.unread += data
        self.writes += 1
        full = self.stalled and len(self.unread) > BUFFER
        if full and self.producer is not None and not self._producer_paused:
            self._producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = producer
        if self.lost:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def loseConnection(self) -> None:
        self.closing = True
        if not self.stalled:
            self.clock.callLater(0, self.lose)

    def abortConnection(self) -> None:
        if not self.aborted:
            self.aborted = True
            self.clock.callLater(0, self.lose)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 54321)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 8080)

    # What tests call.

    def lose(self, reason: Exception | None = None) -> None:
        """The connection ends; without a reason by FIN."""
        if not self.lost:
            self.lost = True
            if self.producer is not None:
                self.producer.stopProducing()
            self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def reset(self) -> None:
        """The peer resets the connection."""
        self.lose(ConnectionLost())

    def deliver(self, data: bytes) -> None:
        """The peer's bytes arrive; none may arrive while the protocol does not read."""
        assert self.reading, "data was delivered to a protocol that had paused its transport"
        if not self.lost and not self.aborted:
            self.protocol.dataReceived(data)

    def read(self) -> bytes:
        """Take everything that was written; a paused producer may go on."""
        data = bytes(self.unread)
        self.unread.clear()
        if self._producer_paused and self.producer is not None:
            self._producer_paused = False
            self.producer.resumeProducing()
        return data


def until_paused(*wires: Wire) -> None:
    """Let upstreams stream events until the first of them is read no more.

    Fails if that does not happen within what a client's buffer and a few reads hold.
    """
    event = b"data: " + b"x" * 1000 + b"\n\n"
    for _ in range(2 * BUFFER // len(event)):
        if not wires[0].reading:
            return
        for wire in wires:
            wire.deliver(b"%x\r\n%b\r\n" % (len(event), event))
    raise AssertionError("the upstream of a client that does not read is still read")


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Connects at once, or as `answer` says: with a failure, or (None) not before `connect_now`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.wires: list[Wire] = []
        self.keeps_clients_key = False
        self.answer: Callable[[], Failure | None] | None = None
        self.waiting: list[tuple[Deferred[Any], Any]] = []

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        if self.answer is not None:
            failure = self.answer()
            if failure is not None:
                result.errback(failure)
            else:
                self.waiting.append((result, factory))
            return result
        return self._join(result, factory)

    def connect_now(self) -> None:
        for result, factory in self.waiting:
            if not result.called:  # else it was cancelled
                self._join(result, factory)
        self.waiting.clear()

    def _join(self, result: Deferred[Any], factory: IProtocolFactory) -> Deferred[Any]:
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 9))
        assert isinstance(protocol, Protocol)
        wire = Wire(protocol, self.clock)
        wire.keeps_clients_key = self.keeps_clients_key
        self.wires.append(wire)
        wire.makeConnection()
        result.callback(protocol)
        return result


class MemoryPort:
    """A listening port that knows whether it is read."""

    def __init__(self) -> None:
        self.reading = True

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True


class MemoryLedger:
    """Keeps intents and records; `hold` makes it slow, `refuse` makes it fail."""

    def __init__(self) -> None:
        self.intents: list[Intent] = []
        self.records: list[Record] = []
        self.hold = False
        self.refuse = False
        self.full = False  # for what no intent has announced
        self.held: list[Deferred[None]] = []

    def open(self, intent: Intent) -> Deferred[None]:
        result: Deferred[None] = Deferred()
        if self.refuse:
            result.errback(LedgerUnavailable("the disk is full"))
            return result
        assert_clean(repr(intent), "an intent")
        self.intents.append(intent)
        if self.hold:
            self.held.append(result)
        else:
            result.callback(None)
        return result

    def has_room(self) -> bool:
        return not self.full

    def start(self) -> None:
        """There is nothing to open."""

    def stop(self) -> Deferred[None]:
        """There is nothing to write."""
        return succeed(None)

    def release(self) -> None:
        held, self.held = self.held, []
        for result in held:
            result.callback(None)

    def settle(self, record: Record) -> None:
        assert_clean(repr(record), "a row")
        self.records.append(record)


@dataclass
class Response:
    """What a client made of what it got."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool
    interim: list[int] = field(default_factory=list)

    def get(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Client:
    """One client connection, read by h11 so that what we frame is checked by a strict parser."""

    def __init__(self, world: World) -> None:
        self.channel = Channel(world.site)
        self.wire = Wire(self.channel, world.clock)
        self.wire.makeConnection()
        self._world = world
        self._raw = b""

    def send(self, data: bytes) -> Client:
        self.wire.deliver(data)
        return self

    def raw(self) -> bytes:
        """All bytes so far."""
        self._raw += self.wire.read()
        return self._raw

    def response(self, method: str = "POST") -> Response:
        """The first response of the connection, as far as it has come."""
        return self.responses(method)[0]

    def responses(self, *methods: str) -> list[Response]:
        """Every response of the connection, as far as they have come."""
        return read_responses(self.raw(), *methods, closed=self.wire.lost or self.wire.closing)


def read_responses(raw: bytes, *methods: str, closed: bool) -> list[Response]:
    """What a strict parser makes of a connection's bytes so far; `closed`: no more come."""
    parser = h11.Connection(h11.CLIENT)
    found: list[Response] = []
    parser.receive_data(raw)
    if closed:
        parser.receive_data(b"")
    for method in methods:
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        parser.send(h11.EndOfMessage())
        response = Response(0, [], b"", whole=False)
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                break  # cut
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            if isinstance(event, h11.InformationalResponse):
                response.interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                response.status = event.status_code
                response.headers = [(bytes(n), bytes(v)) for n, v in event.headers.raw_items()]
            elif isinstance(event, h11.Data):
                response.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                response.whole = True
                break
            else:
                break
        found.append(response)
        if not response.whole or parser.our_state is not h11.DONE:
            break
        try:
            parser.start_next_cycle()
        except h11.LocalProtocolError:
            break
    return found


#: What the gateway adds to a response that has no Date.
DATE = (b"Date", b"Tue, 14 Nov 2023 22:13:20 GMT")

#: What the gateway adds to a request for ``gw.test``.
HOP = (
    b"Via: 1.1 " + pseudonym(b"k" * 32) + b"\r\n"
    b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: gw.test\r\n"
    b"Forwarded: for=127.0.0.1;host=gw.test;proto=http\r\n"
)

UPSTREAM = Upstream("up", Url("http", "127.0.0.1", 9, ""), Family.GENERIC)
ROUTE = Route("r", (Pattern("/*"),), UPSTREAM)


class World:
    """See the module's text.  `route` changes any field of the one route that there is."""

    def __init__(
        self,
        upstream: Upstream = UPSTREAM,
        limits: FrontLimits | None = None,
        max_streams: int = 100,
        budget: int = 1 << 24,
        clients: Sequence[ConfiguredClient] = (),
        hosts: AllowedHosts = ANY_HOST,
        hooks: HookModule | None = None,
        dedup_memory: int = 1 << 23,
        files: int | None = None,
        **route: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.ledger = MemoryLedger()
        self.endpoint = MemoryEndpoint(self.clock)
        self.endpoint.keeps_clients_key = upstream.api_key is not None or bool(clients)
        self.pool = Pool(upstream, self.endpoint, self.clock)
        self.route = replace(ROUTE, upstream=upstream, **route)
        self.accepting = True
        self.chain: list[tuple[str, Callable[[Record], object]]] = [("ledger", self.ledger.settle)]
        self.hooks = Hooks(hooks or HookModule(), self.clock)
        if hooks is not None:
            self.chain.append(("hooks", self.hooks.settled))
        self.services = Services(
            clock=self.clock,
            wall=lambda: 1_700_000_000 + self.clock.seconds(),
            ledger=self.ledger,
            links=self.chain,
            redactor=Redactor(() if upstream.api_key is None else [upstream.api_key.reveal()]),
            hooks=None if hooks is None else self.hooks,
        )
        callers = Callers(clients, (), b"k" * 32, b"p" * 32)
        outbound = Outbound(upstream, callers.pseudonym, clients_configured=callers.configured)
        intents = Intents("test", self.services.wall)
        self.descriptors = None if files is None else Descriptors(files)
        self.door = FrontDoor(
            self.services,
            Router([self.route]),
            callers,
            {upstream.name: outbound},
            intents,
            max_streams,
            lambda: self.accepting,
            self.descriptors,
        )
        self.dedup = Dedup(self.services, dedup_memory)
        pools = {upstream.name: self.pool}
        self.proxy = ReverseProxy(self.services, self.door, pools, intents, self.dedup)
        self.budget = BodyBudget(budget)
        self.site = GatewaySite(
            self.proxy,
            self.door,
            self.clock,
            self.budget,
            limits,
            lambda: 1_700_000_000,
            hosts,
            self.descriptors,
        )
        self.port = MemoryPort()
        if self.descriptors is not None:
            self.descriptors.watch(
                [self.site],
                [self.pool],
                [self.port],
                self.door.admitted,
                self.services.reading_on,
            )

    def client(self) -> Client:
        return Client(self)

    @property
    def up(self) -> Wire:
        """The newest connection to the upstream."""
        return self.endpoint.wires[-1]

    @property
    def record(self) -> Record:
        """The one record there is."""
        assert len(self.ledger.records) == 1, self.ledger.records
        return self.ledger.records[0]

    def refuse_connections(self) -> None:
        self.endpoint.answer = lambda: Failure(ConnectionRefusedError())

    def never_connect(self) -> None:
        self.endpoint.answer = lambda: None

    def idle(self) -> bool:
        """Nothing is left: no exchange, no timer, no claim on the budget."""
        pending = [call for call in self.clock.getDelayedCalls() if call.active()]
        return not self.services.running and not pending and self.budget.held == 0


_CARRIERS = ("authorization:", "x-api-key:", "x-goog-api-key:", "api-key:")


def post(path: str, body: bytes, *fields: str, version: str = "1.1") -> bytes:
    """A POST with a JSON body, and with a credential: the planted one, if `fields` have none."""
    if "key=" not in path and not any(field.lower().startswith(_CARRIERS) for field in fields):
        fields = (*fields, f"Authorization: Bearer {CLIENTS_KEY}")
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: gw.test",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


CHAT = post("/v1/chat/completions", b'{"model":"m","stream":true,"messages":[]}')
CHAT_WHOLE = post("/v1/chat/completions", b'{"model":"m","messages":[]}')
MESSAGES = post("/v1/messages", b'{"model":"m","stream":true,"messages":[]}')

SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces)


LAST = b"0\r\n\r\n"
