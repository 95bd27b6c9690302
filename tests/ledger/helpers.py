"""What tests of the ledger make and look at: intents, records, and the file as others see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock

from gateway.record import COLUMNS, Intent, Outcome, Phase, Record, Usage, UsageSource, new_id

#: The moment at which these requests begin, in seconds since the epoch.
BEGAN = 1_790_000_000.0

_INTENT = Intent(
    id="",
    started_at=BEGAN,
    instance="test",
    route="chat",
    upstream="openai",
    dialect="openai_chat",
    method="POST",
    path="/v1/chat/completions",
    model_requested="gpt-small",
    stream=True,
    tenant="alice",
    session=None,
    client="127.0.0.1",
    user_agent="curl/8.0",
    request_bytes=321,
)


def an_intent(**changes: Any) -> Intent:
    """An intent with an id of its own."""
    return replace(_INTENT, **{"id": new_id(), **changes})


def a_record(intent: Intent | None = None, **changes: Any) -> Record:
    """How a stream that went well is settled."""
    finished = Record(
        intent or an_intent(),
        ended_at=BEGAN + 2.5,
        outcome=Outcome.FINISHED,
        phase=Phase.DONE,
        status_upstream=200,
        status_sent=200,
        model_served="gpt-small-2026",
        duration_ms=2500.0,
        usage=Usage(input_tokens=10, output_tokens=0),
        usage_source=UsageSource.PROVIDER,
    )
    return replace(finished, **changes)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the file in the order of their coming, as another process sees them now."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [
            dict(row)
            for row in db.execute(f"SELECT {', '.join(COLUMNS)} FROM requests ORDER BY rowid")
        ]


def only_row(path: Path) -> dict[str, Any]:
    """The one row of the file."""
    (row,) = rows(path)
    return row


class ThreadedClock(Clock):
    """A clock that only the test moves; calls from threads come in through the real reactor."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        super().__init__()
        self._real = reactor

    def callFromThread(  # noqa: N802
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        self._real.callFromThread(callable, *args, **kwargs)
