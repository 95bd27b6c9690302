"""What an event and a request cost in Python's calls, held to the budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hotpath.budget import Budget
from tests.hotpath.calls import Calls, count
from tests.hotpath.works import WORKS, Work


@pytest.fixture(scope="module", params=WORKS, ids=lambda work: work.name)
def work(request: pytest.FixtureRequest) -> Work:
    """Each work in its turn."""
    found: Work = request.param
    return found


@pytest.fixture(scope="module")
def counted(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """The work, counted once for all tests."""
    return count(work, tmp_path_factory.mktemp("counted"))


def test_python_calls_are_within_the_budget(work: Work, counted: Calls) -> None:
    Budget.read().check(work, counted.figures(), counted.top(15))


def test_counting_again_gives_the_same_calls(work: Work, counted: Calls, tmp_path: Path) -> None:
    assert count(work, tmp_path) == counted
