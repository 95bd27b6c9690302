"""The listeners' door: judges a request at its head, before a byte of its body is read.

In this order: what no proxy passes on, whether it was meant for this listener, whether it was here
before, its route, its caller, the limits.  Whoever passes gets a `Match`; refusals of routed
requests get a row, what was not HTTP or has no route is only logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from twisted.logger import Logger

from .callers import Caller, Callers, NotServed
from .descriptors import Descriptors
from .dialects import error_dialect_for_path, for_request
from .dialects.base import Dialect, Peek, Trouble
from .exchange.completion import complete
from .exchange.farewell import RETRY_AFTER
from .exchange.forward import Outbound
from .exchange.services import Services
from .front.request import Request
from .front.verdict import Admission, Refusal
from .http1 import Framing, RequestHead
from .http1.grammar import HOST
from .intents import Intents, texts_of
from .journal.kinds import Kind
from .match import Match
from .record import ErrorCode, Outcome, Phase, Record
from .routing import Router, upstream_path

_log = Logger(namespace="gateway.door")

#: What refusals are called in the ledger, by status.
_CODES: Final = {
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.UNAUTHORIZED,
    413: ErrorCode.BODY_TOO_LARGE,
    500: ErrorCode.BUG,
    503: ErrorCode.OVERLOADED,
}
#: Fields that go with a status.
_FIELDS: Final = {
    401: ((b"WWW-Authenticate", b"Bearer"),),  # RFC 9110, 11.6.1
    405: ((b"Allow", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),),  # RFC 9110, 15.5.6
    426: ((b"Connection", b"upgrade"), (b"Upgrade", b"HTTP/1.1")),  # RFC 9110, 15.5.22 and 7.8
    503: ((b"Retry-After", b"%d" % RETRY_AFTER),),
}
#: Methods that mean something else to a proxy (RFC 9110, 9.3.6 and 9.3.8).
_REFUSED_METHODS: Final = frozenset((b"CONNECT", b"TRACE"))
#: Media types under which JSON comes; the last two are what clients say that say nothing.
_INSPECTED: Final = frozenset(
    (b"application/json", b"", b"text/plain", b"application/x-www-form-urlencoded")
)


class FrontDoor:
    """A `gateway.front.verdict.Door`.  See the module's text."""

    def __init__(
        self,
        services: Services,
        router: Router,
        callers: Callers,
        outbound: Mapping[str, Outbound],
        intents: Intents,
        max_streams: int,
        accepting: Callable[[], bool],
        descriptors: Descriptors | None = None,
    ) -> None:
        """`outbound` is by the upstream's name; without `descriptors` any number fits."""
        self._services = services
        self._router = router
        self._callers = callers
        self._outbound = outbound
        self._intents = intents
        self._max_streams = max_streams
        self._accepting = accepting
        self._descriptors = descriptors
        self.admitted: set[Request] = set()  #: requests that were let in and are not over

    def admit(self, request: Request, framing: Framing) -> Admission | Refusal:
        """How the body is read, or what to answer instead."""
        try:
            return self._judged(request)
        except Exception:
            what = "{request}: an error in the gateway itself"
            _log.failure(what, request=request, kind=Kind.INTERNAL_ERROR)
            return self.refuse(request, 500, "an error in the gateway itself")

    def _judged(self, request: Request) -> Admission | Refusal:
        match = request.context
        if not isinstance(match, Match):
            found = self._found(request)
            if isinstance(found, Refusal):
                return found
            match = request.context = found
        if not self._accepting():
            return self.refuse(request, 503, "the gateway is stopping")
        if len(self.admitted) + len(self._services.reading_on) >= self._max_streams:
            return self.refuse(request, 503, f"{self._max_streams} streams are open already")
        if self._descriptors is not None and not self._descriptors.fits_stream():
            message = f"{self._descriptors.used} connections are open, and no more fit"
            return self.refuse(request, 503, message)
        self.admitted.add(request)
        return match.admission

    def _found(self, request: Request) -> Match | Refusal:
        """What the head alone decides."""
        refusal = self._unfit(request)
        if refusal is not None:
            return refusal
        head = request.head
        path, mark, query = head.target.partition(b"?")
        route = self._router.match(path, head.fields.__contains__)
        if route is None:
            path_text = path[:500].decode("latin-1")
            message = f"no route of the gateway's configuration takes the path {path_text}"
            return self.refuse(request, 404, message)
        dialect = for_request(route.upstream.family, path)
        target = upstream_path(route, path) + mark + query
        outbound = self._outbound[route.upstream.name]
        hold = route.inspect_limit if _is_inspected(head, dialect) else 0

        def match(caller: Caller) -> Match:
            forward = outbound.forward(target, caller.origin)
            redactor = self._services.redactor.knowing(caller.credentials)
            admission = Admission(route.max_body, hold)
            texts = texts_of(head, redactor)
            return Match(route, dialect, caller, forward, redactor, texts, admission)

        try:
            request.context = found = match(self._callers.identify(request, route.upstream.family))
        except NotServed as error:
            request.context = match(error.caller)
            return self.refuse(request, error.status, str(error))
        if outbound.spends_own_key and not self._callers.configured and self._is_foreign(request):
            message = "a web page of another site may not use the gateway's key; see allowed_hosts"
            return self.refuse(request, 403, message)
        return found

    def _unfit(self, request: Request) -> Refusal | None:
        """Refuse what has no business here, whatever its route."""
        head = request.head
        if head.method in _REFUSED_METHODS:
            method = head.method.decode("ascii")
            return self.refuse(request, 405, f"{method} is not a method that is passed on")
        host = head.fields.get(b"host")
        assert request.channel is not None
        if not request.channel.site.hosts.permits(host):
            name = "" if host is None else host.decode("latin-1")
            message = f"the gateway does not answer to the host {name}; see allowed_hosts"
            return self.refuse(request, 421, message)
        names = head.fields.names
        if b"via" in names and self._callers.came_back(head.fields):
            message = "the request has passed this gateway before: an upstream's url leads back"
            return self.refuse(request, 508, message)
        if b"upgrade" in names and b"websocket" in head.fields.elements(b"upgrade"):
            # Not 501: after 426 Codex asks by HTTP at once, after all else only once it has
            # tried seven times.
            return self.refuse(request, 426, "websockets are not passed on; ask by HTTP alone")
        if b"expect" in names and head.minor == 1:
            unmet = set(head.fields.elements(b"expect")) - {b"100-continue"}
            if unmet:
                message = "the only expectation that is met is 100-continue"
                return self.refuse(request, 417, message)
        return None

    @staticmethod
    def _is_foreign(request: Request) -> bool:
        """Whether a browser sent this for a page of a site that the listener is not called by.

        Host does not tell: a page may ask any address, and scripts need not see the answer to spend
        what it costs (Fetch Metadata, 2; RFC 6454, 7).
        """
        fields = request.head.fields
        assert request.channel is not None
        origin = fields.get(b"origin")
        if origin is None:
            return fields.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
        authority = origin.partition(b"://")[2]
        if HOST.fullmatch(authority) is None:
            return True  # "null", or what no browser sends
        return not request.channel.site.hosts.permits(authority)

    def refuse(self, request: Request | None, status: int, message: str) -> Refusal:
        """The answer to a request that goes no further (`request` None: no head came)."""
        code = _CODES.get(status, ErrorCode.BAD_REQUEST)
        message = self._services.redactor.redact(message)
        match = None if request is None else request.context
        if request is not None and isinstance(match, Match):
            dialect = match.dialect
            self._record(request, match, status, code, message)
        else:
            dialect = error_dialect_for_path(b"/" if request is None else request.head.path)
            _log.info(
                "refused with {status}: {message} ({what})",
                status=status,
                message=message,
                what="no head" if request is None else repr(request),
                kind=Kind.REFUSED,
            )
        body = dialect.error_body(Trouble(status, code, message))
        return Refusal(status, body, _FIELDS.get(status, ()))

    def ended(self, request: Request) -> None:
        """The request is over, whichever way."""
        self.admitted.discard(request)

    def _record(
        self, request: Request, match: Match, status: int, code: ErrorCode, message: str
    ) -> None:
        """A row for a request that was routed and then refused: settled, without an intent."""
        size = request.body_size if request.upload is None else request.upload.size
        intent = self._intents.of(match, Peek(), size)
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
        complete(record, self._services.links)


def _is_inspected(head: RequestHead, dialect: Dialect) -> bool:
    """Whether a body is kept and looked into; every other one is passed on while it comes."""
    if not dialect.inspects or head.method != b"POST":
        return False
    value = head.fields.get(b"content-type") or b""
    media_type = value.partition(b";")[0].strip(b" \t").lower()
    return media_type in _INSPECTED or media_type.endswith(b"+json")
