"""Requests that run, looked at from outside, and ended by an operator.

Nothing is kept for this: what an exchange knows anyway is read when somebody asks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

from ..exchange.glance import Glance
from ..exchange.relay import BodyRelay
from ..exchange.services import Running, Services

#: A row of the table of streams.
Row: TypeAlias = dict[str, Any]

#: How many a process lists: the others are counted.
MOST: Final = 1000

#: What a stream that an operator ended is told.
ENDED: Final = "an operator of the gateway ended this request"


def streams(running: Collection[Running], now: float, wall: float) -> list[Row]:
    """The oldest of what runs in this process, the oldest first; see `row`."""
    oldest = heapq.nsmallest(MOST, tuple(running), key=lambda one: one.intent.started_at)
    return [row(one, now, wall) for one in oldest]


def row(one: Running, now: float, wall: float) -> Row:
    """What is told of one; `now` is its clock's, `wall` the time of day.  Times in seconds.

    What is not known, or cannot be yet, is None.  An exchange can tell more than others: `Glance`.
    """
    intent = one.intent
    look: Callable[[], Glance] | None = getattr(one, "glance", None)
    glance = None if look is None else look()
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
        "phase": one.phase.value,
        "age_seconds": round(max(0.0, wall - intent.started_at), 3),
        "request_bytes": intent.request_bytes,
        "response_bytes": 0,
        "events": 0,
        "input_tokens": None,
        "output_tokens": None,
        "keepalives": 0,
        "upstream_silent_seconds": None,
        "client_silent_seconds": None,
        "paused": one.paused,
        "paused_seconds": 0.0,
        "client_left": False,
    }
    if glance is None:
        return found
    course, relay = glance.course, glance.course.relay
    moments = course.moments
    paused_now = 0.0 if moments.paused is None else now - moments.paused
    heard: float | None = moments.heard or None  # what is passed on is, as far as we know
    if relay is not None:
        reading = relay.reading()
        if isinstance(relay, BodyRelay):  # which holds nothing back, and notes nothing else
            heard = moments.last_byte
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
        "age_seconds": _since(moments.started, now),
        "request_bytes": glance.request_bytes,
        "keepalives": course.keepalives,
        "client_silent_seconds": None if heard is None else _since(heard, now),
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
