"""Where a worker logs to, and what it tells there."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest
from twisted.logger import ILogObserver, globalLogPublisher

from gateway import journal, log_destination
from gateway.config import parse
from gateway.journal import Kind, log_record
from tests.journal.fakes import FINISHED, Journal

CONFIG = "[gateway]\nlog = {}\n[upstream a]\nurl = https://a.test\ndialect = openai\n"


def observer_of(
    monkeypatch: pytest.MonkeyPatch, log: str, destination: str, path: Path
) -> ILogObserver:
    """What a worker would log to; `path` is where the journal would listen."""
    defaults = journal.observer.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "journal", str(path))
    config = parse("gateway.ini", CONFIG.format(log).encode())
    labels: dict[str, str | int] = {"worker": "g3w1", "generation": 3}
    return log_destination.of_process(config, destination, labels)


def settle(observer: ILogObserver) -> None:
    """A request ends."""
    globalLogPublisher.addObserver(observer)
    try:
        log_record(FINISHED)
    finally:
        globalLogPublisher.removeObserver(observer)


@pytest.mark.parametrize("log", ["auto", "systemd", "text", "json"])
def test_what_goes_to_the_supervisor_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: str
) -> None:
    """O6, O7: the log is where twistd was told, also on a machine that has a journal."""
    pipe = StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    systemd = Journal(tmp_path / "socket")
    settle(observer_of(monkeypatch, log, "pipe", tmp_path / "socket"))
    assert pipe.getvalue().startswith("<6>g3w1 finished 200 POST /v1/chat/completions ")
    assert systemd.entries() == []
    systemd.close()


def test_the_journal_knows_a_workers_requests_by_all_columns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """O6: and which worker it was."""
    systemd = Journal(tmp_path / "socket")
    settle(observer_of(monkeypatch, "systemd", "stderr", tmp_path / "socket"))
    (found,) = systemd.entries()
    systemd.close()
    assert found["MESSAGE"].startswith("finished 200 ")
    assert (found["GATEWAY_WORKER"], found["GATEWAY_GENERATION"]) == ("g3w1", "3")
    assert (found["GATEWAY_ID"], found["GATEWAY_OUTCOME"]) == ("id-1", "finished")
    assert found["MESSAGE_ID"] == Kind.REQUEST.value


def test_a_workers_json_has_all_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """O6: and which worker it was."""
    stdout = StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    settle(observer_of(monkeypatch, "json", "stdout", tmp_path / "socket"))
    told = json.loads(stdout.getvalue())
    assert told["message"].startswith("finished 200 ")
    assert (told["worker"], told["generation"]) == ("g3w1", 3)
    assert (told["id"], told["kind"]) == ("id-1", "request")
