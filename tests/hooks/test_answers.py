"""The hooks ``response`` and ``event``: what they see of an answer, and cannot do to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.config.model import KeepaliveMode
from gateway.exchange.exchange import Exchange
from gateway.hooks import NotAllowed, RequestHead, ResponseHead
from gateway.hooks.loader import HookModule
from tests.canaries import OWN_KEY
from tests.hooks.conftest import HookLog
from tests.hooks.test_request import OWN, Boom
from tests.transcripts import CHAT_EVENTS
from tests.world import CHAT, CHAT_WHOLE, LAST, SSE_HEAD, Client, World, chunked

STREAM = b"".join(CHAT_EVENTS)


def with_response(hook: Callable[[ResponseHead], Any], **world: Any) -> World:
    """A world in which that hook sees responses."""
    return World(hooks=HookModule(response=hook), **world)


def with_event(hook: Callable[[bytes], Any], **world: Any) -> World:
    """A world in which that hook sees events of the one route."""
    return World(hooks=HookModule(event=hook), hook_events=True, **world)


def stream(world: World) -> Client:
    """A client that has got a whole stream, event by event."""
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    for event in CHAT_EVENTS:
        world.up.deliver(chunked(event))
    world.up.deliver(LAST)
    response = client.response()
    assert (response.status, response.body, response.whole) == (200, STREAM, True)
    assert world.record.outcome == "finished"
    return client


def test_a_response_is_seen_and_its_fields_are_changed() -> None:
    """D11: the request is there to be known, and to be tagged."""

    def hook(head: ResponseHead) -> None:
        assert (head.status, head.begun, head.request.model) == (200, False, "m")
        head.headers.remove("x-served-by")
        head.headers.set("X-Added", "1")
        head.tag("from", head.headers.get("X-Region") or "")

    world = with_response(hook)
    client = world.client().send(CHAT_WHOLE)
    world.up.deliver(
        b"HTTP/1.1 200 OK\r\nX-Served-By: a\r\nX-Region: eu\r\nContent-Length: 2\r\n\r\n{}"
    )
    response = client.response()
    assert [name for name, _ in response.headers] == [
        b"X-Region", b"Content-Length", b"X-Added", b"Date",
    ]  # fmt: skip
    assert (response.body, response.whole) == (b"{}", True)
    assert world.record.tags == '{"from": "eu"}'
    assert sum(world.hooks.failures.values()) == 0


def test_an_error_of_the_upstreams_is_seen_too() -> None:
    """D11: with its status."""
    seen: list[int] = []
    world = with_response(lambda head: seen.append(head.status))
    client = world.client().send(CHAT)
    world.up.deliver(b"HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\n{}")
    assert client.response().status == 429
    assert seen == [429]


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "Connection", "Content-Encoding", "Trailer"]
)
def test_what_frames_a_response_is_no_hooks(name: str, hook_log: HookLog) -> None:
    """D11: the change is left out, and the stream is whole."""
    world = with_response(lambda head: head.headers.set(name, "1"))
    stream(world)
    assert world.hooks.failures["response"] == 1
    assert hook_log.take_raised(NotAllowed) == 1


def test_a_value_that_could_split_a_response_is_left_out(hook_log: HookLog) -> None:
    """D11: as in a request."""
    world = with_response(lambda head: head.headers.set("X-A", "a\r\n\r\nHTTP/1.1 200 OK"))
    response = stream(world).response()
    assert response.get(b"x-a") is None
    assert hook_log.take_raised(NotAllowed) == 1


def test_an_exception_in_response_reaches_no_stream(hook_log: HookLog) -> None:
    """D11, A3: counted and logged."""

    def hook(head: ResponseHead) -> None:
        raise Boom

    world = with_response(hook)
    stream(world)
    assert world.hooks.failures["response"] == 1
    assert hook_log.take_raised(Boom) == 1


async def _coroutine() -> None:
    raise AssertionError("nobody runs it")


@pytest.mark.parametrize("nonsense", [lambda: 1, Deferred, _coroutine, lambda: "text"])
@pytest.mark.parametrize("name", ["response", "event"])
@pytest.mark.filterwarnings("error")
def test_nothing_waits_for_what_response_and_event_return(
    name: str, nonsense: Callable[[], object], hook_log: HookLog
) -> None:
    """D11, A3: a Deferred and a coroutine are nonsense, too, and are told as such."""
    hooks: dict[str, Any] = {name: lambda _: nonsense()}
    world = World(hooks=HookModule(**hooks), hook_events=True)
    stream(world)
    assert world.hooks.failures[name] == (1 if name == "response" else len(CHAT_EVENTS))
    [line] = hook_log.lines
    assert line.endswith("which means nothing; it returns None")


@pytest.mark.parametrize("name", ["request", "response", "event", "settled"])
def test_a_mistake_is_told_with_the_row_that_it_belongs_to(name: str, hook_log: HookLog) -> None:
    """D11: also one of an event, which has no id itself."""
    hooks: dict[str, Any] = {name: lambda _: 1}
    world = World(hooks=HookModule(**hooks), hook_events=True)
    stream(world)
    assert hook_log.ids == [world.record.intent.id]


def test_a_deferred_that_nothing_waits_for_fails_into_the_count(hook_log: HookLog) -> None:
    """D11: no error is left unhandled."""
    wait: Deferred[None] = Deferred()
    world = with_response(lambda head: wait)
    stream(world)
    wait.errback(Boom())
    assert world.hooks.failures["response"] == 2
    assert hook_log.take_raised(Boom) == 1


def test_a_refusal_comes_too_late_for_a_response(hook_log: HookLog) -> None:
    """D11: the upstream has been asked and paid."""
    world = with_response(lambda head: head.request.refuse(403, "no"))
    stream(world)
    assert hook_log.take_raised(NotAllowed) == 1


def test_of_a_stream_that_a_keepalive_began_the_head_cannot_be_changed() -> None:
    """D11, K3: it has been sent; the hook sees what the upstream said all the same."""
    seen: list[bool] = []

    def hook(head: ResponseHead) -> None:
        seen.append(head.begun)
        head.headers.set("X-Added", "1")
        head.tag("seen", str(head.status))

    world = with_response(hook, keepalive=KeepaliveMode.IMMEDIATE)
    client = world.client().send(CHAT)
    world.clock.advance(0)
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    response = client.response()
    assert response.body.endswith(STREAM)
    assert len(response.body) > len(STREAM)
    assert response.get(b"x-added") is None
    assert seen == [True]
    assert world.record.tags == '{"seen": "200"}'
    assert world.hooks.failures["response"] == 0


def test_the_gateways_own_key_in_a_response_is_masked_for_hooks_as_well() -> None:
    """D11, H8: what hooks see is what the client gets."""
    seen: list[str] = []
    blocks: list[bytes] = []

    def hook(head: ResponseHead) -> None:
        seen.append(str(list(head.headers)))

    world = World(
        upstream=OWN, hooks=HookModule(response=hook, event=blocks.append), hook_events=True
    )
    client = world.client().send(CHAT)
    key = OWN_KEY.encode()
    head = SSE_HEAD.replace(b"\r\n\r\n", b"\r\nX-Echo: " + key + b"\r\n\r\n")
    world.up.deliver(head + chunked(b'data: {"a":"' + key + b'"}\n\n', *CHAT_EVENTS) + LAST)
    body = client.response().body
    assert OWN_KEY not in seen[0]
    assert b"".join(blocks) == body
    assert key not in body


def test_events_are_seen_as_the_client_gets_them() -> None:
    """D11: whole ones, in order, and none twice."""
    blocks: list[bytes] = []
    world = with_event(blocks.append)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    for half in (STREAM[:300], STREAM[300:]):
        world.up.deliver(chunked(half))
    world.up.deliver(LAST)
    assert client.response().body == STREAM
    assert len(blocks) == 2
    assert b"".join(blocks) == STREAM
    assert all(block.endswith(b"\n\n") for block in blocks)


def test_what_the_gateway_says_itself_is_not_seen() -> None:
    """D11: neither keepalives nor the event that tells of a failure."""
    blocks: list[bytes] = []
    world = with_event(blocks.append, keepalive_interval=15.0)
    client = world.client().send(CHAT)
    world.up.deliver(SSE_HEAD + chunked(CHAT_EVENTS[0]))
    world.clock.advance(15)
    world.up.reset()
    body = client.response().body
    assert b": keepalive" in body
    assert b'"error"' in body
    assert blocks == [CHAT_EVENTS[0]]


def test_events_are_seen_only_where_a_route_asks_for_it() -> None:
    """D11: because it costs."""
    blocks: list[bytes] = []
    world = World(hooks=HookModule(event=blocks.append))
    stream(world)
    assert blocks == []


def test_a_body_that_is_no_stream_has_no_events() -> None:
    blocks: list[bytes] = []
    world = with_event(blocks.append)
    client = world.client().send(CHAT_WHOLE)
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert client.response().body == b"{}"
    assert blocks == []


def test_an_exception_for_every_event_reaches_no_stream_and_floods_no_log(
    hook_log: HookLog,
) -> None:
    """D11, A3: all are counted, one is logged."""

    def hook(block: bytes) -> None:
        raise Boom

    world = with_event(hook)
    stream(world)
    assert world.hooks.failures["event"] == len(CHAT_EVENTS)
    assert hook_log.lines == ["the hook event raised an exception"]
    assert hook_log.take_raised(Boom) == 1


def test_without_a_module_nothing_stands_in_the_way_of_a_stream() -> None:
    """D11: the relay writes to the request itself, and the exchange keeps nothing for hooks."""
    world = World(hook_events=True)
    world.client().send(CHAT)
    world.up.deliver(SSE_HEAD)
    [exchange] = world.services.running
    assert isinstance(exchange, Exchange)
    assert exchange._hooked is None
    assert getattr(exchange._reply.relay, "_request", None) is exchange._request


def test_tags_of_both_hooks_stand_in_one_row() -> None:
    def request(head: RequestHead) -> None:
        head.tag("a", "1")

    def response(head: ResponseHead) -> None:
        head.tag("b", "2")

    world = World(hooks=HookModule(request=request, response=response))
    stream(world)
    assert json.loads(world.record.tags or "") == {"a": "1", "b": "2"}
