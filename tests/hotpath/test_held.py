"""The memory that a stream keeps on which nothing comes, held to the budget."""

from __future__ import annotations

from pathlib import Path

from tests.hotpath.budget import Budget
from tests.hotpath.held import count
from tests.hotpath.works import HELD


def test_what_a_held_stream_keeps_is_within_the_budget(tmp_path: Path) -> None:
    """Thousands may be open at a time."""
    counted = count(tmp_path)
    Budget.read().check(HELD, counted.figures(), counted.top(15))
