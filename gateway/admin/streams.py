"""Requests that run, looked at from outside, and ended by an operator.

Nothing is kept for this: what an exchange knows anyway is read when somebody asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

from ..exchange.glance import Glance
from ..exchange.services import Running, Services
from ..record import Intent

#: A row of the table of streams.
Row: TypeAlias = dict[str, Any]

#: What a stream that an operator ended is told.
ENDED = "an operator of the gateway ended this request"


def glances(running: Collection[Running]) -> Iterator[tuple[Intent, Glance | None]]:
    """Each one, with how far it has come where it can tell."""
    for one in tuple(running):
        look = getattr(one, "glance", None)
        yield one.intent, None if look is None else look()


def streams(services: Services) -> list[Row]:
    """All that run in this process, the oldest first."""
    now, wall = services.clock.seconds(), services.wall()
    rows = [row(intent, glance, now, wall) for intent, glance in glances(services.running)]
    return sorted(rows, key=lambda row: -row["age_seconds"])


def row(intent: Intent, glance: Glance | None, now: float, wall: float) -> Row:
    """One of them; `now` is its clock's, `wall` the time of day.  Times in seconds.

    What is not known, or cannot be yet, is None.
    """
    found: Row = {
        "id": intent.id,
        "route": intent.route,
        "upstream": intent.upstream,
        "dialect": intent.dialect,
        "model": intent.model_requested,
        "tenant": intent.tenant,
        "session": intent.session,
        "client": intent.client,
        "answer_of": intent.answer_of,
        "phase": None,
        "age_seconds": round(max(0.0, wall - intent.started_at), 3),
        "request_bytes": intent.request_bytes,
        "response_bytes": 0,
        "events": 0,
        "input_tokens": None,
        "output_tokens": None,
        "keepalives": 0,
        "upstream_silent_seconds": None,
        "client_silent_seconds": None,
        "paused": False,
        "paused_seconds": 0.0,
        "client_left": False,
    }
    if glance is None:
        return found
    course, relay = glance.course, glance.course.relay
    moments = course.moments
    paused_now = 0.0 if moments.paused is None else now - moments.paused
    heard: float | None = moments.heard or None
    if relay is not None:
        reading = relay.reading()
        heard = moments.heard if relay.streamed else max(moments.heard, moments.last_byte)
        found |= {
            "model": reading.model or glance.model,
            "response_bytes": relay.size,
            "events": relay.events,
            "input_tokens": reading.usage.input_tokens,
            "output_tokens": reading.usage.output_tokens,
            "upstream_silent_seconds": _since(moments.last_byte, now),
        }
    else:
        found["model"] = glance.model
    if moments.paused is not None:
        heard = max(moments.paused, moments.taken)
    return found | {
        "phase": glance.phase.value,
        "age_seconds": _since(moments.started, now),
        "request_bytes": glance.request_bytes,
        "keepalives": course.keepalives,
        "client_silent_seconds": None if heard is None else _since(heard, now),
        "paused": moments.paused is not None,
        "paused_seconds": round(course.paused_seconds + paused_now, 3),
        "client_left": glance.client_left,
    }


def _since(moment: float, now: float) -> float:
    return round(max(0.0, now - moment), 3)


def kill_stream(services: Services, stream_id: str) -> bool:
    """End the request of this id; whether it ran."""
    for one in tuple(services.running):
        if one.intent.id == stream_id:
            one.kill(ENDED)
            return True
    return False
