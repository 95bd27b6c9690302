"""The Resource that every request to the gateway is rendered by: route, look, open an exchange.

It is also the listener's door: at a request's head, before a byte of its body is read, it says how
much of it may come, or refuses.  Refusals of routed requests get a row of their own; what was not
HTTP, or has no route, is only logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from .coding import CodingError, TooLarge, UnknownCoding, decoded
from .config.model import Route
from .dialects import error_dialect_for_path, for_request
from .dialects.base import BadRequest, Dialect, Peek, Trouble
from .exchange.completion import completion_chain
from .exchange.exchange import Exchange
from .exchange.farewell import RETRY_AFTER
from .exchange.services import Services
from .front.request import Request
from .front.verdict import Admission, Refusal
from .http1 import Framing, FramingKind
from .record import ErrorCode, Intent, Outcome, Phase, Record, new_id
from .routing import Router, upstream_path
from .tenant import tenant_of
from .upstream.pool import Pool

_log = Logger(namespace="gateway.proxy")

#: What the refusals that are the gateway's own decision are called in the ledger.
_REFUSAL_CODES = {413: ErrorCode.BODY_TOO_LARGE, 503: ErrorCode.OVERLOADED}
#: Methods that mean something else to a proxy (RFC 9110, 9.3.6 and 9.3.8).
_REFUSED_METHODS = frozenset((b"CONNECT", b"TRACE"))
#: Media types under which JSON comes; the last two are what clients say that say nothing.
_INSPECTED = frozenset(
    (b"application/json", b"", b"text/plain", b"application/x-www-form-urlencoded")
)
_SESSION_FIELD = b"x-claude-code-session-id"


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request goes, found at its head."""

    route: Route
    dialect: Dialect
    target: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """What this process calls itself and its clients."""

    instance: str
    tenant_key: bytes


class ReverseProxy(Resource):
    """See the module's text."""

    isLeaf = True

    def __init__(
        self,
        services: Services,
        router: Router,
        pools: Mapping[str, Pool],
        identity: Identity,
        max_streams: int,
        accepting: Callable[[], bool],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._services = services
        self._router = router
        self._pools = pools
        self._identity = identity
        self._max_streams = max_streams
        self._accepting = accepting

    # The door.

    def admit(self, request: Request, framing: Framing) -> Admission | Refusal:
        """See `gateway.front.site.Door`."""
        head = request.head
        if head.method in _REFUSED_METHODS:
            method = head.method.decode("ascii")
            return self.refuse(request, 405, f"{method} is not a method that is passed on")
        if b"websocket" in head.fields.elements(b"upgrade"):
            return self.refuse(request, 501, "websockets are not passed on")
        expected = head.fields.elements(b"expect")
        if head.minor == 1 and set(expected) - {b"100-continue"}:
            return self.refuse(request, 417, "the only expectation that is met is 100-continue")
        route = self._router.match(head.path, head.fields.__contains__)
        if route is None:
            path_text = head.path.decode("latin-1")
            message = f"no route of the gateway's configuration takes the path {path_text}"
            return self.refuse(request, 404, message)
        dialect = for_request(route.upstream.family, head.path)
        path, mark, query = head.target.partition(b"?")
        target = upstream_path(route, path) + mark + query
        request.context = Match(route, dialect, target)
        if not self._accepting():
            return self.refuse(request, 503, "the gateway is stopping")
        if len(self._services.running) >= self._max_streams:
            return self.refuse(request, 503, f"{self._max_streams} streams are open already")
        return Admission(route.max_body, stream=not _is_inspected(request, dialect, framing))

    def refuse(self, request: Request | None, status: int, message: str) -> Refusal:
        """See `gateway.front.site.Door`."""
        code = _REFUSAL_CODES.get(status, ErrorCode.BAD_REQUEST)
        match = None if request is None else request.context
        if request is not None and isinstance(match, Match) and status in _REFUSAL_CODES:
            self._record_refusal(request, match, Peek(), status, code, message)
        else:
            _log.info(
                "refused with {status}: {message} ({what})",
                status=status,
                message=message,
                what="no head" if request is None else repr(request),
            )
        if isinstance(match, Match):
            dialect = match.dialect
        else:
            dialect = error_dialect_for_path(b"/" if request is None else request.head.path)
        body = dialect.error_body(Trouble(status, code, message))
        return Refusal(status, body, RETRY_AFTER if status == 503 else None)

    # The Resource.

    def render(self, request: Request) -> int:
        """Open an exchange for a request whose body is there."""
        match = request.context
        assert isinstance(match, Match)
        try:
            peek = self._peek(request, match)
        except (BadRequest, CodingError) as error:
            return self._reject(request, match, 400, ErrorCode.BAD_REQUEST, str(error))
        except TooLarge as error:
            return self._reject(request, match, 413, ErrorCode.BODY_TOO_LARGE, str(error))
        exchange = Exchange(
            self._services,
            match.route,
            self._pools[match.route.upstream.name],
            match.dialect,
            peek,
            match.target,
            request,
            self._intent(request, match, peek),
        )
        exchange.start()
        return NOT_DONE_YET

    def _reject(
        self, request: Request, match: Match, status: int, code: ErrorCode, message: str
    ) -> int:
        """Answer a request whose body is there with a refusal, and give it a row."""
        self._record_refusal(request, match, Peek(), status, code, message)
        request.respond(status, match.dialect.error_body(Trouble(status, code, message)))
        return NOT_DONE_YET

    @staticmethod
    def _peek(request: Request, match: Match) -> Peek:
        if request.upload is not None or not match.dialect.inspects:
            return Peek()
        if request.head.method != b"POST":
            return Peek()
        codings = request.head.fields.elements(b"content-encoding")
        if codings in ([], [b"identity"]):
            return match.dialect.peek(request.body)
        try:
            return match.dialect.peek([decoded(request.body, codings, match.route.max_body)])
        except UnknownCoding:
            return Peek()

    def _intent(self, request: Request, match: Match, peek: Peek) -> Intent:
        fields = request.head.fields
        return Intent(
            id=new_id(),
            started_at=self._services.wall(),
            instance=self._identity.instance,
            route=match.route.name,
            upstream=match.route.upstream.name,
            dialect=match.dialect.name,
            method=request.head.method.decode("ascii"),
            path=request.head.path.decode("latin-1"),
            model_requested=peek.model,
            stream=peek.stream,
            tenant=tenant_of(fields, self._identity.tenant_key),
            session=_text(fields.get(_SESSION_FIELD)),
            client=_host(request),
            user_agent=_text(fields.get(b"user-agent")),
            request_bytes=request.body_size if request.upload is None else request.upload.size,
        )

    def _record_refusal(
        self,
        request: Request,
        match: Match,
        peek: Peek,
        status: int,
        code: ErrorCode,
        message: str,
    ) -> None:
        """A row for a request that was routed and then refused: settled, without an intent."""
        intent = self._intent(request, match, peek)
        record = Record(
            intent=intent,
            ended_at=intent.started_at,
            outcome=Outcome.REJECTED,
            phase=Phase.REQUEST,
            error=code,
            error_detail=message,
            status_sent=status,
            attempts=0,
            duration_ms=0.0,
        )
        completion_chain(self._services.links).callback(record)


def _is_inspected(request: Request, dialect: Dialect, framing: Framing) -> bool:
    """Whether a body is kept and looked into; every other one is passed on while it comes."""
    if not dialect.inspects or request.head.method != b"POST":
        return framing.kind is FramingKind.NONE
    value = request.head.fields.get(b"content-type") or b""
    media_type = value.partition(b";")[0].strip(b" \t").lower()
    return media_type in _INSPECTED or media_type.endswith(b"+json")


def _text(value: bytes | None, limit: int = 200) -> str | None:
    return None if value is None else value[:limit].decode("latin-1")


def _host(request: Request) -> str:
    address = request.getClientAddress()  # type: ignore[no-untyped-call]
    return address.host if isinstance(address, IPv4Address | IPv6Address) else "local"
