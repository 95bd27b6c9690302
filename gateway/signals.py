"""What signals do to a process that serves alone: each one after the first hurries its end.

And what SIGHUP does to either kind of process while it starts: nothing is lost, and nobody dies of
it.  The plugin calls `hold_hangups` before anything of the gateway is imported.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], object]


class HeldHangups:
    """A handler of SIGHUP that only remembers.

    A function, not SIG_IGN: no process that is started meanwhile would get rid of that.
    """

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """One came."""
        self.came = True


def hold_hangups() -> None:
    """Have SIGHUP end this process no more; one that is ignored (nohup) stays so."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, HeldHangups())


def take_hangups(handler: Handler) -> bool:
    """Have `handler` get each SIGHUP from now on; returns whether one came while they were held."""
    before = signal.signal(signal.SIGHUP, handler)
    return isinstance(before, HeldHangups) and before.came


def install(reactor: Any, hurry: Callable[[], object]) -> None:
    """Take SIGTERM and SIGINT over from the reactor, which runs: the first goes on to it.

    `hurry` is called in the reactor for each that follows.
    """
    # Nothing to reload in one process, and no reason to die of a closed terminal.
    hold_hangups()
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
