"""The admin listener of a gateway as an operator runs it, asked by treq and by gatewayctl."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import treq.client
from twisted.internet import reactor
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from gateway.admin.streams import ENDED
from tests.admin.test_exposition import check_by_promtool, read
from tests.process.begun_stream import begin_stream, play_stream
from tests.process.gateway_process import GatewayProcess, eventually, free_port, gatewayctl, twistd
from tests.process.raw_client import PATHS
from tests.process.scripted_upstream import ScriptedUpstream

CHAT = PATHS["openai_chat"]
TOKEN = "a-token-of-an-operator"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    """The upstream of all gateways here."""
    upstream = ScriptedUpstream()
    yield upstream
    upstream.close()
    assert upstream.errors == []


@pytest.fixture(scope="module")
def admin_port() -> int:
    """Where the module's gateway is asked."""
    return free_port()


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream, admin_port: int
) -> Iterator[GatewayProcess]:
    """A gateway that the tests share."""
    options = f"admin = tcp:{admin_port}:interface=127.0.0.1"
    folder = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(folder, upstream.sections(), options) as gateway:
        yield gateway


def ctl(gateway: GatewayProcess, *arguments: str, **environ: str) -> tuple[int, str]:
    """What gatewayctl says, asked with the gateway's configuration."""
    return gatewayctl(gateway.folder, "--config", str(gateway.config), *arguments, **environ)


async def ask(port: int, target: str, **fields: str) -> tuple[int, bytes]:
    """Status and body of an answer."""
    client = treq.client.HTTPClient(Agent(reactor))
    headers = Headers({name: [value] for name, value in fields.items()})
    response = await client.get(f"http://127.0.0.1:{port}{target}", headers=headers, timeout=20)
    return response.code, await response.content()


async def told(port: int, target: str) -> Any:
    status, body = await ask(port, target)
    assert status == 200, body
    return json.loads(body)


async def test_a_running_gateway_tells_how_it_is(
    gateway: GatewayProcess, upstream: ScriptedUpstream, admin_port: int
) -> None:
    assert await ask(admin_port, "/healthz") == (200, b"alive\n")
    assert await ask(admin_port, "/readyz") == (200, b"serving\n")
    status = await told(admin_port, "/api/v1/status")
    [worker] = status["workers"]
    assert worker["pid"] == gateway.process.pid
    assert status["source"] == str(gateway.config)
    assert f"admin listener on http://127.0.0.1:{admin_port}" in gateway.output


async def test_a_stream_is_seen_while_it_runs_and_counted_when_it_has_ended(
    gateway: GatewayProcess, upstream: ScriptedUpstream, admin_port: int
) -> None:
    go_on = play_stream(upstream)
    gateway.forget_rows()
    with begin_stream(gateway) as client:
        [stream] = (await told(admin_port, "/api/v1/streams"))["streams"]
        _, text = await ask(admin_port, "/metrics")
        go_on.set()
        assert client.rest().endswith(b"data: [DONE]\n\n")
    [row] = gateway.new_rows()
    assert (stream["id"], stream["phase"], stream["events"]) == (row["id"], "relay", 2)
    assert (stream["worker"], stream["generation"]) == ("gateway", 1)
    during = read(text)
    assert during["gateway_streams_open", (("phase", "relay"), ("route", "all"))] == 1
    assert (
        during["gateway_upstream_connections", (("state", "busy"), ("upstream", "scripted"))] == 1
    )
    [request] = (await told(admin_port, "/api/v1/requests?last=1"))["requests"]
    assert request == row
    _, text = await ask(admin_port, "/metrics")
    after = read(text)
    labels = (
        ("dialect", "openai_chat"),
        ("outcome", "finished"),
        ("route", "all"),
        ("upstream", "scripted"),
    )
    assert (
        after["gateway_requests_total", labels]
        - during.get(("gateway_requests_total", labels), 0.0)
        == 1
    )
    assert after["gateway_streams_open", (("phase", "relay"), ("route", "all"))] == 0
    assert after["gateway_ledger_rows_written_total", ()] >= 2
    process = (("generation", "1"), ("worker", "gateway"))
    assert after["gateway_worker_resident_memory_bytes", process] > 1 << 20
    assert after["gateway_descriptors_budget", process] > 0
    assert after["gateway_accepting_paused", process] == 0
    check_by_promtool(text)


async def test_sums_are_told_as_gatewayctl_tells_them(
    gateway: GatewayProcess, upstream: ScriptedUpstream, admin_port: int
) -> None:
    go_on = play_stream(upstream)
    gateway.forget_rows()
    with begin_stream(gateway) as client:
        go_on.set()
        client.rest()
    gateway.new_rows()
    by_http = await told(admin_port, "/api/v1/usage?since=1d&by=outcome")
    ended = ctl(gateway, "usage", "--since", "1d", "--by", "outcome", "--json")
    assert by_http["usage"] == [json.loads(line) for line in ended[1].splitlines()]


def test_gatewayctl_shows_status_and_streams(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    go_on = play_stream(upstream)
    with begin_stream(gateway) as client:
        code, status = ctl(gateway, "status")
        _, table = ctl(gateway, "streams")
        _, as_json = ctl(gateway, "streams", "--json")
        go_on.set()
        client.rest()
    assert code == 0
    assert status.startswith("serving: 1 stream, generation 1, configuration ")
    assert str(gateway.process.pid) in status
    [stream] = [json.loads(line) for line in as_json.splitlines()]
    title, line = table.splitlines()
    assert title.split()[:4] == ["ID", "ROUTE", "MODEL", "TENANT"]
    assert line.split()[:2] == [stream["id"], "all"]
    assert stream["client"] == "127.0.0.1"


def test_gatewayctl_kill_ends_one_stream_and_its_client_is_told(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """O4: the error event of the dialect, a whole body, and a row that says who ended it."""
    go_on = play_stream(upstream)
    gateway.forget_rows()
    with begin_stream(gateway) as client:
        [stream] = [json.loads(line) for line in ctl(gateway, "streams", "--json")[1].splitlines()]
        assert ctl(gateway, "kill", stream["id"][:20]) == (0, f"{stream['id']}: ended\n")
        rest = client.rest()
    go_on.set()
    assert rest.startswith(b'data: {"error":')
    assert ENDED.encode() in rest
    assert b"[DONE]" not in rest
    [row] = gateway.new_rows()
    assert (row["id"], row["outcome"], row["error"]) == (stream["id"], "drained", "operator")
    assert row["error_detail"] == ENDED
    code, output = ctl(gateway, "kill", stream["id"])
    assert code == 1
    assert f": no request {stream['id']} runs; " in output
    code, output = ctl(gateway, "kill", "0199")
    assert (code, output) == (1, "gatewayctl: 0199: no such request runs\n")


def test_gatewayctl_says_when_it_asks_the_wrong_port(gateway: GatewayProcess) -> None:
    code, output = gatewayctl(gateway.folder, "status", "--admin", gateway.url)
    assert code == 1
    assert output == (
        f"{gateway.url}: this is no gateway's admin listener (it answered 404); is it the port of "
        "admin, and not one of listen?\n"
    )


def test_gatewayctl_says_when_nothing_listens(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, output = gatewayctl(tmp_path, "status", "--admin", url)
    assert code == 1
    assert output.startswith(f"{url}: nothing listens there (")
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ("admin = off", [], "has admin = off: there is nothing to ask"),
        ("admin = tcp:0:interface=127.0.0.1", [], "name it by --admin"),
        ("", ["--admin", "localhost:8081"], "is no such place, write one such as"),
    ],
)
def test_gatewayctl_says_when_there_is_no_place_to_ask(
    tmp_path: Path, options: str, arguments: list[str], message: str
) -> None:
    gateway = GatewayProcess(
        tmp_path, "[upstream a]\nurl = http://a.test\ndialect = generic\n", options
    )
    code, output = ctl(gateway, "status", *arguments)
    assert code == 2
    assert message in output


def test_a_drain_is_told_as_it_goes_and_ends_as_sigterm_does(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O4: new connections are refused, the stream comes to its end, and the listener answers."""
    port = free_port()
    options = f"admin = tcp:{port}:interface=127.0.0.1"
    go_on = play_stream(upstream)
    outputs: list[tuple[int, str]] = []
    with GatewayProcess(tmp_path, upstream.sections(), options) as gateway:
        with begin_stream(gateway) as client:
            asking = threading.Thread(
                target=lambda: outputs.append(ctl(gateway, "drain", "--wait"))
            )
            asking.start()
            eventually(lambda: not gateway.accepts(), "the gateway stops listening")
            eventually(lambda: ctl(gateway, "status")[0] == 1, "it is not ready")
            assert ctl(gateway, "status")[1].startswith("draining: 1 stream,")
            go_on.set()
            assert client.rest().endswith(b"data: [DONE]\n\n")
        ended = gateway.wait()
        asking.join(20)
        [row] = gateway.new_rows()
    assert (ended.code, row["outcome"]) == (-signal.SIGTERM, "finished")
    [(code, output)] = outputs
    lines = output.splitlines()
    assert code == 0
    assert lines[0].startswith("the gateway takes no more connections")
    assert lines[1] == "draining: 1 stream"
    assert lines[-1].startswith("gone after ")


def test_a_signal_after_a_drain_by_the_listener_hurries_it(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O4: what was asked for over HTTP counts as the first signal."""
    go_on = play_stream(upstream)
    options = f"admin = tcp:{free_port()}:interface=127.0.0.1"
    with GatewayProcess(tmp_path, upstream.sections(), options) as gateway:
        with begin_stream(gateway) as client:
            assert ctl(gateway, "drain")[0] == 0
            eventually(lambda: not gateway.accepts(), "the gateway stops listening")
            gateway.terminate()
            assert client.rest().startswith(b'data: {"error":')
        ended = gateway.wait()
        [row] = gateway.new_rows()
    go_on.set()
    assert (ended.code, row["outcome"]) == (-signal.SIGTERM, "drained")


async def test_a_token_is_asked_for_and_gatewayctl_finds_it(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    options = f"admin = tcp:{port}:interface=127.0.0.1\nadmin_token = file:{secret}"
    with GatewayProcess(tmp_path, upstream.sections(), options) as gateway:
        assert (await ask(port, "/metrics"))[0] == 401
        assert (await ask(port, "/readyz"))[0] == 200
        assert (await ask(port, "/metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert ctl(gateway, "status")[0] == 0
        url = f"http://127.0.0.1:{port}"
        code, output = gatewayctl(tmp_path, "status", "--admin", url)
        right = (
            "name its configuration by --config, or put the one that its admin_token names into "
            "$GATEWAY_ADMIN_TOKEN"
        )
        assert (code, output) == (1, f"{url}: it asks for a token; {right}\n")
        by_environment = {"GATEWAY_ADMIN_TOKEN": "another"}
        code, output = gatewayctl(tmp_path, "status", "--admin", url, **by_environment)
        assert (code, output) == (1, f"{url}: it takes another token; {right}\n")
        by_environment = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        assert gatewayctl(tmp_path, "status", "--admin", url, **by_environment)[0] == 0
        assert TOKEN not in gateway.output


def test_a_unix_socket_is_asked_too(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    options = f"admin = unix:{tmp_path}/admin"
    with GatewayProcess(tmp_path, upstream.sections(), options) as gateway:
        assert ctl(gateway, "status")[1].startswith("serving: 0 streams")
        asked = gatewayctl(tmp_path, "status", "--json", "--admin", f"unix:{tmp_path}/admin")
        assert json.loads(asked.output)["state"] == "serving"


def test_a_port_that_is_taken_ends_the_start_with_one_line(
    gateway: GatewayProcess, admin_port: int, tmp_path: Path
) -> None:
    """O7: the key, the port, and what would be right."""
    options = f"admin = tcp:{admin_port}:interface=127.0.0.1\ndemo = on"
    second = GatewayProcess(tmp_path, "", options)
    ended = twistd(tmp_path, "--config", str(second.config))
    assert ended.code == 1
    [line] = [line for line in ended.output.splitlines() if "cannot start" in line]
    assert f"[gateway] admin = tcp:{admin_port}:interface=127.0.0.1: " in line
    assert "already in use" in line
    assert "Traceback" not in ended.output
