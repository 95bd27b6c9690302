"""Profiles of works: the shares of parts and functions, and the page that shows them."""

from __future__ import annotations

import importlib
import math
import os
from collections import Counter
from dataclasses import replace

import pytest

from bench.account import Times, times
from bench.profile_page import account_table, as_rst, parts_table, text
from bench.profiles import OTHER_THREADS, Profile
from bench.stacks import Function
from bench.works import WORKS

TURN = Function("GatewayReactor._turn", "gateway/net/reactor.py")
FEED = Function("EventScanner.feed", "gateway/sse.py")
INIT = Function("Exchange.__init__", "gateway/exchange/exchange.py")

#: A pass of 2 s, of which the main thread had 1.6, and three passes with looks.
PROFILE = Profile(
    work=WORKS["S10k"],
    alone=Times(user=1.5, system=0.5, main=1.6, waiting=0.1),
    watched=Times(user=4.5, system=2.1, main=6.0, waiting=2.0),
    passes=3,
    stacks=Counter({(TURN,): 5, (TURN, FEED): 3, (TURN, INIT): 2}),
    errors=4,
    behind=0.0,
)


def test_other_threads_have_what_the_system_accounts_and_samples_divide_the_rest() -> None:
    shares = PROFILE.shares()

    assert shares["reactor"] == pytest.approx(0.4)
    assert shares["dialects, usage"] == pytest.approx(0.24)
    assert shares["exchange, relay"] == pytest.approx(0.16)
    assert shares[OTHER_THREADS] == pytest.approx(0.2)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_a_main_thread_with_more_than_all_by_a_step_of_the_clock_has_all() -> None:
    profile = replace(PROFILE, alone=Times(user=0.5, system=0.5, main=1.01, waiting=0.0))

    assert profile.shares()[OTHER_THREADS] == 0


def test_the_functions_with_the_most_time_of_their_own_come_first() -> None:
    functions, shares = zip(*PROFILE.functions(2), strict=True)

    assert functions == (TURN, FEED)
    assert shares == pytest.approx((0.4, 0.24))


def test_functions_with_equal_time_come_in_the_order_of_their_files() -> None:
    profile = replace(PROFILE, stacks=Counter({(TURN,): 1, (FEED,): 1, (INIT,): 1}))

    assert [function for function, _ in profile.functions(3)] == [INIT, TURN, FEED]


def test_looks_slow_a_pass_by_what_it_takes_longer_than_the_one_without() -> None:
    assert PROFILE.slowed == pytest.approx(1.1)
    assert PROFILE.coreless == pytest.approx(0.25)


def test_the_table_of_parts_has_a_column_for_each_work_and_no_empty_row() -> None:
    other = replace(PROFILE, work=WORKS["B"], stacks=Counter({(FEED,): 1}))

    rows = [line.rsplit(maxsplit=2) for line in parts_table([PROFILE, other]).splitlines()]

    assert rows[1] == ["%", "S10k", "B"]
    assert rows[3:-1] == [
        ["reactor", "40.0", "0.0"],
        ["exchange, relay", "16.0", "0.0"],
        ["dialects, usage", "24.0", "80.0"],
        [OTHER_THREADS, "20.0", "20.0"],
    ]


def test_the_account_of_a_work_has_user_and_system_time_and_how_it_was_looked_at() -> None:
    row = account_table([PROFILE]).splitlines()[3].split()

    assert row == ["S10k", "2.00", "75.0", "25.0", "20.0", "3", "10", "4", "1.10", "25.0"]


def test_what_the_system_does_not_tell_is_a_dash() -> None:
    profile = replace(PROFILE, watched=replace(PROFILE.watched, waiting=math.nan))

    assert account_table([profile]).splitlines()[3].split()[-1] == "-"


def test_a_profiler_that_could_not_keep_up_is_told() -> None:
    assert "late" not in text([PROFILE])
    assert "S10k: looks came up to 1.5 s late" in text([replace(PROFILE, behind=1.52)])


def test_the_part_of_the_page_that_is_generated_is_sound_and_complete() -> None:
    about = {"Date": "2026-11-20", "Command": "``python -m bench.profile``"}

    page = (
        importlib.import_module("docutils.core")
        .publish_string(
            as_rst(about, [PROFILE, replace(PROFILE, work=WORKS["B"])], {"H": "`no` files"}),
            writer="html",
            settings_overrides={"halt_level": 2, "input_encoding": "unicode"},
        )
        .decode()
    )

    for words in (
        "Functions of S10k",
        "Functions of B",
        "Exchange.__init__",
        "gateway/exchange/exchange.py",
        "40.0",
        "'no' files",
        "What belongs to which part",
    ):
        assert words in page


def test_the_account_of_a_process_divides_its_time() -> None:
    account = times(os.getpid())

    assert account.user > 0
    assert 0 < account.main <= account.cpu + 0.02
    assert account - account == Times(0.0, 0.0, 0.0, 0.0)
    assert (account + account).cpu == pytest.approx(2 * account.cpu)
