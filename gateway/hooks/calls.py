"""Calls hooks, and keeps what they do wrong away from everything else.

Invariants
- Whatever a hook raises or returns, the caller gets an answer that it can go on with; what went
  wrong is counted, and logged with the row's id, now and then for each hook and kind (`lines`).
- A wait for a hook is bounded in time and in number, and ends when it is given up, whether or not
  the hook's Deferred takes its cancelling.
- Nothing here is reached without a hook module.

Who calls it: `gateway.exchange.hooked` for a request's hooks; the completion chain and the service
for `settled`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..record import Record
from .heads import RequestHead, ResponseHead
from .lines import Lines
from .loader import NAMES, WAITED_FOR, HookModule

#: Seconds that a request waits for the hook `request`.
REQUEST_LIMIT: Final = 5.0
#: Seconds that the hook `settled` has for a row, and how many rows it may be at work on.
SETTLED_LIMIT: Final = 30.0
MOST_SETTLED: Final = 1000
#: Seconds that a stop waits for the hook `settled`.
STOP_LIMIT: Final = 10.0
#: Seconds of a call from which on it is told that every stream stood still.
SLOW: Final = 0.1

_log = Logger(namespace="gateway.hooks")


class Waiting:
    """A wait for a hook's Deferred: one of `ended` and `expired` is called, or it is given up."""

    def __init__(
        self,
        deferred: Deferred[Any],
        limit: float,
        clock: IReactorTime,
        ended: Callable[[object], None],
        expired: Callable[[], None],
    ) -> None:
        """`ended` gets the result or the `Failure`, now if it is there; `limit` is in seconds."""
        self._deferred = deferred
        self._ended = ended
        self._expired = expired
        self._timer: IDelayedCall | None = None
        self.over = False
        deferred.addBoth(self._came)
        if not self.over:
            self._timer = clock.callLater(limit, self._expire)

    def give_up(self) -> None:
        """Wait no longer; the hook's Deferred is cancelled.  May be called more than once."""
        if self.over:
            return
        self._finish()
        try:
            self._deferred.cancel()
        except Exception:
            _log.failure("a hook's Deferred could not be cancelled")

    def _came(self, result: object) -> None:
        if not self.over:  # else nobody waits any more, and what it says of that was told
            self._finish()
            self._ended(result)

    def _expire(self) -> None:
        self._timer = None
        self.give_up()
        self._expired()

    def _finish(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Hooks:
    """The hooks of a process; made once, at start."""

    def __init__(
        self,
        module: HookModule,
        clock: IReactorTime,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`stopwatch` tells seconds, for how long calls take."""
        self.module = module
        #: Calls that went wrong, and calls that took long, by the hook's name.
        self.failures = dict.fromkeys(NAMES, 0)
        self.slow = dict.fromkeys(NAMES, 0)
        #: Whether there are hooks that see a request before it is settled.
        self.sees_requests = bool(module.request or module.response or module.event)
        self._clock = clock
        self._stopwatch = stopwatch
        #: The waits for `settled`, each with the row's id and what fires at its end.
        self._settling: dict[Waiting, tuple[str, Deferred[None]]] = {}
        self._hurried: Deferred[None] = Deferred()
        self._lines = Lines(clock)

    # The four of them.

    def request(self, head: RequestHead, then: Callable[[], None]) -> Waiting | None:
        """Call the hook, and `then` when it has ended: now, or when the wait that is returned is.

        `then` is not called when the wait is given up.
        """
        assert self.module.request is not None

        def ended(result: object) -> None:
            self._take("request", result, head.id)
            then()

        def expired() -> None:
            what = f"did not end within {REQUEST_LIMIT:g} s, the request went on without it"
            self._wrong("request", "late", what, head.id)
            then()

        result = self.call("request", self.module.request, head, head.id)
        if not isinstance(result, Deferred):
            ended(result)
            return None
        return Waiting(result, REQUEST_LIMIT, self._clock, ended, expired)

    def settled(self, record: Record) -> None:
        """Show a row to the hook: a link of the completion chain, which never waits for it."""
        if self.module.settled is None:
            return
        id = record.intent.id
        if len(self._settling) >= MOST_SETTLED:
            what = f"is at work on {MOST_SETTLED} rows, one was not shown to it"
            self._wrong("settled", "busy", what, id)
            return
        row = {
            name: str(value) if isinstance(value, str) else value
            for name, value in record.as_row().items()
        }
        result = self.call("settled", self.module.settled, row, id)
        if not isinstance(result, Deferred):
            self._take("settled", result, id)
            return
        done: Deferred[None] = Deferred()

        def ended(result: object) -> None:
            self._take("settled", result, id)
            done.callback(None)

        def expired() -> None:
            what = f"did not end within {SETTLED_LIMIT:g} s and was cancelled"
            self._wrong("settled", "late", what, id)
            done.callback(None)

        waiting = Waiting(result, SETTLED_LIMIT, self._clock, ended, expired)
        if not waiting.over:
            self._settling[waiting] = id, done
            done.addCallback(lambda _: self._forget(waiting))

    def _forget(self, waiting: Waiting) -> None:
        self._settling.pop(waiting, None)

    def call(self, name: str, hook: Callable[[Any], object], argument: object, id: str) -> object:
        """What the hook returns, a coroutine as a Deferred; None if it raises.  `id`: the row's."""
        began = self._stopwatch()
        try:
            result = hook(argument)
            if name in WAITED_FOR and inspect.iscoroutine(result):
                result = Deferred.fromCoroutine(result)
        except BaseException as error:  # sys.exit() in a hook ends no stream, either
            kind = f"raised {type(error).__name__}"
            self._wrong(name, kind, "raised an exception", id, Failure)
            result = None
        took = self._stopwatch() - began
        if took >= SLOW:
            self.slow[name] += 1
            what = f"took {took:.1f} s, and every stream stood still"
            self._lines.tell(name, "slow", what, id, wrong=False)
        return result

    def watch(self, id: str, block: bytes) -> None:
        """Show events of the request `id` to the hook `event`."""
        assert self.module.event is not None
        result = self.call("event", self.module.event, block, id)
        if result is not None:
            self._take("event", result, id)

    def response(self, head: ResponseHead) -> None:
        """Show a response's head to the hook."""
        assert self.module.response is not None
        id = head.request.id
        self._take("response", self.call("response", self.module.response, head, id), id)

    # The end.

    async def stop(self) -> None:
        """Wait for the hook `settled`, up to `STOP_LIMIT` seconds; then cancel what is left, and
        tell what the log left out.
        """
        if self._settling:
            await self._last_rows()
        self._lines.finish()

    async def _last_rows(self) -> None:
        left = [*self._settling]
        _log.info("waiting for the hook settled, on {count} rows", count=len(left))
        everything: Deferred[Any] = DeferredList([done for _, done in self._settling.values()])
        timer = self._clock.callLater(STOP_LIMIT, self.hurry)
        await DeferredList([everything, self._hurried], fireOnOneCallback=True)
        if timer.active():
            timer.cancel()
        for waiting in left:
            if not waiting.over:
                waiting.give_up()
                id, _ = self._settling.pop(waiting)
                self._wrong("settled", "last", "did not end before the gateway did", id)

    def hurry(self) -> None:
        """Let a stop, now or later, wait no longer.  May be called more than once."""
        if not self._hurried.called:
            self._hurried.callback(None)

    # What goes wrong.

    def _take(self, name: str, result: object, id: str) -> None:
        """What a hook came to in the end: None, or a mistake."""
        if isinstance(result, Failure):
            self._failed(name, result, id)
        elif result is not None:
            if isinstance(result, Deferred):
                result.addErrback(lambda failure: self._failed(name, failure, id))
            elif inspect.iscoroutine(result):
                result.close()
            right = "None or a Deferred of None" if name in WAITED_FOR else "None"
            returned = f"returned something of the type {type(result).__name__}"
            self._wrong(name, returned, f"{returned}, which means nothing; it returns {right}", id)

    def _failed(self, name: str, failure: Failure, id: str) -> None:
        self._wrong(name, f"failed {type(failure.value).__name__}", "failed", id, lambda: failure)

    def _wrong(
        self,
        name: str,
        kind: str,
        what: str,
        id: str,
        failure: Callable[[], Failure] | None = None,
    ) -> None:
        """Count a mistake, and tell."""
        self.failures[name] += 1
        self._lines.tell(name, kind, what, id, failure)
