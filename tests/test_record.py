"""Ids and times of rows."""

from __future__ import annotations

import datetime
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from gateway.record import new_id, timestamp

_FORK = """
import os, sys
from gateway.record import new_id
ids = [new_id()]
child = os.fork()
ids += [new_id() for _ in range(100)]
sys.stdout.write(" ".join(ids) + " ")
sys.stdout.flush()
if child:
    os.waitpid(child, 0)
"""


def test_an_id_is_a_uuid_of_version_7_that_sorts_by_time() -> None:
    with mock.patch("time.time_ns", side_effect=range(10**18, 2 * 10**18, 10**15)):
        ids = [new_id() for _ in range(500)]

    assert ids == sorted(set(ids))
    found = [uuid.UUID(text) for text in ids]
    assert [str(each) for each in found] == ids
    assert {(each.version, each.variant) for each in found} == {(7, uuid.RFC_4122)}
    assert [each.int >> 80 for each in found] == [10**12 + at * 10**9 for at in range(500)]


def test_the_random_bits_of_an_id_are_all_used() -> None:
    ids = [uuid.UUID(new_id()).int for _ in range(500)]

    fixed = 0xF << 76 | 0x3 << 62
    for bit in (1 << place for place in range(80)):
        seen = {each & bit for each in ids}
        assert len(seen) == (1 if bit & fixed else 2)


def test_ids_do_not_repeat_in_other_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [new_id() for _ in range(1000)], range(8)))

    assert len({each[14:] for ids in rounds for each in ids}) == 8000  # but for their times


def test_ids_do_not_repeat_in_a_process_that_was_forked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORK], check=True, capture_output=True, text=True, timeout=30
    )
    parent_and_child = done.stdout.split()
    assert len(parent_and_child) == 202
    assert len({each[14:] for each in parent_and_child}) == 201  # both tell the first


@given(st.floats(min_value=-1e9, max_value=4e9))
def test_a_time_is_told_to_the_microsecond(seconds: float) -> None:
    text = timestamp(seconds)

    assert text.endswith("Z")
    told = datetime.datetime.fromisoformat(text)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    off = told - epoch - datetime.timedelta(seconds=seconds)
    assert abs(off) <= datetime.timedelta(microseconds=1)
    assert len(text) == 27


def test_a_time_just_before_a_second_is_rounded_up_to_it() -> None:
    assert timestamp(1_700_000_000 - 2.0**-22) == "2023-11-14T22:13:20.000000Z"
    assert timestamp(-0.25) == "1969-12-31T23:59:59.750000Z"
