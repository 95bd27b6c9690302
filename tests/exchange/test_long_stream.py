"""Twelve minutes of a stream with silences of up to five, by a clock that the test moves.

``tests/interop/long_stream.py`` does the same in real time, behind real proxies.
"""

from __future__ import annotations

import pytest

from tests.interop.long_stream import BEATS, IDLE_TIMEOUT, SILENCES, in_pieces
from tests.world import CHAT, LAST, MESSAGES, SSE_HEAD, Client, World, chunked

AFTER = 10
INTERVAL = 15

REQUESTS = {"openai_chat": CHAT, "anthropic": MESSAGES}


def heard_at(world: World, client: Client, seconds: int) -> list[int]:
    """At which of the next seconds the client hears something."""
    so_far, at = len(client.raw()), []
    for second in range(1, seconds + 1):
        world.clock.advance(1)
        if len(client.raw()) > so_far:
            so_far = len(client.raw())
            at.append(second)
    return at


@pytest.mark.parametrize("dialect", REQUESTS)
def test_a_stream_of_twelve_minutes_is_whole_and_never_silent_for_longer_than_the_interval(
    dialect: str,
) -> None:
    """D8, K4: beats to the second, none while events come, and no deadline passes."""
    world = World(
        keepalive_after=float(AFTER),
        keepalive_interval=float(INTERVAL),
        idle_timeout=float(IDLE_TIMEOUT),
    )
    began = world.clock.seconds()
    client = world.client().send(REQUESTS[dialect])
    expected = b""
    beats = 0
    for silence, piece in zip(SILENCES, in_pieces(dialect, len(SILENCES)), strict=True):
        at = heard_at(world, client, silence)
        # The first beat is due after the request, the others after the last byte.
        assert at == list(range(INTERVAL if expected else AFTER, silence + 1, INTERVAL))
        world.up.deliver(chunked(piece) if expected else SSE_HEAD + chunked(piece))
        expected += BEATS[dialect] * len(at) + piece
        beats += len(at)
        assert client.response().body == expected
    world.up.deliver(LAST)
    assert client.response().whole
    assert world.clock.seconds() - began == 12 * 60
    assert (world.record.outcome, world.record.keepalives) == ("finished", beats)
    world.clock.advance(100)
    assert client.response().body == expected
    assert world.idle()
