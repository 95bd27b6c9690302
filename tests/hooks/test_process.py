"""Hooks in a gateway process over real sockets: raising, blocking, refusing, waiting."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooks.modules import COSTLY, HOOKS
from tests.process.gateway_process import GatewayProcess, eventually, gatewayctl, twistd
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until, until_gone
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
STREAM = b"".join(CHAT_EVENTS)
EXAMPLE = Path(__file__).parents[2] / "conf" / "hooks_example.py"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    yield upstream
    upstream.close()
    assert upstream.errors == []


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """A gateway with `HOOKS`, which do what a request's header X-Do says."""
    folder = tmp_path_factory.mktemp("hooks")
    path = folder / "hooks.py"
    path.write_text(HOOKS)
    sections = f"{upstream.sections(hook_events='on')}\n[hooks]\nmodule = {path}"
    with GatewayProcess(folder, sections) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared: GatewayProcess, upstream: ScriptedUpstream) -> GatewayProcess:
    """The gateway, with an upstream that streams, and the rows of other tests forgotten."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    shared.forget_rows()
    return shared


def stream(gateway: GatewayProcess, do: str) -> RawClient:
    """A client that has asked for a stream, and for what the hooks are to do."""
    return RawClient(gateway.port).post(CHAT, prompt(stream=True), {"X-Do": do})


@pytest.mark.parametrize(
    "do",
    [
        f"{what}-{hook}"
        for what in ("raise", "exit", "nonsense")
        for hook in ("request", "response", "event", "settled")
    ],
)
def test_what_a_hook_does_wrong_reaches_no_stream(gateway: GatewayProcess, do: str) -> None:
    """D11, A3: the stream is whole, the row says so, and the gateway goes on."""
    with stream(gateway, do) as client:
        assert client.response.status == 200
        assert client.rest() == STREAM
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("finished", None)
    assert (row["input_tokens"], row["output_tokens"]) == (9, 3)
    hook = do.partition("-")[2]
    # Each kind of it is logged once, by whichever test came first.
    eventually(lambda: f"the hook {hook} " in gateway.output, "a line of the log")


@pytest.mark.parametrize("hook", ["request", "response", "event", "settled"])
def test_a_hook_that_blocks_for_a_second_holds_streams_up_and_cuts_none(
    gateway: GatewayProcess, upstream: ScriptedUpstream, hook: str
) -> None:
    """D11: another stream that runs meanwhile is whole as well, and the log tells."""
    go_on = threading.Event()
    upstream.play(
        read_request,
        send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])),
        until(go_on),
        send(chunked(*CHAT_EVENTS[2:]), LAST),
    )
    with stream(gateway, "nothing") as running:
        assert running.body_until(CHAT_EVENTS[1]) == b"".join(CHAT_EVENTS[:2])
        upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
        with stream(gateway, f"block-{hook}") as client:
            go_on.set()
            assert client.rest() == STREAM
            assert running.rest() == b"".join(CHAT_EVENTS[2:])
    rows = gateway.new_rows(2)
    assert [row["outcome"] for row in rows] == ["finished", "finished"]
    eventually(lambda: f"the hook {hook} took 1." in gateway.output, "a line of the log")


def test_a_hook_changes_heads_and_tags_the_row(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D11: a header to the upstream, one to the client, two tags."""
    with stream(gateway, "change") as client:
        assert client.response.headers["X-From-Hook"] == "response"
        assert client.rest() == STREAM
    assert b"\r\nX-From-Hook: request\r\n" in upstream.requests[0]
    assert b"X-Do" not in upstream.requests[0]
    [row] = gateway.new_rows()
    assert json.loads(str(row["tags"])) == {"did": "change", "status": "200"}


def test_a_value_with_a_line_break_is_left_out(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D11: nothing that a hook sets can begin a header, or a request, of its own."""
    with stream(gateway, "split") as client:
        assert client.response.headers["X-Evil"] is None
        assert client.rest() == STREAM
    assert len(upstream.requests) == 1
    assert b"Evil" not in upstream.requests[0]


def test_a_refusal_is_told_and_no_upstream_is_asked(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D11: with the hook's status and words."""
    with stream(gateway, "refuse") as client:
        assert client.response.status == 402
        error = json.loads(client.rest())["error"]
    assert (error["message"], error["code"]) == ("not today", "hook")
    assert upstream.requests == []
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"], row["error_detail"]) == ("rejected", "hook", "not today")


def test_a_hook_that_waits_holds_up_its_own_request_alone(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D11: another one is served meanwhile, and a client may leave."""
    with stream(gateway, "wait") as waiting:
        eventually(lambda: "hook waits" in gateway.output, "the hook waits")
        assert ask(gateway.port, CHAT, prompt(stream=True), {"X-Do": "nothing"}) == (200, STREAM)
        assert len(upstream.requests) == 1
        waiting.reset()
    rows = gateway.new_rows(2)
    assert sorted(str(row["outcome"]) for row in rows) == ["client_gone", "finished"]
    eventually(lambda: "hook was cancelled" in gateway.output, "the hook is told")
    assert len(upstream.requests) == 1


def test_the_example_tells_an_upstream_and_a_webhook(tmp_path: Path) -> None:
    """D11: a header for one upstream, and one call for the one request that cost enough."""
    upstream, webhook = ScriptedUpstream(), ScriptedUpstream()
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    webhook.play(read_request, send(b"HTTP/1.1 204 No Content\r\n\r\n"))
    sections = COSTLY.format(url=upstream.url, module=EXAMPLE)
    environ = {"COST_WEBHOOK": f"{webhook.url}/told?by=gateway"}
    try:
        with GatewayProcess(tmp_path, sections, environ=environ) as gateway:
            ask(gateway.port, "/vllm/v1/chat/completions", prompt(stream=True))
            ask(gateway.port, "/cheap/v1/chat/completions", prompt(stream=True))
            costly, cheap = gateway.new_rows(2)
            eventually(lambda: webhook.requests, "the webhook is called")
            gateway.stop()
        assert "the hook" not in gateway.output
    finally:
        upstream.close()
        webhook.close()
    tenant = str(costly["tenant"])
    assert f"\r\nX-Tenant: {tenant}\r\n".encode() in upstream.requests[0]
    assert b"X-Tenant" not in upstream.requests[1]
    assert json.loads(str(costly["tags"])) == {"tenant_told": "yes"}
    assert cheap["tags"] is None
    [call] = webhook.requests
    assert call.startswith(b"POST /told?by=gateway HTTP/1.1\r\n")
    told = json.loads(call.partition(b"\r\n\r\n")[2])
    assert told == {
        "id": costly["id"],
        "tenant": tenant,
        "route": "vllm",
        "model_served": "m-1",
        "cost_usd": 1.5,
    }
    assert upstream.errors == webhook.errors == []


def test_a_webhook_that_answers_with_an_error_is_logged_and_not_called_again(
    tmp_path: Path,
) -> None:
    """D11: the request was long over."""
    upstream, webhook = ScriptedUpstream(), ScriptedUpstream()
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    webhook.play(read_request, send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    sections = COSTLY.format(url=upstream.url, module=EXAMPLE)
    try:
        with GatewayProcess(tmp_path, sections, environ={"COST_WEBHOOK": webhook.url}) as gateway:
            answer = ask(gateway.port, "/vllm/v1/chat/completions", prompt(stream=True))
            assert answer == (200, STREAM)
            eventually(lambda: "the webhook answered 500" in gateway.output, "a line of the log")
            gateway.stop()
    finally:
        upstream.close()
        webhook.close()
    assert len(webhook.requests) == 1


def test_a_stop_waits_for_a_webhook_that_is_under_way(tmp_path: Path) -> None:
    """D11, O4: what was begun is told to its end."""
    upstream, webhook = ScriptedUpstream(), ScriptedUpstream()
    answer = threading.Event()
    answered: list[float] = []
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    webhook.play(
        read_request,
        until(answer),
        lambda peer: answered.append(time.monotonic()),
        send(b"HTTP/1.1 204 No Content\r\n\r\n"),
    )
    sections = COSTLY.format(url=upstream.url, module=EXAMPLE)
    try:
        with GatewayProcess(tmp_path, sections, environ={"COST_WEBHOOK": webhook.url}) as gateway:
            ask(gateway.port, "/vllm/v1/chat/completions", prompt(stream=True))
            eventually(lambda: webhook.requests, "the webhook is called")
            gateway.terminate()
            eventually(lambda: "waiting for the hook settled" in gateway.output, "it waits")
            assert gateway.process.poll() is None
            answer.set()
            gateway.wait()
        assert answered
        assert "did not end" not in gateway.output
    finally:
        upstream.close()
        webhook.close()


def test_a_second_signal_does_not_wait_for_a_webhook(tmp_path: Path) -> None:
    """D11, O4: the webhook never answers, and the row is in the ledger all the same."""
    upstream, webhook = ScriptedUpstream(), ScriptedUpstream()
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    webhook.play(read_request, until_gone)
    sections = COSTLY.format(url=upstream.url, module=EXAMPLE)
    try:
        with GatewayProcess(tmp_path, sections, environ={"COST_WEBHOOK": webhook.url}) as gateway:
            ask(gateway.port, "/vllm/v1/chat/completions", prompt(stream=True))
            eventually(lambda: webhook.requests, "the webhook is called")
            gateway.terminate()
            eventually(lambda: "waiting for the hook settled" in gateway.output, "it waits")
            gateway.terminate()
            gateway.wait()
        assert "did not end before the gateway did" in gateway.output
        [row] = gateway.new_rows()
        assert row["outcome"] == "finished"
    finally:
        upstream.close()
        webhook.close()


@pytest.mark.parametrize("command", ["twistd", "twistd --check", "gatewayctl check"])
def test_a_module_that_cannot_be_used_keeps_the_gateway_from_starting(
    tmp_path: Path, command: str
) -> None:
    """D11, O1: both checks execute the module, so that they find what a start would."""
    (tmp_path / "hooks.py").write_text("import os\n\nTOKEN = os.environ['NO_SUCH_NAME']\n")
    config = tmp_path / "gateway.ini"
    config.write_text(
        f"[gateway]\nlisten = tcp:0:interface=127.0.0.1\ndemo = on\nstate_dir = {tmp_path}/state\n"
        f"[hooks]\nmodule = {tmp_path}/hooks.py\n"
    )
    if command == "gatewayctl check":
        ended = gatewayctl(tmp_path, "check", str(config))
    else:
        ended = twistd(tmp_path, "--config", str(config), *command.split()[1:])
    assert ended.code == 1
    [line] = [line for line in ended.output.splitlines() if "NO_SUCH_NAME" in line]
    where = f"{config}:6: [hooks] module: {tmp_path}/hooks.py:3"
    assert f"{where}: KeyError: 'NO_SUCH_NAME'" in line
    assert "Traceback" not in ended.output
    assert not (tmp_path / "state").exists()


def test_the_checks_say_ok_of_a_module_that_can_be_used(tmp_path: Path) -> None:
    """D11, O1: by both commands."""
    config = tmp_path / "gateway.ini"
    config.write_text(
        f"[gateway]\nlisten = tcp:0:interface=127.0.0.1\ndemo = on\nstate_dir = {tmp_path}/state\n"
        f"[hooks]\nmodule = {EXAMPLE}\n"
    )
    for ended in (
        twistd(tmp_path, "--config", str(config), "--check"),
        gatewayctl(tmp_path, "check", str(config)),
    ):
        assert ended.code == 0, ended.output
        assert f"{config}: ok (" in ended.output
        assert f"hooks: {EXAMPLE} (request, settled))" in ended.output


def test_a_hook_that_no_route_shows_anything_to_is_told_of(tmp_path: Path) -> None:
    """D11, O1: by both checks and at a start, which says as well what was loaded."""
    module = tmp_path / "hooks.py"
    module.write_text("def event(block): ...\n")
    sections = f"[gateway]\ndemo = on\nstate_dir = {tmp_path}/state\n[hooks]\nmodule = {module}\n"
    config = tmp_path / "gateway.ini"
    config.write_text(sections)
    advice = f"{module} has the hook event, which no route shows anything to; set hook_events = on"
    for ended in (
        twistd(tmp_path, "--config", str(config), "--check"),
        gatewayctl(tmp_path, "check", str(config)),
    ):
        assert ended.code == 0, ended.output
        assert f"{config}: {advice}" in ended.output
    with GatewayProcess(tmp_path, f"[hooks]\nmodule = {module}\n", "demo = on") as gateway:
        eventually(lambda: advice in gateway.output, "the advice")
    assert f"hooks: {module} (event)" in gateway.output
