"""What is asserted of a cell, wherever it was played: the client's bytes, and the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import asdict

from gateway.record import ErrorCode, Usage, Value
from tests.matrix.clients import RESPONSES, Words
from tests.matrix.expected import Expected, Told
from tests.matrix.failures import RETRY_AFTER
from tests.matrix.stage import Mode, Stage
from tests.matrix.way import Shape
from tests.world import LAST, Response, read_responses


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a cell."""

    raw: bytes  #: what the client got
    row: Mapping[str, Value]
    aborted: bool  #: the client's connection was reset
    closed: bool  #: it was closed, in whatever way


def check(stage: Stage, wanted: Expected, seen: Seen) -> None:
    """All that the client and the ledger tell."""
    beats = check_client(stage, wanted, seen)
    check_row(stage, wanted, seen, beats)


def check_stalled(stage: Stage, wanted: Expected, seen: Seen) -> None:
    """What can be told of a client that did not read, and was sent more than anybody counted."""
    [response] = read_responses(seen.raw, "POST", closed=seen.closed)
    sent = stage.way.beat(None) if wanted.begun else b""
    assert (sent + b"".join(stage.pieces)).startswith(response.body)
    assert seen.aborted
    assert not response.whole
    row, ending = seen.row, wanted.ending
    assert (row["outcome"], row["phase"], row["error"]) == (
        ending.outcome,
        ending.phase,
        ending.error,
    )


def check_client(stage: Stage, wanted: Expected, seen: Seen) -> int:
    """The client's bytes, strictly; how many beats were among them."""
    raw = seen.raw
    if wanted.told is Told.NOTHING:
        assert raw == stage.left, "something was written to a client that has gone"
    if wanted.status_sent is None:
        assert raw == b""
        return 0
    [response] = read_responses(raw, "POST", closed=seen.closed)
    assert response.status == wanted.status_sent
    check_head(stage, wanted, response)
    if wanted.told is Told.RESPONSE:
        check_words(stage, wanted, seen, stage.way.errors.read(response.body))
        assert response.whole
        return 0
    beats, tail = after_the_upstreams_bytes(stage, wanted, response.body)
    assert response.whole == (wanted.told in (Told.WHOLE, Told.ERROR))
    if response.whole and response.get(b"content-length") is None:
        assert raw.endswith(b"\r\n" + LAST)
        assert raw.count(b"\r\n" + LAST) == 1
    if wanted.told is Told.ERROR:
        passed = stage.pieces if wanted.relayed else []
        check_words(stage, wanted, seen, stage.way.errors.read_stream(tail, passed))
        assert seen.closed, "the connection outlives an error that was told in a stream"
    else:
        assert tail == b""
    assert seen.aborted == (wanted.told is Told.BREAK)
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


def check_words(stage: Stage, wanted: Expected, seen: Seen, words: Words) -> None:
    """The error says what went wrong: in the row's words, or in the upstream's."""
    errors, ending = stage.way.errors, wanted.ending
    assert words.message == seen.row["error_detail"]
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


def check_row(stage: Stage, wanted: Expected, seen: Seen, beats: int) -> None:
    """The row, and what it says."""
    row, ending = seen.row, wanted.ending
    told = wanted.usage != Usage()
    expected = {
        "dialect": stage.way.name,
        "stream": wanted.stream,
        "outcome": ending.outcome,
        "phase": ending.phase,
        "error": ending.error,
        "status_upstream": wanted.status_upstream,
        "status_sent": wanted.status_sent,
        "stop_reason": wanted.stop_reason,
        "usage_source": "provider" if told else "none",
        **asdict(wanted.usage),
        "keepalives": beats,
        "events": 0 if stage.way.shape is Shape.BODY else len(stage.pieces),
        "response_bytes": len(b"".join(stage.pieces) + stage.rest),
    }
    assert {name: row[name] for name in expected} == expected
    assert (row["usage_raw"] is not None) == told
    if wanted.told is not Told.NOTHING:  # whose row may say what became of the upstream
        assert bool(row["error_detail"]) == (ending.error is not None)
