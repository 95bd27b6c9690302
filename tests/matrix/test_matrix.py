"""Every way to ask, everything that can become of it, every keepalive mode: in memory.

``dialects.py`` has the ways, ``failures.py`` what becomes of them, ``expected.py`` what is to come
of each cell and which cells there are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.dialects.base import Dialect
from tests.matrix.checks import check
from tests.matrix.dialects import WAYS
from tests.matrix.expected import CELLS, INAPPLICABLE, Expected, Upstream, expected
from tests.matrix.failures import FAILURES
from tests.matrix.memory import MemoryStage
from tests.matrix.stage import Mode


@pytest.mark.parametrize(
    ("way", "failure", "mode"), CELLS, ids=[f"{w}-{f}-{m.name.lower()}" for w, f, m in CELLS]
)
def test_a_cell_ends_as_the_rules_say(way: str, failure: str, mode: Mode) -> None:
    """K2, K3, K6, K9, E1, E2, E3, E4, E5, E6, E7, E8, A1, A2, A3, A8, D7: every cell."""
    stage = MemoryStage(WAYS[way], mode)
    FAILURES[failure](stage)
    wanted = expected(WAYS[way], failure, mode)
    check(stage, wanted, stage.seen())
    check_rest(stage, wanted)


def check_rest(stage: MemoryStage, wanted: Expected) -> None:
    """The upstream's connection is kept or closed, and nothing else is left."""
    world = stage.world
    assert len(world.endpoint.wires) == (wanted.upstream is not Upstream.NEVER)
    for wire in world.endpoint.wires:
        kept = wanted.upstream is Upstream.POOLED
        assert (wire.aborted or wire.lost) != kept
    assert world.pool.idle == (wanted.upstream is Upstream.POOLED)
    world.pool.close()
    stage.client.wire.lose()
    world.clock.advance(0)
    assert world.idle()


def test_the_matrix_is_whole() -> None:
    """A3: no cell is left out but those that there cannot be, each for a reason."""
    assert len(WAYS) * len(FAILURES) * len(Mode) == len(CELLS) + len(INAPPLICABLE)
    assert (len(WAYS), len(FAILURES), len(Mode)) == (27, 32, 3)
    assert (len(CELLS), len(INAPPLICABLE)) == (2355, 237)


def test_every_dialect_is_in_the_matrix() -> None:
    """A8: a dialect that is added has to be added here."""
    assert {way.name for way in WAYS.values()} == set(_names(Dialect))


def test_the_reasons_for_cells_that_there_are_not() -> None:
    """A3: how many there are of each."""
    assert Counter(INAPPLICABLE.values()) == {
        "a body that is no stream has no events, long or short": 96,
        "a body of no bytes is 'empty answer'": 48,
        "JSON is what it answers with; see 'finished'": 39,
        "no stream, or one of which no event is known": 48,
        "that a form asks for a stream is not known before it has gone by": 6,
    }


def _names(kind: Any) -> Iterator[str]:
    """The names of a class's dialects and of those of its subclasses."""
    if "name" in vars(kind) and kind.__module__.startswith("gateway."):
        yield kind.name
    for inner in kind.__subclasses__():
        yield from _names(inner)
