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
_NO_USAGE = Usage()


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
    connect_ms, head_ms, first_event_ms, duration_ms = _since(
        moments.started, course.connected, moments.head, moments.first_event, course.ended
    )
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
        connect_ms=connect_ms,
        head_ms=head_ms,
        first_event_ms=first_event_ms,
        duration_ms=duration_ms,
        paused_ms=round(course.paused_seconds * 1000, 3),
        response_bytes=0 if relay is None else relay.size,
        events=0 if relay is None else relay.events,
        keepalives=course.keepalives,
        usage=reading.usage,
        # Counts are the provider's if it sent any that can be believed.
        usage_source=UsageSource.NONE if reading.usage == _NO_USAGE else UsageSource.PROVIDER,
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
    for name in _REQUEST_IDS:
        if value := head.fields.get(name):
            return value[:_ID_LIMIT].decode("latin-1")
    return None


def _since(start: float, *moments: float | None) -> list[float | None]:
    """Milliseconds from one moment to each of the others, if there was that one."""
    return [None if moment is None else round((moment - start) * 1000, 3) for moment in moments]
