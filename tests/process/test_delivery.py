"""Bytes over real sockets: at once, unchanged, and no faster than they are read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.process.gateway_process import GatewayProcess, eventually
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import (
    ScriptedUpstream,
    flood,
    read_request,
    send,
    small_buffers,
    until,
)
from tests.transcripts import CHAT_BODY, CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

EVENTS = {"openai_chat": CHAT_EVENTS, "anthropic": MESSAGES_EVENTS}

MiB = 1024 * 1024
#: How many clients do not read, and how much memory each may cost.
STALLED = 100
HELD = 256 * 1024
#: What each of their upstreams is ready to send.
WILLING = 100 * MiB
#: An event of about 16 KiB, in a chunk of its own.
LONG_EVENT = chunked(
    b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 16_000 + b'"}}]}\n\n'
)


@pytest.mark.parametrize("dialect", PATHS)
def test_the_first_event_arrives_before_the_upstream_goes_on(
    gateway: GatewayProcess, upstream: ScriptedUpstream, dialect: str
) -> None:
    """D1: a small event is there while the upstream waits for its having been seen."""
    first, *rest = EVENTS[dialect]
    seen = threading.Event()
    upstream.play(
        read_request, send(SSE_HEAD, chunked(first)), until(seen), send(chunked(*rest), LAST)
    )
    with RawClient(gateway.port) as client:
        client.post(PATHS[dialect], prompt(stream=True))
        assert client.body_until(b"\n\n") == first
        seen.set()
        assert client.rest() == b"".join(rest)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_cut_into_pieces_arrives_byte_for_byte(
    gateway: GatewayProcess, upstream: ScriptedUpstream, dialect: str, size: int
) -> None:
    """D3: chunks that end inside characters and lines make no difference."""
    stream = b"".join(EVENTS[dialect])
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    upstream.play(read_request, send(SSE_HEAD, *(chunked(piece) for piece in pieces), LAST))
    status, body = ask(gateway.port, PATHS[dialect], prompt(stream=True))
    assert (status, body) == (200, stream)
    [row] = gateway.new_rows()
    assert (row["outcome"], row["response_bytes"]) == ("finished", len(stream))


def test_an_answer_that_is_no_stream_arrives_with_its_status_and_its_length(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D9: the head's fields and the body are the upstream's."""
    head = b"HTTP/1.1 201 Made Up\r\nContent-Type: application/json\r\nX-Odd: 1\r\nX-Odd: 2\r\n"
    upstream.play(
        read_request, send(head + b"Content-Length: %d\r\n\r\n" % len(CHAT_BODY) + CHAT_BODY)
    )
    with RawClient(gateway.port) as client:
        response = client.post("/v1/chat/completions", prompt(stream=False)).response
        assert (response.status, response.reason) == (201, "Made Up")
        assert response.headers.get_all("X-Odd") == ["1", "2"]
        assert response.headers["Content-Length"] == str(len(CHAT_BODY))
        assert client.rest() == CHAT_BODY


@contextlib.contextmanager
def clients_that_do_not_read(port: int) -> Iterator[None]:
    """Have `STALLED` clients ask for a stream, and none of them read it."""
    with contextlib.ExitStack() as stack:
        for _ in range(STALLED):
            client = stack.enter_context(RawClient(port, receive_buffer=16 * 1024))
            client.post("/v1/chat/completions", prompt(stream=True))
        yield


def test_clients_that_do_not_read_stop_their_upstreams(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D5: what their upstreams could send stays there, and the gateway holds a bounded part."""
    upstream.play(read_request, send(SSE_HEAD, LONG_EVENT, LAST))
    ask(gateway.port, "/v1/chat/completions", prompt(stream=True))  # what only the first one costs
    gateway.forget_rows()
    upstream.play(read_request, small_buffers, send(SSE_HEAD), flood(LONG_EVENT, WILLING))
    before = gateway.rss()
    counts = [-1]

    def stopped() -> bool:
        counts.append(sum(peer.sent for peer in upstream.peers))
        return len(upstream.requests) == STALLED and len(set(counts[-50:])) == 1

    with clients_that_do_not_read(gateway.port):
        eventually(stopped, "the upstreams send no more")
        grown = gateway.rss() - before
        assert max(peer.sent for peer in upstream.peers) < WILLING // 2
        assert grown <= STALLED * HELD
    eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers), "upstreams are let go")
    rows = gateway.new_rows(STALLED)
    assert [row["outcome"] for row in rows] == ["client_gone"] * STALLED
