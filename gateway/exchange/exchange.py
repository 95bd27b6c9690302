"""One request, from the ledger's intent to its settled record: the shell around `Life`.

It joins what does the work (front request, ledger, pool, relay, keepalive, deadlines) and decides
nothing itself: everything that can end the exchange becomes a `Signal`, `Life` judges it once, and
`_settle` does what the `Ending` says, always in the same order: latch, stop the timers, let go of
the upstream, take leave of the client, fire the completion chain with the record.

Everything that calls in from outside (reactor, connection, client) is `guarded`: an error in our
own code ends this exchange as `internal_error` and touches no other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config.model import KeepaliveMode
from ..dialects.base import FRESH, Peek
from ..dialects.provider_error import from_body
from ..front.request import Request
from ..http1 import Framing, ResponseHead
from ..http1.framing import CHUNKED
from ..match import Match
from ..record import ErrorCode, Intent, Phase, Record
from ..upstream.connection import Connection
from ..upstream.errors import UpstreamError
from ..upstream.pool import Pool
from .completion import completion_chain
from .deadlines import Deadlines, Moments
from .farewell import take_leave
from .forward import NO_LENGTH, OWN_STREAM_HEAD, response_pairs
from .keepalive import Keepalive
from .life import Body as BodyState
from .life import Circumstances, Ending, Kind, Life, Signal
from .mask import KeyMask
from .relay import BodyRelay, Collector, EventRelay, Pressure, Relay
from .services import Services
from .settled import Course, settled
from .uploading import Uploading

P = ParamSpec("P")
_log = Logger(namespace="gateway.exchange")


def guarded(
    method: Callable[Concatenate[Exchange, P], None],
) -> Callable[Concatenate[Exchange, P], None]:
    """Turn an exception of `method` into the end of its exchange."""

    @functools.wraps(method)
    def guard(self: Exchange, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            self.bug_found(Failure())

    return guard


class Exchange:
    """See the module's text.  Use: make one, then `start` it; `done` fires with the record."""

    def __init__(
        self,
        services: Services,
        match: Match,
        pool: Pool,
        peek: Peek,
        request: Request,
        intent: Intent,
    ) -> None:
        self.intent = intent
        self.done: Deferred[Record] = completion_chain(services.links)
        self._services = services
        self._match = match
        self._route = match.route
        self._dialect = match.dialect
        self._pool = pool
        self._peek = peek
        self._request = request
        self._clock = services.clock
        self._life = Life()
        self._moments = Moments(started=self._clock.seconds())
        self._deadlines = Deadlines(match.route, self._moments, self._clock, self._deadline_passed)
        self._keepalive: Keepalive | None = None
        self._attempt: Deferred[Connection] | None = None  # connecting
        self._connection: Connection | None = None
        self._uploading: Uploading | None = None
        self._pressure: Pressure | None = None
        self._relay: Relay | None = None
        self._head: ResponseHead | None = None
        self._began_stream = False  # a head of our own has been written
        self._connected_at: float | None = None
        self._attempts = 0
        self._beats = 0

    # The way there.

    @guarded
    def start(self) -> None:
        """Write the intent, then ask the upstream."""
        self._services.running.add(self)
        self._request.on_gone = self._client_gone
        self._request.on_broken = self._client_broke_rule
        upload = self._request.upload
        if upload is not None:
            self._uploading = Uploading(upload, self._moments, self._deadlines, self._clock)
        self._deadlines.look()
        intent_written = self._services.ledger.open(self.intent)
        intent_written.addCallbacks(lambda _: self._dispatch(), self._intent_refused)

    def _intent_refused(self, failure: Failure) -> None:
        detail = f"the ledger does not take rows: {failure.getErrorMessage()}"
        self._settle(Signal(Kind.REJECTED, ErrorCode.LEDGER_UNAVAILABLE, detail, status=503))

    @guarded
    def _dispatch(self) -> None:
        if self._life.ending is not None:
            return  # the client left before the upstream was asked
        self._life.enter(Phase.CONNECT)
        self._moments.dispatched = self._clock.seconds()
        self._attempts = 1
        connection = self._pool.take()
        if connection is not None:
            self._connected(connection)
        else:
            attempt = self._attempt = self._pool.connect()
            attempt.addCallbacks(self._connected, self._not_connected)
        self._start_keepalive()
        self._deadlines.look()

    @guarded
    def _connected(self, connection: Connection) -> None:
        self._attempt = None
        if self._life.ending is not None:
            connection.abort()
            return
        self._connected_at = self._clock.seconds()
        self._connection = connection
        self._life.enter(Phase.HEAD)
        request = self._request
        size = request.body_size if request.upload is None else request.upload.length
        head = self._match.forward.head(request.head, size)
        body, request.body = request.body, []
        uploading = self._uploading
        connection.send(request.head.method, head, body, self, more=uploading is not None)
        if uploading is not None:
            uploading.begin(connection)

    def _not_connected(self, failure: Failure) -> None:
        self._attempt = None
        error = failure.value
        if isinstance(error, UpstreamError):
            self.upstream_failed(error)
        else:
            self.bug_found(failure)

    def _start_keepalive(self) -> None:
        route = self._route
        if route.keepalive is KeepaliveMode.OFF or not self._peek.stream or not self._peek.events:
            return
        if self._life.ending is not None:
            return
        if not self._dialect.keepalive(FRESH):
            return
        after = 0.0 if route.keepalive is KeepaliveMode.IMMEDIATE else route.keepalive_after
        self._keepalive = Keepalive(
            after, route.keepalive_interval, self._moments, self._clock, self._beat
        )

    # The way back: what the connection tells.

    def request_written(self) -> None:
        """The request's body is no longer held in memory."""
        if self._request.channel is not None:
            self._request.channel.release_body()

    def upload_paused(self) -> None:
        """The upstream takes no more of the request's body for now."""
        if self._uploading is not None:
            self._uploading.paused()

    def upload_resumed(self) -> None:
        """The upstream takes more of it."""
        if self._uploading is not None:
            self._uploading.resumed()

    def interim_received(self, head: ResponseHead) -> None:
        """Pass an interim response on; 100 answers an expectation that was never passed on."""
        if head.status != 100 and not self._began_stream:
            self._request.send_interim(head.status, head.reason, head.fields.end_to_end(NO_LENGTH))

    def head_received(self, head: ResponseHead, framing: Framing) -> None:
        """The upstream has answered: pass its head on, or find out what to tell instead."""
        now = self._clock.seconds()
        assert self._connection is not None
        self._life.enter(Phase.FIRST_EVENT)
        self._head = head
        self._moments.head = self._moments.last_byte = now
        is_events = _is_event_stream(head, self._request.head.method)
        self._relay = self._make_relay(head, is_events)
        if self._keepalive is not None and isinstance(self._relay, BodyRelay):
            self._keepalive.stop()
        if not self._began_stream:
            pairs, framing = response_pairs(head, framing, is_event_stream=is_events)
            mask = self._key_mask(head)
            if mask is not None:
                pairs = [(name, mask.whole(value)) for name, value in pairs]
            self._request.start(head.status, head.reason, pairs, framing)
        self._pressure = Pressure(self._connection, self._moments, self._deadlines, self._clock)
        if self._request.channel is not None:
            self._request.registerProducer(self._pressure, True)  # type: ignore[no-untyped-call]
        self._deadlines.look()

    def _make_relay(self, head: ResponseHead, is_events: bool) -> Relay:
        request, moments, clock = self._request, self._moments, self._clock
        if self._began_stream and not is_events:
            return Collector(request, lambda: self._settle(self._collected()))
        if is_events:
            return EventRelay(request, self._dialect, moments, clock, begun=self._began_stream)
        meter = None if _is_coded(head) else self._dialect.body_meter()
        return BodyRelay(request, meter, moments, clock, self._key_mask(head))

    def _key_mask(self, head: ResponseHead) -> KeyMask | None:
        """What hides the gateway's own key in an answer that may tell it."""
        key = self._pool.upstream.api_key
        if key is None or head.status < 400 or _is_coded(head):
            return None
        return KeyMask(key.reveal().encode("latin-1"))

    def data_received(self, data: bytes) -> None:
        """Bytes of the body, out of their framing: the hot path."""
        if self._relay is not None:
            self._relay.feed(data)

    def response_ended(self) -> None:
        """The body is whole as HTTP goes."""
        self._connection = None
        assert self._relay is not None
        self._relay.upstream_ended()
        if isinstance(self._relay, Collector):
            self._settle(self._collected())
        else:
            self._settle(Signal(Kind.UPSTREAM_ENDED))

    def upstream_failed(self, error: UpstreamError) -> None:
        """The response will not come, or not whole."""
        self._connection = None
        if error.code is ErrorCode.CONNECT_TIMEOUT:
            self._settle(Signal(Kind.TIMED_OUT, error.code, error.detail, status=504))
        else:
            self._settle(Signal(Kind.UPSTREAM_FAILED, error.code, error.detail))

    def _collected(self) -> Signal:
        """What the upstream said after we had begun the stream, as a signal."""
        assert isinstance(self._relay, Collector)
        assert self._head is not None
        status = self._head.status
        kind, message = from_body(self._relay.kept)
        if status >= 400:
            detail = message or f"the upstream answered with status {status}"
            return Signal(Kind.PROVIDER_ERROR, ErrorCode.HTTP_ERROR, detail, status, kind)
        media_type = self._head.media_type.decode("latin-1") or "no media type"
        detail = f"the upstream answered {status} with {media_type} instead of an event stream"
        return Signal(Kind.PROVIDER_ERROR, ErrorCode.NOT_SSE, detail)

    # Timers and the client.

    @guarded
    def _beat(self) -> None:
        """Speak into the silence, if this is a place where one may."""
        relay = self._relay
        if self._moments.paused is not None or self._life.ending is not None:
            return
        standing = FRESH
        if isinstance(relay, EventRelay):
            if not relay.scanner.injectable:
                return
            standing = relay.standing()
            relay.spoken()
        elif not self._began_stream:
            self._began_stream = True
            self._request.start(200, b"OK", OWN_STREAM_HEAD, CHUNKED)
        self._beats += 1
        self._request.send(self._dialect.keepalive(standing))

    @guarded
    def _deadline_passed(self, code: ErrorCode) -> None:
        if code is ErrorCode.CLIENT_WRITE_TIMEOUT:
            self._settle(Signal(Kind.CLIENT_STALLED, code, "the client does not read"))
        else:
            detail = f"{code.value.replace('_', ' ')} while waiting for the upstream"
            self._settle(Signal(Kind.TIMED_OUT, code, detail, status=504))

    @guarded
    def _client_broke_rule(self, status: int, message: str) -> None:
        """In its body, which the upstream must not take for whole, or behind it."""
        code = ErrorCode.BODY_TOO_LARGE if status == 413 else ErrorCode.BAD_REQUEST
        self._settle(Signal(Kind.REJECTED, code, message, status))

    @guarded
    def _client_gone(self, reason: Failure) -> None:
        self._settle(Signal(Kind.CLIENT_GONE))

    @guarded
    def drain(self) -> None:
        """End now, because the gateway is stopping."""
        detail = "the gateway is stopping"
        self._settle(Signal(Kind.DRAINED, ErrorCode.OPERATOR, detail, status=503))

    def bug_found(self, failure: Failure) -> None:
        """Our own code raised: end this exchange and say where."""
        _log.failure("request {id}: an error in the gateway itself", failure, id=self.intent.id)
        name = failure.type.__name__ if failure.type else "error"
        detail = f"an error in the gateway itself ({name})"
        # What the relay knows may be what is broken: ask nobody, and add nothing to a stream.
        committed = self._request.status_sent is not None
        now = Circumstances(BodyState.OTHER if committed else BodyState.NOT_COMMITTED)
        self._settle(Signal(Kind.BUG, ErrorCode.BUG, detail, status=500), now)

    # The end.

    def _settle(self, signal: Signal, now: Circumstances | None = None) -> None:
        if self._life.ending is not None:
            return
        if self._life.phase is Phase.FIRST_EVENT and self._moments.first_event is not None:
            self._life.enter(Phase.RELAY)  # not entered per event, but when it matters
        ending = self._life.settle(signal, now or self._circumstances())
        if ending is None:
            return
        ending = replace(ending, detail=self._redacted(ending.detail))
        signal = replace(signal, provider_kind=self._redacted(signal.provider_kind))
        self._deadlines.stop()
        if self._keepalive is not None:
            self._keepalive.stop()
        self._let_go_of_upstream()
        try:
            if self._pressure is not None and self._request.channel is not None:
                self._request.unregisterProducer()  # type: ignore[no-untyped-call]
            take_leave(self._request, self._dialect, self._relay, ending, signal)
        except Exception:
            _log.failure("request {id}: the end could not be told", id=self.intent.id)
            self._request.abort()
        self._services.running.discard(self)
        try:
            record = self._record(ending)
        except Exception:
            _log.failure("request {id}: its record is not complete", id=self.intent.id)
            record = Record(
                self.intent, self._services.wall(), ending.outcome, ending.phase, ending.error
            )
        self.done.callback(record)

    def _circumstances(self) -> Circumstances:
        if self._relay is not None:
            return self._relay.circumstances()
        if self._began_stream:
            can_tell = self._request.takes_chunks
            return Circumstances(BodyState.EVENTS, complete=False, can_tell=can_tell)
        return Circumstances()

    def _let_go_of_upstream(self) -> None:
        if self._pressure is not None:
            self._pressure.account()
        if self._uploading is not None:
            self._uploading.stop()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _record(self, ending: Ending) -> Record:
        upload = self._request.upload
        intent = self.intent if upload is None else replace(self.intent, request_bytes=upload.size)
        course = Course(
            moments=self._moments,
            relay=self._relay,
            head=self._head,
            status_sent=self._request.status_sent,
            attempts=self._attempts,
            connected=self._connected_at,
            ended=self._clock.seconds(),
            paused_seconds=0.0 if self._pressure is None else self._pressure.paused_seconds,
            keepalives=self._beats,
        )
        record = settled(intent, ending, self._services.wall(), course)
        return self._services.redactor.record(record, self._match.caller.credentials)

    def _redacted(self, text: str | None) -> str | None:
        if text is None:
            return None
        return self._services.redactor.redact(text, self._match.caller.credentials)


def _is_event_stream(head: ResponseHead, method: bytes) -> bool:
    """Whether this is a stream that can be read and spoken into.

    A coded one is a body like any other: what stands in it cannot be seen, nothing may be added.
    """
    return (
        head.media_type == b"text/event-stream"
        and 200 <= head.status < 300
        and head.status != 204
        and method != b"HEAD"
        and not _is_coded(head)
    )


def _is_coded(head: ResponseHead) -> bool:
    return bool(set(head.fields.elements(b"content-encoding")) - {b"identity"})
