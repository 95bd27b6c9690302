"""One worker's process, as its supervisor handles it, without one."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, cast

import pytest
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.task import Clock

from gateway.supervisor.generation import Generation, Member
from gateway.supervisor.worker_process import WorkerProcess
from tests.supervisor.fakes import plan


class Owner:
    """Who is told; keeps why workers ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def worker_ended(self, worker: WorkerProcess, why: str) -> None:
        self.ended.append(why)


class Reaped:
    """A process that was waited for already, while something holds its pipes."""

    pid = None

    def signalProcess(self, number: int) -> None:  # noqa: N802 - Twisted's
        raise ProcessExitedAlready


def made(owner: Owner, clock: Clock) -> WorkerProcess:
    member = Member(Generation(1, plan()), 0, 0.0)
    return WorkerProcess(member, cast(Any, owner), clock)


def test_one_that_has_just_exited_can_be_killed() -> None:
    """O5: its pipes end after it, and who kills all of a generation must come to the others."""
    clock = Clock()
    worker = made(Owner(), clock)
    worker.pid, worker.transport = 4711, cast(Any, Reaped())
    worker.kill("its generation was given up", stacks=False)
    worker.kill("it is stuck", stacks=True)
    clock.advance(1)
    assert worker.pid == 4711


def test_one_that_cannot_even_be_prepared_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """O5: without descriptors for it, it is one that died, and is replaced as such."""

    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    owner, clock = Owner(), Clock()
    monkeypatch.setattr(socket, "socketpair", none_left)
    made(owner, clock).spawn([], 0, piped=False)
    clock.advance(0)
    assert owner.ended == [
        "worker g1w0 (pid 0) could not be started: [Errno 24] Too many open files"
    ]
