"""One request, from the ledger's intent to its settled record: the shell around `Life`.

It joins what does the work (front request, ledger, pool, relay, keepalive, deadlines) and decides
nothing itself: everything that can end the exchange becomes a `Signal`, `Life` judges it once, and
`_settle` does what the `Ending` says, always in the same order: latch, stop the timers, let go of
the upstream, take leave of the client, give the record to the completion chain.

Everything that calls in from outside (reactor, connection, client) is `guarded`: an error in our
own code ends this exchange as `internal_error` and touches no other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..http1 import Framing, ResponseHead
from ..inspection import Inspection
from ..journal.kinds import Kind as LogKind
from ..match import Match
from ..record import ErrorCode, Intent, Phase
from ..upstream.connection import Connection
from ..upstream.errors import UpstreamError
from ..upstream.pool import Pool
from ..upstream.receiver import TakeBody
from .completion import complete
from .deadlines import Deadlines, Moments
from .farewell import take_leave
from .glance import Glance
from .hooked import Hooked
from .life import UPSTREAM_ENDED, Circumstances, Kind, Life, Signal
from .life import Body as BodyState
from .recipient import Recipient
from .reply import Reply
from .services import Services
from .story import Story
from .uploading import Uploading
from .voice import Voice

#: Seconds between the event that ends a stream and the end of the body, where an upstream leaves it
#: open.  Some send a ``[DONE]`` yet; and a body that has ended leaves its connection to be reused.
LAST_WORDS: Final = 0.2

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
    """See the module's text.  Use: make one, then `start` it."""

    __slots__ = (
        "_attempt", "_clock", "_connection", "_deadlines", "_dialect", "_hooked", "_life", "_match",
        "_moments", "_over", "_pool", "_reading_on", "_reply", "_request", "_route", "_seen",
        "_services", "_story", "_uploading", "_voice", "_written", "intent",
    )  # fmt: skip

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
        self._services = services
        self._match = match
        self._route = match.route
        self._dialect = match.dialect
        self._pool = pool
        self._seen = seen
        self._request = request
        self._clock = services.clock
        self._life = Life()
        self._moments = Moments(started=self._clock.seconds())
        self._deadlines = Deadlines(match.route, self._moments, self._clock, self._deadline_passed)
        self._voice = Voice(
            match.route, match.dialect, request, self._moments, self._clock, self._beat
        )
        hooks = services.hooks
        self._hooked = None if hooks is None else Hooked(hooks, match, request, intent)
        self._reply = Reply(
            services,
            match,
            match.dialect,
            intent,
            request,
            self._moments,
            self._deadlines,
            self._clock,
            self._voice,
            self._hooked,
            pool.upstream.api_key,
            self._stream_over,
            self._settle,
        )
        self._story = Story(
            services, match, intent, seen.peek, request, self._moments, self._voice, self._reply
        )
        self._attempt: Deferred[Connection] | None = None  # connecting
        self._connection: Connection | None = None
        self._uploading: Uploading | None = None
        self._over: IDelayedCall | None = None  # the stream is; only the upstream's end is awaited
        self._reading_on: IDelayedCall | None = None  # the client has left; for so long at most
        self._written = False  # all of the request has been given to the upstream's socket

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
        noted = self._services.ledger.open(self.intent)
        if noted.called and noted.result is None:
            self._go_on()  # nearly always: the Deferred has nothing to do
        else:
            noted.addCallbacks(lambda _: self._intent_noted(), self._intent_refused)
        if self._moments.dispatched is None:  # the ledger, or a hook, takes its time
            self._deadlines.look()

    def _intent_refused(self, failure: Failure) -> None:
        detail = f"the ledger does not take rows: {failure.getErrorMessage()}"
        self._settle(Signal(Kind.REJECTED, ErrorCode.LEDGER_UNAVAILABLE, detail, status=503))

    @guarded
    def _intent_noted(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        """Let the operator's hooks have their say, if there are any; then ask the upstream."""
        if self._hooked is None or self._life.ending is not None:
            self._dispatch()
        else:
            self._hooked.ask(self._hooks_asked, self._settle)

    @guarded
    def _hooks_asked(self) -> None:
        self._dispatch()

    def _dispatch(self) -> None:
        if self._life.ending is not None:
            return  # the client left before the upstream was asked
        self._life.enter(Phase.CONNECT)
        self._moments.dispatched = self._clock.seconds()
        self._story.attempts = 1
        connection = self._pool.take()
        if connection is not None:
            self._ask(connection)
        else:
            attempt = self._attempt = self._pool.connect()
            attempt.addCallbacks(self._connected, self._not_connected)
        if self._life.ending is None and not self._moments.uploading:
            self._voice.start(self._story.peek)
        self._deadlines.look()

    @guarded
    def _connected(self, connection: Connection) -> None:
        self._attempt = None
        if self._life.ending is None:
            self._ask(connection)
        else:
            connection.abort()

    def _ask(self, connection: Connection) -> None:
        """Send the request on a connection that nobody else uses."""
        self._moments.connected = self._clock.seconds()
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
            self._story.peek = form.peek
        if self._moments.head is None and self._life.ending is None:
            self._voice.start(self._story.peek)

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
        """An interim response has come."""
        self._reply.interim(head)

    def head_received(self, head: ResponseHead, framing: Framing) -> TakeBody:
        """The upstream has answered."""
        self._life.enter(Phase.FIRST_EVENT)
        relay = self._reply.begin(head, framing, self._story.peek, asks_usage=self._seen.asks_usage)
        return relay.feed

    def body_follows(self) -> None:
        """The head's read is over: what has come of the answer goes out, the rest at its pace."""
        assert self._connection is not None
        self._request.flush()
        self._reply.press(self._connection)

    def response_ended(self) -> None:
        """The body is whole as HTTP goes."""
        self._connection = None
        self._settle(self._reply.ended())

    def _stream_over(self) -> None:
        """Nothing that counts can follow: wait for the upstream's end, but not for long."""
        if self._over is None and self._life.ending is None:
            self._over = self._clock.callLater(LAST_WORDS, self._end_stream)

    @guarded
    def _end_stream(self) -> None:
        self._over = None
        self._settle(UPSTREAM_ENDED)

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
            self._voice.speak(self._reply.relay)

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
        if not limit or not self._written or self._reply.circumstances().terminal_passed:
            why = "the upstream's answer was aborted" if asked else None
            self._settle(Signal(Kind.CLIENT_GONE, detail=why))
            return
        self._reading_on = self._clock.callLater(limit, self._read_long_enough)
        self._services.reading_on.add(self)
        self._voice.stop()
        self._reply.read_on()

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
        ending = self._life.settle(signal, now or self._reply.circumstances())
        if ending is None:
            return
        ending, signal = self._story.shown(ending, signal)
        self._deadlines.stop()
        self._voice.stop()
        for timer in (self._over, self._reading_on):
            if timer is not None and timer.active():
                timer.cancel()
        self._let_go_of_upstream()
        try:
            self._reply.stop()
            take_leave(self._request, self._dialect, self._reply.relay, ending, signal)
        except Exception:
            self._tell_bug("the end could not be told")
            self._request.abort()
        self._services.running.discard(self)
        if self._reading_on is not None:
            self._services.reading_on.discard(self)
        try:
            tags = None if self._hooked is None else self._hooked.tags()
            record = self._story.record(ending, tags)
        except Exception:
            self._tell_bug("its record is not complete")
            record = self._story.least(ending)
        complete(record, self._services.links)

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

    def _let_go_of_upstream(self) -> None:
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

    # What is asked from outside.

    @property
    def terminal_passed(self) -> bool:
        """Whether the dialect's terminal event has been passed on."""
        return self._reply.circumstances().terminal_passed

    @property
    def sound(self) -> bool:
        """See `Reply.sound`."""
        return self._reply.sound

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
        return self._story.glance(self.phase, client_left=self._reading_on is not None)
