"""Clients that leave: their upstreams are let go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.process.gateway_process import PATIENCE, GatewayProcess, eventually
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until_gone
from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import SSE_HEAD, chunked

EVENTS = {"openai_chat": CHAT_EVENTS, "anthropic": MESSAGES_EVENTS}

LEAVE: dict[str, Callable[[RawClient], None]] = {
    "FIN": RawClient.finish_sending,
    "RST": RawClient.reset,
}


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("how", LEAVE)
def test_a_client_that_leaves_before_the_head_takes_its_upstream_along(
    gateway: GatewayProcess, upstream: ScriptedUpstream, how: str, dialect: str
) -> None:
    """A2: the upstream's connection is closed while it still thinks."""
    upstream.play(read_request, until_gone)
    with RawClient(gateway.port) as client:
        client.post(PATHS[dialect], prompt(stream=True))
        eventually(lambda: upstream.requests, "the upstream is asked")
        LEAVE[how](client)
        assert upstream.peers[0].gone.wait(PATIENCE)
    [row] = gateway.new_rows()
    assert (row["outcome"], row["phase"], row["error"]) == ("client_gone", "head", None)


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("how", LEAVE)
def test_a_client_that_leaves_in_mid_stream_takes_its_upstream_along(
    gateway: GatewayProcess, upstream: ScriptedUpstream, how: str, dialect: str
) -> None:
    """A2: the upstream's connection is closed though it is silent for now."""
    first = EVENTS[dialect][0]
    upstream.play(read_request, send(SSE_HEAD, chunked(first)), until_gone)
    with RawClient(gateway.port) as client:
        client.post(PATHS[dialect], prompt(stream=True)).body_until(first)
        LEAVE[how](client)
        assert upstream.peers[0].gone.wait(PATIENCE)
    [row] = gateway.new_rows()
    assert (row["outcome"], row["phase"], row["events"]) == ("client_gone", "relay", 1)
