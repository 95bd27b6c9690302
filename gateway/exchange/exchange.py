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
from typing import Concatenate, Final, ParamSpec

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..dialects.base import ResultsMeter, StreamKind
from ..http1 import Framing, ResponseHead
from ..inspection import Inspection
from ..journal.kinds import Kind as LogKind
from ..match import Match
from ..record import ErrorCode, Intent, Phase, Record
from ..upstream.connection import Connection
from ..upstream.errors import UpstreamError
from ..upstream.pool import Pool
from .answer import is_coded, key_mask, kind_of_stream, told
from .completion import completion_chain
from .deadlines import Deadlines, Moments
from .decoded import decoding
from .farewell import take_leave
from .forward import NO_LENGTH, response_pairs
from .glance import Glance
from .hooked import Hooked
from .life import Body as BodyState
from .life import Circumstances, Ending, Kind, Life, Signal
from .mask import KeyMask, masked
from .pressure import Pressure
from .recipient import Recipient
from .relay import BodyRelay, Collector, Relay, StreamRelay
from .results import ResultRows, ResultsRelay
from .services import Services
from .settled import Course, settled
from .uploading import Uploading
from .voice import Voice

#: Seconds between the event that ends a stream and the end of the body, where an upstream leaves it
#: open.  Some send a ``[DONE]`` yet; and a body that has ended leaves its connection to be reused.
LAST_WORDS: Final = 0.2

#: How much of a provider's words is shown, in characters.
LONGEST_TEXT: Final = 1000

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
        seen: Inspection,
        request: Recipient,
        intent: Intent,
    ) -> None:
        self.intent = intent
        self.done: Deferred[Record] = completion_chain(services.links)
        self._services = services
        self._match = match
        self._route = match.route
        self._dialect = match.dialect
        self._pool = pool
        self._peek = seen.peek
        self._seen = seen
        self._request = request
        self._clock = services.clock
        self._life = Life()
        self._moments = Moments(started=self._clock.seconds())
        self._deadlines = Deadlines(match.route, self._moments, self._clock, self._deadline_passed)
        self._voice = Voice(
            match.route, match.dialect, request, self._moments, self._clock, self._beat
        )
        self._attempt: Deferred[Connection] | None = None  # connecting
        self._connection: Connection | None = None
        self._uploading: Uploading | None = None
        self._pressure: Pressure | None = None
        self._relay: Relay | None = None
        self._rows: ResultRows | None = None  # for the results of a batch
        self._head: ResponseHead | None = None
        self._over: IDelayedCall | None = None  # the stream is; only the upstream's end is awaited
        self._reading_on: IDelayedCall | None = None  # the client has left; for so long at most
        self._connected_at: float | None = None
        self._written = False  # all of the request has been given to the upstream's socket
        self._attempts = 0
        hooks = services.hooks
        self._hooked = None if hooks is None else Hooked(hooks, match, request, intent)

    # The way there.

    @guarded
    def start(self) -> None:
        """Write the intent, then ask the upstream."""
        self._services.running.add(self)
        self._request.on_gone = self._client_gone
        self._request.on_broken = self._client_broke_rule
        upload = self._request.upload
        if upload is not None:
            self._uploading = Uploading(
                upload,
                self._moments,
                self._deadlines,
                self._clock,
                self._upload_ended,
                self._seen.form,
            )
        self._deadlines.look()
        intent_written = self._services.ledger.open(self.intent)
        intent_written.addCallbacks(lambda _: self._ask_hooks(), self._intent_refused)

    def _intent_refused(self, failure: Failure) -> None:
        detail = f"the ledger does not take rows: {failure.getErrorMessage()}"
        self._settle(Signal(Kind.REJECTED, ErrorCode.LEDGER_UNAVAILABLE, detail, status=503))

    @guarded
    def _ask_hooks(self) -> None:
        """Let the operator's hooks have their say, if there are any."""
        if self._hooked is None or self._life.ending is not None:
            self._dispatch()
        else:
            self._hooked.ask(self._dispatch, self._settle)

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
        if self._life.ending is None and not self._moments.uploading:
            self._voice.start(self._peek)
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
        changed = None if self._hooked is None else self._hooked.changed
        head = self._match.forward.head(request.head, size, changed)
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

    def _upload_ended(self) -> None:
        """The body has gone by; what stood in it is known now."""
        form = self._seen.form
        if form is not None:
            self._peek = form.peek
        if self._moments.head is None and self._life.ending is None:
            self._voice.start(self._peek)

    # The way back: what the connection tells.

    def request_written(self) -> None:
        """The request's body is no longer held in memory."""
        self._written = True
        self._request.release_body()

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
        if head.status != 100 and not self._voice.began_stream:
            mask = key_mask(head, self._pool.upstream.api_key)
            reason, pairs = masked(mask, head.reason, head.fields.end_to_end(NO_LENGTH))
            self._request.send_interim(head.status, reason, pairs)

    def head_received(self, head: ResponseHead, framing: Framing) -> None:
        """The upstream has answered: pass its head on, or find out what to tell instead."""
        now = self._clock.seconds()
        assert self._connection is not None
        self._life.enter(Phase.FIRST_EVENT)
        self._head = head
        self._moments.head = self._moments.last_byte = now
        kind = kind_of_stream(head, self._request.head.method, self._dialect, self._peek)
        mask = key_mask(head, self._pool.upstream.api_key)
        self._relay = self._relay_for(head, kind, mask)
        if isinstance(self._relay, BodyRelay):
            self._voice.stop()
        begun = self._voice.began_stream
        if not begun or self._hooked is not None:
            pairs, framing = response_pairs(head, framing, is_stream=kind is not None)
            reason, pairs = masked(mask, head.reason, pairs)
            if self._hooked is not None:
                pairs = self._hooked.answered(head.status, pairs, begun=begun)
        if not begun:
            self._moments.heard = now
            self._request.start(head.status, reason, pairs, framing)
        self._pressure = Pressure(
            self._request, self._connection, self._moments, self._deadlines, self._clock
        )
        if self._rows is not None:
            self._rows.hold, self._rows.release = self._pressure.hold, self._pressure.release
        if self._request.present:
            self._request.registerProducer(self._pressure, True)
        self._deadlines.look()

    def _relay_for(
        self, head: ResponseHead, kind: StreamKind | None, mask: KeyMask | None
    ) -> Relay:
        request, moments, clock = self._request, self._moments, self._clock
        begun = self._voice.began_stream
        if kind is None or (begun and kind is not StreamKind.EVENTS):
            plain = self._dialect.body_meter()
            coded = is_coded(head)
            meter = decoding(plain, head, self._dialect, self._peek) if coded else plain
            if begun:
                return Collector(request, meter, lambda kept: self._settle(told(head, kept)))
            if meter is not None and isinstance(plain, ResultsMeter):
                rows = self._rows = self._result_rows(head)
                if rows is not None:
                    return ResultsRelay(request, meter, plain, rows, moments, clock, mask)
                meter = None
            streamed = self._peek.stream and head.status < 300
            return BodyRelay(request, meter, moments, clock, mask, streamed=streamed)
        outlet = request if self._hooked is None else self._hooked.outlet(request)
        stream = StreamRelay(outlet, self._dialect, kind, moments, clock, self._stream_over)
        if begun:
            stream.spoken()
        stream.strip_usage = self._seen.asks_usage
        stream.mask = mask
        return stream

    def _result_rows(self, head: ResponseHead) -> ResultRows | None:
        """What makes rows of the results that follow this head, if it is one of results."""
        results_of, dialect = self._peek.results_of, self._dialect.results
        if head.status != 200 or results_of is None or dialect is None:
            return None
        credentials = self._match.caller.credentials
        return ResultRows(self._services, self.intent, dialect, results_of, credentials)

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
            assert self._head is not None
            self._settle(told(self._head, self._relay.kept))
        else:
            self._settle(Signal(Kind.UPSTREAM_ENDED))

    def _stream_over(self) -> None:
        """Nothing that counts can follow: wait for the upstream's end, but not for long."""
        if self._over is None and self._life.ending is None:
            self._over = self._clock.callLater(LAST_WORDS, self._end_stream)

    @guarded
    def _end_stream(self) -> None:
        self._over = None
        self._settle(Signal(Kind.UPSTREAM_ENDED))

    def upstream_failed(self, error: UpstreamError) -> None:
        """The response will not come, or not whole."""
        self._connection = None
        if error.code is ErrorCode.CONNECT_TIMEOUT:
            self._settle(Signal(Kind.TIMED_OUT, error.code, error.detail, status=504))
        else:
            self._settle(Signal(Kind.UPSTREAM_FAILED, error.code, error.detail))

    # Timers and the client.

    @guarded
    def _beat(self) -> None:
        if self._life.ending is None:
            self._voice.speak(self._relay)

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
        """The client has left: let go of the upstream, or read on for what the answer costs."""
        if self._life.ending is not None:
            return
        limit = self._route.on_disconnect
        asked = self._connection is not None
        if not limit or not self._written or self._circumstances().terminal_passed:
            why = "the upstream's answer was aborted" if asked else None
            self._settle(Signal(Kind.CLIENT_GONE, detail=why))
            return
        self._reading_on = self._clock.callLater(limit, self._read_long_enough)
        self._services.reading_on.add(self)
        self._voice.stop()
        if self._pressure is not None:
            self._pressure.resumeProducing()

    @guarded
    def _read_long_enough(self) -> None:
        self._settle(Signal(Kind.TIMED_OUT, ErrorCode.TOTAL_TIMEOUT))

    @guarded
    def drain(self) -> None:
        """End now, because the gateway is stopping."""
        self.kill("the gateway is stopping")

    @guarded
    def kill(self, detail: str) -> None:
        """End now, because an operator wants it so."""
        self._settle(Signal(Kind.DRAINED, ErrorCode.OPERATOR, detail, status=503))

    def bug_found(self, failure: Failure) -> None:
        """Our own code raised: end this exchange and say where."""
        self._tell_bug("an error in the gateway itself", failure)
        name = failure.type.__name__ if failure.type else "error"
        detail = f"an error in the gateway itself ({name})"
        # What the relay knows may be what is broken: ask nobody, and add nothing to a stream.
        committed = self._request.status_sent is not None
        now = Circumstances(BodyState.OTHER if committed else BodyState.NOT_COMMITTED)
        self._settle(Signal(Kind.BUG, ErrorCode.BUG, detail, status=500), now)

    def _tell_bug(self, what: str, failure: Failure | None = None) -> None:
        kind = LogKind.INTERNAL_ERROR
        _log.failure("request {id}: {what}", failure, id=self.intent.id, what=what, kind=kind)

    # The end.

    def _settle(self, signal: Signal, now: Circumstances | None = None) -> None:
        if self._life.ending is not None:
            return
        if self._reading_on is not None:
            signal, now = self._behind_client(signal), Circumstances()
        self._catch_up()
        ending = self._life.settle(signal, now or self._circumstances())
        if ending is None:
            return
        ending = replace(ending, detail=self._shown(ending.detail))
        signal = replace(
            signal,
            provider_kind=self._shown(signal.provider_kind),
            provider_code=self._shown(signal.provider_code),
        )
        self._deadlines.stop()
        self._voice.stop()
        for timer in (self._over, self._reading_on):
            if timer is not None and timer.active():
                timer.cancel()
        if self._rows is not None:
            self._rows.finish()
        self._let_go_of_upstream()
        try:
            if self._pressure is not None and self._request.present:
                self._request.unregisterProducer()
            take_leave(self._request, self._dialect, self._relay, ending, signal)
        except Exception:
            self._tell_bug("the end could not be told")
            self._request.abort()
        self._services.running.discard(self)
        self._services.reading_on.discard(self)
        try:
            record = self._record(ending)
        except Exception:
            self._tell_bug("its record is not complete")
            record = Record(
                self.intent, self._services.wall(), ending.outcome, ending.phase, ending.error
            )
        self.done.callback(record)

    def _catch_up(self) -> None:
        """Enter the phase that the first event meant: not per event, but when it matters."""
        if self._life.phase is Phase.FIRST_EVENT and self._moments.first_event is not None:
            self._life.enter(Phase.RELAY)

    def _behind_client(self, signal: Signal) -> Signal:
        """What ends the reading on behind a client that has left, as a signal of that."""
        if signal.kind is Kind.BUG:
            return signal
        whole = signal.kind is Kind.UPSTREAM_ENDED
        limit = self._route.on_disconnect
        how = "to its end" if whole else f"for what came of it within {limit:g} s"
        return Signal(Kind.CLIENT_GONE, detail=f"the upstream's answer was read on, {how}")

    @property
    def terminal_passed(self) -> bool:
        """Whether the dialect's terminal event has been passed on."""
        return self._circumstances().terminal_passed

    @property
    def sound(self) -> bool:
        """Whether a finished answer was read to its end and no error of the provider's found in it.

        Of a stream the outcome says so; any other 200 may hold an error, or be in a coding that is
        not read.
        """
        return not isinstance(self._relay, BodyRelay) or self._relay.sound

    def _circumstances(self) -> Circumstances:
        if self._relay is not None:
            return self._relay.circumstances()
        if self._voice.began_stream:
            can_tell = self._request.takes_chunks
            return Circumstances(BodyState.STREAM, complete=False, can_tell=can_tell)
        return Circumstances()

    def _let_go_of_upstream(self) -> None:
        if self._pressure is not None:
            self._pressure.account()
        if self._uploading is not None:
            self._uploading.stop()
        if self._hooked is not None:
            self._hooked.stop()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _record(self, ending: Ending) -> Record:
        intent = self.intent
        if self._request.upload is not None:
            intent = replace(
                intent,
                request_bytes=self._request.upload.size,
                model_requested=self._model(),
                stream=self._peek.stream,
            )
        wall = self._services.wall()
        record = settled(intent, ending, wall, self._course(), replay=self._peek.replay)
        if self._hooked is not None:
            record = replace(record, tags=self._hooked.tags())
        return self._services.redactor.record(record, self._match.caller.credentials)

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        self._catch_up()
        return self._life.phase

    @property
    def paused(self) -> bool:
        """Whether its upstream is not read, because its client does not read."""
        return self._moments.paused is not None

    def glance(self) -> Glance:
        """How far it has come."""
        upload = self._request.upload
        return Glance(
            phase=self.phase,
            model=self.intent.model_requested if upload is None else self._model(),
            request_bytes=self.intent.request_bytes if upload is None else upload.size,
            course=self._course(),
            client_left=self._reading_on is not None,
        )

    def _model(self) -> str | None:
        """The model that a body asks for which is passed on while it comes."""
        return self._services.redactor.redact(self._peek.model) if self._peek.model else None

    def _course(self) -> Course:
        return Course(
            moments=self._moments,
            relay=self._relay,
            head=self._head,
            status_sent=self._request.status_sent,
            attempts=self._attempts,
            connected=self._connected_at,
            ended=self._clock.seconds(),
            paused_seconds=0.0 if self._pressure is None else self._pressure.paused_seconds,
            keepalives=self._voice.beats,
        )

    def _shown(self, text: str | None) -> str | None:
        """A text as clients, rows and logs get it: without secrets, and then not too long."""
        if text is None:
            return None
        return self._services.redactor.redact(text, self._match.caller.credentials)[:LONGEST_TEXT]
