"""The table of ends, and the order of phases."""

from __future__ import annotations

import itertools

import pytest

from gateway.exchange.life import (
    NEXT,
    Body,
    Circumstances,
    Farewell,
    Kind,
    Life,
    Signal,
    judge,
)
from gateway.http1 import LocalError
from gateway.record import ErrorCode, Outcome, Phase

ALL = [
    Circumstances(body, passed, complete, tell, error)
    for body, passed, complete, tell, error in itertools.product(
        Body, (False, True), (False, True), (False, True), (None, "overloaded")
    )
]
EVENTS = Circumstances(Body.STREAM, complete=False)
OTHER = Circumstances(Body.OTHER)
NOTHING_YET = Circumstances()


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("now", ALL)
def test_no_end_is_a_lie(kind: Kind, now: Circumstances) -> None:
    """E3, E4, E6, E7: whatever the signal and the circumstances."""
    ending = judge(Signal(kind, ErrorCode.RESET), Phase.RELAY, now)
    whole = kind is Kind.UPSTREAM_ENDED and (now.complete or now.body is not Body.STREAM)
    if ending.outcome is Outcome.FINISHED:
        assert whole or now.terminal_passed
        assert ending.error is None
        assert ending.phase is Phase.DONE
    if ending.farewell is Farewell.END:
        assert whole or now.terminal_passed
    if ending.farewell is Farewell.RESPONSE:
        assert now.body is Body.NOT_COMMITTED
    if ending.farewell is Farewell.EVENT:
        assert now.body is Body.STREAM
        assert now.can_tell
        assert not now.terminal_passed
    assert (ending.farewell is Farewell.NOTHING) == (kind is Kind.CLIENT_GONE)


@pytest.mark.parametrize(
    ("kind", "now", "farewell"),
    [
        (Kind.UPSTREAM_FAILED, NOTHING_YET, Farewell.RESPONSE),
        (Kind.UPSTREAM_FAILED, EVENTS, Farewell.EVENT),
        (Kind.UPSTREAM_FAILED, OTHER, Farewell.ABORT),
        (Kind.TIMED_OUT, NOTHING_YET, Farewell.RESPONSE),
        (Kind.TIMED_OUT, EVENTS, Farewell.EVENT),
        (Kind.TIMED_OUT, OTHER, Farewell.ABORT),
        (Kind.CLIENT_STALLED, EVENTS, Farewell.ABORT),
        (Kind.DRAINED, EVENTS, Farewell.EVENT),
        (Kind.UPSTREAM_ENDED, OTHER, Farewell.END),
        (Kind.UPSTREAM_ENDED, EVENTS, Farewell.EVENT),
        (Kind.UPSTREAM_FAILED, Circumstances(Body.STREAM, can_tell=False), Farewell.ABORT),
    ],
)
def test_what_is_done_towards_the_client(
    kind: Kind, now: Circumstances, farewell: Farewell
) -> None:
    assert judge(Signal(kind, ErrorCode.RESET), Phase.RELAY, now).farewell is farewell


def test_the_first_signal_latches() -> None:
    """A4: later ones are ignored."""
    life = Life()
    assert life.settle(Signal(Kind.CLIENT_GONE), NOTHING_YET) is not None
    for kind in Kind:
        assert life.settle(Signal(kind), NOTHING_YET) is None
    assert life.ending is not None
    assert life.ending.outcome is Outcome.CLIENT_GONE


@pytest.mark.parametrize(("here", "there"), list(itertools.product(Phase, Phase)))
def test_phases_are_entered_in_their_order_alone(here: Phase, there: Phase) -> None:
    life = Life()
    life.phase = here
    if there in NEXT[here]:
        life.enter(there)
        assert life.phase is there
    else:
        with pytest.raises(LocalError):
            life.enter(there)


def test_no_phase_is_entered_after_the_end() -> None:
    life = Life()
    life.settle(Signal(Kind.DRAINED), NOTHING_YET)
    with pytest.raises(LocalError):
        life.enter(Phase.CONNECT)
