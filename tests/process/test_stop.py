"""Stopping: in good order, at once, or not of one's own will."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.begun_stream import begin_stream, play_stream
from tests.process.certificates import server_context
from tests.process.gateway_process import Ended, GatewayProcess, eventually, free_port
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import (
    ScriptedUpstream,
    flood,
    read_request,
    send,
    until_gone,
)
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked, post

CHAT = PATHS["openai_chat"]

#: Twisted stops its services on SIGTERM and then ends as the signal ends a process that does not
#: handle it (`twisted.application.app`), which systemd counts as a clean exit.
TERMINATED = -signal.SIGTERM

Start = Callable[..., GatewayProcess]


@pytest.fixture
def start(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[Start]:
    """Starts a gateway of the test's own, which it may stop; takes keys of ``[gateway]``."""
    started: list[GatewayProcess] = []

    def start(options: str = "") -> GatewayProcess:
        gateway = GatewayProcess(tmp_path, upstream.sections(), options)
        started.append(gateway)
        return gateway.start().wait_until_it_answers()

    yield start
    for gateway in started:
        gateway.kill()


@pytest.fixture
def stream_begun(upstream: ScriptedUpstream) -> threading.Event:
    """The upstream begins a stream, and goes on to its end once this is set."""
    return play_stream(upstream)


def begin_drain(gateway: GatewayProcess) -> None:
    """Ask for a stop, and wait until it has begun: new connections are refused."""
    gateway.terminate()
    eventually(lambda: not gateway.accepts(), "the gateway stops listening")


def check_drained(gateway: GatewayProcess, client: RawClient, ended: Ended) -> None:
    """The client was told, the body is whole, and the row says who ended it."""
    assert ended.code == TERMINATED
    rest = client.rest()
    assert rest.startswith(b'data: {"error":')
    assert b"[DONE]" not in rest
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"], row["phase"]) == ("drained", "operator", "relay")


def test_a_stream_that_runs_at_sigterm_comes_to_its_end(
    start: Start, stream_begun: threading.Event
) -> None:
    """O4: new connections are refused meanwhile, and the process ends after it."""
    gateway = start()
    with begin_stream(gateway) as client:
        begin_drain(gateway)
        stream_begun.set()
        assert client.rest() == b"".join(CHAT_EVENTS[2:])
        assert gateway.wait().code == TERMINATED
    [row] = gateway.new_rows()
    assert row["outcome"] == "finished"


def test_a_second_sigterm_ends_the_stream_with_an_error_event(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """O4, A3: nobody waits any longer."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    gateway = start()
    with begin_stream(gateway) as client:
        begin_drain(gateway)
        check_drained(gateway, client, gateway.stop())


def test_a_stream_that_outlasts_the_drain_ends_with_an_error_event(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """O4, A3: ``drain_timeout`` is how long it may go on."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    gateway = start("drain_timeout = 100ms")
    with begin_stream(gateway) as client:
        check_drained(gateway, client, gateway.stop())


def test_a_client_that_reads_slowly_at_sigterm_gets_the_last_byte(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """O4: most of its stream is not yet on its way."""
    filler = [b": " + b"x" * 16_000 + b"\n\n"] * 300
    upstream.play(read_request, send(SSE_HEAD, chunked(*filler, *CHAT_EVENTS), LAST))
    gateway = start()
    with RawClient(gateway.port, receive_buffer=8192).post(CHAT, prompt(stream=True)) as client:
        assert client.response.status == 200
        begin_drain(gateway)
        body = client.rest()
        assert body == b"".join([*filler, *CHAT_EVENTS])
        assert gateway.wait().code == TERMINATED
    [row] = gateway.new_rows()
    assert row["outcome"] == "finished"


def test_last_bytes_that_a_client_does_not_take_end_in_a_reset(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """O4: what it has of the answer must not look whole."""
    event = chunked(b": " + b"x" * 16_000 + b"\n\n")
    upstream.play(read_request, send(SSE_HEAD), flood(event, 1 << 26), until_gone)
    gateway = start("drain_timeout = 100ms")
    with RawClient(gateway.port, receive_buffer=8192).post(CHAT, prompt(stream=True)) as client:
        assert client.response.status == 200
        # Before, the kernel might take the error event and the end as well, and bring them along.
        upstream.wait_until_held_back(gateway)
        assert gateway.stop().code == TERMINATED
        with pytest.raises(ConnectionResetError):
            client.rest()
    [row] = gateway.new_rows()
    assert row["outcome"] == "drained"


def test_a_request_whose_body_arrives_at_sigterm_is_served(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """O4: its head was admitted before."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    gateway = start()
    request = post(CHAT, prompt(stream=True), "Expect: 100-continue")
    head, end, body = request.partition(b"\r\n\r\n")
    with RawClient(gateway.port) as client:
        client.sock.sendall(head + end)
        assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        begin_drain(gateway)
        client.sock.sendall(body)
        assert client.rest() == b"".join(CHAT_EVENTS)
        assert gateway.wait().code == TERMINATED
    [row] = gateway.new_rows()
    assert row["outcome"] == "finished"


def test_a_tls_connection_whose_client_does_not_listen_does_not_hold_the_stop_up(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O4: clients keep connections in a pool and look at them when they need one."""
    upstream.play(read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    gateway = GatewayProcess(tmp_path, upstream.sections())
    server_context(tmp_path, None)
    [certificate] = tmp_path.glob("*.pem")
    port = free_port()
    tls = f"ssl:{port}:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1"
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace("listen = ", f"listen = {tls}\n  "))
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with gateway, socket.create_connection(("127.0.0.1", port)) as plain:
        client = trusting.wrap_socket(plain)
        client.sendall(post(CHAT, prompt(stream=False)))
        assert client.recv(12) == b"HTTP/1.1 200"
        assert gateway.stop().code == TERMINATED
        client.close()


def test_a_request_that_a_killed_gateway_had_sent_has_its_row_after_the_next_start(
    start: Start, upstream: ScriptedUpstream
) -> None:
    """A5: it was open when the process died, and is settled with what is not known left out."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    gateway = start()
    with begin_stream(gateway):
        [row] = eventually(gateway.rows, "the open row can be read")
        assert row["outcome"] is None
        gateway.kill()
    gateway.start().wait_until_it_answers()
    [killed] = gateway.new_rows()
    assert killed["id"] == row["id"]
    assert killed["outcome"] == "killed"
    unknown = ("phase", "events", "response_bytes", "input_tokens", "output_tokens")
    assert [killed[name] for name in unknown] == [None] * len(unknown)
    assert "1 requests were open" in gateway.output
