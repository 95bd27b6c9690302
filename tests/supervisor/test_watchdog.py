"""Who is stuck."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.supervisor.watchdog import BEAT, LIMIT, Watchdog, limit


def test_a_worker_that_does_not_beat_for_the_limit_is_stuck_once() -> None:
    """O2: who has been told of is not told of again."""
    watchdog: Watchdog[str] = Watchdog(LIMIT, 0.0)
    watchdog.beat("a", 0.0)
    watchdog.beat("b", 0.0)
    found = []
    for second in range(1, 31):
        watchdog.beat("b", float(second))
        found += [(second, who) for who in watchdog.look(float(second))]
    assert found == [(11, "a")]


def test_nobody_is_stuck_after_a_time_in_which_nobody_ran() -> None:
    """O9: the machine was suspended, or all of its processes were stopped."""
    watchdog: Watchdog[str] = Watchdog(LIMIT, 0.0)
    watchdog.beat("a", 0.0)
    assert watchdog.look(1.0) == []
    assert watchdog.look(3601.0) == []
    assert watchdog.look(3602.0) == []


def test_who_hangs_is_found_after_such_a_time() -> None:
    """O9, O2: forgiveness ends."""
    watchdog: Watchdog[str] = Watchdog(LIMIT, 0.0)
    watchdog.beat("a", 0.0)
    found = [watchdog.look(3600.0 + second) for second in range(20)]
    assert ["a"] in found


def test_a_worker_that_is_gone_is_not_stuck() -> None:
    """O5: nobody waits for its beats."""
    watchdog: Watchdog[str] = Watchdog(LIMIT, 0.0)
    watchdog.beat("a", 0.0)
    watchdog.forget("a")
    assert [watchdog.look(float(second)) for second in range(1, 30)] == [[]] * 29


def test_the_limit_is_half_of_what_systemd_waits_for() -> None:
    """O2: if that is shorter than ours."""
    assert [limit(None), limit(60.0), limit(6.0)] == [LIMIT, LIMIT, 3.0]


@given(st.lists(st.floats(0.01, 100.0), max_size=50))
def test_who_beats_before_each_look_is_never_stuck(pauses: list[float]) -> None:
    """O2, O9: however late the looks are."""
    watchdog: Watchdog[str] = Watchdog(LIMIT, 0.0)
    now = 0.0
    for pause in pauses:
        watchdog.beat("a", now + max(0.0, pause - BEAT))
        now += pause
        assert watchdog.look(now) == []
