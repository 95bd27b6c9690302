"""The upstream's answer on its way to the client: who takes its bytes, at which pace.

`begin` judges the answer at its head, passes that on, and makes the relay that takes the body; with
`press` the client's pace becomes the upstream's (`gateway.exchange.pressure`), unless all of the
answer came at once.  What a keepalive has begun in the upstream's place is told from it: see
`gateway.exchange.voice`.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from ..config.model import Secret
from ..dialects.base import Dialect, Peek, ResultsMeter, StreamKind
from ..http1 import Framing, ResponseHead
from ..match import Match
from ..record import Intent
from ..upstream.connection import Connection
from .answer import is_coded, key_mask, kind_of_stream, told
from .deadlines import Deadlines, Moments
from .decoded import decoding
from .forward import NO_LENGTH, response_pairs
from .hooked import Hooked
from .life import UPSTREAM_ENDED, Body, Circumstances, Signal
from .mask import KeyMask, masked
from .pressure import Pressure
from .recipient import Recipient
from .relay import BodyRelay, Collector, Relay, StreamRelay
from .results import ResultRows, ResultsRelay
from .services import Services
from .settled import request_id_of
from .voice import Voice


class Reply(Struct, eq=False):
    """See the module's text."""

    _services: Services
    _match: Match
    _dialect: Dialect
    _intent: Intent
    _request: Recipient
    _moments: Moments
    _deadlines: Deadlines
    _clock: IReactorTime
    _voice: Voice
    _hooked: Hooked | None
    _own_key: Secret | None  #: the gateway's, which no client is told
    _over: Callable[[], None]  #: called when nothing that counts can follow in a stream
    _tell: Callable[[Signal], None]  #: called with what an answer comes to that cannot be passed on
    status: int | None = None  #: of the upstream's answer
    request_id: str | None = None  #: the upstream's own
    relay: Relay | None = None
    _rows: ResultRows | None = None  #: for the results of a batch
    _pressure: Pressure | None = None

    # What the connection tells.

    def interim(self, head: ResponseHead) -> None:
        """Pass an interim response on; 100 answers an expectation that was never passed on."""
        if head.status != 100 and not self._voice.began_stream:
            mask = None if is_coded(head) else key_mask(self._own_key)
            reason, pairs = masked(mask, head.reason, head.fields.end_to_end(NO_LENGTH))
            self._request.send_interim(head.status, reason, pairs)

    def begin(
        self,
        head: ResponseHead,
        framing: Framing,
        peek: Peek,
        *,
        asks_usage: bool,
    ) -> Relay:
        """The final head has come: pass it on, or find out what to tell instead.

        It goes out with what came of the body in the same read.  What is returned takes the body.

        `peek` and `asks_usage` are what is known of the request.
        """
        now = self._clock.seconds()
        self.status, self.request_id = head.status, request_id_of(head)
        self._moments.head = self._moments.last_byte = now
        coded, begun = is_coded(head), self._voice.began_stream
        kind, mask = None, None
        if not coded:
            kind = kind_of_stream(head, self._request.head.method, self._dialect, peek)
            mask = key_mask(self._own_key)
        if kind is None or (begun and kind is not StreamKind.EVENTS):
            self.relay = self._body_relay(head, peek, mask, begun=begun, coded=coded)
        else:
            self.relay = self._stream_relay(kind, mask, begun=begun, strip_usage=asks_usage)
            self._request.let_go_of_fields()
        if isinstance(self.relay, BodyRelay):
            self._voice.stop()
        if not begun or self._hooked is not None:
            pairs, framing = response_pairs(head, framing, is_stream=kind is not None)
            reason, pairs = masked(mask, head.reason, pairs)
            if self._hooked is not None:
                pairs = self._hooked.answered(head.status, pairs, begun=begun)
        if not begun:
            self._moments.heard = now
            self._request.start(head.status, reason, pairs, framing, more=True)
        return self.relay

    def _stream_relay(
        self, kind: StreamKind, mask: KeyMask | None, *, begun: bool, strip_usage: bool
    ) -> StreamRelay:
        outlet = self._request if self._hooked is None else self._hooked.outlet(self._request)
        relay = StreamRelay(outlet, self._dialect, kind, self._moments, self._clock, self._over)
        if begun:
            relay.spoken()
        relay.strip_usage = strip_usage
        relay.mask = mask
        return relay

    def _body_relay(
        self, head: ResponseHead, peek: Peek, mask: KeyMask | None, *, begun: bool, coded: bool
    ) -> BodyRelay | Collector:
        request, moments, clock = self._request, self._moments, self._clock
        plain = self._dialect.body_meter()
        meter = decoding(plain, head, self._dialect, peek) if coded else plain
        if begun:
            return Collector(request, head, meter, lambda kept: self._tell(told(head, kept)))
        if (
            self._dialect.results is not None  # asked first: an abstract class is slow to tell
            and meter is not None
            and isinstance(plain, ResultsMeter)
        ):
            rows = self._rows = self._result_rows(head, peek)
            if rows is not None:
                return ResultsRelay(request, meter, plain, rows, moments, clock, mask)
            meter = None
        streamed = peek.stream and head.status < 300
        return BodyRelay(request, meter, moments, clock, mask, streamed=streamed)

    def _result_rows(self, head: ResponseHead, peek: Peek) -> ResultRows | None:
        """What makes rows of the results that follow this head, if it is one of results."""
        results_of, dialect = peek.results_of, self._dialect.results
        if head.status != 200 or results_of is None or dialect is None:
            return None
        credentials = self._match.caller.credentials
        return ResultRows(self._services, self._intent, dialect, results_of, credentials)

    def press(self, connection: Connection) -> None:
        """More of the body is to come on `connection`: at the client's pace, and in time."""
        pressure = self._pressure = Pressure(
            self._request, connection, self._moments, self._deadlines, self._clock
        )
        if self._rows is not None:
            self._rows.pace(pressure.hold, pressure.release)
        if self._request.present:
            self._request.registerProducer(pressure, True)
        self._deadlines.look()

    def ended(self) -> Signal:
        """The body is whole as HTTP goes: what that comes to."""
        assert self.relay is not None
        self.relay.upstream_ended()
        if isinstance(self.relay, Collector):
            return told(self.relay.head, self.relay.kept)
        return UPSTREAM_ENDED

    # How it stands.

    def circumstances(self) -> Circumstances:
        """What a signal meets now."""
        if self.relay is not None:
            return self.relay.circumstances()
        if self._voice.began_stream:
            return Circumstances(Body.STREAM, complete=False, can_tell=self._request.takes_chunks)
        return Circumstances()

    @property
    def sound(self) -> bool:
        """Whether a finished answer was read to its end and no error of the provider's found in it.

        Of a stream the outcome says so; any other 200 may hold an error, or be in a coding that is
        not read.
        """
        return not isinstance(self.relay, BodyRelay) or self.relay.sound

    @property
    def paused_seconds(self) -> float:
        """How long the client has held it up."""
        return 0.0 if self._pressure is None else self._pressure.paused_seconds

    # The end.

    def read_on(self) -> None:
        """The client has left, and holds nothing up any more."""
        if self._pressure is not None:
            self._pressure.resumeProducing()

    def stop(self) -> None:
        """The exchange is over: no more will come, and nobody paces it any more."""
        if self._rows is not None:
            self._rows.finish()
        if self._pressure is not None:
            self._pressure.account()
            if self._request.present:
                self._request.unregisterProducer()
