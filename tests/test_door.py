"""The door: whom the gateway serves, under which name, and what of a request goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_struct

from gateway.config.model import Client, Family, Pattern, Secret
from gateway.hosts import AllowedHosts
from tests.canaries import CLIENTS_KEY, OWN_KEY, assert_clean
from tests.conftest import LoggedFailures
from tests.world import HOP, LAST, SSE_HEAD, UPSTREAM, World, chunked, post

BODY = b'{"model":"m","stream":true}'
TEAM = Client("team-a", hashlib.sha256(b"the-key-of-team-a").digest())
OTHER = Client("team-b", hashlib.sha256(b"the-key-of-team-b").digest())
OWN_SECRET = Secret("env:KEY", OWN_KEY)


def chat(*fields: str, path: str = "/v1/chat/completions") -> bytes:
    return post(path, BODY, *fields)


def guarded(family: Family = Family.OPENAI, **route: object) -> World:
    """A gateway with clients, in front of an upstream that it has a key for."""
    header = "x-api-key" if family is Family.ANTHROPIC else "Authorization: Bearer"
    upstream = replace(UPSTREAM, family=family, api_key=OWN_SECRET, api_key_header=header)
    return World(upstream, clients=(TEAM, OTHER), **route)  # type: ignore[arg-type]


def sent_up(world: World) -> list[bytes]:
    """The fields of the request that the upstream got."""
    return world.up.read().partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]


@pytest.mark.parametrize(
    "fields",
    [
        ["Authorization: Bearer the-key-of-team-a"],
        ["authorization: bearer the-key-of-team-a"],
        ["X-Api-Key: the-key-of-team-a"],
        ["x-goog-api-key: the-key-of-team-a"],
        ["Authorization: Bearer the-key-of-team-a", "x-api-key: the-key-of-team-a"],
    ],
)
def test_a_client_is_known_by_its_key_in_whatever_field(fields: list[str]) -> None:
    world = guarded()
    client = world.client().send(chat(*fields))
    world.up.deliver(SSE_HEAD + chunked(b"data: [DONE]\n\n") + LAST)
    assert client.response().status == 200
    assert world.record.intent.tenant == "team-a"


def test_a_clients_key_may_stand_in_the_query_and_does_not_go_on() -> None:
    world = guarded(Family.GEMINI)
    path = "/v1beta/models/g:generateContent?a=1&key=the-key-of-team-b&b=2"
    world.client().send(post(path, b"{}"))
    request = world.up.read()
    assert request.startswith(b"POST /v1beta/models/g:generateContent?a=1&b=2 HTTP/1.1\r\n")
    assert b"team-b" not in request
    assert world.ledger.intents[0].tenant == "team-b"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (["Authorization:"], b"serves its own clients only"),
        (["Authorization: Bearer wrong"], b"none of this gateway's clients"),
        (["Authorization: Basic dGhlLWtleS1vZi10ZWFtLWE="], b"none of this gateway's clients"),
        (["x-api-key: the-key-of-team-"], b"none of this gateway's clients"),
    ],
)
def test_nobody_else_is_served(fields: list[str], told: bytes) -> None:
    """401 with a challenge, in the dialect's shape, before the body is read; and a row."""
    world = guarded()
    client = world.client().send(chat(*fields)[: -len(BODY)])
    response = client.response()
    assert (response.status, response.get(b"www-authenticate")) == (401, b"Bearer")
    error = json.loads(response.body)["error"]
    assert told.decode() in error["message"]
    assert not world.endpoint.wires
    record = world.record
    assert (record.outcome, record.error, record.status_sent) == ("rejected", "unauthorized", 401)
    assert record.intent.tenant is None


def test_a_refusal_has_the_shape_of_the_routes_dialect() -> None:
    world = guarded(Family.ANTHROPIC)
    response = world.client().send(chat(path="/v1/messages")).response()
    assert response.status == 401
    assert json.loads(response.body)["error"]["type"] == "authentication_error"


def test_two_credentials_that_differ_are_nobodys() -> None:
    world = guarded()
    fields = ["Authorization: Bearer the-key-of-team-a", "x-api-key: the-key-of-team-b"]
    assert world.client().send(chat(*fields)).response().status == 400
    assert world.record.error == "bad_request"
    assert not world.endpoint.wires


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "x-goog-api-key", "api-key"])
def test_a_field_with_a_credential_that_comes_twice_is_refused(name: str) -> None:
    """Clients or none: one server reads the first, another the last."""
    world = World()
    response = world.client().send(chat(f"{name}: a", f"{name}: b")).response()
    assert response.status == 400
    assert b"came twice" in response.body
    assert not world.endpoint.wires


def test_the_gateways_own_key_takes_the_place_of_the_clients() -> None:
    """H8: no credential of a client goes to an upstream that has a key of its own."""
    world = guarded()
    world.client().send(chat("Authorization: Bearer the-key-of-team-a", "x-api-key:"))
    fields = sent_up(world)
    carriers = [line for line in fields if b"key" in line.lower() or b"auth" in line.lower()]
    assert carriers == [b"Authorization: Bearer " + OWN_KEY.encode()]


def test_a_clients_key_goes_to_no_upstream_even_without_a_key_there() -> None:
    """H8: what clients and the gateway share is a secret between them."""
    world = World(clients=(TEAM,))
    world.client().send(chat("Authorization: Bearer the-key-of-team-a"))
    assert b"team-a" not in world.up.read()


@pytest.mark.parametrize(
    ("family", "goes_on"),
    [
        (Family.OPENAI, {b"Authorization: Bearer a"}),
        (Family.ANTHROPIC, {b"Authorization: Bearer a", b"x-api-key: b"}),
        (Family.GEMINI, {b"Authorization: Bearer a", b"x-goog-api-key: c"}),
        (
            Family.GENERIC,
            {b"Authorization: Bearer a", b"x-api-key: b", b"x-goog-api-key: c"},
        ),
    ],
)
def test_credentials_of_another_familys_api_stay_here(family: Family, goes_on: set[bytes]) -> None:
    """H8: a key for one provider is not shown to another."""
    world = World(replace(UPSTREAM, family=family))
    path = "/v1/messages" if family is Family.ANTHROPIC else "/v1/chat/completions"
    own = ["Authorization: Bearer a", "x-api-key: b", "x-goog-api-key: c"]
    world.client().send(chat(*own, path=path))
    carried = {line for line in sent_up(world) if b"key" in line.lower() or b"auth" in line.lower()}
    assert carried == goes_on


def test_a_host_that_is_not_the_listeners_is_refused() -> None:
    """H10: a web page whose name was rebound to loopback gets 421, and nothing goes on."""
    world = World(hosts=AllowedHosts(["localhost", "127.0.0.1"]))
    client = world.client().send(chat("Origin: http://evil.example"))
    response = client.response()
    assert response.status == 421
    assert b"allowed_hosts" in response.body
    assert not world.endpoint.wires
    assert not world.ledger.records


def test_a_request_that_was_here_before_is_a_loop() -> None:
    """H12: 508, whoever passed it on meanwhile."""
    world = World()
    own = HOP.split(b"\r\n")[0].partition(b"1.1 ")[2].decode()
    response = world.client().send(chat(f"Via: 1.1 other, 1.1 {own}", "Via: 1.0 third")).response()
    assert response.status == 508
    assert not world.endpoint.wires
    assert not world.ledger.records


def test_another_gateway_on_the_way_is_no_loop_and_stays_named() -> None:
    world = World()
    world.client().send(chat("Via: 1.1 txgateway-00000000"))
    fields = sent_up(world)
    vias = [line for line in fields if line.lower().startswith(b"via:")]
    assert vias == [b"Via: 1.1 txgateway-00000000", HOP.split(b"\r\n")[0]]


def test_what_an_untrusted_client_says_of_itself_is_replaced() -> None:
    """H11: the upstream sees one truth in the four fields, and no claim of the client's."""
    world = World()
    claims = ["X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1"]
    world.client().send(chat(*claims, "X_Forwarded_For: 10.0.0.1"))
    request = world.up.read()
    assert HOP in request
    assert b"10.0.0.1" not in request
    assert world.ledger.intents[0].client == "127.0.0.1"


def test_what_is_refused_before_the_route_is_named_after_the_publics_apis_paths() -> None:
    world = World(patterns=(Pattern("/elsewhere"),))
    response = world.client().send(chat("Upgrade: websocket", path="/v1/messages")).response()
    assert response.status == 426
    assert json.loads(response.body)["type"] == "error"


def test_a_websocket_is_refused_with_the_protocol_to_use_instead() -> None:
    """RFC 9110, 15.5.22 and 7.8.  After 426 alone Codex turns to HTTP at once."""
    handshake = b"GET /v1/responses HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"
    client = World().client().send(handshake)
    response = client.response("GET")
    assert response.status == 426
    assert response.get(b"upgrade") == b"HTTP/1.1"
    lines = client.raw().partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert {b"Connection: close", b"Connection: upgrade"} <= set(lines)


@pytest.mark.parametrize(
    ("fields", "session"),
    [
        (["X-Claude-Code-Session-Id: claude"], "claude"),
        (["Session-Id: codex", "Thread-Id: other"], "codex"),
        (["X-Session-Id: mine"], "mine"),
        (["X-Session-Id: second", "X-Claude-Code-Session-Id: first"], "first"),
        (["X-Claude-Code-Session-Id:", "Session-Id: told"], "told"),
        ([], None),
    ],
)
def test_a_row_names_the_session_that_the_agent_names(
    fields: list[str], session: str | None
) -> None:
    world = World()
    world.client().send(chat(*fields))
    world.up.read()
    assert world.ledger.intents[0].session == session


def test_a_method_that_is_not_passed_on_is_told_with_those_that_are() -> None:
    """RFC 9110, 15.5.6."""
    response = World().client().send(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").response("TRACE")
    assert response.status == 405
    assert b"POST" in (response.get(b"allow") or b"")


def test_an_upstreams_echo_of_a_key_reaches_neither_row_nor_error_event() -> None:
    """H8: after the commit its words are told in an event; the keys in them are not."""
    world = World(replace(UPSTREAM, family=Family.OPENAI, api_key=OWN_SECRET), keepalive_after=1.0)
    client = world.client().send(chat(f"Authorization: Bearer {CLIENTS_KEY}"))
    world.clock.advance(1.5)  # the stream has begun
    told = b'{"error":{"message":"no: %b, %b","type":"x"}}' % (
        OWN_KEY.encode(),
        CLIENTS_KEY.encode(),
    )
    world.up.deliver(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
    body = client.response().body
    assert b"[redacted]" in body
    assert_clean(body, "the error event")
    assert world.record.error_detail == "no: [redacted], [redacted]"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Origin: https://evil.example"], 403),
        (["Origin: null"], 403),
        (["Origin: x://[::1"], 403),
        (["Origin: http://[\xff"], 403),
        (["Origin: http://localhost, http://evil.example"], 403),
        (["Origin: http://localhost.evil.example"], 403),
        (["Sec-Fetch-Site: cross-site"], 403),
        (["Sec-Fetch-Site: same-site"], 403),
        (["Origin: http://localhost:3000", "Sec-Fetch-Site: same-origin"], 200),
        (["Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"], 200),
        (["Sec-Fetch-Site: none"], 200),
        ([], 200),
    ],
)
def test_a_web_page_of_another_site_cannot_spend_the_gateways_key(
    fields: list[str], status: int
) -> None:
    """H10: its Host is right, since it asks loopback directly; what browsers add tells it."""
    world = World(
        replace(UPSTREAM, api_key=OWN_SECRET), hosts=AllowedHosts(["localhost", "gw.test"])
    )
    client = world.client().send(chat(*fields))
    if world.endpoint.wires:
        world.up.deliver(SSE_HEAD + chunked(b"data: [DONE]\n\n") + LAST)
    assert client.response().status == status
    assert bool(world.endpoint.wires) is (status == 200)
    assert (world.record.error == "unauthorized") is (status == 403)


def test_a_page_that_brings_its_own_key_may_ask() -> None:
    world = World(hosts=AllowedHosts(["gw.test"]))
    world.client().send(chat("Origin: https://app.example"))
    assert world.endpoint.wires


def test_a_tenant_is_named_by_the_credential_that_its_api_reads() -> None:
    """Else a field that goes nowhere could give the same client a new name each time."""
    world = World(replace(UPSTREAM, family=Family.OPENAI))
    for junk in ("one", "two"):
        world.client().send(chat("api-key: real", f"x-api-key: {junk}"))
    first, second = world.ledger.intents
    assert first.tenant == second.tenant


def test_an_error_of_our_own_in_the_look_at_a_request_is_a_500_with_a_row(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    """A3, H2: in the dialect's shape, and nothing of it in the answer."""
    world = World()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("gateway.proxy.inspect", broken)
    response = world.client().send(chat(path="/v1/messages")).response()
    assert response.status == 500
    assert json.loads(response.body)["type"] == "error"
    assert b"on purpose" not in response.body
    assert world.record.error == "bug"
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


@pytest.mark.parametrize(
    "target",
    [
        "POST /v1beta/models/m:streamGenerateContent?fields=%C3%A9",
        "GET /v1/responses/r1?stream=true&include=%C3%A9",
        "GET /v1/responses/r1?stream=%FF",
    ],
)
def test_escapes_in_a_query_are_read_whatever_they_mean(target: str) -> None:
    """H2: they are passed on as they came."""
    world = World()
    world.client().send(f"{target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert world.endpoint.wires


def test_a_long_path_is_cut_in_its_row() -> None:
    """H2: strangers could fill the disk with them."""
    world = guarded()
    client = world.client().send(chat("x-api-key: wrong", path="/" + "a" * 15_000))
    assert client.response().status == 401
    assert len(world.record.intent.path) == 500


def again(world: World, *requests: bytes) -> list[bytes]:
    """What the upstream got of requests that came one after the other on one connection."""
    client, got = world.client(), []
    for number, request in enumerate(requests, 1):
        client.send(request)
        got.append(world.up.read())
        world.up.deliver(SSE_HEAD + chunked(b"data: [DONE]\n\n") + LAST)
        assert client.responses(*["POST"] * number)[-1].whole
    return got


@pytest.mark.parametrize("bodies", [(BODY, BODY, BODY), (BODY, b'{"model":"n"}', b"{}")])
def test_a_request_goes_on_the_same_whatever_was_asked_before_it(bodies: tuple[bytes, ...]) -> None:
    """What is known of the connection's last head saves work and changes nothing."""
    requests = [post("/v1/chat/completions", body, "X-Session-Id: s") for body in bodies]
    together, alone = World(), [World() for _ in bodies]

    got = again(together, *requests)
    assert got == [again(world, each)[0] for world, each in zip(alone, requests, strict=True)]
    assert [body in sent for sent, body in zip(got, bodies, strict=True)] == [True] * 3
    rows = [record.intent for record in together.ledger.records]
    assert len({row.id for row in rows}) == 3
    for row, world in zip(rows, alone, strict=True):
        other = world.record.intent
        assert replace_struct(row, id="", started_at=0) == replace_struct(
            other, id="", started_at=0
        )


def test_every_request_of_a_connection_is_its_own_clients() -> None:
    """H8: a proxy in front may send several clients' requests on one connection."""
    world = guarded()
    teams = ("a", "b", "b", "a")
    again(world, *[chat(f"x-api-key: the-key-of-team-{team}") for team in teams])

    assert [row.intent.tenant for row in world.ledger.records] == [f"team-{team}" for team in teams]


def test_what_was_let_in_once_is_still_turned_away_when_there_is_no_room() -> None:
    """Limits are looked at for each request."""
    world = World(max_streams=1)
    client = world.client().send(chat())
    world.up.deliver(SSE_HEAD + chunked(b"data: [DONE]\n\n") + LAST)
    world.client().send(chat())
    client.send(chat())

    assert [response.status for response in client.responses("POST", "POST")] == [200, 503]
    world.accepting = False
    assert world.client().send(chat()).response().status == 503
