"""What the admin listener answers.

It listens by the gateway's own strict channel (`gateway.front`), so that malformed HTTP is handled
in one way everywhere; requests have passed `gateway.admin.door`.  Answers are JSON, but for those
that a prober or Prometheus reads; so are errors, which say what would be right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..front.request import Request
from ..front.site import GatewaySite
from ..ledger import LedgerError
from .door import FIELDS, error_body
from .exposition import CONTENT_TYPE, MetricsMissing, render
from .fleet import Fleet
from .history import BadQuestion, Busy, History

_log = Logger(namespace="gateway.admin")

#: Connections at a time: descriptors for them are set aside (`gateway.descriptors.RESERVE`).
CONNECTIONS: Final = 32
#: Those that were closed for others, and whose clients have not noticed yet.
_CLOSING: Final = 8

_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; charset=utf-8"
_KILL: Final = re.compile(rb"/api/v1/streams/([0-9a-f-]{1,64})/kill")


class AdminSite(GatewaySite):
    """A `GatewaySite` that takes only so many connections; one that only waits makes room."""

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # type: ignore[override]
        """A channel for one connection, or None, which closes it, if there are too many."""
        number = len(self.open_channels)
        if number >= CONNECTIONS:
            if not self.kept_alive or number >= CONNECTIONS + _CLOSING:
                return None
            self.close_kept_alive()
        return super().buildProtocol(addr)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    pairs: tuple[tuple[bytes, bytes], ...] = ()


def _json(value: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode("ascii") + b"\n")


def _error(status: int, message: str, *pairs: tuple[bytes, bytes]) -> Answer:
    return Answer(status, error_body(status, message), pairs=pairs)


Handler = Callable[[Request], Awaitable[Answer]]


class AdminResource(Resource):
    """See the module's text."""

    isLeaf = True

    def __init__(self, fleet: Fleet, history: History) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fleet = fleet
        self._history = history
        self._gets: Mapping[bytes, Handler] = {
            b"/healthz": self._healthz,
            b"/readyz": self._readyz,
            b"/metrics": self._metrics,
            b"/api/v1/status": self._status,
            b"/api/v1/streams": self._streams,
            b"/api/v1/requests": self._requests,
            b"/api/v1/usage": self._usage,
        }
        self._posts: Mapping[bytes, Handler] = {b"/api/v1/drain": self._drain}

    def render(self, request: Request) -> int:
        """Answer, now or later."""
        handled = Deferred.fromCoroutine(self._answered(request))
        handled.addErrback(_failed)
        handled.addCallback(
            lambda answer: request.respond(
                answer.status, answer.body, (*FIELDS, *answer.pairs), answer.content_type
            )
        )
        return NOT_DONE_YET

    async def _answered(self, request: Request) -> Answer:
        path, method = request.head.path, request.head.method
        get, post = self._gets.get(path), self._posts.get(path)
        if post is None and _KILL.fullmatch(path):
            post = self._kill
        if get is None and post is None:
            known = b", ".join((*self._gets, *self._posts)).decode("ascii")
            return _error(404, f"there is nothing here; there are {known}")
        handler = get if method in (b"GET", b"HEAD") else post if method == b"POST" else None
        if handler is None:
            allowed = b"POST" if get is None else b"GET, HEAD"
            right = allowed.decode("ascii")
            return _error(
                405, f"the method is not one for this, ask by {right}", (b"Allow", allowed)
            )
        try:
            return await handler(request)
        except BadQuestion as error:
            return _error(400, str(error))
        except (Busy, LedgerError) as error:
            return _error(503, str(error))

    # For those who look after the process.

    async def _healthz(self, request: Request) -> Answer:
        return Answer(200, b"alive\n", _TEXT)

    async def _readyz(self, request: Request) -> Answer:
        state = self._fleet.status().state
        return Answer(200 if state.ready else 503, state.value.encode("ascii") + b"\n", _TEXT)

    async def _metrics(self, request: Request) -> Answer:
        reports = await self._fleet.report("metrics")
        try:
            return Answer(200, render(reports, self._fleet.status()), CONTENT_TYPE)
        except MetricsMissing as error:
            return _error(501, str(error))

    # For people, and their programs.

    async def _status(self, request: Request) -> Answer:
        return _json(self._fleet.status().as_json())

    async def _streams(self, request: Request) -> Answer:
        reports = await self._fleet.report("streams")
        rows = [
            {**row, "worker": report["worker"], "generation": report["generation"]}
            for report in reports
            for row in report["streams"]
        ]
        rows.sort(key=lambda row: -row["age_seconds"])
        # A worker of an older generation may be of an older version, which lists all of its own.
        number = sum(report.get("open", len(report["streams"])) for report in reports)
        return _json({"streams": rows, "open": number})

    async def _requests(self, request: Request) -> Answer:
        return _json(await self._history.requests(_query(request)))

    async def _usage(self, request: Request) -> Answer:
        return _json(await self._history.usage(_query(request)))

    async def _drain(self, request: Request) -> Answer:
        _log.info("asked over the admin listener to stop gracefully")
        self._fleet.drain()
        return _json({"draining": True}, 202)

    async def _kill(self, request: Request) -> Answer:
        match = _KILL.fullmatch(request.head.path)
        assert match is not None
        stream_id = match[1].decode("ascii")
        _log.info("asked over the admin listener to end the request {id}", id=stream_id)
        if await self._fleet.kill(stream_id):
            return _json({"killed": stream_id})
        return _error(404, f"no request {stream_id} runs; /api/v1/streams lists those that do")


def _query(request: Request) -> bytes:
    return request.head.target.partition(b"?")[2]


def _failed(failure: Failure) -> Answer:
    _log.failure("an error in the admin listener itself", failure)
    return _error(500, "an error in the gateway itself; its log says more")
