"""What is handed from process to process: plans, problems, assignments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.config import load
from gateway.supervisor import plan as plans
from gateway.supervisor.assignment import Assignment, AssignmentError
from gateway.supervisor.plan import Plan, PlanError

TEXT = """\
[gateway]
listen =
    tcp:8080:interface=127.0.0.1
    unix:/run/gateway.sock
state_dir = {folder}/state
workers = 3
drain_timeout = 30s
# In Greek: λόγος

[upstream vllm]
url = http://127.0.0.1:9
dialect = openai
api_key = env:VLLM_KEY
"""
SECRET = "sk-not-in-any-plan-0123456789"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good file."""
    monkeypatch.setenv("VLLM_KEY", SECRET)
    path = tmp_path / "gateway.ini"
    path.write_text(TEXT.format(folder=tmp_path), encoding="utf-8")
    return path


def test_a_plan_is_the_same_after_its_way_between_processes(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O3: with the text that was judged, and without secrets."""
    assert plans.main([str(file), "the file"]) == 0
    written = capsys.readouterr().out
    found = Plan.from_json(written)
    text = file.read_text(encoding="utf-8")
    assert asdict(found) == asdict(Plan.of(load(file), text)) | {"source": "the file"}
    assert (found.text, found.workers, found.drain_timeout) == (text, 3, 30.0)
    assert found.listen == ("tcp:8080:interface=127.0.0.1", "unix:/run/gateway.sock")
    assert SECRET not in written


def test_every_problem_comes_with_its_place(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """O1: as the operator called the file."""
    text = file.read_text().replace("workers = 3", "workers = x\nwokers = 1")
    file.write_text(text)
    assert plans.main([str(file), "gateway.ini"]) == 1
    with pytest.raises(PlanError) as raised:
        Plan.from_json(capsys.readouterr().out)
    one, two = raised.value.problems
    assert one.startswith("gateway.ini:6: [gateway] workers: ")
    assert two.startswith("gateway.ini:7: [gateway] wokers: ")


def test_a_file_without_workers_is_no_plan(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """O1: a supervisor cannot become one process."""
    file.write_text(file.read_text().replace("workers = 3", "workers = 0"))
    assert plans.main([str(file), "gateway.ini"]) == 1
    with pytest.raises(PlanError, match="workers = 0 would mean one process"):
        Plan.from_json(capsys.readouterr().out)


def test_a_hook_module_that_cannot_be_loaded_is_a_problem_of_the_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: before a worker is started with it; what it prints does no harm."""
    hooks = file.with_name("hooks.py")
    file.write_text(f"{file.read_text()}\n[hooks]\nmodule = {hooks}\n")
    hooks.write_text('print("hello")\nraise RuntimeError("boom")\n')
    assert plans.main([str(file), "gateway.ini"]) == 1
    with pytest.raises(PlanError, match=r"hooks\.py:2: RuntimeError: boom"):
        Plan.from_json(capsys.readouterr().out)
    hooks.write_text('print("hello")\ndef settled(row): pass\n')
    assert plans.main([str(file), "gateway.ini"]) == 0
    assert Plan.from_json(capsys.readouterr().out).source == "gateway.ini"


def test_a_check_that_never_ends_is_over_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    """O1: one that reads a pipe which nobody writes to, here."""
    pipe = tmp_path / "gateway.ini"
    os.mkfifo(pipe)
    lines = "from gateway.supervisor import plan; plan.LIFETIME = 1; plan.run([{0!r}, {0!r}])"
    ended = subprocess.run([sys.executable, "-c", lines.format(str(pipe))], timeout=60)
    assert ended.returncode == -signal.SIGALRM


@pytest.mark.parametrize(
    "said", ["Traceback", json.dumps({"version": 2, "plan": {}}), json.dumps({"version": 1})]
)
def test_what_is_no_plan_is_refused(said: str) -> None:
    """O1: an installed gateway that is too different, or one that broke."""
    with pytest.raises(PlanError):
        Plan.from_json(said)


def test_an_assignment_is_read_as_it_was_written_by_any_number_of_workers() -> None:
    """O3: they share one file, and nobody's reading moves another's."""
    written = Assignment("gateway.ini", "[gateway]\n# λόγος\n" * 5000, 2, ("tcp:1",), "pipe")
    descriptor = written.to_file()
    try:
        assert not os.get_inheritable(descriptor)
        assert [Assignment.from_file(descriptor) for _ in range(2)] == [written] * 2
    finally:
        os.close(descriptor)


def test_an_assignment_of_another_version_is_refused() -> None:
    """O3: after an upgrade that the running supervisor does not fit."""
    descriptor = os.memfd_create("test")
    try:
        os.write(descriptor, json.dumps({"version": 99, "assignment": {}}).encode())
        with pytest.raises(AssignmentError, match="restart it"):
            Assignment.from_file(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("said", [b"null", b"[]", b"1", b"hello\n{}"])
def test_whatever_a_check_says_that_is_no_answer_is_a_problem(said: bytes) -> None:
    """O3, O7: with any other error the check would never be over, and no reload begin again."""
    with pytest.raises(PlanError, match="gave no answer"):
        Plan.from_json(said)
