"""Upstreams over TLS: what the layer between must not change about ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.certificates import make_authority, server_context
from tests.process.gateway_process import PATIENCE, GatewayProcess
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import Peer, ScriptedUpstream, flood, read_request, send
from tests.transcripts import CHAT_BODY, CHAT_EVENTS
from tests.world import SSE_HEAD, chunked

CHAT = f"/secure{PATHS['openai_chat']}"
#: A head whose body ends with the connection.
OPEN_ENDED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.fixture(scope="module")
def module_upstream(module_folder: Path) -> Iterator[ScriptedUpstream]:
    """An upstream over TLS, whose authority is in the module's folder."""
    authority = make_authority()
    authority.write(module_folder / "ca.pem")
    upstream = ScriptedUpstream(server_context(module_folder, authority))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def module_gateway(
    module_folder: Path, module_upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """A gateway with that upstream under ``/secure``."""
    url = f"https://localhost:{module_upstream.port}"
    ca = module_folder / "ca.pem"
    sections = f"[upstream secure]\nurl = {url}\ndialect = generic\npool_size = 0\nca = {ca}"
    with GatewayProcess(module_folder, sections) as gateway:
        yield gateway


def close_notify(peer: Peer) -> None:
    """End the TLS connection as TLS has it."""
    peer.sock = peer.sock.unwrap()  # type: ignore[attr-defined]


def bare_fin(peer: Peer) -> None:
    """End the TCP connection alone, as anybody on the way could."""
    peer.sock.shutdown(socket.SHUT_WR)


def test_a_client_that_leaves_without_reading_takes_its_upstream_along(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """A2, D5: also while the upstream is held back, where TLS could not be ended in its own way."""
    upstream.play(
        read_request, send(SSE_HEAD), flood(chunked(b"data: " + b"x" * 16_000 + b"\n\n"), 10**9)
    )
    with RawClient(gateway.port, receive_buffer=16 * 1024) as client:
        client.post(CHAT, prompt(stream=True))
        upstream.wait_until_held_back(gateway)
        client.reset()
        assert upstream.peers[0].gone.wait(PATIENCE)
    [row] = gateway.new_rows()
    assert (row["outcome"], row["phase"]) == ("client_gone", "relay")


def test_a_stream_that_ends_without_close_notify_ends_in_an_error_event(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """E3: whoever closed the connection, it was not the end."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), bare_fin)
    status, body = ask(gateway.port, CHAT, prompt(stream=True))
    whole = b"".join(CHAT_EVENTS[:2])
    assert status == 200
    assert body.startswith(whole + b'data: {"error":')
    [row] = gateway.new_rows()
    assert (row["outcome"], row["events"]) == ("upstream_failed", 2)


def test_a_body_without_length_that_ends_without_close_notify_is_broken_off(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """E7: only TLS can tell that such a body is whole (RFC 9112, 9.8)."""
    upstream.play(read_request, send(OPEN_ENDED + CHAT_BODY), bare_fin)
    with pytest.raises(OSError, match="reset"):
        ask(gateway.port, CHAT, prompt(stream=False))
    [row] = gateway.new_rows()
    assert row["outcome"] == "upstream_failed"


def test_a_body_without_length_that_ends_with_close_notify_is_whole(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D9: the client gets a clean end, and the row the usage."""
    upstream.play(read_request, send(OPEN_ENDED + CHAT_BODY), close_notify)
    assert ask(gateway.port, CHAT, prompt(stream=False)) == (200, CHAT_BODY)
    [row] = gateway.new_rows()
    assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("finished", 9, 3)
