"""What signals do to a process that serves alone: each one after the first hurries its end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], object]


def install(reactor: Any, hurry: Callable[[], object]) -> None:
    """Take SIGTERM and SIGINT over from the reactor, which runs: the first goes on to it.

    `hurry` is called in the reactor for each that follows.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        # Nothing to reload in one process, and no reason to die of a closed terminal.
        signal.signal(signal.SIGHUP, lambda *_: None)
    signalled = False

    def handler_after(first: Handler) -> Handler:
        def handler(number: int, frame: FrameType | None) -> None:
            nonlocal signalled
            if not signalled:
                signalled = True
                first(number, frame)
            else:
                reactor.callFromThread(hurry)

        return handler

    for number in (signal.SIGTERM, signal.SIGINT):
        first = signal.getsignal(number)
        if callable(first):
            signal.signal(number, handler_after(first))
