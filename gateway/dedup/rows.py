"""What rows say of clients that had an answer in common.  Values only; nothing here knows Twisted.

The leader's row is that of its exchange: with the upstream's usage, the cost, and the outcome of
the leader itself.  A follower's says whose answer it was given (`Intent.answer_of`), has no usage
and costs nothing, since the leader's row has it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from msgspec.structs import replace

from ..record import ErrorCode, Intent, Outcome, Phase, Record


@dataclass(frozen=True, slots=True)
class _Meaning:
    outcome: Outcome
    error: ErrorCode | None = None
    detail: str | None = None


class Parting(Enum):
    """How a client and an answer part."""

    WITH_ALL = "it was given everything, and ended as the answer did"
    GONE = "it left"
    STALLED = "it did not read"
    BEHIND = "it was too far behind"
    BROKE_RULE = "it broke a rule of HTTP"
    DRAINED = "the gateway is stopping"
    NO_LEDGER = "the ledger did not take its intent"
    HOOK = "an operator's hook refused it"
    BUG = "an error of our own"


_MEANINGS: Final = {
    Parting.GONE: _Meaning(Outcome.CLIENT_GONE),
    Parting.STALLED: _Meaning(
        Outcome.TIMED_OUT, ErrorCode.CLIENT_WRITE_TIMEOUT, "the client does not read"
    ),
    Parting.BEHIND: _Meaning(
        Outcome.TIMED_OUT,
        ErrorCode.CLIENT_WRITE_TIMEOUT,
        "the client takes the answer more slowly than another one: dedup_memory cannot hold "
        "what it lacks",
    ),
    Parting.BROKE_RULE: _Meaning(Outcome.REJECTED, ErrorCode.BAD_REQUEST),
    Parting.DRAINED: _Meaning(Outcome.DRAINED, ErrorCode.OPERATOR, "the gateway is stopping"),
    Parting.NO_LEDGER: _Meaning(Outcome.REJECTED, ErrorCode.LEDGER_UNAVAILABLE),
    Parting.HOOK: _Meaning(Outcome.REJECTED, ErrorCode.HOOK),
    Parting.BUG: _Meaning(
        Outcome.INTERNAL_ERROR, ErrorCode.BUG, "an error in the gateway itself (see its log)"
    ),
}


def explained(parting: Parting) -> tuple[ErrorCode, str]:
    """The code and text with which a client is refused that parts so before it was answered."""
    meaning = _MEANINGS[parting]
    return meaning.error or ErrorCode.BUG, meaning.detail or parting.value


@dataclass(frozen=True, slots=True)
class Course:
    """How it went with one client.  Times in seconds from its request's coming."""

    parting: Parting
    detail: str | None
    phase: Phase  #: where the client stood
    status_sent: int | None
    first_byte: float | None
    duration: float
    paused: float
    size: int  #: bytes of the body that it was given
    beats: int


def leaders(record: Record, course: Course) -> Record:
    """The row of the client that led, from that of its exchange."""
    own = replace(
        record,
        status_sent=course.status_sent,
        duration_ms=_ms(course.duration),
        paused_ms=_ms(course.paused),
        keepalives=course.beats,
    )
    if course.parting is Parting.WITH_ALL:
        return own
    meaning = _MEANINGS[course.parting]
    detail = course.detail or meaning.detail
    if detail is None:
        alone = record.outcome is Outcome.CLIENT_GONE
        detail = record.error_detail if alone else "the answer went on for those who had joined it"
    return replace(
        own,
        outcome=meaning.outcome,
        error=meaning.error,
        error_detail=detail,
        # The exchange may have gone further since, or not so far as the client can tell.
        phase=min(course.phase, record.phase or Phase.DONE, key=list(Phase).index),
    )


def followers(
    intent: Intent, course: Course, ended_at: float, shared: Record | None, *, replay: bool
) -> Record:
    """The row of a client that joined an answer, or got it again (`replay`).

    `ended_at` is in seconds since the epoch; `shared` the answer's own row as its exchange made it,
    which there is if the client was given everything.
    """
    row = Record(
        intent=intent,
        ended_at=ended_at,
        outcome=Outcome.REPLAYED,
        phase=Phase.DONE,
        status_sent=course.status_sent,
        attempts=0,
        first_event_ms=None if course.first_byte is None else _ms(course.first_byte),
        duration_ms=_ms(course.duration),
        paused_ms=_ms(course.paused),
        response_bytes=course.size,
        keepalives=course.beats,
        cost_usd=0.0,
    )
    if course.parting is not Parting.WITH_ALL or shared is None:
        meaning = _MEANINGS[course.parting]
        return replace(
            row,
            outcome=meaning.outcome,
            error=meaning.error,
            error_detail=course.detail or meaning.detail,
            phase=course.phase,
            stop_reason="incomplete" if intent.stream and course.status_sent == 200 else None,
        )
    row = replace(
        row, model_served=shared.model_served, stop_reason=shared.stop_reason, events=shared.events
    )
    if replay:
        return row
    # What the ledger refused is not written; this one's intent was.
    unwritten = shared.error is ErrorCode.LEDGER_UNAVAILABLE
    return replace(
        row,
        outcome=shared.outcome,
        phase=shared.phase,
        error=ErrorCode.OVERLOADED if unwritten else shared.error,
        error_detail=shared.error_detail,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
