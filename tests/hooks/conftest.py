"""What is logged about hooks, while a test runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from gateway.journal.kinds import Kind
from tests.conftest import LoggedFailures


@implementer(ILogObserver)
class HookLog:
    """The lines about hooks."""

    def __init__(self, failures: LoggedFailures) -> None:
        self.lines: list[str] = []
        self.ids: list[str] = []  #: of the rows that they name
        self._failures = failures

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "gateway.hooks":
            self.lines.append(event.get("text", formatEvent(event)))
            if "id" in event:
                assert formatEvent(event).startswith(f"request {event['id']}: ")
                self.ids.append(event["id"])
            if "log_failure" in event:
                assert event["kind"] is Kind.HOOK_FAILED

    def take_raised(self, *types: type[BaseException]) -> int:
        """Take back the exceptions that were meant to be logged; how many there were."""
        return len(self._failures.flush(*types))


@pytest.fixture
def hook_log(logged_failures: LoggedFailures) -> Iterator[HookLog]:
    """See `HookLog`."""
    log = HookLog(logged_failures)
    globalLogPublisher.addObserver(log)
    yield log
    globalLogPublisher.removeObserver(log)
