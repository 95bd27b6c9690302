"""What systemd is told, as times and states go by."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
from twisted.internet.task import Clock, LoopingCall

from gateway import notify
from gateway.manager import LOOK, Manager
from gateway.notify import Notifier


class Told(Notifier):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__({})
        self.datagrams: list[tuple[str, ...]] = []

    def send(self, *states: str) -> None:
        self.datagrams.append(states)

    def take(self) -> list[tuple[str, ...]]:
        datagrams, self.datagrams = self.datagrams, []
        return datagrams


def looks(manager: Manager, told: Told, seconds: range, **how: bool) -> list[int]:
    """At which of these seconds something was told, by a look each second."""
    found = []
    for second in seconds:
        manager.look("as ever", float(second), **{"stopping": False, "alive": True, **how})
        if told.take():
            found.append(second)
    return found


def test_a_status_is_told_when_it_has_changed() -> None:
    """O2: and not again."""
    told = Told()
    manager = Manager(told, None)
    for status in ("one", "one", "two"):
        manager.look(status, 0.0, stopping=False, alive=True)
    assert told.take() == [("STATUS=one",), ("STATUS=two",)]


def test_a_remark_stands_before_the_status_until_the_next_reload_is_over() -> None:
    """O1, O2: why it came to nothing."""
    told = Told()
    manager = Manager(told, None)
    manager.ready("reload refused")
    manager.look("serves", 0.0, stopping=False, alive=True)
    manager.ready()
    manager.look("serves", 1.0, stopping=False, alive=True)
    assert told.take() == [
        ("READY=1",), ("STATUS=reload refused; serves",), ("READY=1",), ("STATUS=serves",),
    ]  # fmt: skip


def test_the_watchdog_hears_of_us_twice_in_its_time() -> None:
    """O2: looks come every second, and may be a little late."""
    told = Told()
    manager = Manager(told, 10.0)
    assert looks(manager, told, range(13)) == [0, 4, 8, 12]


def test_the_watchdog_hears_nothing_while_a_worker_is_beyond_help() -> None:
    """O2: systemd restarts us then."""
    told = Told()
    manager = Manager(told, 10.0)
    looks(manager, told, range(1))
    assert looks(manager, told, range(1, 30), alive=False) == []


def test_a_stop_is_extended_while_it_lasts() -> None:
    """O2, O4: long before the last extension is over."""
    told = Told()
    manager = Manager(told, None)
    looks(manager, told, range(1))
    manager.look("as ever", 1.0, stopping=True, alive=True)
    assert told.take() == [("EXTEND_TIMEOUT_USEC=30000000",)]
    assert looks(manager, told, range(2, 12), stopping=True) == [6, 11]


def test_a_reload_is_told_with_the_time_of_the_monotonic_clock() -> None:
    """O2, O3: in microseconds."""
    assert notify.reloading(12.5) == ("RELOADING=1", "MONOTONIC_USEC=12500000")
    told = Told()
    Manager(told, None).reloading()
    [(reloading, usec)] = told.take()
    assert reloading == "RELOADING=1"
    assert int(usec.removeprefix("MONOTONIC_USEC=")) > 0


def test_a_process_without_descriptors_left_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """O2, O8: an error here would end the loop that sends WATCHDOG, and systemd the gateway."""
    tried = []

    def none_left(*_: object) -> None:
        tried.append(errno.EMFILE)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        manager = Manager(Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}), 30.0)
        loop = LoopingCall(
            lambda: manager.look("serves", clock.seconds(), stopping=False, alive=True)
        )
        loop.clock = clock = Clock()
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", none_left)
            loop.start(LOOK)
        assert tried == [errno.EMFILE]
        clock.pump([LOOK] * 15)
        assert systemd.recv(100) == b"WATCHDOG=1"
        loop.stop()


def test_a_status_with_a_path_that_is_no_text_is_told(tmp_path: Path) -> None:
    """O2: files may be called so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        told = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        Manager(told, None).look("gateway-\udcff.ini", 0.0, stopping=False, alive=True)
        assert systemd.recv(100) == b"STATUS=gateway-\\udcff.ini"


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(
    environ: dict[str, str], interval: float | None
) -> None:
    """O2: sd_watchdog_enabled(3)."""
    assert notify.watchdog_interval(environ) == interval
