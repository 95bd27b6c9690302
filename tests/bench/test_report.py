"""What the benchmark makes of its samples."""

from __future__ import annotations

import pytest

from bench.report import DIRECT, Result, failures, results
from tests.bench.samples import sample


def one(found: list[Result], proxy: str) -> Result:
    """The only result of a proxy."""
    (result,) = [result for result in found if result.proxy == proxy]
    return result


def test_cpu_time_is_the_median_of_the_rounds_divided_by_the_events() -> None:
    found = results([sample("go", cpu, number=n) for n, cpu in enumerate((0.4, 1.6, 0.6))])

    figure = one(found, "go").figures["cpu_us"]

    assert (figure.median, figure.lowest, figure.highest) == pytest.approx((30, 20, 80))


def test_ratios_compare_with_the_references_in_the_same_work() -> None:
    found = results(
        [
            sample("nginx", 0.2),
            sample("go", 0.4),
            sample("gateway", 0.6),
            sample("gateway", 9.0, work="S50k"),
        ]
    )

    ratios = [result.ratios for result in found if result.proxy == "gateway"]

    assert ratios == [pytest.approx({"nginx": 3.0, "go": 1.5}), {}]


def test_added_latency_is_what_is_above_the_same_round_without_a_proxy() -> None:
    slow = {"p50": 1.5, "p95": 2.0, "p99": 9.0, "max": 10.0}
    busy = {"p50": 1.0, "p95": 1.0, "p99": 4.0, "max": 12.0}
    found = results(
        [
            sample(DIRECT, None),
            sample("go", 0.4, latency_ms=slow),
            sample(DIRECT, None, number=1, latency_ms=busy),
        ]
    )

    result = one(found, "go")

    assert result.value("added_p50_ms") == pytest.approx(1.0)
    assert result.value("added_p99_ms") == pytest.approx(7.0)
    assert result.value("added_max_ms") == pytest.approx(6.0)


def test_a_light_work_is_compared_with_the_light_load_without_a_proxy() -> None:
    idle = {"p50": 0.1, "p95": 0.1, "p99": 0.2, "max": 0.3}
    found = results(
        [
            sample(DIRECT, None),
            sample(DIRECT, None, light=True, latency_ms=idle),
            sample("litellm", 4.0, light=True),
        ]
    )

    assert one(found, "litellm").value("added_p50_ms") == pytest.approx(0.4)
    assert [(result.proxy, result.light) for result in found] == [
        (DIRECT, False),
        (DIRECT, True),
        ("litellm", True),
    ]


def test_a_work_over_tls_is_compared_with_the_same_load_without_tls() -> None:
    slow = {"p50": 1.5, "p95": 2.0, "p99": 9.0, "max": 10.0}
    found = results([sample(DIRECT, None), sample("go", 0.4, work="S10k-tls", latency_ms=slow)])

    assert one(found, "go").value("added_p50_ms") == pytest.approx(1.0)


def test_samples_in_which_requests_failed_count_for_nothing_and_are_named() -> None:
    bad = sample("go", 5.0, number=1, failed=2, errors={"cut among its events": 2})

    found = results([sample("go", 0.4), bad])

    assert one(found, "go").rounds == 1
    assert one(found, "go").value("cpu_us") == pytest.approx(20)
    assert failures([sample("go", 0.4), bad]) == [
        "S10k through go, round 2: 2 failed, for instance: cut among its events"
    ]


@pytest.mark.parametrize(("bunched", "marked"), [(2_000, False), (2_001, True)])
def test_a_figure_is_marked_if_a_tenth_of_the_events_came_together(
    bunched: int, marked: bool
) -> None:
    (result,) = results([sample("go", 0.4, bunched=bunched)])

    assert result.bunched is marked


def test_held_streams_have_the_memory_above_the_idle_proxy_and_the_cost_of_a_keepalive() -> None:
    looks = {"held_pss": 30_240.0, "held_rss": 50_240.0, "cpu_opening": 2.0, "cpu_holding": 0.5}

    held = sample("gateway", 3.0, work="H", looks=looks, requests=1_000, keepalives=2_000)
    (result,) = results([held])

    assert result.value("pss_kib") == pytest.approx(20)
    assert result.value("rss_kib") == pytest.approx(40)
    assert result.value("open_us") == pytest.approx(2_000)
    assert result.value("cpu_us") == pytest.approx(250)


def test_stalled_streams_have_the_memory_above_that_of_their_neighbours_alone() -> None:
    looks = {"before_pss": 1_000.0, "before_tcp": 0.0, "stalled_pss": 51_000.0}
    looks["stalled_tcp"] = 2_000_000.0

    stalled = sample("go", 3.0, work="stalled", looks=looks, before_ms={"p50": 0.2, "p99": 1.0})
    (result,) = results([stalled])

    assert result.value("pss_kib") == pytest.approx(50)
    assert result.value("tcp_kib") == pytest.approx(2_000)
    assert result.value("p99_before_ms") == pytest.approx(1.0)
    assert result.value("p99_ms") == pytest.approx(2.0)
