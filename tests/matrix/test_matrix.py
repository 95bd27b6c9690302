"""Every way to ask, everything that can become of it, every keepalive mode: in memory.

``dialects.py`` has the ways, ``failures.py`` what becomes of them, ``expected.py`` what is to come
of each cell and which cells there are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.dialects.base import Dialect
from gateway.record import ErrorCode, Usage
from tests.matrix.clients import RESPONSES, Words
from tests.matrix.dialects import WAYS
from tests.matrix.expected import CELLS, INAPPLICABLE, Expected, Told, Upstream, expected
from tests.matrix.failures import FAILURES, RETRY_AFTER
from tests.matrix.stage import Mode, Stage
from tests.matrix.way import Shape
from tests.world import LAST, Response


@pytest.mark.parametrize(
    ("way", "failure", "mode"), CELLS, ids=[f"{w}-{f}-{m.name.lower()}" for w, f, m in CELLS]
)
def test_a_cell_ends_as_the_rules_say(way: str, failure: str, mode: Mode) -> None:
    """K2, K3, K6, K9, E1, E2, E3, E4, E5, E6, E7, E8, A1, A2, A3, A8, D7: every cell."""
    stage = Stage(WAYS[way], mode)
    FAILURES[failure](stage)
    wanted = expected(WAYS[way], failure, mode)
    beats = check_client(stage, wanted)
    check_row(stage, wanted, beats)
    check_rest(stage, wanted)


def check_client(stage: Stage, wanted: Expected) -> int:
    """The client's bytes, strictly; how many beats were among them."""
    if wanted.told is Told.NOTHING:
        stage.wait(100)
        assert stage.client.raw() == stage.left, "something was written to a client that has gone"
    raw = stage.client.raw()
    if wanted.status_sent is None:
        assert raw == b""
        return 0
    response = stage.client.response()
    assert response.status == wanted.status_sent
    check_head(stage, wanted, response)
    if wanted.told is Told.RESPONSE:
        check_words(stage, wanted, stage.way.errors.read(response.body))
        assert response.whole
        return 0
    beats, tail = after_the_upstreams_bytes(stage, wanted, response.body)
    assert response.whole == (wanted.told in (Told.WHOLE, Told.ERROR))
    if response.whole and response.get(b"content-length") is None:
        assert raw.endswith(b"\r\n" + LAST)
        assert raw.count(b"\r\n" + LAST) == 1
    if wanted.told is Told.ERROR:
        passed = stage.pieces if wanted.relayed else []
        check_words(stage, wanted, stage.way.errors.read_stream(tail, passed))
        stage.wait(0)
        assert stage.client.wire.lost, "the connection outlives an error that was told in a stream"
    else:
        assert tail == b""
    assert stage.client.wire.aborted == (wanted.told is Told.BREAK)
    return beats


def check_head(stage: Stage, wanted: Expected, response: Response) -> None:
    """The head is the upstream's but for its framing, or ours if we had to say something first."""
    retry_after = response.get(b"retry-after")
    if wanted.begun:
        assert response.get(b"content-type") == b"text/event-stream; charset=utf-8"
        assert response.get(b"content-length") is None
    if wanted.told is Told.RESPONSE:
        assert response.get(b"content-type") == b"application/json"
        assert (retry_after is not None) == (wanted.ending.status == 503)
        assert retry_after is None or 0 < int(retry_after) <= 60
    elif wanted.status_sent == 429:
        assert retry_after == RETRY_AFTER


def after_the_upstreams_bytes(stage: Stage, wanted: Expected, body: bytes) -> tuple[int, bytes]:
    """Take the pieces that the upstream sent off a body, and the beats that stand between them.

    What is no whole piece of a stream is the client's if the body ended well, or in that piece.
    """
    way = stage.way
    pieces = list(stage.pieces)
    if stage.rest and (way.shape is Shape.BODY or wanted.told in (Told.WHOLE, Told.BREAK)):
        pieces.append(stage.rest)
    beats, last = 0, None
    for piece in [*pieces, None] if wanted.relayed else [None]:
        silent = stage.mode is Mode.OFF or last is stage.rest
        beat = b"" if silent else way.beat(last)
        while beat and body.startswith(beat):
            body = body.removeprefix(beat)
            beats += 1
        if piece is not None:
            assert body.startswith(piece), (body[:200], piece[:200])
            body = body.removeprefix(piece)
            last = piece
    assert beats or not wanted.begun, "a stream that the gateway began has no beat"
    return beats, body


def check_words(stage: Stage, wanted: Expected, words: Words) -> None:
    """The error says what went wrong: in the row's words, or in the upstream's."""
    errors, ending, record = stage.way.errors, wanted.ending, stage.world.record
    assert words.message == record.error_detail
    if ending.error is ErrorCode.HTTP_ERROR:
        assert words.message == errors.answer_words
        assert words.status == 429
        assert words.kind == errors.answer_kind
    else:
        assert words.kind is None or words.kind in errors.kinds
    if ending.error is ErrorCode.HTTP_ERROR:
        assert words.code in (None, "rate_limit_exceeded")  # the upstream's own
    elif wanted.told is Told.ERROR and errors is RESPONSES:
        assert words.code == "server_error"
    else:
        assert words.code in (None, ending.error)
    assert words.status in (None, ending.status)


def check_row(stage: Stage, wanted: Expected, beats: int) -> None:
    """One row, and what it says."""
    record, ending = stage.world.record, wanted.ending
    assert (record.outcome, record.phase, record.error) == (
        ending.outcome, ending.phase, ending.error,
    )  # fmt: skip
    if wanted.told is not Told.NOTHING:  # whose row may say what became of the upstream
        assert bool(record.error_detail) == (ending.error is not None)
    assert (record.status_upstream, record.status_sent) == (
        wanted.status_upstream, wanted.status_sent,
    )  # fmt: skip
    told = wanted.usage != Usage()
    assert (record.usage, record.usage_source) == (wanted.usage, "provider" if told else "none")
    assert (record.usage_raw is not None) == told
    assert record.stop_reason == wanted.stop_reason
    assert record.keepalives == beats
    assert record.events == (0 if stage.way.shape is Shape.BODY else len(stage.pieces))
    assert record.response_bytes == len(b"".join(stage.pieces) + stage.rest)
    assert (record.intent.dialect, record.intent.stream) == (stage.way.name, wanted.stream)


def check_rest(stage: Stage, wanted: Expected) -> None:
    """The upstream's connection is kept or closed, and nothing else is left."""
    world = stage.world
    assert all(attempt.called for attempt, _ in world.endpoint.waiting), "it goes on connecting"
    assert len(world.endpoint.wires) == (wanted.upstream is not Upstream.NEVER)
    for wire in world.endpoint.wires:
        kept = wanted.upstream is Upstream.POOLED
        assert (wire.aborted or wire.lost) != kept
    assert world.pool.idle == (wanted.upstream is Upstream.POOLED)
    world.pool.close()
    stage.client.wire.lose()
    stage.wait(0)
    assert world.idle()


def test_the_matrix_is_whole() -> None:
    """A3: no cell is left out but those that there cannot be, each for a reason."""
    assert len(WAYS) * len(FAILURES) * len(Mode) == len(CELLS) + len(INAPPLICABLE)
    assert (len(WAYS), len(FAILURES), len(Mode)) == (26, 31, 3)
    assert (len(CELLS), len(INAPPLICABLE)) == (2241, 177)


def test_every_dialect_is_in_the_matrix() -> None:
    """A8: a dialect that is added has to be added here."""
    assert {way.name for way in WAYS.values()} == set(_names(Dialect))


def test_the_reasons_for_cells_that_there_are_not() -> None:
    """A3: how many there are of each."""
    assert Counter(INAPPLICABLE.values()) == {
        "a body that is no stream has no events; see 'reset in mid-stream'": 45,
        "a body of no bytes is 'empty answer'": 45,
        "JSON is what it answers with; see 'finished'": 36,
        "no stream, or one of which no event is known": 45,
        "that a form asks for a stream is not known before it has gone by": 6,
    }


def _names(kind: Any) -> Iterator[str]:
    """The names of a class's dialects and of those of its subclasses."""
    if "name" in vars(kind) and kind.__module__.startswith("gateway."):
        yield kind.name
    for inner in kind.__subclasses__():
        yield from _names(inner)
