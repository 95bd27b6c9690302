"""What every test gets: a deadline, and a reactor that it must leave as it found it.

pytest-twisted runs all tests in one reactor, so what one leaves behind is another's riddle.  A test
fails that leaves a delayed call, a socket or any other reader or writer in the reactor, or that had
a failure logged (an unhandled error in a Deferred is such a failure) and did not take it back with
the fixture `logged_failures`.  Most tests never touch the reactor; for them this costs a look.

A test whose Deferred or coroutine does not end within 60 seconds is cancelled and fails; the marker
``deadline(seconds)`` gives it another limit.  An ``async def`` test needs no decorator.

Hypothesis does not judge how long an example takes, or examples take to be made: that says how busy
the machine is.
"""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.canaries import assert_clean

#: How long a test may take, in seconds.
DEADLINE = 60.0

#: Sockets close within a few turns of the reactor: how often to look again, and how many seconds
#: apart.
SETTLING_TURNS = 20
SETTLING_TURN = 0.01

_failed = pytest.StashKey[bool]()

settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


@implementer(ILogObserver)
class LoggedFailures:
    """A log observer that keeps what is logged, and which failures, while one test runs."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []
        self._texts: list[str] = []

    def assert_clean(self) -> None:
        """Fail if a planted key was logged."""
        assert_clean("\n".join(self._texts), "what was logged")

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        traceback = "" if failure is None else failure.getTraceback()
        self._texts.append(f"{formatEvent(event)}\n{traceback}")
        if failure is not None:
            self._failures.append(failure)

    def flush(self, *types: type[BaseException]) -> list[Failure]:
        """Take back the failures of these types (without any: all), which were meant to be."""
        gc.collect()  # A Deferred's unhandled error is logged when the Deferred is collected.
        taken = [f for f in self._failures if not types or f.check(*types)]
        self._failures = [f for f in self._failures if f not in taken]
        return taken


@pytest.fixture(autouse=True)
def logged_failures(request: pytest.FixtureRequest) -> Iterator[LoggedFailures]:
    """The failures logged during the test; those that it does not flush make it fail."""
    before = _in_reactor()
    observer = LoggedFailures()
    globalLogPublisher.addObserver(observer)
    try:
        yield observer
        observer.assert_clean()
        # The other fixtures are torn down.  What they held is let go of here and, with a turn, by
        # the reactor, which stands where the test ended.
        request.node.funcargs.clear()
        pytest_twisted.blockon(deferLater(_reactor(), 0))
        left = _leftovers(before)
        logged = observer.flush()
    finally:
        globalLogPublisher.removeObserver(observer)
    gc.freeze()  # What is still there was there before, or is pytest's; never look at it again.
    _remove(left)
    problems = [f"left in the reactor: {thing}" for thing in left]
    problems += [f"logged: {failure.getTraceback()}" for failure in logged]
    if problems and not request.node.stash.get(_failed, False):
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember which test failed: what it left behind then only follows from that."""
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Put a deadline on whatever the test returns, before pytest-twisted runs it."""
    hypothesis = getattr(pyfuncitem.obj, "hypothesis", None)
    if hypothesis is None:
        marker = pyfuncitem.get_closest_marker("deadline")
        pyfuncitem.obj = _limited(pyfuncitem.obj, marker.args[0] if marker else DEADLINE)
        return (yield)
    # pytest-twisted wraps the property and leaves it so; with the next parameters it would wrap
    # it twice, and wait for the reactor inside the reactor.
    inner = hypothesis.inner_test
    try:
        return (yield)
    finally:
        hypothesis.inner_test = inner


def pytest_collection_finish() -> None:
    """Take all that was imported out of the collector's sight: it runs after every test."""
    gc.collect()
    gc.freeze()


def _limited(test: Callable[..., object], seconds: float) -> Callable[..., object]:
    """`test` with a deadline on its coroutine or Deferred, if it returns one."""

    @functools.wraps(test)
    def limited(*args: object, **kwargs: object) -> object:
        result = test(*args, **kwargs)
        if inspect.iscoroutine(result):
            result = Deferred.fromCoroutine(result)
        if isinstance(result, Deferred):
            result.addTimeout(seconds, _reactor())
        return result

    return limited


def _reactor() -> Any:
    """The reactor, imported late: pytest-twisted chooses it."""
    from twisted.internet import reactor

    return reactor


def _in_reactor() -> set[Any]:
    """Everything that waits in the reactor, but for what is its own."""
    reactor = _reactor()
    waiting: set[Any] = {*reactor.getDelayedCalls(), *reactor.getReaders(), *reactor.getWriters()}
    return waiting.difference(reactor._internalReaders)


def _leftovers(before: set[Any]) -> set[Any]:
    """What waits in the reactor now and did not `before`, some turns later if need be."""
    left = _in_reactor() - before
    for _ in range(SETTLING_TURNS):
        if not left:
            break
        pytest_twisted.blockon(deferLater(_reactor(), SETTLING_TURN))
        left = _in_reactor() - before
    return left


def _remove(left: set[Any]) -> None:
    """Free the reactor of what a test left, so that only this test fails."""
    reactor = _reactor()
    for thing in left:
        if hasattr(thing, "cancel"):
            thing.cancel()
        else:
            reactor.removeReader(thing)
            reactor.removeWriter(thing)
