"""The hook ``request``: what it sees and may change, and what becomes of what it does wrong."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from gateway.config.model import Family, Secret, Upstream, Url
from gateway.hooks import NotAllowed, RequestHead
from gateway.hooks.calls import REQUEST_LIMIT
from gateway.hooks.heads import (
    LONGEST_TAG,
    LONGEST_VALUE,
    MOST_TAGS,
    REQUEST_PROTECTED,
    Headers,
)
from gateway.hooks.lines import INTERVAL, MOST_KINDS, Lines
from gateway.hooks.loader import HookModule
from tests.canaries import OWN_KEY
from tests.hooks.conftest import HookLog
from tests.transcripts import CHAT_EVENTS
from tests.world import (
    CHAT,
    CHAT_WHOLE,
    HOP,
    LAST,
    MESSAGES,
    SSE_HEAD,
    UPSTREAM,
    Client,
    World,
    chunked,
    post,
)

OWN = Upstream(
    "own", Url("http", "127.0.0.1", 9, ""), Family.OPENAI, api_key=Secret("env:KEY", OWN_KEY)
)


class Boom(Exception):
    """What hooks of these tests raise."""


def with_request(hook: Callable[[RequestHead], object], **world: object) -> World:
    """A world in which that hook sees requests."""
    return World(hooks=HookModule(request=hook), **world)  # type: ignore[arg-type]


def finish(world: World, client: Client) -> bytes:
    """Let the upstream answer with a whole stream; what it was sent."""
    sent = world.up.read()
    world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
    response = client.response()
    assert (response.status, response.body, response.whole) == (200, b"".join(CHAT_EVENTS), True)
    assert world.record.outcome == "finished"
    return sent


def test_it_sees_who_asks_for_what_and_the_headers_as_the_upstream_gets_them() -> None:
    """D11: Host, Connection and the like are the gateway's, what it adds is seen."""
    seen: list[RequestHead] = []
    world = with_request(seen.append)
    world.client().send(
        post("/v1/chat/completions?a=1", b'{"model":"m","stream":true}', "X-Team: red", "TE: gzip")
    )
    [head] = seen
    assert (head.method, head.path, head.target) == (
        "POST",
        "/v1/chat/completions",
        "/v1/chat/completions?a=1",
    )
    assert (head.route, head.upstream, head.dialect) == ("r", "up", "openai_chat")
    assert (head.model, head.stream, head.client) == ("m", True, "127.0.0.1")
    assert head.tenant == world.ledger.intents[0].tenant
    assert head.id == world.ledger.intents[0].id
    assert head.headers.get("x-team") == "red"
    assert [name for name, _ in head.headers] == [
        "Content-Type", "X-Team", "Authorization",
        "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded",
    ]  # fmt: skip
    world.clock.advance(1)


def test_a_hook_that_changes_nothing_changes_no_byte() -> None:
    """D11: the request is sent as if there were no hook."""

    def sent(world: World) -> bytes:
        client = world.client().send(CHAT)
        return finish(world, client)

    assert sent(with_request(lambda head: None)) == sent(World())


def test_headers_are_set_added_and_removed_in_their_places() -> None:
    """D11: other fields keep their order and spelling."""

    def hook(head: RequestHead) -> None:
        head.headers.set("x-a", "new")
        head.headers.add("X-B", "2")
        head.headers.remove("FORWARDED")
        assert head.headers.get_all("x-b") == ["1", "2"]
        assert "x-c" not in head.headers
        assert len(head.headers) == 9

    world = with_request(hook)
    client = world.client().send(
        post("/v1/chat/completions", b'{"stream":true}', "X-A: 1", "x-a: 2", "X-B: 1")
    )
    sent = finish(world, client)
    hop = HOP.replace(b"Forwarded: for=127.0.0.1;host=gw.test;proto=http\r\n", b"")
    assert b"\r\nX-B: 1\r\nAuthorization: " in sent
    assert hop + b"x-a: new\r\nX-B: 2\r\nAccept-Encoding: identity\r\n" in sent
    assert sent.lower().count(b"x-a:") == 1
    assert world.hooks.failures["request"] == 0


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "TE",
                                  "Upgrade", "Expect", "Via", "Accept-Encoding"])  # fmt: skip
@pytest.mark.parametrize("change", ["set", "add", "remove"])
def test_what_frames_the_message_is_no_hooks(name: str, change: str, hook_log: HookLog) -> None:
    """D11, H4: the change is left out, logged and counted, and the request goes on."""

    def hook(head: RequestHead) -> None:
        arguments = (name,) if change == "remove" else (name, "1")
        getattr(head.headers, change)(*arguments)

    world = with_request(hook)
    sent = finish(world, world.client().send(CHAT))
    plain = World()
    assert sent == finish(plain, plain.client().send(CHAT))
    assert world.hooks.failures["request"] == 1
    assert hook_log.take_raised(NotAllowed) == 1


def test_the_gateways_own_key_is_neither_seen_nor_replaced(hook_log: HookLog) -> None:
    """D11, H8: it is put on after the hook; in another field a hook may say what it likes."""
    seen: list[RequestHead] = []

    def hook(head: RequestHead) -> None:
        seen.append(head)
        head.headers.set("X-Other", "1")
        head.headers.set("authorization", "Bearer another")

    world = with_request(hook, upstream=OWN)
    sent = finish(world, world.client().send(CHAT))
    assert sent.count(b"uthorization: ") == 1
    assert b"Authorization: Bearer " + OWN_KEY.encode() in sent
    assert b"X-Other: 1" in sent
    assert not any(OWN_KEY in value for _, value in seen[0].headers)
    assert "authorization" not in seen[0].headers
    assert hook_log.take_raised(NotAllowed) == 1


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_hook_sets_is_one_field_or_nothing(name: str, value: str) -> None:
    """D11, H1: no name and no value ends a line, a head, or means two things."""
    headers = Headers([(b"A", b"1")], REQUEST_PROTECTED)
    try:
        headers.add(name, value)
    except NotAllowed:
        assert headers.raw == [(b"A", b"1")]
        return
    [_, (raw_name, raw_value)] = headers.raw
    assert raw_name.decode() == name
    assert raw_value.decode("latin-1") == value.strip(" \t")
    assert not set(raw_name) & set(b"\r\n\0: \t_")
    assert not set(raw_value) & set(b"\r\n\0")
    assert raw_name.lower() not in REQUEST_PROTECTED


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "é€", b"bytes", None])
def test_a_value_that_could_split_the_head_is_left_out(value: str, hook_log: HookLog) -> None:
    """D11: and what was changed before it holds."""

    def hook(head: RequestHead) -> None:
        head.headers.set("X-Good", "1")
        head.headers.set("X-Bad", value)

    world = with_request(hook)
    sent = finish(world, world.client().send(CHAT))
    assert b"\r\nX-Good: 1\r\n" in sent
    assert b"X-Bad" not in sent
    assert b"X-Evil" not in sent
    assert hook_log.take_raised(NotAllowed) == 1


def test_a_head_does_not_grow_without_bound() -> None:
    headers = Headers([], REQUEST_PROTECTED)
    with pytest.raises(NotAllowed, match="longer"):
        headers.set("X-Long", "a" * (LONGEST_VALUE + 1))
    for number in range(200):
        headers.add("X-Many", str(number))
    with pytest.raises(NotAllowed, match="200"):
        headers.add("X-Many", "one more")
    assert len(headers) == 200


def test_headers_show_no_value_in_their_repr() -> None:
    assert repr(Headers([(b"X-Api-Key", b"hidden")], REQUEST_PROTECTED)) == "<Headers X-Api-Key>"


@pytest.mark.parametrize(
    ("request_bytes", "shape"),
    [(CHAT, {"type", "message", "code", "param"}), (MESSAGES, {"type", "message"})],
)
def test_a_refusal_is_told_in_the_dialects_shape_and_has_a_row(
    request_bytes: bytes, shape: set[str]
) -> None:
    """D11: the upstream is not asked."""
    world = with_request(lambda head: head.refuse(402, "the budget of the team is spent"))
    response = world.client().send(request_bytes).response()
    assert (response.status, response.whole) == (402, True)
    error = json.loads(response.body)["error"]
    assert set(error) == shape
    assert error["message"] == "the budget of the team is spent"
    record = world.record
    assert (record.outcome, record.error, record.phase) == ("rejected", "hook", "request")
    assert (record.error_detail, record.status_sent) == ("the budget of the team is spent", 402)
    assert record.attempts == 0
    assert not world.endpoint.wires
    assert world.ledger.intents == [record.intent]
    world.clock.advance(1)


@pytest.mark.parametrize("arguments", [(200, "ok"), (600, "no"), ("403", "no"), (403, None), ()])
def test_a_refusal_that_is_not_said_rightly_is_one_all_the_same(
    arguments: tuple[int, str], hook_log: HookLog
) -> None:
    """D11: whoever wants to refuse does not let in what a mistake would."""
    world = with_request(lambda head: head.refuse(*arguments))
    response = world.client().send(CHAT).response()
    if arguments:
        assert (response.status, world.record.error) == (403, "hook")
    else:
        finish(world, world.client().send(CHAT))  # it cannot be told what was meant
    assert hook_log.take_raised(NotAllowed, TypeError) == 1


def test_a_hook_that_refuses_and_then_raises_has_refused(hook_log: HookLog) -> None:
    """D11: the first refusal holds, too."""

    def hook(head: RequestHead) -> None:
        head.refuse(429, "first")
        head.refuse(400, "second")
        raise Boom

    world = with_request(hook)
    assert world.client().send(CHAT).response().status == 429
    assert world.record.error_detail == "first"
    assert hook_log.take_raised(Boom) == 1


def test_tags_stand_in_the_row() -> None:
    """D11: as a JSON object of texts, without secrets."""

    def hook(head: RequestHead) -> None:
        head.tag("team", "red")
        head.tag("said", 'Authorization: "Bearer abcdefgh12345678"')
        head.tag("team", "blue")

    world = with_request(hook)
    finish(world, world.client().send(CHAT))
    assert world.record.tags is not None
    tags = json.loads(world.record.tags)
    assert tags["team"] == "blue"
    assert "abcdefgh" not in world.record.tags
    assert set(tags) == {"team", "said"}


def test_without_tags_the_row_has_none() -> None:
    world = with_request(lambda head: None)
    finish(world, world.client().send(CHAT))
    assert world.record.tags is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Team", "a"),
        ("", "a"),
        ("a" * 41, "a"),
        ("a", "a" * (LONGEST_TAG + 1)),
        ("a", "line\nbreak"),
        ("a", 1),
        (1, "a"),
    ],
)
def test_what_cannot_be_a_tag_is_left_out(name: str, text: str, hook_log: HookLog) -> None:
    """D11: those that were set before hold."""

    def hook(head: RequestHead) -> None:
        head.tag("good", "1")
        head.tag(name, text)

    world = with_request(hook)
    finish(world, world.client().send(CHAT))
    assert world.record.tags == '{"good": "1"}'
    assert hook_log.take_raised(NotAllowed) == 1


def test_a_row_has_so_many_tags_at_most(hook_log: HookLog) -> None:
    def hook(head: RequestHead) -> None:
        for number in range(MOST_TAGS):
            head.tag(f"tag_{number}", "1")
        head.tag("tag_0", "2")
        head.tag("one_more", "1")

    world = with_request(hook)
    finish(world, world.client().send(CHAT))
    assert world.record.tags is not None
    assert len(json.loads(world.record.tags)) == MOST_TAGS
    assert json.loads(world.record.tags)["tag_0"] == "2"
    assert hook_log.take_raised(NotAllowed) == 1


@pytest.mark.parametrize("error", [Boom, SystemExit, GeneratorExit])
def test_what_it_raises_reaches_no_stream(error: type[BaseException], hook_log: HookLog) -> None:
    """D11, A3: the request goes on, is logged with its traceback, and counted."""

    def hook(head: RequestHead) -> None:
        head.headers.set("X-Before", "1")
        raise error

    world = with_request(hook)
    assert b"\r\nX-Before: 1\r\n" in finish(world, world.client().send(CHAT))
    assert world.hooks.failures == {"request": 1, "response": 0, "event": 0, "settled": 0}
    assert hook_log.lines == ["the hook request raised an exception"]
    assert hook_log.take_raised(error) == 1


def test_what_goes_wrong_again_and_again_does_not_flood_the_log(hook_log: HookLog) -> None:
    """D11: one line in a while, which tells how many there were."""

    def hook(head: RequestHead) -> None:
        raise Boom

    world = with_request(hook)
    for _ in range(4):
        world.client().send(CHAT_WHOLE)
    world.clock.advance(INTERVAL)
    world.client().send(CHAT_WHOLE)
    assert world.hooks.failures["request"] == 5
    assert hook_log.lines == [
        "the hook request raised an exception",
        "the hook request raised an exception (3 times more before)",
    ]
    assert hook_log.take_raised(Boom) == 2


def test_one_mistake_hides_no_other(hook_log: HookLog) -> None:
    """D11: not even one after another within a moment; each kind counts its own."""
    mistakes: list[Callable[[RequestHead], object]] = [
        lambda head: 1 / 0,
        lambda head: head.tag("", ""),
        lambda head: 17,
        lambda head: "no",
        lambda head: Deferred(),
    ]
    world = World(hooks=HookModule(request=lambda head: mistakes[0](head)))

    def again(*more: int) -> None:
        for index in more:
            mistakes[0] = kinds[index]
            world.client().send(CHAT_WHOLE)

    kinds = list(mistakes)
    again(0, 1, 2, 3, 4)
    world.clock.advance(REQUEST_LIMIT)
    told = [
        "the hook request raised an exception",
        "the hook request raised an exception",
        "the hook request returned something of the type int, which means nothing; it returns "
        "None or a Deferred of None",
        "the hook request returned something of the type str, which means nothing; it returns "
        "None or a Deferred of None",
        f"the hook request did not end within {REQUEST_LIMIT:g} s, the request went on without it",
    ]
    assert hook_log.lines == told
    again(0, 0, 2)
    world.clock.advance(INTERVAL)
    again(0, 2, 1)
    assert hook_log.lines[len(told) :] == [
        f"{told[0]} (2 times more before)",
        f"{told[2]} (once more before)",
        told[1],
    ]
    assert hook_log.take_raised(ZeroDivisionError, NotAllowed) == 4


def test_what_was_left_out_is_told_at_the_end(hook_log: HookLog) -> None:
    """D11: with the row of the last one, and without what has been told before."""

    ids: list[str] = []

    def hook(head: RequestHead) -> None:
        ids.append(head.id)
        raise Boom

    world = with_request(hook)
    for _ in range(3):
        world.client().send(CHAT_WHOLE)
    assert Deferred.fromCoroutine(world.hooks.stop()).called
    assert hook_log.lines == [
        "the hook request raised an exception",
        "the hook request raised an exception (2 times more)",
    ]
    assert hook_log.ids == [ids[0], ids[2]]
    assert Deferred.fromCoroutine(world.hooks.stop()).called
    assert len(hook_log.lines) == 2
    assert hook_log.take_raised(Boom) == 1


def test_kinds_that_never_end_take_no_memory_that_never_ends(hook_log: HookLog) -> None:
    """D11: types can be made as they are raised."""

    told = Lines(Clock())
    for number in range(MOST_KINDS + 5):
        told.tell("request", f"raised Boom{number}", "raised an exception", "id-1")
    told.finish()
    *each, last = hook_log.lines
    assert each == ["the hook request raised an exception"] * (MOST_KINDS + 1)
    assert last == "the hook request raised an exception (4 times more)"


@pytest.mark.parametrize("nonsense", [0, False, "no", b"", object(), [], (403, "no")])
def test_nonsense_that_it_returns_is_told_and_means_nothing(
    nonsense: object, hook_log: HookLog
) -> None:
    """D11, A3: also what looks like a refusal."""
    world = with_request(lambda head: nonsense)
    finish(world, world.client().send(CHAT))
    assert world.hooks.failures["request"] == 1
    [line] = hook_log.lines
    assert f"returned something of the type {type(nonsense).__name__}" in line
    assert line.endswith("it returns None or a Deferred of None")


def in_turn(head: RequestHead, wait: Deferred[None]) -> Deferred[None]:
    """A hook that returns a Deferred."""
    return wait.addCallback(lambda _: head.headers.set("X-Waited", "1"))


async def by_await(head: RequestHead, wait: Deferred[None]) -> None:
    """A hook that is a coroutine."""
    await wait
    head.headers.set("X-Waited", "1")


Slow = Callable[[RequestHead, "Deferred[None]"], Awaitable[None]]


@pytest.mark.parametrize("slow", [in_turn, by_await])
def test_a_request_waits_for_its_hook(slow: Slow) -> None:
    """D11: the upstream is asked when the hook has come to its end."""
    wait: Deferred[None] = Deferred()
    world = with_request(lambda head: slow(head, wait))
    client = world.client().send(CHAT)
    world.clock.advance(REQUEST_LIMIT - 1)
    assert not world.endpoint.wires
    wait.callback(None)
    assert b"\r\nX-Waited: 1\r\n" in finish(world, client)
    world.clock.advance(100)
    assert world.idle()


@pytest.mark.parametrize("slow", [in_turn, by_await])
def test_a_request_does_not_wait_for_ever(slow: Slow, hook_log: HookLog) -> None:
    """D11, A3: it goes on without the hook, which is cancelled, counted and told."""
    cancelled: list[bool] = []
    wait: Deferred[None] = Deferred(lambda _: cancelled.append(True))
    world = with_request(lambda head: slow(head, wait))
    client = world.client().send(CHAT)
    world.clock.advance(REQUEST_LIMIT)
    assert b"X-Waited" not in finish(world, client)
    assert cancelled == [True]
    assert world.hooks.failures["request"] == 1
    assert hook_log.lines == [
        "the hook request did not end within 5 s, the request went on without it"
    ]


def test_a_hook_that_does_not_let_itself_be_cancelled_is_not_waited_for(
    hook_log: HookLog,
) -> None:
    """D11: and what it does to the head afterwards is too late."""
    wait: Deferred[None] = Deferred()
    more: Deferred[None] = Deferred()
    late: list[str] = []

    async def hook(head: RequestHead) -> None:
        try:
            await wait
        except CancelledError:
            await more
        try:
            head.headers.set("X-Late", "1")
        except NotAllowed as error:
            late.append(str(error))
        try:
            head.refuse(403, "too late")
        except NotAllowed as error:
            late.append(str(error))
        head.tag("late", "but not for a tag")

    world = with_request(hook)
    client = world.client().send(CHAT)
    world.clock.advance(REQUEST_LIMIT)
    more.callback(None)
    assert b"X-Late" not in finish(world, client)
    assert len(late) == 2
    assert world.record.tags == '{"late": "but not for a tag"}'
    assert len(hook_log.lines) == 1


@pytest.mark.parametrize("slow", [in_turn, by_await])
def test_a_client_that_leaves_meanwhile_cancels_the_hook(slow: Slow, hook_log: HookLog) -> None:
    """D11, A2: no upstream is asked; nothing is wrong with the hook."""
    cancelled: list[bool] = []
    wait: Deferred[None] = Deferred(lambda _: cancelled.append(True))
    world = with_request(lambda head: slow(head, wait))
    world.client().send(CHAT).wire.lose()
    assert cancelled == [True]
    assert (world.record.outcome, world.record.phase) == ("client_gone", "request")
    assert not world.endpoint.wires
    assert hook_log.lines == []
    assert world.hooks.failures["request"] == 0
    assert world.idle()


def test_a_drain_does_not_wait_for_a_hook() -> None:
    """D11, O4: the client is told."""
    world = with_request(lambda head: Deferred())
    client = world.client().send(CHAT)
    for exchange in tuple(world.services.running):
        exchange.drain()
    assert client.response().status == 503
    assert world.record.outcome == "drained"
    world.clock.advance(100)
    assert world.idle()


def test_a_total_timeout_passes_while_a_hook_is_waited_for() -> None:
    """D11, E2: the hook's time is the request's."""
    world = with_request(lambda head: Deferred(), total_timeout=2.0)
    client = world.client().send(CHAT)
    world.clock.advance(2)
    assert client.response().status == 504
    assert (world.record.outcome, world.record.phase) == ("timed_out", "request")


@pytest.mark.parametrize("how", ["fails", "raises"])
def test_a_hook_that_fails_later_reaches_no_stream(how: str, hook_log: HookLog) -> None:
    """D11, A3: as if it had raised at once."""
    wait: Deferred[None] = Deferred()

    async def coroutine(head: RequestHead) -> None:
        await wait
        raise Boom

    world = with_request(coroutine if how == "raises" else lambda head: wait)
    client = world.client().send(CHAT)
    if how == "raises":
        wait.callback(None)
    else:
        wait.errback(Boom())
    finish(world, client)
    assert world.hooks.failures["request"] == 1
    assert hook_log.take_raised(Boom) == 1


def test_a_deferred_of_nonsense_is_nonsense(hook_log: HookLog) -> None:
    """D11: told as such."""

    async def hook(head: RequestHead) -> int:
        return 403

    world = with_request(hook)
    finish(world, world.client().send(CHAT))
    assert world.hooks.failures["request"] == 1
    assert "of the type int" in hook_log.lines[0]


def test_a_hook_that_blocks_is_told_of(hook_log: HookLog) -> None:
    """D11: how long every stream stood still for it."""
    times = iter([0.0, 1.04, 2.0, 2.05])
    world = with_request(lambda head: None)
    world.hooks._stopwatch = lambda: next(times)
    finish(world, world.client().send(CHAT))
    world.client().send(CHAT)
    assert hook_log.lines == ["the hook request took 1.0 s, and every stream stood still"]
    assert world.hooks.slow["request"] == 1
    assert world.hooks.failures["request"] == 0


def test_a_bodys_upload_begins_when_the_hook_has_said_yes() -> None:
    """D11: nothing of the body is sent, or asked of the client, before."""
    wait: Deferred[None] = Deferred()
    world = with_request(lambda head: wait)
    client = world.client().send(
        b"PUT /v1/files/1 HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert not world.endpoint.wires
    wait.callback(None)
    assert world.up.read().endswith(b"\r\n\r\nabc")
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.response("PUT").body == b"ok"


def test_the_head_cannot_be_changed_but_by_its_headers(hook_log: HookLog) -> None:
    """D11: where a request goes is the configuration's to say."""

    def hook(head: RequestHead) -> None:
        head.upstream = "another"  # type: ignore[misc]

    world = with_request(hook)
    finish(world, world.client().send(CHAT))
    assert world.record.intent.upstream == UPSTREAM.name
    assert hook_log.take_raised(AttributeError) == 1
