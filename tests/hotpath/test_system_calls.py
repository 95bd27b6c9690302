"""What an event and a request cost in system calls, held to the budget, and how they are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hotpath.budget import Budget
from tests.hotpath.system_calls import NotTraced, SystemCalls, count, left_out, traced, units_of
from tests.hotpath.works import SENT, Work


@pytest.mark.parametrize("work", SENT, ids=lambda work: work.name)
def test_system_calls_are_within_the_budget(work: Work, tmp_path: Path) -> None:
    try:
        counted = count(work, tmp_path)
    except NotTraced as error:
        left_out(error)
    Budget.read().check(work, counted.figures(), counted.top(15))


_SOCKET = "<TCP:[127.0.0.1:1->127.0.0.1:2]>"
_WAIT = "epoll_wait(7<anon_inode:[eventpoll]>, [{events=EPOLLIN}], 6, 752) = 1"
_RECV = f'recvfrom(9{_SOCKET}, "a\\r\\ndata: 1\\n"..., 65536, 0, NULL, NULL) = 20'
_SEND = f'sendto(8{_SOCKET}, "a\\r\\ndata: 1\\n"..., 20, 0, NULL, 0) = 20'
_WOKEN = 'read(5<pipe:[1]>, "xxx", 8192) = 3'
_LOCKED = "futex(0x7fb0, FUTEX_WAKE_PRIVATE, 1) = 0"
_BEAT = 'sendto(3<UNIX-STREAM:[1]>, "beat", 4, 0, NULL, 0) = 4'


def units(*lines: str) -> list[tuple[str, ...]]:
    """What is made of a unit of these lines, among many others."""
    other = [_WAIT, _RECV, _SEND]
    return units_of("\n".join([*other * 60, *lines, *other * 60]), b"a\r\ndata: 1\n")


@pytest.mark.parametrize(
    "lines",
    [
        (_WAIT, _RECV, _SEND),
        (_WAIT, _RECV, _LOCKED, _SEND),  # another thread had the lock
        (_WAIT, _WOKEN, _RECV, _SEND),  # and told something
        (_WAIT, _WOKEN, _WAIT, _RECV, _SEND),
        (_WAIT, _RECV, _SEND, _WAIT, _BEAT),  # a timer
    ],
)
def test_only_what_is_done_for_connections_counts(lines: tuple[str, ...]) -> None:
    assert set(units(*lines)) == {("epoll_wait", "recvfrom", "sendto")}


def test_every_call_of_a_unit_counts() -> None:
    found = units(_WAIT, _RECV, _SEND, _WAIT, _SEND)

    assert ("epoll_wait", "recvfrom", "sendto", "epoll_wait", "sendto") in found


@pytest.mark.parametrize(("larger", "told"), [(15, 3.0), (25, 4.0)])
def test_the_figure_is_what_four_units_of_five_do_not_exceed(larger: int, told: float) -> None:
    small, large = ("epoll_wait", "recvfrom", "sendto"), ("epoll_wait", "recvfrom", "sendto", "brk")

    assert SystemCalls([small] * (100 - larger) + [large] * larger).figures() == {
        "system_calls": told
    }


def test_a_missing_strace_is_told_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotTraced, match=r"strace is not installed \(apt-get install strace\)"):
        count(SENT[0], tmp_path)


def test_a_strace_that_may_not_attach_is_told_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "strace"
    program.write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with (
        pytest.raises(NotTraced, match=r"cannot attach .* \(Operation not permitted\)"),
        traced(os.getpid(), tmp_path / "trace"),
    ):
        pass


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_what_cannot_be_traced_is_left_out_and_fails_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="not tested: system calls of the hot path; no strace"):
        left_out(NotTraced("no strace"))
