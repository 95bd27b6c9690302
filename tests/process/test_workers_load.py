"""Reloads and dying workers under a steady load."""

from __future__ import annotations

from pathlib import Path

from tests.process.reload_rounds import play, run


def test_reloads_and_kills_under_load_cost_only_what_the_killed_held(tmp_path: Path) -> None:
    """O3, O5: no connection is refused, no stream of a live worker is cut, and every request has
    one row.

    20 SIGHUPs, of which the last three come at once, and 5 SIGKILLs, of workers that serve and of
    some that drain, with 200 open streams.  `reload_rounds` does this for longer.
    """
    seen = run(play(tmp_path, rounds=17, kills=5, streams=200))
    print(seen.summary())
    assert seen.problems == []
    assert (seen.hangups, len(seen.kills)) == (20, 5)
    assert 18 <= seen.swaps <= 20
    assert any(not stream.whole for stream in seen.streams), "nobody was killed in mid-stream"
    assert sum(request.whole for request in seen.short) > 100
