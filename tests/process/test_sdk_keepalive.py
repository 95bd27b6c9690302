"""Keepalives as the vendors' SDKs meet them: before the first event, and in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.gateway_process import GatewayProcess
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, Step, read_request, send, silence
from tests.process.sdks import STREAMS, Way
from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

#: What the gateway says into silence at each of the two places; OpenAI's Python SDK takes a blank
#: line after an ``id`` for an event without data, and fails.
BEATS = {
    "openai_chat": (b": keepalive\n\n", b": keepalive\n"),
    "anthropic": (b'event: ping\ndata: {"type": "ping"}\n\n',) * 2,
}

#: Seconds of silence before the head and after it, in each of which beats are due.
THINKS = 0.45
HESITATES = 0.3


@pytest.fixture(scope="module")
def module_gateway(
    module_folder: Path, module_upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """A gateway that soon speaks into silence."""
    sections = module_upstream.sections(keepalive_after="200ms", keepalive_interval="100ms")
    with GatewayProcess(module_folder, sections) as gateway:
        yield gateway


def events_of(dialect: str) -> tuple[bytes, ...]:
    """A stream in `dialect`; OpenAI's has an ``id`` in its second event."""
    if dialect == "anthropic":
        return MESSAGES_EVENTS
    return (CHAT_EVENTS[0], b"id: 2\n" + CHAT_EVENTS[1], *CHAT_EVENTS[2:])


def hesitant(dialect: str) -> list[Step]:
    """An upstream that thinks before its head, and again in mid-stream."""
    events = events_of(dialect)
    return [
        read_request,
        silence(THINKS),
        send(SSE_HEAD, chunked(*events[:4])),
        silence(HESITATES),
        send(chunked(*events[4:]), LAST),
    ]


@pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.name)
def test_an_sdk_reads_over_keepalives(
    gateway: GatewayProcess, upstream: ScriptedUpstream, way: Way
) -> None:
    """K7: text and usage are those of a stream without them."""
    upstream.play(*hesitant(way.dialect))
    texts: list[str] = []
    tokens = way.ask(gateway.url, "m-1", texts)
    assert "".join(texts) == "Grüße"
    assert tokens == ((9, 3) if way.dialect == "openai_chat" else (135, 12))
    [row] = gateway.new_rows()
    assert row["outcome"] == "finished"
    assert row["keepalives"] not in (None, 0)
    assert (row["input_tokens"], row["output_tokens"]) == tokens


@pytest.mark.parametrize("dialect", PATHS)
def test_keepalives_stand_before_the_stream_and_between_its_events(
    gateway: GatewayProcess, upstream: ScriptedUpstream, dialect: str
) -> None:
    """K7: each has the dialect's shape; without them the stream is the upstream's."""
    upstream.play(*hesitant(dialect))
    with RawClient(gateway.port) as client:
        body = client.post(PATHS[dialect], prompt(stream=True)).rest()
    early, late = BEATS[dialect]
    events = events_of(dialect)
    before, first, after = body.partition(events[0])
    assert before
    assert before.replace(early, b"") == b""
    head, tail = b"".join(events[:4]), b"".join(events[4:])
    middle = (first + after).removeprefix(head).removesuffix(tail)
    assert first + after == head + middle + tail
    assert middle
    assert middle.replace(late, b"") == b""
