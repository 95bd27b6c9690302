"""When a figure is out of its budget, and what is said then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hotpath.budget import FILE, Budget
from tests.hotpath.works import HELD, OPENAI_EVENT, SENT, WORKS

BUDGET = Budget("3.11", {OPENAI_EVENT.name: {"c_calls": 20.0}})


def check(figure: float, python: str = "3.11") -> None:
    """Hold a figure to a budget of 20, of Python 3.11."""
    top = [f"{n} f{n}" for n in range(40, 0, -1)]
    BUDGET.check(OPENAI_EVENT, {"c_calls": figure}, top, python)


@pytest.mark.parametrize("figure", [19.0, 20.0])
def test_a_figure_at_the_budget_or_just_below_is_within_it(figure: float) -> None:
    check(figure)


def test_a_call_too_many_is_told_with_what_is_called_most_and_how_to_raise_the_budget() -> None:
    with pytest.raises(AssertionError) as told:
        check(21.0)

    first, *rest = str(told.value).splitlines()
    assert first == (
        "openai event: c_calls are 21 per event, and the budget is 20; if it has to be so, "
        "raise the budget: python -m tests.hotpath.count --write"
    )
    assert rest == [
        "called most per event (python -m tests.hotpath.count --work 'openai event' --top 999 "
        "tells all):",
        *(f"{n} f{n}" for n in range(40, 25, -1)),
    ]


def test_a_gain_is_to_be_kept() -> None:
    with pytest.raises(AssertionError, match="are 18 per event, and the budget is 20; that it is"):
        check(18.0)


@pytest.mark.parametrize("figure", [12.0, 22.0])
def test_another_python_may_count_a_tenth_more_and_any_less(figure: float) -> None:
    check(figure, "3.13")


def test_another_python_may_not_count_more_than_that() -> None:
    with pytest.raises(AssertionError, match=r"of Python 3.11, and 10% more on this 3.13; if"):
        check(23.0, "3.13")


def test_memory_may_be_a_hundredth_above() -> None:
    budget = Budget("3.11", {HELD.name: {"bytes": 5000.0}})

    budget.check(HELD, {"bytes": 5050.0}, [], "3.11")
    with pytest.raises(AssertionError, match=r"(?s)bytes are 5051 per stream.*allocated most"):
        budget.check(HELD, {"bytes": 5051.0}, [], "3.11")


def test_a_figure_without_a_budget_is_told() -> None:
    with pytest.raises(AssertionError, match=r"openai event: budget.ini has no system_calls"):
        BUDGET.check(OPENAI_EVENT, {"system_calls": 3.0}, [], "3.11")


def test_what_was_written_is_read_and_the_committed_file_is_as_it_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "budget.ini"
    Budget.read().write(path)

    assert Budget.read(path) == Budget.read()
    assert path.read_bytes() == FILE.read_bytes()


def test_the_committed_budget_has_every_figure() -> None:
    keys = {"python_calls", "c_calls"}
    wanted = {work.name: keys | {"system_calls"} if work in SENT else keys for work in WORKS}
    wanted[HELD.name] = {"bytes"}

    assert {name: set(figures) for name, figures in Budget.read().figures.items()} == wanted
