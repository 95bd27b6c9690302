"""The admin listener of a gateway of several processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from tests.process.gateway_process import eventually, free_port
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until_gone
from tests.process.workers_gateway import WorkersGateway
from tests.transcripts import CHAT_EVENTS
from tests.world import SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
TERMINATED = -signal.SIGTERM
Start = Callable[..., WorkersGateway]


def get(port: int, path: str) -> tuple[int, bytes]:
    """Ask the admin listener."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def requests_counted(port: int) -> float:
    """How many requests all workers together have counted, those that are gone included."""
    status, body = get(port, "/metrics")
    assert status == 200, body
    lines = [line for line in body.decode().splitlines() if line.startswith("gateway_requests")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if "_total{" in line)


def test_the_admin_listener_tells_of_all_workers_and_forgets_no_count(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O2, O3, O5: sums stay after a reload, and after a death as they were last asked for."""
    admin = free_port()
    gateway = start_workers(f"admin = tcp:{admin}:interface=127.0.0.1")
    assert get(admin, "/readyz")[0] == 200
    upstream.play(read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    for _ in range(4):
        with RawClient(gateway.port).post(CHAT, prompt(stream=False)) as client:
            assert client.rest() == b"{}"
    eventually(lambda: requests_counted(admin) == 4, "all are counted")
    status = json.loads(get(admin, "/api/v1/status")[1])
    assert (status["state"], status["generation"]) == ("serving", 1)
    assert [(one["name"], one["pid"]) for one in status["workers"]] == gateway.workers()
    gateway.reload(2)
    gateway.wait_for_names("g2w0", "g2w1")
    eventually(lambda: requests_counted(admin) == 4, "the old ones have said goodbye")
    with RawClient(gateway.port).post(CHAT, prompt(stream=False)) as client:
        client.rest()
    eventually(lambda: requests_counted(admin) == 5, "that one, too")
    for _, pid in gateway.workers():
        os.kill(pid, signal.SIGKILL)
    gateway.wait_for_log("serves", 8)
    assert requests_counted(admin) == 5
    status = json.loads(get(admin, "/api/v1/status")[1])
    assert (status["generation"], status["restarts"], status["reloaded"]) == (2, 2, True)


def test_a_stream_of_any_worker_is_seen_and_the_listener_is_closed_last(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O4: how far a stop is can be seen while it lasts."""
    admin = free_port()
    gateway = start_workers(f"admin = tcp:{admin}:interface=127.0.0.1")
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    with RawClient(gateway.port).post(CHAT, prompt(stream=True)) as client:
        client.body_until(CHAT_EVENTS[1])
        assert get(admin, "/api/v1/streams")[1].count(b'"phase"') == 1
        gateway.terminate()
        eventually(lambda: not gateway.accepts(), "the gateway stops listening")
        assert get(admin, "/readyz")[0] == 503
        gateway.terminate()
        assert client.rest().startswith(b'data: {"error":')
    assert gateway.wait().code == TERMINATED


def test_an_admin_port_in_use_ends_the_supervisor(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O7: and no worker is left."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        options = f"workers = 2\nadmin = tcp:{other.getsockname()[1]}:interface=127.0.0.1"
        gateway = WorkersGateway(tmp_path, upstream.sections(), options)
        ended = gateway.start().wait()
    assert ended.code == 1
    assert ended.output.count("cannot start: [gateway] admin = ") == 1
    assert gateway.workers() == []
