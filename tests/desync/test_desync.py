"""The table of malformed HTTP, put to a gateway in a process of its own.

The gateway sends every path to one upstream.  The cases ask for ``/v1/files`` and ``/v1/models``,
endpoints that no dialect looks into: their body is the five bytes ``hello``, which are no JSON, and
framing alone is what is judged here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.desync import (
    connections,
    request_chunks,
    request_fields,
    request_framing,
    request_lines,
    response_ends,
    response_framing,
    response_heads,
)
from tests.desync.case import Case, Expect, Level
from tests.desync.conftest import Tally
from tests.desync.runner import Runner

#: Where the decisions are written down for people.
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "http.rst"

REQUESTS = [
    *request_framing.CASES,
    *request_chunks.CASES,
    *request_lines.CASES,
    *request_fields.CASES,
    *connections.CASES,
]
RESPONSES = [*response_framing.CASES, *response_ends.CASES, *response_heads.CASES]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_a_request_is_never_read_in_two_ways(case: Case, runner: Runner, tally: Tally) -> None:
    """H1, H2, H4, H5, H6: every request of the table."""
    report = runner.run_request(case)
    tally.add("request", report)
    assert not report.faults, str(report.case)


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)
def test_a_response_is_never_read_in_two_ways(case: Case, runner: Runner, tally: Tally) -> None:
    """H1, H2, H4, H5, H7: every response of the table."""
    report = runner.run_response(case)
    tally.add("response", report)
    assert not report.faults, str(report.case)


def test_every_case_has_an_id_of_its_own() -> None:
    ids = [case.id for case in (*REQUESTS, *RESPONSES)]
    assert len(ids) == len(set(ids))


def test_every_case_of_policy_has_a_decision_that_is_documented() -> None:
    open_questions = [case for case in (*REQUESTS, *RESPONSES) if case.level is Level.POLICY]
    decisions = {case.id: case.held_to for case in open_questions}
    assert Expect.EITHER not in decisions.values()
    rows = re.findall(r"^   \* - ([A-Z]\d+)\n     - .+\n     - (\w+)$", DOCUMENT.read_text(), re.M)
    assert {id: Expect(decision) for id, decision in rows} == decisions
