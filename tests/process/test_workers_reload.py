"""SIGHUP: a new generation takes over, or nothing changes."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

import pytest

from tests.process.begun_stream import begin_stream, play_stream
from tests.process.gateway_process import PATIENCE, eventually, free_port
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send
from tests.process.workers_gateway import START_PATIENCE, Knocker, Manager, WorkersGateway
from tests.transcripts import CHAT_EVENTS

CHAT = PATHS["openai_chat"]
Start = Callable[..., WorkersGateway]


@pytest.fixture
def go_on(upstream: ScriptedUpstream) -> threading.Event:
    """The upstream begins streams, and goes on to their ends once this is set."""
    return play_stream(upstream, START_PATIENCE)


def status_of(gateway: WorkersGateway, path: str) -> int:
    """What a new connection's request is answered."""
    with RawClient(gateway.port).post(path, prompt(stream=False)) as client:
        return client.response.status


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_a_reload_refuses_no_connection_and_cuts_no_stream(
    start_workers: Start, go_on: threading.Event, manager: Manager
) -> None:
    """O3, O2: new connections see the new configuration; streams stay with the old one."""
    gateway = start_workers(**manager.environ)
    with begin_stream(gateway) as client, Knocker(gateway.port) as knocker:
        gateway.edit("path = /v1/*", "path = /v2/*")
        for generation in (2, 3):
            gateway.reload(generation)
        eventually(lambda: knocker.answered > 50, "new connections are answered")
        assert status_of(gateway, CHAT) == 404
        assert {"g3w0", "g3w1"} < set(gateway.names())
        go_on.set()
        assert client.rest() == b"".join(CHAT_EVENTS[2:])
    assert knocker.problems == []
    gateway.wait_for_names("g3w0", "g3w1")
    assert [row["outcome"] for row in gateway.new_rows(1)] == ["finished"]
    states = manager.wait_for("READY=1", 3)
    assert len(states) == 3
    told = [state for state in manager.states if not state.startswith("STATUS=")]
    first = told.index("RELOADING=1")
    assert told[first + 1].startswith("MONOTONIC_USEC=")
    assert told[first + 2] == "READY=1"
    manager.wait_for("STATUS=generation 3 serves: 2 workers, 0 streams")


def test_a_bad_file_changes_nothing(start_workers: Start, manager: Manager) -> None:
    """O1: every problem is logged with its place, and the status says that there is one."""
    gateway = start_workers(**manager.environ)
    before = gateway.workers()
    gateway.edit("workers = 2", "workers = many\nwokers = 2")
    gateway.hang_up()
    gateway.wait_for_log("nothing was changed; generation 1 goes on")
    problems = [line for line in gateway.output.splitlines() if f"{gateway.config}:" in line]
    assert len(problems) == 2
    assert ": [gateway] workers: " in problems[0]
    assert ": [gateway] wokers: " in problems[1]
    manager.wait_for("STATUS=reload refused for 2 problems, nothing was changed; generation 1")
    manager.wait_for("READY=1", 2)
    assert gateway.workers() == before
    gateway.edit("workers = many\nwokers = 2", "workers = 1")
    gateway.reload(2)
    gateway.wait_for_names("g2w0")
    manager.wait_for("STATUS=generation 2 serves: 1 worker, 0 streams")


def test_addresses_are_taken_over(start_workers: Start) -> None:
    """O3: new ones are listened on, old ones are closed."""
    gateway = start_workers()
    old, new = gateway.port, free_port()
    gateway.edit(f"tcp:{old}:", f"tcp:{new}:")
    gateway.reload(2)
    assert accepts(new)
    eventually(lambda: not accepts(old), "the old address is not listened on")
    gateway.wait_for_log(f"not listening on tcp:{old}:interface=127.0.0.1 any more")


def test_a_unix_socket_whose_file_was_removed_is_listened_on_again(start_workers: Start) -> None:
    """O3: without a restart."""
    gateway = start_workers()
    path = gateway.folder / "socket"
    gateway.edit("allowed_hosts", f"  unix:{path}\nallowed_hosts")
    gateway.reload(2)
    path.unlink()
    gateway.reload(3)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert sock.recv(5) == b"HTTP/"


def test_an_address_that_cannot_be_had_changes_nothing(start_workers: Start) -> None:
    """O3, O7: no worker is started for it."""
    gateway = start_workers()
    before = gateway.workers()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        gateway.edit("allowed_hosts", f"  tcp:{taken}:interface=127.0.0.1\nallowed_hosts")
        gateway.hang_up()
        gateway.wait_for_log("nothing was changed; generation 1 goes on")
    assert f"listen = tcp:{taken}:interface=127.0.0.1: " in gateway.output
    assert gateway.workers() == before
    assert accepts(gateway.port)


def test_a_generation_that_does_not_start_changes_nothing(start_workers: Start) -> None:
    """O3: and the next reload is tried as if there had been none."""
    gateway = start_workers()
    before = gateway.workers()
    broken = gateway.folder / "broken"
    broken.touch()
    gateway.hang_up()
    gateway.wait_for_log("generation 2 did not come to serve: worker g2w")
    eventually(lambda: gateway.workers() == before, "the old ones alone are left")
    assert accepts(gateway.port)
    broken.unlink()
    gateway.reload(3)
    gateway.wait_for_names("g3w0", "g3w1")


def test_a_reload_waits_for_an_old_generation_that_drains(
    start_workers: Start, go_on: threading.Event, manager: Manager
) -> None:
    """O3: nothing is cut to make room, and several reloads that wait are one."""
    gateway = start_workers("max_draining = 1", **manager.environ)
    with begin_stream(gateway) as client:
        gateway.reload(2)
        gateway.hang_up()
        gateway.wait_for_log("the reload waits: max_draining = 1")
        manager.wait_for(
            "STATUS=generation 2 serves: 2 workers, 0 streams; 1 older draining: 1 stream;"
            " a reload waits"
        )
        gateway.hang_up()
        go_on.set()
        assert client.rest() == b"".join(CHAT_EVENTS[2:])
    gateway.wait_for_log("generation 3 serves")
    gateway.wait_for_names("g3w0", "g3w1")
    assert "generation 4" not in gateway.output


def test_a_worker_that_is_replaced_serves_by_its_own_generation(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O5, O3: whatever stands in the file by then."""
    upstream.play(read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    gateway = start_workers()
    gateway.edit("path = /v1/*", "path = /v2/*")
    victims = gateway.workers()
    for _, pid in victims:
        os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: gateway.names() == ["g1w0", "g1w1"] and gateway.workers() != victims, "new ones"
    )
    assert status_of(gateway, CHAT) == 200
