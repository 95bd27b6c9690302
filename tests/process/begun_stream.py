"""A stream in its middle, in which tests stop, reload or look at a gateway."""

from __future__ import annotations

from threading import Event

from tests.process.gateway_process import PATIENCE, GatewayProcess
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked


def play_stream(upstream: ScriptedUpstream, patience: float = PATIENCE) -> Event:
    """The upstream begins streams, and goes on to their ends once this is set."""
    go_on = Event()
    upstream.play(
        read_request,
        send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])),
        until(go_on, patience),
        send(chunked(*CHAT_EVENTS[2:]), LAST),
    )
    return go_on


def begin_stream(gateway: GatewayProcess) -> RawClient:
    """A client that has read what the upstream has sent so far."""
    client = RawClient(gateway.port).post(PATHS["openai_chat"], prompt(stream=True))
    assert client.body_until(CHAT_EVENTS[1]) == b"".join(CHAT_EVENTS[:2])
    return client
