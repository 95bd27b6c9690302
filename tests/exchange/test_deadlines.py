"""Which deadline passes first, and that one timer finds out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from gateway.exchange.deadlines import Deadlines, Moments, due
from gateway.record import ErrorCode
from tests.world import ROUTE

ROUTE_ = replace(
    ROUTE,
    head_timeout=600.0,
    first_event_timeout=100.0,
    idle_timeout=180.0,
    client_write_timeout=60.0,
    total_timeout=None,
)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        (Moments(started=0), None),
        (Moments(started=0, dispatched=5), (605, "head_timeout")),
        (Moments(started=0, dispatched=5, head=10, last_byte=10), (110, "first_event_timeout")),
        (Moments(0, 5, 10, first_event=20, last_byte=30), (210, "idle_timeout")),
        (Moments(0, 5, 10, first_event=20, last_byte=30, paused=40), (100, "client_write_timeout")),
    ],
)
def test_the_first_deadline_to_pass(
    moments: Moments, expected: tuple[float, ErrorCode] | None
) -> None:
    """E2: each phase has its own."""
    assert due(ROUTE_, moments) == expected


def test_off_is_no_deadline() -> None:
    """E2: `off` for every one of them leaves nothing to watch."""
    off = replace(
        ROUTE_,
        head_timeout=None,
        first_event_timeout=None,
        idle_timeout=None,
        client_write_timeout=None,
    )
    assert due(off, Moments(0, 5, 10, paused=40)) is None


def test_a_byte_moves_the_deadline_without_touching_the_timer() -> None:
    """D8: the timer finds out when it fires, and fires once in the end."""
    clock = Clock()
    passed: list[ErrorCode] = []
    moments = Moments(0, 0, 0, first_event=0, last_byte=0)
    deadlines = Deadlines(ROUTE_, moments, clock, passed.append)
    deadlines.look()
    for _ in range(10):
        clock.advance(100)
        moments.last_byte = clock.seconds()
        assert len(clock.getDelayedCalls()) == 1
    clock.advance(179)
    assert passed == []
    clock.advance(1)
    assert passed == ["idle_timeout"]
    assert not clock.getDelayedCalls()


def test_a_nearer_deadline_brings_the_timer_forward() -> None:
    clock = Clock()
    passed: list[ErrorCode] = []
    moments = Moments(0, 0)
    deadlines = Deadlines(ROUTE_, moments, clock, passed.append)
    deadlines.look()
    moments.head = moments.last_byte = 0
    deadlines.look()
    clock.advance(100)
    assert passed == ["first_event_timeout"]


def test_stopped_is_stopped() -> None:
    clock = Clock()
    passed: list[ErrorCode] = []
    deadlines = Deadlines(ROUTE_, Moments(0, 0), clock, passed.append)
    deadlines.look()
    deadlines.stop()
    deadlines.stop()
    deadlines.look()
    clock.advance(10_000)
    assert passed == []
