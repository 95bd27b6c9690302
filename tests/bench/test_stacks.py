"""Stacks as py-spy writes them, and what is made of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.parts import PARTS, REST, part_of
from bench.proxy import ROOT
from bench.stacks import Function, as_text, by_function, by_part, of_main_thread, together

TURN = Function("GatewayReactor._turn", "gateway/net/reactor.py")
FEED = Function("EventScanner.feed", "gateway/sse.py")
LOADS = Function("loads", "json/__init__.py")

#: As py-spy writes them with ``--threads --function --format raw``.
COLLAPSED = """\
thread (7): MainThread;GatewayReactor._turn (gateway/net/reactor.py:49) 3
thread (7): MainThread;GatewayReactor._turn (gateway/net/reactor.py:49);\
EventScanner.feed (gateway/sse.py:95) 2
thread (7): MainThread;GatewayReactor._turn (gateway/net/reactor.py:49);\
EventScanner.feed (gateway/sse.py:95);loads (json/__init__.py:299) 1
thread (9): ledger-writer;Thread.run (threading.py:964);Writer._run (gateway/ledger/writer.py:134) 5
"""


def test_only_the_main_thread_is_read_function_by_function() -> None:
    assert of_main_thread(COLLAPSED) == {(TURN,): 3, (TURN, FEED): 2, (TURN, FEED, LOADS): 1}


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("guarded.<locals>.guard (a.py:3)", Function("guarded.<locals>.guard", "a.py")),
        ("__init__ (<attrs generated X>)", Function("__init__", "<attrs generated X>")),
        ("<module> (some folder/a.py:1)", Function("<module>", "some folder/a.py")),
        ("of C", Function("of C", "")),
    ],
)
def test_functions_of_any_name_and_file_are_read(text: str, function: Function) -> None:
    assert of_main_thread(f"thread (7): MainThread;{text} 4") == {(function,): 4}


@pytest.mark.parametrize("line", ["thread (7): MainThread 3", "a (b.py:1);c (d.py:2)", "Error: no"])
def test_a_line_that_is_no_stack_is_an_error_that_shows_it(line: str) -> None:
    with pytest.raises(ValueError, match="no collapsed stack") as caught:
        of_main_thread(line)

    assert line in str(caught.value)


def test_a_sample_belongs_to_the_innermost_function_that_a_part_has() -> None:
    counts = by_part(of_main_thread(COLLAPSED))

    assert counts == {"reactor": 3, "dialects, usage": 3}


def test_own_time_is_that_of_the_innermost_function_whoever_has_it() -> None:
    assert by_function(of_main_thread(COLLAPSED)) == {TURN: 3, FEED: 2, LOADS: 1}


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("gateway/net/transport.py", "transport"),
        ("gateway/net/reactor.py", "reactor"),
        ("gateway/upstream/pool.py", "upstreams"),
        ("gateway/upstream/endpoint.py", "TLS"),
        ("gateway/door.py", "routing, credentials"),
        ("gateway/service.py", REST),
        ("twisted/web/server.py", "clients"),
        ("twisted/internet/defer.py", "Twisted"),
        ("twisted_other/defer.py", REST),
    ],
)
def test_a_file_belongs_to_the_part_that_names_most_of_its_path(file: str, part: str) -> None:
    assert part_of([file]) == part


def test_a_stack_that_no_part_has_belongs_to_the_rest() -> None:
    assert part_of(["threading.py", "json/__init__.py"]) == REST


def test_every_path_of_the_gateways_that_a_part_names_is_there() -> None:
    missing = [
        path
        for part in PARTS
        for path in part.paths
        if path.startswith("gateway") and not (ROOT / path).exists()
    ]

    assert missing == []


def test_no_path_belongs_to_two_parts() -> None:
    paths = Counter(path for part in PARTS for path in part.paths)

    assert [path for path, count in paths.items() if count > 1] == []


FUNCTIONS = st.sampled_from([TURN, FEED, LOADS, Function("f", "x.py"), Function("g", "")])
STACKS = st.dictionaries(
    st.lists(FUNCTIONS, min_size=1, max_size=5).map(tuple), st.integers(1, 99), max_size=6
).map(Counter)


@given(st.lists(STACKS, max_size=4))
def test_no_sample_is_lost_or_counted_twice(many: list[Counter[tuple[Function, ...]]]) -> None:
    samples = sum(stacks.total() for stacks in many)

    all_ = together(many)

    assert by_part(all_).total() == by_function(all_).total() == all_.total() == samples


@given(STACKS)
def test_stacks_that_are_written_are_read_again(stacks: Counter[tuple[Function, ...]]) -> None:
    lines = as_text(stacks).splitlines()

    assert of_main_thread("".join(f"thread (7): MainThread;{line}\n" for line in lines)) == stacks
