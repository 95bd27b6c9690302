"""The checks of `conftest` themselves: a test that leaves something behind has to fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: Tests that must fail or pass, and what a failing one must be told.
TESTS = {
    "leaves_a_delayed_call": ("reactor.callLater(60, print)", "left in the reactor"),
    "leaves_a_port": ("reactor.listenTCP(0, Factory())", "left in the reactor"),
    "logs_a_failure": ("Logger().failure('', Failure(KeyError('lost')))", "KeyError: 'lost'"),
    "drops_a_failed_deferred": ("fail(KeyError('dropped'))", "KeyError: 'dropped'"),
    "leaves_it_in_a_fixture": ("held.append(fail(KeyError('held')))", "KeyError: 'held'"),
    "never_ends": ("return Deferred()", "TimeoutError"),
    "cancels_its_call": ("reactor.callLater(60, print).cancel()", None),
    "flushes_its_failure": ("fail(KeyError()); assert logged_failures.flush(KeyError)", None),
    "does_nothing": ("pass", None),
}

HEAD = """
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

@pytest.fixture
def held():
    return []

@pytest.mark.parametrize("parameter", [1, 2])
@given(example=integers())
@settings(max_examples=3, database=None)
def test_property_of(parameter, example):
    assert isinstance(parameter + example, int)

async def test_coroutine_is_run_without_a_decorator():
    await fail(KeyError('awaited'))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the tests above, under a copy of this folder's conftest."""
    folder = tmp_path_factory.mktemp("leaky")
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = deadline(seconds): limit\n")
    tests = [
        f"@pytest.mark.deadline(0.05)\ndef test_{name}(logged_failures, held):\n    {body}\n"
        for name, (body, _) in TESTS.items()
    ]
    (folder / "test_leaky.py").write_text("\n".join([HEAD, *tests]))
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "--color=no", "."]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("name", [name for name, (_, told) in TESTS.items() if told])
def test_a_test_that_leaves_something_behind_fails(name: str, report: str) -> None:
    told = TESTS[name][1]
    assert told is not None
    lines = [line for line in report.splitlines() if f"test_leaky.py::test_{name}" in line]
    assert [line for line in lines if line.startswith(("ERROR", "FAILED"))]
    assert told in report


@pytest.mark.parametrize("name", [name for name, (_, told) in TESTS.items() if not told])
def test_a_test_that_tidies_up_passes(name: str, report: str) -> None:
    lines = [line for line in report.splitlines() if f"test_leaky.py::test_{name}" in line]
    assert [line.split()[0] for line in lines] == ["PASSED"]


def test_a_coroutine_needs_no_decorator_to_be_run(report: str) -> None:
    assert "FAILED test_leaky.py::test_coroutine_is_run_without_a_decorator" in report


def test_a_property_can_have_parameters(report: str) -> None:
    lines = [line for line in report.splitlines() if "test_leaky.py::test_property_of[" in line]
    assert [line.split()[0] for line in lines] == ["PASSED", "PASSED"]
