"""What is made of py-spy: how it is started, ended and read, and what its errors become."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.processes import BenchError
from bench.sampling import recording
from bench.stacks import Function
from bench.watching import Watch
from bench.works import WORKS

#: What stands in for py-spy: it takes the same options, and writes a stack when it is interrupted.
SPY = """\
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("pid", os.getpid())
print("py-spy> Sampling process 200 times a second. Press Control-C to exit.", flush=True)
signal.sigwait([signal.SIGINT])
output = sys.argv[sys.argv.index("--output") + 1]
pid = sys.argv[sys.argv.index("--pid") + 1]
open(output, "w").write(f"thread ({pid}): MainThread;run (app.py:1) 7\\n")
print("py-spy> 1.25s behind in sampling, results may be inaccurate.")
print(f"py-spy> Wrote raw flamegraph data to '{output}'. Samples: 7 Errors: 2")
"""
REFUSED = """\
import sys
sys.exit("Permission Denied: Try running again with elevated permissions")
"""
BROKEN = """\
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("py-spy> Sampling process", flush=True)
signal.sigwait([signal.SIGINT])
print("Error: no space left")
"""


def spy(source: str) -> list[str]:
    """The command of a stand-in for py-spy."""
    return [sys.executable, "-c", source]


CORE = min(os.sched_getaffinity(0))


def test_what_was_seen_is_there_once_the_recording_is_over(tmp_path: Path) -> None:
    with recording(spy(SPY), 123, core=CORE, folder=tmp_path) as found:
        assert found.stacks.total() == 0

    assert found.stacks == {(Function("run", "app.py"),): 7}
    assert (found.errors, found.behind) == (2, 1.25)


def test_the_last_pass_with_nobody_looking_is_the_account_and_those_after_it_are_looked_at(
    tmp_path: Path,
) -> None:
    watch = Watch(spy(SPY), CORE, tmp_path, unwatched=2)
    samples = []

    for _ in range(4):
        with watch(os.getpid()):
            pass
        samples.append(watch.samples)
    profile = watch.profile(WORKS["U"])

    assert samples == [0, 0, 7, 14]
    assert (profile.passes, profile.samples, profile.errors, profile.behind) == (2, 14, 4, 1.25)
    assert profile.alone is watch.accounts[1]
    assert profile.watched == watch.accounts[2] + watch.accounts[3]


def test_a_gateway_that_has_ended_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match="the gateway has ended"),
        Watch(spy(SPY), CORE, tmp_path, unwatched=1)(2**22 + 1),
    ):
        pytest.fail("it was not noticed")


def test_a_profiler_that_may_not_trace_is_an_error_that_says_what_is_needed(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(BenchError, match=r"Permission Denied.*ptrace_scope"),
        recording(spy(REFUSED), 123, core=CORE, folder=tmp_path),
    ):
        pytest.fail("it was not refused")


def test_a_profiler_that_writes_nothing_is_an_error_that_tells_what_it_said(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(BenchError, match="no space left"),
        recording(spy(BROKEN), 123, core=CORE, folder=tmp_path),
    ):
        pass


def test_a_profiler_is_ended_when_what_it_looks_at_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match="it failed"),
        recording(spy(SPY), 123, core=CORE, folder=tmp_path),
    ):
        raise BenchError("it failed")

    pid = int((tmp_path / "py-spy.log").read_text().split()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
