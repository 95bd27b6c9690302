"""A script being performed on a connection: its steps in their time, and its end."""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.web.server import Request

from .models import End
from .script import Script, Step

#: Stands where the size of a chunk has to stand (RFC 9112, section 7.1).
_NO_CHUNK: Final = b"this is no chunk\r\n"


class Performance:
    """One answer being given: one step after the other, each a delayed call made by the one before.

    Invariant: a delayed call is pending from `begin` until the last step, and never after it or
    after the client has left.
    """

    def __init__(self, request: Request, clock: IReactorTime, script: Script) -> None:
        self._request = request
        self._clock = clock
        self._script = script
        self._pending: IDelayedCall | None = None

    def begin(self) -> None:
        """Set the head down, and wait for the first step and for the client's leaving."""
        request = self._request
        request.setResponseCode(self._script.status)
        for name, value in self._script.fields.items():
            request.setHeader(name, value)
        over: Deferred[None] = request.notifyFinish()
        over.addErrback(self._client_gone)
        self._next()

    def _next(self) -> None:
        step = next(self._script.steps, None)
        if step is None:
            self._pending = None
            self._end()
        else:
            self._pending = self._clock.callLater(step.after, self._perform, step)

    def _perform(self, step: Step) -> None:
        self._request.write(step.say)  # the first one sends the head, even if it says nothing
        self._next()

    def _end(self) -> None:
        end, channel = self._script.end, self._request.channel
        transport = cast(ITCPTransport, channel.transport)
        if end in (End.FINISH, End.FAIL):
            self._request.finish()
        elif end is End.RESET:
            transport.abortConnection()
        elif end is not End.HOLD:
            if end is End.GARBLE:
                channel.write(_NO_CHUNK)
            transport.loseConnection()

    def _client_gone(self, reason: object) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
