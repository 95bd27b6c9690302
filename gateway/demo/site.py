"""The simulated provider behind HTTP: which path speaks which dialect, and the pacing of answers.

`demo_site` is what the gateway's service listens with.  Every timer that an answer uses is a link
of one chain, and the chain ends with the answer or with the client's disconnect, whichever comes
first.  An answer is some kilobytes, so it is written without regard to how fast it is read.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from io import BytesIO
from typing import cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from .anthropic import Anthropic
from .dialect import Dialect, Json, Refusal
from .models import MODELS, Prompt, Step, answer, body_timeline, stream_timeline
from .openai import OpenAI

_OPENAI = OpenAI()
_ANTHROPIC = Anthropic()

#: Which dialect is spoken where; the list of models is told in either.
ENDPOINTS: dict[bytes, Dialect] = {
    b"/v1/chat/completions": _OPENAI,
    b"/v1/messages": _ANTHROPIC,
}
_MODELS_PATH = b"/v1/models"


def demo_site(reactor: IReactorTime) -> Site:
    """A site that answers as a provider does, paced by `reactor`."""
    root = _Provider(reactor)
    return _DemoSite(  # type: ignore[no-untyped-call]
        root, reactor=reactor, parsePOSTFormSubmission=False
    )


class _DemoSite(Site):
    """A site that keeps prompts out of temporary files and its requests out of the log.

    The gateway that stands before it already tells of each request.
    """

    noisy = False  # nor that it starts and stops

    def getContentFile(self, length: int | None) -> BytesIO:
        """Where a request's body is kept: in memory, however long it is."""
        return BytesIO()

    def log(self, request: HTTPRequest) -> None:
        """Nothing."""


class _Provider(Resource):
    """All paths of the provider."""

    isLeaf = True

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock

    def render(self, request: Request) -> int:
        """Answer or refuse; the response is always written later or by hand."""
        dialect = _dialect_of(request)
        request_id = f"req_{uuid.uuid4().hex}"
        request.setHeader(dialect.request_id_header, request_id)
        try:
            self._respond(request, dialect)
        except Refusal as refusal:
            request.setResponseCode(refusal.status)
            _send_json(request, dialect.refusal(refusal, request_id))
        return NOT_DONE_YET

    def _respond(self, request: Request, dialect: Dialect) -> None:
        if request.path == _MODELS_PATH:
            _require_method(request, b"GET")
            _send_json(request, dialect.listing(MODELS.values()))
        elif request.path in ENDPOINTS:
            _require_method(request, b"POST")
            assert request.content is not None
            self._answer(request, dialect, dialect.read(request.content.read()))
        else:
            known = ", ".join(path.decode() for path in (*ENDPOINTS, _MODELS_PATH))
            raise Refusal(404, f"The simulated provider has no such path; it has {known}.")

    def _answer(self, request: Request, dialect: Dialect, prompt: Prompt) -> None:
        model = MODELS.get(prompt.model)
        if model is None:
            raise Refusal(
                404,
                f"The simulated provider has no model of that name; it has {', '.join(MODELS)}.",
                param="model",
                code="model_not_found",
            )
        said = answer(prompt, uuid.uuid4().hex, int(time.time()))
        if prompt.stream:
            request.setHeader("content-type", "text/event-stream; charset=utf-8")
            request.setHeader("cache-control", "no-cache")
            steps = stream_timeline(model, dialect.parts(said))
        else:
            body = msgspec.json.encode(dialect.whole(said))
            request.setHeader("content-type", "application/json")
            request.setHeader("content-length", str(len(body)))
            steps = body_timeline(model, len(said.tokens), body)
        _Performance(request, self._clock, steps).begin()


class _Performance:
    """One answer being given: one step after the other, each a delayed call made by the one before.

    Invariant: a delayed call is pending from `begin` until the answer is over, and never after.
    """

    def __init__(self, request: Request, clock: IReactorTime, steps: Iterator[Step]) -> None:
        self._request = request
        self._clock = clock
        self._steps = steps
        self._pending: IDelayedCall | None = None

    def begin(self) -> None:
        """Wait for the first step, and for the client's leaving."""
        over: Deferred[None] = self._request.notifyFinish()
        over.addErrback(self._client_gone)
        self._next()

    def _next(self) -> None:
        step = next(self._steps, None)
        if step is None:
            self._pending = None
            self._request.finish()
        else:
            self._pending = self._clock.callLater(step.after, self._perform, step)

    def _perform(self, step: Step) -> None:
        if step.say is None:
            self._pending = None
            cast(ITCPTransport, self._request.channel.transport).abortConnection()
        else:
            self._request.write(step.say)
            self._next()

    def _client_gone(self, reason: object) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None


def _dialect_of(request: Request) -> Dialect:
    """The path's dialect; on any other path Anthropic's for a request that names its version."""
    by_header = _ANTHROPIC if request.requestHeaders.hasHeader("anthropic-version") else _OPENAI
    return ENDPOINTS.get(request.path, by_header)


def _require_method(request: Request, method: bytes) -> None:
    if request.method != method:
        request.setHeader("allow", method)
        raise Refusal(405, f"This path takes {method.decode()} only.", code="method_not_supported")


def _send_json(request: Request, content: Json) -> None:
    body = msgspec.json.encode(content)
    request.setHeader("content-type", "application/json")
    request.setHeader("content-length", str(len(body)))
    request.write(body)
    request.finish()
