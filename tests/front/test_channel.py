"""A client's connection: refusals, limits, order, deadlines; any Resource renders on it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as TwistedRequest

from gateway.config.model import Pattern
from gateway.front.budget import BodyBudget
from gateway.front.channel import Channel
from gateway.front.request import Request
from gateway.front.site import FrontLimits, GatewaySite
from gateway.front.verdict import Admission, Refusal
from gateway.http1 import Framing
from gateway.http1.body import ChunkedDecoder
from gateway.http1.head import parse_request
from tests.transcripts import CHAT_EVENTS
from tests.world import BUFFER, CHAT, CHAT_WHOLE, LAST, SSE_HEAD, Client, World, chunked, post

LIMITS = FrontLimits(pipelined=1000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n", 414),
    ],
)
def test_what_is_not_http_is_refused_with_a_body_and_closed(data: bytes, status: int) -> None:
    world = World()
    client = world.client().send(data)
    response = client.response("GET")
    assert response.status == status
    assert b'"error"' in response.body
    assert response.get(b"connection") == b"close"
    world.clock.advance(LIMITS.linger)
    world.clock.advance(0)
    assert client.wire.lost
    assert not world.ledger.records
    assert world.idle()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n", 426),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: 2\r\n\r\n{}",
            417,
        ),
    ],
)
def test_what_is_not_passed_on_is_refused(request_: bytes, status: int) -> None:
    world = World()
    assert world.client().send(request_).response("GET").status == status
    assert not world.endpoint.wires


def test_other_upgrades_are_ignored_and_not_passed_on() -> None:
    world = World()
    client = world.client()
    client.send(
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    sent = world.up.read().lower()
    assert b"upgrade" not in sent
    assert b"http2" not in sent
    world.up.deliver(OK)
    assert client.response("GET").status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE", "PUT", "PATCH"])
def test_every_other_method_is_passed_on(method: str) -> None:
    """D9: with its body, if it has one."""
    world = World()
    client = world.client().send(post("/v1/files/f", b"abc").replace(b"POST", method.encode(), 1))
    sent = world.up.read()
    assert sent.startswith(method.encode() + b" /v1/files/f HTTP/1.1\r\n")
    assert sent.endswith(b"\r\n\r\nabc")
    world.up.deliver(OK)
    assert client.response(method).status == 200


def test_an_unknown_path_is_a_404_before_its_body_is_read() -> None:
    world = World(patterns=(Pattern("/elsewhere"),))
    client = world.client().send(post("/v1/messages", b"x" * 10)[:-10])
    response = client.response()
    assert response.status == 404
    assert b'"type":"error"' in response.body
    assert not world.ledger.records


@pytest.mark.parametrize("chunked_body", [False, True])
def test_a_body_over_the_routes_limit_is_a_413_in_the_dialects_shape_with_a_row(
    chunked_body: bool,
) -> None:
    world = World(max_body=1000)
    client = world.client()
    if chunked_body:
        client.send(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(chunked(b"x" * 800))
        client.send(chunked(b"x" * 800))
    else:
        client.send(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
    response = client.response()
    assert response.status == 413
    assert b"request_too_large" in response.body
    assert (world.record.outcome, world.record.error) == ("rejected", "body_too_large")
    assert world.budget.held == 0


def test_bodies_over_what_all_may_hold_together_are_a_503_with_a_row() -> None:
    world = World(budget=1500)
    first, second = world.client(), world.client()
    body = b'{"model":"m","x":"' + b"y" * 1000 + b'"}'
    first.send(post("/v1/messages", body)[:-10])
    second.send(post("/v1/messages", body))
    response = second.response()
    assert response.status == 503
    assert response.get(b"retry-after") is not None
    assert world.record.error == "overloaded"
    first.wire.lose()
    assert world.budget.held == 0


@pytest.mark.parametrize("sizes", [[1], [2], [1500, *[1] * 63], [1023, 1]])
def test_a_body_in_tiny_pieces_is_held_in_little_more_than_its_size(sizes: list[int]) -> None:
    """The budget counts bytes of the body, not what keeping a million pieces of it costs."""
    client = World().client()
    client.send(post("/v1/messages", b"", "X: y").replace(b"Length: 0", b"Length: 1000000"))
    request = client.channel._request
    assert request is not None
    sent = b""
    for size in sizes * 100 if len(sizes) > 1 else sizes * 6400:
        piece = bytes([len(sent) % 251]) * size
        client.send(piece)
        sent += piece
    assert b"".join(request.body) == sent
    held = sys.getsizeof(request.body) + sum(map(sys.getsizeof, request.body))
    assert held < 3 * len(sent) + 64 * 100


def test_more_streams_than_allowed_are_a_503_with_a_row() -> None:
    world = World(max_streams=1)
    world.client().send(CHAT)
    assert world.client().send(CHAT).response().status == 503
    assert world.record.error == "overloaded"


def test_requests_whose_bodies_are_still_coming_count_as_streams() -> None:
    """Any number of heads could else pass the limit together, while none of them runs yet."""
    world = World(max_streams=2)
    clients = [world.client() for _ in range(3)]
    for client in clients:
        client.send(CHAT[:-1])
    assert clients[2].response().status == 503
    assert world.record.error == "overloaded"
    for client in clients[:2]:
        client.send(CHAT[-1:])
    assert len(world.endpoint.wires) == 2


def answered(world: World, client: Client) -> None:
    client.send(CHAT_WHOLE)
    world.up.deliver(OK)


def cut(world: World, client: Client) -> None:
    client.send(CHAT_WHOLE)
    world.up.deliver(OK[:-1])
    world.up.lose()
    world.clock.advance(0)


def rejected(world: World, client: Client) -> None:
    client.send(post("/v1/chat/completions", b"{no JSON"))


def too_large(world: World, client: Client) -> None:
    client.send(post("/v1/messages", b"{" * 1001))


def malformed(world: World, client: Client) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"zz\r\n")


def late(world: World, client: Client) -> None:
    client.send(CHAT[:-1])
    world.clock.pump([1.0] * 30)


def left_in_its_body(world: World, client: Client) -> None:
    client.send(CHAT[:-1])
    client.wire.lose()


def left_while_it_ran(world: World, client: Client) -> None:
    client.send(CHAT)
    client.wire.reset()


@pytest.mark.parametrize(
    "end",
    [
        answered,
        cut,
        rejected,
        too_large,
        malformed,
        late,
        left_in_its_body,
        left_while_it_ran,
    ],
)
def test_a_request_counts_as_a_stream_until_it_has_ended(
    end: Callable[[World, Client], None],
) -> None:
    world = World(max_streams=1, max_body=1000)
    for _ in range(2):
        end(world, world.client())
    client = world.client().send(CHAT_WHOLE)
    world.up.deliver(OK)
    assert client.response().status == 200
    assert "overloaded" not in [record.error for record in world.ledger.records]


def test_the_body_of_a_refused_request_is_thrown_away_for_a_moment_and_never_parsed() -> None:
    """A reset in place of the refusal would be all that the client sees."""
    world = World(max_body=10)
    client = world.client()
    inner = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
    client.send(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + inner)
    for _ in range(50):
        client.send(inner)
    assert not client.wire.closing
    assert len(client.responses("POST", "GET")) == 1
    world.clock.advance(LIMITS.linger)
    assert client.wire.closing
    assert not world.endpoint.wires


def test_pipelined_requests_are_answered_in_order() -> None:
    world = World()
    client = world.client().send(CHAT_WHOLE + CHAT_WHOLE + CHAT)
    for _ in range(2):
        world.up.deliver(OK)
        world.clock.advance(0)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    found = client.responses("POST", "POST", "POST")
    assert [r.body for r in found] == [b"{}", b"{}", b"".join(CHAT_EVENTS)]
    assert len(world.endpoint.wires) == 1


def test_what_arrives_while_pipelined_bytes_wait_is_not_parsed_before_them() -> None:
    world = World()
    client = world.client().send(CHAT_WHOLE + CHAT_WHOLE[:20])
    world.up.deliver(OK)
    client.send(CHAT_WHOLE[20:])
    world.clock.advance(0)
    world.up.deliver(OK)
    assert [r.status for r in client.responses("POST", "POST")] == [200, 200]


def test_the_next_request_waits_until_the_response_before_it_was_taken() -> None:
    """Answers that nobody reads do not pile up behind each other."""
    world = World()
    client = world.client()
    client.wire.stalled = True
    client.send(CHAT_WHOLE + CHAT_WHOLE)
    body = b"x" * 100_000
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    world.clock.advance(1)
    assert len(world.ledger.intents) == 1
    assert not client.wire.reading
    client.wire.stalled = False
    client.raw()
    world.clock.advance(0)
    assert client.wire.reading
    assert len(world.ledger.intents) == 2


def test_too_much_behind_a_running_stream_ends_it_with_an_error_event() -> None:
    """H6: a client that floods cannot hide its own leaving, nor fill our memory; it is told."""
    world = World(limits=LIMITS)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    client.send(b"x" * 1000)
    assert not world.ledger.records
    client.send(b"x")
    response = client.response()
    assert response.body.startswith(CHAT_EVENTS[0] + b'data: {"error":')
    assert response.whole
    assert world.up.aborted
    record = world.record
    assert (record.outcome, record.phase, record.error) == ("rejected", "relay", "bad_request")
    assert record.error_detail == "more than 1000 bytes were sent behind a running request"
    client.send(CHAT)  # it is not taken for a request
    world.clock.advance(LIMITS.linger)
    world.clock.advance(0)
    assert client.wire.lost
    assert len(world.ledger.intents) == 1
    assert world.idle()


def test_too_much_behind_a_request_without_an_answer_is_a_400() -> None:
    """H6: and the connection is closed, once the flood has been read for a moment."""
    world = World(limits=LIMITS)
    client = world.client().send(CHAT)
    client.send(b"x" * 1001)
    response = client.response()
    assert (response.status, response.get(b"connection")) == (400, b"close")
    assert not client.wire.closing
    world.clock.advance(LIMITS.linger)
    assert client.wire.closing


def test_too_much_behind_a_stream_that_has_told_its_end_does_not_spoil_its_row() -> None:
    """H6, A4: the client has everything."""
    world = World(limits=LIMITS)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS))
    client.send(b"x" * 1001)
    assert client.response().body == b"".join(CHAT_EVENTS)
    assert client.response().whole
    assert world.record.outcome == "finished"


def test_too_much_behind_a_request_that_cannot_say_so_is_a_reset() -> None:
    """H6: a Resource that knows nothing of it keeps nothing open."""
    client = site(Never())  # type: ignore[no-untyped-call]
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.send(b"x" * (FrontLimits().pipelined + 1))
    assert client.wire.aborted


def test_a_request_behind_refused_ones_waits_until_their_answers_were_taken() -> None:
    """H6: also where each is answered in the turn in which it comes."""
    world = World()
    client = world.client()
    client.wire.stalled = True
    refused = post("/v1/chat/completions", b"{no JSON")
    for _ in range(1000):
        if not client.wire.reading:
            break
        client.send(refused * 10)
    assert len(client.wire.unread) < BUFFER + 1000
    client.wire.stalled = False
    before = len(world.ledger.records)
    client.raw()
    world.clock.advance(0)
    assert len(world.ledger.records) > before


def test_a_client_that_asked_for_a_close_gets_one_and_nothing_behind_it_is_served() -> None:
    world = World()
    client = world.client()
    client.send(CHAT_WHOLE.replace(b"\r\n", b"\r\nConnection: x, Close\r\n", 1) + CHAT_WHOLE)
    world.up.deliver(OK)
    response = client.response()
    assert response.get(b"connection") == b"close"
    world.clock.advance(0)
    assert client.wire.lost
    assert len(world.ledger.records) == 1


def test_a_head_that_drips_is_ended_by_an_absolute_deadline() -> None:
    world = World()
    client = world.client()
    for _ in range(20):
        client.send(b"G")
        world.clock.advance(1)
        if client.raw():
            break
    assert client.response("GET").status == 408
    world.clock.advance(5)
    assert client.wire.lost


def test_an_idle_connection_is_closed_without_a_word() -> None:
    world = World()
    client = world.client()
    world.clock.advance(15)
    world.clock.advance(0)
    assert client.wire.lost
    assert client.raw() == b""
    assert world.idle()


def test_a_response_that_nobody_takes_does_not_hold_the_connection_for_ever() -> None:
    world = World()
    client = world.client()
    client.wire.stalled = True
    client.send(b"nonsense\r\n\r\n")
    world.clock.pump([1.0] * 70)
    assert client.wire.aborted


def test_a_response_that_is_taken_slowly_is_not_cut_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D5, D8: the last bytes have the time that they need, while some are taken."""
    taken = 0
    monkeypatch.setattr(Channel, "taken", lambda _: taken)
    world = World()
    client = world.client()
    client.wire.stalled = True
    client.send(b"nonsense\r\n\r\n")
    for taken in range(20):  # noqa: B007 - the channel reads it
        world.clock.pump([1.0] * 50)
        assert not client.wire.aborted
    world.clock.pump([1.0] * 120)
    assert client.wire.aborted


def test_100_continue_is_answered_only_after_the_door() -> None:
    world = World(max_body=100)
    head = (
        b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    client = world.client().send(head % 2)
    assert client.raw() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"{}")
    assert b"xpect" not in world.up.read()
    refused = world.client().send(head % (1 << 40))
    assert refused.response().status == 413
    assert refused.response().interim == []


def site(resource: Resource) -> Client:
    world = World()
    world.site = GatewaySite(resource, Keep(), world.clock, BodyBudget(1000))
    return world.client()


class Keep:
    """A door that keeps bodies for Resources that want them whole."""

    def admit(self, request: Request, framing: Framing) -> Admission | Refusal:
        return Admission(max_body=1000)

    def refuse(self, request: Request | None, status: int, message: str) -> Refusal:
        return Refusal(status, b"{}")

    def ended(self, request: Request) -> None:
        """Nothing is counted."""


class Echo(Resource):
    """A Resource as anybody writes one."""

    isLeaf = False

    def getChild(self, path: bytes, request: TwistedRequest) -> Resource:  # noqa: N802
        return self

    def render_POST(self, request: TwistedRequest) -> bytes:  # noqa: N802
        request.setHeader(b"X-Path", b"/".join(request.prepath or []))
        request.setHeader(b"X-Agent", request.getHeader(b"user-agent") or b"")
        assert request.args is not None
        assert request.content is not None
        body: bytes = request.args[b"q"][0] + request.content.read()
        return body

    def render_GET(self, request: TwistedRequest) -> int:  # noqa: N802
        request.write(b"one")
        request.write(b"two")
        request.finish()
        return NOT_DONE_YET


class Never(Resource):
    """A Resource that answers later than any test waits."""

    isLeaf = True

    def render_GET(self, request: TwistedRequest) -> int:  # noqa: N802
        return NOT_DONE_YET


def test_any_resource_renders_on_the_channel() -> None:
    client = site(Echo())  # type: ignore[no-untyped-call]
    data = post("/a/b?q=x", b"body", "User-Agent: me")
    client.send(data + b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n" + data)
    found = client.responses("POST", "GET", "POST")
    assert [r.body for r in found] == [b"xbody", b"onetwo", b"xbody"]
    assert found[0].get(b"x-path") == b"a/b"
    assert found[0].get(b"x-agent") == b"me"


@pytest.mark.parametrize("chunked_body", [False, True])
def test_a_body_longer_than_is_looked_into_is_passed_on_with_what_was_kept(
    chunked_body: bool,
) -> None:
    """D10: whether its length was told or not; it has no model in its row then."""
    world = World(max_body=10_000, inspect_limit=1000)
    body = b'{"model":"m","x":"' + b"y" * 5000 + b'"}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
    if chunked_body:
        client = world.client().send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 600):
            assert bool(world.endpoint.wires) is (at > 1000)
            client.send(chunked(body[at : at + 600]))
        client.send(LAST)
    else:
        client = world.client().send(head + b"Content-Length: %d\r\n\r\n" % len(body))
        assert world.endpoint.wires
        client.send(body)
    sent = world.up.read().partition(b"\r\n\r\n")[2]
    if chunked_body:
        decoder = ChunkedDecoder()
        assert decoder.feed(sent) == body
        assert decoder.done
    else:
        assert sent == body
    world.up.deliver(OK)
    assert client.response().status == 200
    assert world.record.intent.model_requested is None
    assert world.record.intent.request_bytes == len(body)
    assert world.budget.held == 0


def test_a_body_that_is_kept_whole_at_the_limit_is_looked_into() -> None:
    world = World(max_body=10_000, inspect_limit=len(b'{"model":"m"}'))
    world.client().send(post("/v1/chat/completions", b'{"model":"m"}'))
    assert world.ledger.intents[0].model_requested == "m"


def test_a_request_has_all_that_twisteds_initialiser_makes() -> None:
    """Made on demand, for a quiet stream needs none of it."""
    channel = World().client().channel
    head = parse_request(b"GET /a?b HTTP/1.1\r\nHost: a", FrontLimits().head)
    ours = Request(channel, head)
    twisteds = TwistedRequest(channel, parsePOSTFormSubmission=False)
    for name, value in vars(twisteds).items():
        if name != "requestHeaders":  # Twisted fills them in later
            assert getattr(ours, name) == value, name
            assert getattr(ours, name) is getattr(ours, name), name
    assert ours.requestHeaders.getRawHeaders(b"host") == [b"a"]
