"""The vendors' own SDKs through a gateway, against the simulated provider and broken upstreams."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.demo.models import TEXT, split
from tests.process.gateway_process import GatewayProcess
from tests.process.scripted_upstream import ScriptedUpstream, Step, read_request, reset, send
from tests.process.sdks import STREAMS, WAYS, Way
from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

EVENTS = {"openai_chat": CHAT_EVENTS, "anthropic": MESSAGES_EVENTS}

#: A stream's end without the terminal event, and without what may stand for it.
CUT_AT = {"openai_chat": 2, "anthropic": 4}

#: How an upstream breaks a stream off: steps, and the row's error.
CUTS: dict[str, tuple[Sequence[Step], str]] = {
    "reset": ([reset], "reset"),
    "ended without a terminal event": ([send(LAST)], "no_terminal_event"),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_an_sdk_is_told_what_the_row_says(gateway: GatewayProcess, way: Way) -> None:
    """A1, E9: text and usage arrive, and the one row has the same usage."""
    texts: list[str] = []
    tokens = way.ask(f"{gateway.url}/demo", "demo", texts)
    assert "".join(texts) == "".join(split(TEXT)[:5])
    assert tokens[1] == 5
    [row] = gateway.new_rows()
    assert (row["input_tokens"], row["output_tokens"]) == tokens
    assert (row["outcome"], row["dialect"], row["stream"]) == ("finished", way.dialect, way.stream)


@pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.name)
def test_an_sdk_raises_nothing_for_a_whole_stream(
    gateway: GatewayProcess, upstream: ScriptedUpstream, way: Way
) -> None:
    """E9: a stream with its terminal event is no error, and is asked for once."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*EVENTS[way.dialect]), LAST))
    texts: list[str] = []
    way.ask(gateway.url, "m-1", texts)
    assert "".join(texts) == "Grüße"
    [row] = gateway.new_rows()
    assert row["outcome"] == "finished"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.name)
@pytest.mark.parametrize("cut", CUTS)
def test_an_sdk_raises_its_error_for_a_stream_that_breaks_off(
    gateway: GatewayProcess, upstream: ScriptedUpstream, cut: str, way: Way
) -> None:
    """E9, E3, E4: what had come is there, then the SDK raises what the gateway tells it, and nobody
    asks again."""
    steps, code = CUTS[cut]
    begun = chunked(*EVENTS[way.dialect][: CUT_AT[way.dialect]])
    upstream.play(read_request, send(SSE_HEAD, begun), *steps)
    texts: list[str] = []
    with pytest.raises(way.error) as raised:
        way.ask(gateway.url, "m-1", texts)
    assert "".join(texts) == "Grüße"
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("upstream_failed", code)
    assert str(row["error_detail"]) in str(raised.value)
    assert len(upstream.requests) == 1
