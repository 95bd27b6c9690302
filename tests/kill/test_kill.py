"""A5: whatever instant a gateway is killed at, every request that an upstream saw has one row."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.kill.rounds import rounds
from tests.kill.zygote import FAULTS


def test_after_a_hundred_kills_every_request_that_the_upstream_saw_has_one_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A5: by token, not by totals; at random instants, and where it hurts most."""
    tally = asyncio.run(rounds(100, tmp_path))
    with capsys.disabled():
        print(f"\n{tally}")
    assert tally.kills.total() == 100
    assert set(tally.kills) == {"random", *FAULTS}
    assert tally.with_open > 50, "most kills are to land while rows are open"
