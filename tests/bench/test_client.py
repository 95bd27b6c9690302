"""What the benchmark reads of what its load program and the system say."""

from __future__ import annotations

import os

import pytest

from bench.account import cpu_seconds, family, memory
from bench.client import parse, phase_of
from bench.gateway import Setting
from bench.processes import BenchError
from bench.proxies import proxies
from bench.works import ANTHROPIC, WORKS


def test_a_line_with_a_phase_is_told_from_the_report() -> None:
    assert phase_of('{"phase":"held"}\n') == "held"
    assert phase_of('{"requests":1}\n') is None


def test_the_report_is_the_line_that_names_no_phase() -> None:
    assert parse(['{"requests": 1}\n'], 0, "") == {"requests": 1}


@pytest.mark.parametrize(("lines", "code"), [([], 0), (["{}"], 1), (["{}", "{}"], 0)])
def test_a_client_without_a_report_is_an_error_that_tells_what_it_said(
    lines: list[str], code: int
) -> None:
    with pytest.raises(BenchError, match=f"ended with {code} and said: no such port"):
        parse(lines, code, "no such port\n")


def test_the_light_work_for_slow_proxies_changes_only_how_much_there_is() -> None:
    arguments = WORKS["S10k-anthropic"].lightened().arguments()

    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert options == {"-streams": "10", "-events": "200", "-interval": "20", "-path": ANTHROPIC}


def test_proxies_get_only_the_works_that_they_can_do() -> None:
    known = proxies(Setting())

    assert not known["litellm"].does(WORKS["S10k-anthropic"])
    assert not known["litellm"].does(WORKS["B"])
    assert not known["litellm"].does(WORKS["stalled"])
    assert known["gateway"].does(WORKS["B-tls"])
    assert not known["gateway"].does(WORKS["U-most"])
    assert known["gateway-2"].does(WORKS["U-most"])
    assert not known["gateway-2"].does(WORKS["U"])


def test_the_account_of_this_process_has_it_with_time_and_memory() -> None:
    own = os.getpid()

    held = memory(own)

    assert own in family(own)
    assert cpu_seconds(own) > 0
    assert 0 < held.pss <= held.rss <= held.peak
