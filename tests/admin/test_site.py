"""What the admin listener answers, to whom, and what it tells everybody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.fleet import State
from gateway.admin.site import CONNECTIONS
from gateway.front.channel import Channel
from tests.admin.asked import Asked, a_config, error_of
from tests.conftest import LoggedFailures
from tests.world import Wire

TOKEN = "a-token-of-an-operator"
STREAM = "01a1fdab-f43f-7f22-b7ef-d5dad4cafcb8"
#: Everything that needs to be asked from here, with a token where there is one.
GUARDED = (
    ("GET", "/metrics"),
    ("GET", "/api/v1/status"),
    ("GET", "/api/v1/streams"),
    ("GET", "/api/v1/requests"),
    ("GET", "/api/v1/usage"),
    ("POST", "/api/v1/drain"),
    ("POST", f"/api/v1/streams/{STREAM}/kill"),
    ("GET", "/nowhere"),
)
guarded = pytest.mark.parametrize(("method", "target"), GUARDED)


@pytest.fixture
def with_token(tmp_path: Path) -> Asked:
    """An admin listener that asks for a token."""
    return Asked(a_config(tmp_path, "admin_token = env:TOKEN\n", TOKEN=TOKEN))


# What there is.


def test_a_process_that_can_answer_is_alive(asked: Asked) -> None:
    asked.fleet.state = State.STOPPING
    answer = asked.ask("/healthz")
    assert (answer.status, answer.body) == (200, b"alive\n")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.STARTING, 503),
        (State.SERVING, 200),
        (State.RELOADING, 200),
        (State.DRAINING, 503),
        (State.STOPPING, 503),
    ],
)
def test_ready_is_who_takes_connections(asked: Asked, state: State, status: int) -> None:
    asked.fleet.state = state
    answer = asked.ask("/readyz")
    assert (answer.status, answer.body) == (status, f"{state.value}\n".encode())


def test_status_tells_the_workers(asked: Asked) -> None:
    assert asked.told("/api/v1/status") == {
        "state": "serving",
        "generation": 3,
        "workers": [
            {
                "name": "one",
                "pid": 42,
                "generation": 3,
                "state": "serving",
                "streams": 0,
                "started": 1_700_000_000.0,
            }
        ],
        "source": "gateway.ini",
        "version": "1.2.3",
        "restarts": 0,
        "reloaded": None,
        "streams": 0,
    }


def test_streams_of_all_workers_come_in_one_table_the_oldest_first(asked: Asked) -> None:
    asked.fleet.reports["streams"] = [
        {"worker": "one", "generation": 1, "streams": [{"id": "a", "age_seconds": 1.0}], "open": 1},
        {"worker": "two", "generation": 2, "streams": [{"id": "b", "age_seconds": 9.0}], "open": 5},
    ]
    assert asked.told("/api/v1/streams") == {
        "streams": [
            {"id": "b", "age_seconds": 9.0, "worker": "two", "generation": 2},
            {"id": "a", "age_seconds": 1.0, "worker": "one", "generation": 1},
        ],
        "open": 6,
    }


def test_an_operator_can_have_the_gateway_stop(asked: Asked) -> None:
    assert asked.ask("/api/v1/drain", "POST").status == 202
    assert asked.fleet.drained == 1


def test_an_operator_can_end_a_stream(asked: Asked) -> None:
    asked.fleet.running = {STREAM}
    assert asked.told(f"/api/v1/streams/{STREAM}/kill", "POST") == {"killed": STREAM}
    assert asked.fleet.killed == [STREAM]


def test_a_stream_that_does_not_run_cannot_be_ended(asked: Asked) -> None:
    answer = asked.ask(f"/api/v1/streams/{STREAM}/kill", "POST")
    assert answer.status == 404
    assert error_of(answer) == f"no request {STREAM} runs; /api/v1/streams lists those that do"


def test_head_is_answered_without_a_body(asked: Asked) -> None:
    answer = asked.ask("/api/v1/status", "HEAD")
    assert (answer.status, answer.body) == (200, b"")


# What there is not.


def test_what_there_is_not_is_told_with_what_there_is(asked: Asked) -> None:
    answer = asked.ask("/metric")
    assert answer.status == 404
    assert "/metrics" in error_of(answer)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("POST", "/api/v1/status", b"GET, HEAD"),
        ("GET", "/api/v1/drain", b"POST"),
        ("GET", f"/api/v1/streams/{STREAM}/kill", b"POST"),
        ("DELETE", "/api/v1/streams", b"GET, HEAD"),
    ],
)
def test_another_method_does_nothing(
    asked: Asked, method: str, target: str, allowed: bytes
) -> None:
    answer = asked.ask(target, method)
    assert (answer.status, answer.get(b"allow")) == (405, allowed)
    assert asked.fleet.drained == 0


def test_malformed_http_is_refused_as_everywhere(asked: Asked) -> None:
    answer = asked.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n")
    assert answer.status == 400
    assert answer.get(b"connection") == b"close"
    assert error_of(answer)


def test_an_error_of_our_own_is_told_and_logged(
    asked: Asked, logged_failures: LoggedFailures
) -> None:
    asked.fleet.broken = RuntimeError("oops")
    answer = asked.ask("/api/v1/streams")
    assert answer.status == 500
    assert "oops" not in error_of(answer)
    assert len(logged_failures.flush(RuntimeError)) == 1


def test_there_are_only_so_many_connections(asked: Asked) -> None:
    wires = []
    for _ in range(CONNECTIONS):
        wire = Wire(Channel(asked.site), asked.clock)
        wire.makeConnection()
        wires.append(wire)
    assert asked.site.buildProtocol(None) is None
    wires[0].lose()
    assert asked.site.buildProtocol(None) is not None
    for wire in wires:
        wire.lose()


def test_whoever_comes_has_room_as_long_as_a_connection_only_waits(asked: Asked) -> None:
    """O2, O8: those who ask what needs no token cannot keep operators out by staying."""
    wires = []
    for _ in range(CONNECTIONS):
        wire = Wire(Channel(asked.site), asked.clock)
        wire.makeConnection()
        wire.deliver(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wires.append(wire)
    assert len(asked.site.kept_alive) == CONNECTIONS
    assert asked.site.buildProtocol(None) is not None
    asked.clock.advance(0)
    assert [wire.lost for wire in wires] == [True] + [False] * (CONNECTIONS - 1)
    for wire in wires[1:]:
        wire.lose()


@given(
    sent=st.sampled_from(
        (
            b"",
            b"GET /heal",
            b"POST /api/v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n",
        )
    )
)
def test_slow_senders_hold_the_listener_for_a_few_seconds_only(
    tmp_path_factory: pytest.TempPathFactory, sent: bytes
) -> None:
    """O8: of a head or a body, however often another byte comes: 3 s and 2 s after the refusal."""
    asked = Asked(a_config(tmp_path_factory.mktemp("a")))
    wires = []
    for _ in range(CONNECTIONS):
        wire = Wire(Channel(asked.site), asked.clock)
        wire.makeConnection()
        wire.deliver(sent)
        wires.append(wire)
    assert asked.site.buildProtocol(None) is None
    for _ in range(5):
        asked.clock.advance(1)
        for wire in wires:
            wire.deliver(sent and b"x")
            wire.read()
    asked.clock.advance(0)
    assert asked.site.buildProtocol(None) is not None
    assert not asked.site.open_channels


# Who may ask.


@guarded
def test_a_foreign_host_is_not_answered(asked: Asked, method: str, target: str) -> None:
    """A page whose name was rebound to loopback still sends its own name."""
    answer = asked.ask(target, method, host="evil.example")
    assert answer.status == 421
    assert "evil.example" in error_of(answer)
    assert asked.fleet.drained == 0


@given(host=st.sampled_from(["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081"]))
def test_loopback_is_asked_by_any_of_its_names(
    tmp_path_factory: pytest.TempPathFactory, host: str
) -> None:
    asked = Asked(a_config(tmp_path_factory.mktemp("a"), "allowed_hosts = llm.example.org\n"))
    assert asked.ask("/api/v1/status", host=host).status == 200


def test_the_names_that_are_configured_are_answered_too(tmp_path: Path) -> None:
    asked = Asked(a_config(tmp_path, "allowed_hosts = llm.example.org\n"))
    assert asked.ask("/api/v1/status", host="llm.example.org:8081").status == 200


@guarded
def test_any_name_for_the_gateway_is_not_any_name_for_who_needs_no_token(
    tmp_path_factory: pytest.TempPathFactory, method: str, target: str
) -> None:
    """H10: a page whose own name resolves to loopback would be of the same origin to a browser."""
    asked = Asked(a_config(tmp_path_factory.mktemp("a"), "allowed_hosts = * llm.example.org\n"))
    own = ("Origin: http://evil.example:8081", "Sec-Fetch-Site: same-origin")
    assert asked.ask(target, method, own, host="evil.example:8081").status == 421
    assert asked.ask("/api/v1/status", host="llm.example.org:8081").status == 200


def test_any_name_will_do_with_a_token(tmp_path: Path) -> None:
    """H10: which no browser sends for a page that does not know it."""
    options = "allowed_hosts = *\nadmin_token = env:TOKEN\n"
    asked = Asked(a_config(tmp_path, options, TOKEN=TOKEN))
    fields = (f"Authorization: Bearer {TOKEN}",)
    assert asked.ask("/api/v1/status", "GET", fields, host="llm.example.org").status == 200


@guarded
@pytest.mark.parametrize(
    "said",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://localhost:3000",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_a_page_of_another_origin_gets_and_does_nothing(
    asked: Asked, method: str, target: str, said: str
) -> None:
    answer = asked.ask(target, method, [said], host="localhost:8081")
    assert answer.status == 403
    assert error_of(answer)
    assert asked.fleet.drained == 0


@pytest.mark.parametrize(
    "said", ["Origin: http://localhost:8081", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"]
)
def test_a_page_of_its_own_may_ask(asked: Asked, said: str) -> None:
    assert asked.ask("/api/v1/drain", "POST", [said], host="localhost:8081").status == 202


@guarded
@pytest.mark.parametrize(
    "said",
    [
        [],
        ["Authorization: Bearer wrong"],
        [f"Authorization: Basic {TOKEN}"],
        [f"Authorization: {TOKEN}"],
        [f"X-Api-Key: {TOKEN}"],
        ["Authorization: Bearer wrong", f"Authorization: Bearer {TOKEN}"],
        [f"Authorization: Bearer {TOKEN}", "Authorization: Bearer wrong"],
    ],
)
def test_where_there_is_a_token_nothing_is_told_without_it(
    with_token: Asked, method: str, target: str, said: list[str]
) -> None:
    answer = with_token.ask(target, method, said)
    assert answer.status == 401
    assert answer.get(b"www-authenticate") == b"Bearer"
    assert TOKEN not in error_of(answer)
    assert with_token.fleet.drained == 0


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_token_everything_is_told(with_token: Asked, scheme: str) -> None:
    answer = with_token.ask("/api/v1/status", fields=[f"Authorization: {scheme} {TOKEN}"])
    assert answer.status == 200


@pytest.mark.parametrize("target", ["/healthz", "/readyz"])
def test_a_prober_needs_no_token(with_token: Asked, target: str) -> None:
    assert with_token.ask(target).status == 200


@given(st.sampled_from([*GUARDED, ("GET", "/healthz"), ("GET", "/readyz")]), st.booleans())
def test_no_answer_is_kept_guessed_at_or_shared(
    tmp_path_factory: pytest.TempPathFactory, question: tuple[str, str], foreign: bool
) -> None:
    asked = Asked(a_config(tmp_path_factory.mktemp("a")))
    method, target = question
    answer = asked.ask(target, method, ["Origin: https://evil.example"] if foreign else [])
    assert answer.get(b"cache-control") == b"no-store"
    assert answer.get(b"x-content-type-options") == b"nosniff"
    assert not [name for name, _ in answer.headers if name.lower().startswith(b"access-control")]


# Of the ledger; what it answers is in test_history.


def test_a_bad_question_is_told_what_would_be_right(asked: Asked) -> None:
    answer = asked.ask("/api/v1/requests?outcom=finished")
    assert answer.status == 400
    assert "'outcom' cannot be asked for, there are: error, last, model, outcome" in error_of(
        answer
    )


def test_a_ledger_that_is_not_there_is_no_error_of_the_gateway(asked: Asked) -> None:
    answer = asked.ask("/api/v1/usage")
    assert answer.status == 503
    assert "there is no ledger yet" in error_of(answer)


def test_answers_are_json(asked: Asked) -> None:
    answer = asked.ask("/api/v1/status")
    assert answer.get(b"content-type") == b"application/json"
    assert json.loads(answer.body)
