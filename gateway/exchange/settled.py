"""The record of an exchange, made once from what is known at its end."""

from __future__ import annotations

from msgspec import Struct

from ..dialects.base import Reading
from ..http1 import ResponseHead
from ..record import Intent, Outcome, Record, Usage, UsageSource
from .deadlines import Moments
from .life import Ending
from .relay import Relay

#: Characters kept of the upstream's own id of the request.
_ID_LIMIT = 200
#: Where upstreams tell it: OpenAI, Anthropic, Amazon.
_REQUEST_IDS = (b"x-request-id", b"request-id", b"x-amzn-requestid")


class Course(Struct, frozen=True):
    """How an exchange went.  Moments are the exchange's clock's, in seconds."""

    moments: Moments
    relay: Relay | None
    status: int | None  #: of the upstream's answer
    request_id: str | None  #: the upstream's own
    status_sent: int | None
    attempts: int
    connected: float | None
    ended: float
    paused_seconds: float
    keepalives: int


def settled(
    intent: Intent, ending: Ending, wall: float, course: Course, *, replay: bool = False
) -> Record:
    """The record; `wall` is the time of day at the end, in seconds since the epoch.

    `replay` is `Peek.replay` of the request.
    """
    moments, relay = course.moments, course.relay
    reading = Reading() if relay is None else relay.reading()
    started = moments.started
    return Record(
        intent=intent,
        ended_at=wall,
        outcome=ending.outcome,
        phase=ending.phase,
        error=ending.error,
        error_detail=ending.detail or reading.usage_problem,
        status_upstream=course.status,
        status_sent=course.status_sent,
        model_served=reading.model,
        stop_reason=_stop_reason(reading, relay, ending),
        upstream_request_id=course.request_id,
        attempts=course.attempts,
        connect_ms=_since(started, course.connected),
        head_ms=_since(started, moments.head),
        first_event_ms=_since(started, moments.first_event),
        duration_ms=_since(started, course.ended),
        paused_ms=_since(0.0, course.paused_seconds),
        response_bytes=0 if relay is None else relay.size,
        events=0 if relay is None else relay.events,
        keepalives=course.keepalives,
        usage=reading.usage,
        usage_source=_source(reading),
        usage_raw=reading.usage_raw,
        response_id=reading.response_id,
        replay=replay,
    )


def _stop_reason(reading: Reading, relay: Relay | None, ending: Ending) -> str | None:
    """The provider's; or ``incomplete`` for a stream that ended without one."""
    finished = ending.outcome is Outcome.FINISHED
    streamed = relay is not None and relay.streamed
    if reading.stop_reason is None and streamed and not finished:
        return "incomplete"
    return reading.stop_reason


def request_id_of(head: ResponseHead) -> str | None:
    """The upstream's own id of the request, if it tells one."""
    value = next(filter(None, map(head.fields.get, _REQUEST_IDS)), None)
    return None if value is None else value[:_ID_LIMIT].decode("latin-1")


def _source(reading: Reading) -> UsageSource:
    """Counts are the provider's if it sent any that can be believed."""
    return UsageSource.NONE if reading.usage == Usage() else UsageSource.PROVIDER


def _since(start: float, moment: float | None) -> float | None:
    """Milliseconds from one moment to another, if there was that one."""
    return None if moment is None else round((moment - start) * 1000, 3)
