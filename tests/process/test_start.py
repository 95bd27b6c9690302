"""Starting, and what keeps from it: told at once, in lines that say what would be right."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.gateway_process import PATIENCE, GatewayProcess, gatewayctl, twistd
from tests.process.raw_client import ask, prompt

GOOD = """\
[gateway]
state_dir = {folder}/state

[upstream vllm]
url = http://127.0.0.1:9
dialect = openai
"""

BAD = """\
[gateway]
state_dir = relative
lissten = tcp:8080

[upstream vllm]
url = ftp://127.0.0.1
dialect = openai

[route chat]
path = /v1/*
upstream = vlm
idle_timeout = soon
"""
#: Each line of `BAD` that is wrong, and where that is.
PROBLEMS = (
    "2: [gateway] state_dir: ",
    "3: [gateway] lissten: ",
    "6: [upstream vllm] url: ",
    "11: [route chat] upstream: ",
    "12: [route chat] idle_timeout: ",
)


def check_bad(output: str) -> None:
    """`output` is one line for each of `PROBLEMS` and nothing else."""
    lines = output.splitlines()
    assert len(lines) == len(PROBLEMS), output
    for line, problem in zip(lines, PROBLEMS, strict=True):
        assert line.startswith(f"gateway.ini:{problem}")
        assert len(line) > len(f"gateway.ini:{problem}") + 10


@pytest.mark.parametrize("command", ["twistd", "twistd --check", "gatewayctl"])
def test_every_problem_of_a_file_is_told_with_its_line(tmp_path: Path, command: str) -> None:
    """O1: nothing is started, and the status is 1."""
    (tmp_path / "gateway.ini").write_text(BAD)
    if command == "gatewayctl":
        ended = gatewayctl(tmp_path, "check", "gateway.ini")
    else:
        ended = twistd(tmp_path, "--config", "gateway.ini", *command.split()[1:])
    check_bad(ended.output)
    assert ended.code == 1
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("command", ["twistd --check", "gatewayctl"])
def test_a_good_file_is_ok(tmp_path: Path, command: str) -> None:
    """O1: and checking it starts nothing either."""
    (tmp_path / "gateway.ini").write_text(GOOD.format(folder=tmp_path))
    if command == "gatewayctl":
        ended = gatewayctl(tmp_path, "check", "gateway.ini")
    else:
        ended = twistd(tmp_path, "--config", "gateway.ini", "--check")
    assert ended.output.startswith("gateway.ini: ok")
    assert ended.output.count("\n") == 1
    assert ended.code == 0
    assert not (tmp_path / "state").exists()


def complaints(output: str) -> list[str]:
    """The lines of a log in which the gateway says why it does not start."""
    return [line for line in output.splitlines() if "cannot start" in line]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """O7: in one line, with the status 1, and without a traceback."""
    with socket.socket() as taken:
        gateway = GatewayProcess(tmp_path, options="demo = on")
        taken.bind(("127.0.0.1", gateway.port))
        taken.listen()
        gateway.start()
        ended = gateway.wait()
    assert ended.code == 1
    [line] = complaints(ended.output)
    assert f"tcp:{gateway.port}:interface=127.0.0.1" in line
    assert "Traceback" not in ended.output


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """O7: in one line, with the status 1, and without a traceback."""
    (tmp_path / "state").write_text("a file, where a folder would have to be made")
    state = tmp_path / "state" / "gateway"
    text = GOOD.format(folder=tmp_path).replace(f"{tmp_path}/state", str(state))
    (tmp_path / "gateway.ini").write_text(text)
    ended = twistd(tmp_path, "--config", "gateway.ini")
    assert ended.code == 1
    [line] = complaints(ended.output)
    assert str(state) in line
    assert "Traceback" not in ended.output


def test_a_second_gateway_on_the_same_ledger_is_told_who_holds_it(tmp_path: Path) -> None:
    """O7: it ends with the status 1, and the first one goes on."""
    with GatewayProcess(tmp_path, options="demo = on") as first:
        second = GatewayProcess(tmp_path, options="demo = on").start()
        ended = second.wait()
        assert ended.code == 1
        [line] = complaints(ended.output)
        assert str(first.process.pid) in line
        status, _ = ask(first.port, "/demo/v1/chat/completions", prompt(stream=True, model="demo"))
        assert status == 200


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on, as ``$NOTIFY_SOCKET`` in `tmp_path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(PATIENCE)
        yield sock


def test_systemd_is_told_ready_once_the_port_answers_and_stopping_at_the_end(
    tmp_path: Path, notifications: socket.socket
) -> None:
    """O2: nothing is told before, and what comes after is told in this order."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    gateway = GatewayProcess(tmp_path, options="demo = on", environ=environ)
    try:
        gateway.start()
        assert "READY=1" in notifications.recv(4096).decode().splitlines()
        assert gateway.accepts()
        gateway.wait_until_it_answers().stop()
        told = [notifications.recv(4096).decode()]
        while "STOPPING=1" not in told[-1].splitlines():
            told.append(notifications.recv(4096).decode())
        assert f"STATUS={gateway.config}: 0 streams" in told
    finally:
        gateway.kill()


def test_a_start_that_fails_is_never_ready(tmp_path: Path, notifications: socket.socket) -> None:
    """O2: systemd hears nothing of a gateway that cannot listen."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with socket.socket() as taken:
        gateway = GatewayProcess(tmp_path, options="demo = on", environ=environ)
        taken.bind(("127.0.0.1", gateway.port))
        taken.listen()
        assert gateway.start().wait().code == 1
    notifications.setblocking(False)
    with pytest.raises(BlockingIOError):
        notifications.recv(4096)


def test_gatewayctl_shows_the_rows_of_a_gateway_that_runs(tmp_path: Path) -> None:
    """A1: one JSON object a line, with what the request was."""
    with GatewayProcess(tmp_path, options="demo = on") as gateway:
        ask(gateway.port, "/demo/v1/messages", prompt(stream=True, model="demo"))
        [row] = gateway.new_rows()
        ended = gatewayctl(tmp_path, "--config", str(gateway.config), "requests", "--json")
        assert [json.loads(line) for line in ended.output.splitlines()] == [row]
        assert (row["model_requested"], row["outcome"]) == ("demo", "finished")
        assert ended.code == 0
