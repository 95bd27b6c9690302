"""The simulated provider behind HTTP.

`demo_site` is what the gateway's service listens with.  Every timer that an answer uses is a link
of one chain, and the chain ends with the answer or with the client's disconnect, whichever comes
first.  An answer is some kilobytes, and never more than some megabytes, so it is written without
regard to how fast it is read.
"""

from __future__ import annotations

import uuid
from http import HTTPStatus
from io import BytesIO
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from .dialect import Asked, Dialect, Json, Refusal
from .endpoints import Endpoints, Found
from .models import MODELS
from .performance import Performance
from .script import script

#: What Anthropic's API answers under too much load; no RFC has it.
_OVERLOADED: Final = 529


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
        self._endpoints = Endpoints()

    def render(self, request: Request) -> int:
        """Answer or refuse; the response is always written later or by hand."""
        path = request.path.decode("latin-1")
        has = request.requestHeaders.hasHeader
        try:
            found = self._endpoints.find(path, has)
        except Refusal as refusal:
            speaker = self._endpoints.speaker(path, has)
            _refuse(request, speaker, refusal, _identify(request, speaker))
            return NOT_DONE_YET
        request_id = _identify(request, found.dialect)
        try:
            self._respond(request, found, request_id)
        except Refusal as refusal:
            _refuse(request, found.dialect, refusal, request_id)
        return NOT_DONE_YET

    def _respond(self, request: Request, found: Found, request_id: str) -> None:
        if request.method != found.method.encode():
            request.setHeader("allow", found.method)
            message = f"This path takes {found.method} only."
            raise Refusal(405, message, code="method_not_supported")
        if found.lists:
            _send_json(request, found.dialect.listing(MODELS.values()))
            return
        answer = found.dialect.answer(_asked(request, found.name))
        told = script(found.dialect, answer, request_id)
        Performance(request, self._clock, told).begin()


def _identify(request: Request, dialect: Dialect) -> str:
    """Give the response an id."""
    request_id = f"req_{uuid.uuid4().hex}"
    if dialect.request_id_header is not None:
        request.setHeader(dialect.request_id_header, request_id)
    return request_id


def _asked(request: Request, name: str) -> Asked:
    assert request.content is not None
    query = request.uri.partition(b"?")[2].decode("latin-1")
    return Asked(
        body=request.content.read(),
        content_type=request.getHeader("content-type") or "",
        name=name,
        query=dict(parse_qsl(query)),
    )


def _refuse(request: Request, dialect: Dialect, refusal: Refusal, request_id: str) -> None:
    request.setResponseCode(refusal.status, _phrase(refusal.status))
    if refusal.retry_after is not None:
        request.setHeader("retry-after", str(refusal.retry_after))
    _send_json(request, dialect.refusal(refusal, request_id))


def _phrase(status: int) -> bytes:
    """A status's reason phrase; Twisted knows none of those that came after RFC 2616."""
    return b"Overloaded" if status == _OVERLOADED else HTTPStatus(status).phrase.encode("ascii")


def _send_json(request: Request, content: Json) -> None:
    body = msgspec.json.encode(content)
    request.setHeader("content-type", "application/json")
    request.setHeader("content-length", str(len(body)))
    request.write(body)
    request.finish()
