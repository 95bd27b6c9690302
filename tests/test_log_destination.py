"""Wherever twistd is told to log to, secrets are taken out on the way."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, LogLevel
from twisted.python.usage import UsageError
from zope.interface import implementer

from gateway import log_destination
from gateway.config import Config, load
from tests.canaries import OWN_KEY, assert_clean

SECTIONS = "[upstream a]\nurl = https://a.test\ndialect = openai\napi_key = env:KEY\n"
LINE = {"log_level": LogLevel.info, "log_namespace": "gateway", "log_time": 0.0}

heard: list[LogEvent] = []


@implementer(ILogObserver)
class Listener:
    """An observer of somebody else's."""

    def __call__(self, event: LogEvent) -> None:
        heard.append(event)


def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str = "") -> Config:
    """A configuration with a key of the gateway's own; `keys` are further ones of ``[gateway]``."""
    monkeypatch.setenv("KEY", OWN_KEY)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    path = tmp_path / "gateway.ini"
    path.write_text(f"[gateway]\n{keys}\n{SECTIONS}")
    return load(str(path))


def chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str = "", **options: Any
) -> ILogObserver:
    """The observer that twistd would make with these options."""
    asked = {"logger": None, "logfile": None, "nodaemon": True, "syslog": None, **options}
    name = log_destination.choose(asked, configured(tmp_path, monkeypatch, keys))
    assert name == "gateway.log_destination.observer"
    return log_destination.observer()


def log(observer: ILogObserver) -> None:
    observer({**LINE, "log_format": "the key is {key}", "key": OWN_KEY})
    observer({**LINE, "log_format": "{line}", "line": f"again {OWN_KEY}"})


def test_the_file_of_logfile_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """H8: twistd's own way of writing files is not used."""
    path = tmp_path / "gateway.log"
    log(chosen(tmp_path, monkeypatch, logfile=str(path)))
    text = path.read_text()
    assert text.count("[redacted]") == 2
    assert_clean(text, "the log")


def test_a_file_takes_json_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gateway.log"
    log(chosen(tmp_path, monkeypatch, keys="log = json", logfile=str(path)))
    for line in path.read_text().splitlines():
        assert "[redacted]" in json.loads(line)["message"]


def test_what_is_lost_is_known_to_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O6: metrics tell it."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        log(chosen(tmp_path, monkeypatch))
    assert log_destination.dropped() == 2
    chosen(tmp_path, monkeypatch, logger=f"{__name__}.Listener")
    assert log_destination.dropped() == 0


def test_a_worker_writes_to_its_standard_error_and_says_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """H8: and its log holds no key either."""
    config = configured(tmp_path, monkeypatch, "log = json")
    log(log_destination.of_process(config, "stderr", {"worker": "g2w1", "generation": 2}))
    for line in capfd.readouterr().err.splitlines():
        told = json.loads(line)
        assert (told["worker"], told["generation"]) == ("g2w1", 2)
        assert "[redacted]" in told["message"]


def test_a_worker_whose_lines_go_through_its_supervisor_says_how_serious_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """O6: whatever the format, also where there is a journal: the supervisor's log is elsewhere."""
    monkeypatch.setattr("gateway.journal._is_socket", lambda path: True)
    config = configured(tmp_path, monkeypatch, "log = systemd")
    log(log_destination.of_process(config, "pipe", {"worker": "g2w1", "generation": 2}))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("<6>g2w1 the key is [redacted]")


def test_a_daemon_without_a_file_writes_where_twistd_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log(chosen(tmp_path, monkeypatch, nodaemon=False))
    assert "[redacted]" in (tmp_path / "twistd.log").read_text()


@pytest.mark.parametrize(("logfile", "stream"), [(None, "err"), ("-", "out")])
def test_without_a_file_it_is_written_to_a_stream(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    logfile: str | None,
    stream: str,
) -> None:
    log(chosen(tmp_path, monkeypatch, logfile=logfile))
    sys.stdout.flush()
    captured = capfd.readouterr()
    assert getattr(captured, stream).count("[redacted]") == 2
    assert_clean(captured.out + captured.err, "the log")


def test_an_observer_of_somebody_elses_hears_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H8: what it gets are texts, not the objects that they came from."""
    heard.clear()
    log(chosen(tmp_path, monkeypatch, logger=f"{__name__}.Listener"))
    assert len(heard) == 2
    assert_clean(repr(heard), "what the observer heard")


def test_an_observer_that_there_is_not_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"--logger nowhere\.to_be_found cannot"):
        chosen(tmp_path, monkeypatch, logger="nowhere.to_be_found")


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"nodaemon": True}, "stderr"),
        ({"nodaemon": True, "logfile": "-"}, "stdout"),
        ({"nodaemon": True, "logfile": "gateway.log"}, "pipe"),
        ({"nodaemon": True, "syslog": True}, "pipe"),
        ({"nodaemon": True, "logger": "some.function"}, "pipe"),
        ({}, "pipe"),
    ],
)
def test_workers_write_where_the_supervisor_does_if_several_can(
    options: dict[str, object], where: str
) -> None:
    assert log_destination.of_workers(options) == where
