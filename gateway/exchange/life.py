"""The state machine of an exchange: its phases, its single latch, and the table of its ends.

Sans I/O.  An exchange goes through the phases of `NEXT` in order; whatever ends it is a `Signal`.
The first signal latches: `Life.settle` answers it once with an `Ending`, which says what the ledger
is told and what is to be done towards the client, and answers every later signal with None.

"Committed" means that a response head of ours has been written.  What can still be done for the
client depends on that alone, and on what kind of body was announced:

    before the commit        a whole error response with a status
    an event stream          one error event of the dialect, then a whole last chunk, then close
    any other body           a visible break

An error event needs an event boundary to stand on and chunks to end it with; where one of the two
is missing (we are inside an event too long to be held back, or the client speaks HTTP/1.0) the body
is broken instead.  Nothing is added behind a terminal event that the client has been given.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..http1 import LocalError
from ..record import ErrorCode, Outcome, Phase


class Body(Enum):
    """What the client has been told to expect."""

    NOT_COMMITTED = "no head yet"
    STREAM = "a stream that an error can be told in"
    OTHER = "another body"


class Kind(Enum):
    """What can end an exchange."""

    UPSTREAM_ENDED = "the upstream's body is whole"
    UPSTREAM_FAILED = "the upstream cannot be asked, or did not answer as it should"
    PROVIDER_ERROR = "the upstream's answer is an error that has to be told as an event"
    TIMED_OUT = "a deadline of the upstream passed"
    CLIENT_STALLED = "the client does not read"
    CLIENT_GONE = "the client has left"
    REJECTED = "the gateway itself cannot take the request"
    DRAINED = "the gateway is stopping"
    BUG = "our own code failed"


class Farewell(Enum):
    """What to do towards the client."""

    NOTHING = "nothing: nobody is there"
    END = "end the body as announced"
    RESPONSE = "a whole error response"
    EVENT = "an error event, the last chunk, close"
    ABORT = "break the body visibly"


class Signal(Struct, frozen=True):
    """Something that ends an exchange.  `status` is what an error response would carry."""

    kind: Kind
    error: ErrorCode | None = None
    detail: str | None = None
    status: int = 502
    provider_kind: str | None = None  #: the provider's own type of error, where it told one
    provider_code: str | None = None  #: likewise its code


#: The one that nearly every exchange ends with.
UPSTREAM_ENDED: Final = Signal(Kind.UPSTREAM_ENDED)


class Ending(Struct, frozen=True):
    """How an exchange ended, and what is to be done about it."""

    outcome: Outcome
    phase: Phase
    error: ErrorCode | None
    detail: str | None
    farewell: Farewell


#: Everything was as it should be, and the client is there to be told so.
WELL: Final = Ending(Outcome.FINISHED, Phase.DONE, None, None, Farewell.END)


class Circumstances(Struct, frozen=True):
    """What the relay knows at the moment of a signal."""

    body: Body = Body.NOT_COMMITTED
    terminal_passed: bool = False  #: the dialect's terminal event has been given to the client
    complete: bool = True  #: the body, ended now, would be whole in its dialect
    can_tell: bool = True  #: an error event can be written: at a boundary, to HTTP/1.1
    provider_error: str | None = None  #: an error of the provider's inside its 200


#: The phase that may follow each phase.  An end can come in any of them.
NEXT: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.REQUEST: frozenset({Phase.CONNECT}),
    Phase.CONNECT: frozenset({Phase.HEAD}),
    Phase.HEAD: frozenset({Phase.FIRST_EVENT, Phase.RELAY}),
    Phase.FIRST_EVENT: frozenset({Phase.RELAY}),
    Phase.RELAY: frozenset(),
    Phase.DONE: frozenset(),
}

_OUTCOMES: Final[dict[Kind, Outcome]] = {
    Kind.UPSTREAM_ENDED: Outcome.FINISHED,
    Kind.UPSTREAM_FAILED: Outcome.UPSTREAM_FAILED,
    Kind.PROVIDER_ERROR: Outcome.UPSTREAM_FAILED,
    Kind.TIMED_OUT: Outcome.TIMED_OUT,
    Kind.CLIENT_STALLED: Outcome.TIMED_OUT,
    Kind.CLIENT_GONE: Outcome.CLIENT_GONE,
    Kind.REJECTED: Outcome.REJECTED,
    Kind.DRAINED: Outcome.DRAINED,
    Kind.BUG: Outcome.INTERNAL_ERROR,
}

#: Signals after which the client has everything, if it has been given the terminal event.
_HARMLESS_AFTER_TERMINAL: Final = frozenset(
    {Kind.UPSTREAM_FAILED, Kind.TIMED_OUT, Kind.CLIENT_GONE, Kind.REJECTED, Kind.DRAINED}
)


class Life(Struct, eq=False):
    """The phase of one exchange, and whether it has ended."""

    phase: Phase = Phase.REQUEST
    ending: Ending | None = None

    def enter(self, phase: Phase) -> None:
        """Go on to `phase`.  Raises `LocalError` if that cannot follow, or after the end."""
        if self.ending is not None or phase not in NEXT[self.phase]:
            raise LocalError(f"phase {phase} cannot follow {self.phase}")
        self.phase = phase

    def settle(self, signal: Signal, now: Circumstances) -> Ending | None:
        """Latch the end.  None if it was latched before: the signal is late and means nothing."""
        if self.ending is not None:
            return None
        self.ending = ending = judge(signal, self.phase, now)
        return ending


def judge(signal: Signal, phase: Phase, now: Circumstances) -> Ending:
    """The table of ends: what a signal means in a phase, under the circumstances."""
    if now.terminal_passed and signal.kind in _HARMLESS_AFTER_TERMINAL:
        return _finished(signal.kind, now)
    if signal.kind is Kind.UPSTREAM_ENDED:
        if now.complete or now.body is not Body.STREAM:
            return _finished(signal.kind, now)
        signal = Signal(
            Kind.UPSTREAM_FAILED,
            ErrorCode.NO_TERMINAL_EVENT,
            "the upstream ended the stream without its terminal event",
        )
    outcome = _OUTCOMES[signal.kind]
    return Ending(outcome, phase, signal.error, signal.detail, _farewell(signal, now))


def _finished(kind: Kind, now: Circumstances) -> Ending:
    farewell = Farewell.NOTHING if kind is Kind.CLIENT_GONE else Farewell.END
    if now.provider_error is not None:
        # The provider's own error was passed on; it ends the stream, but not well.
        return Ending(
            Outcome.UPSTREAM_FAILED,
            Phase.RELAY,
            ErrorCode.PROVIDER_ERROR_EVENT,
            now.provider_error,
            farewell,
        )
    return WELL if farewell is Farewell.END else replace(WELL, farewell=farewell)


def _farewell(signal: Signal, now: Circumstances) -> Farewell:
    if signal.kind is Kind.CLIENT_GONE:
        return Farewell.NOTHING
    if signal.kind is Kind.CLIENT_STALLED:
        return Farewell.ABORT
    if now.body is Body.NOT_COMMITTED:
        return Farewell.RESPONSE
    if now.body is Body.STREAM and now.terminal_passed:
        return Farewell.END
    if now.body is Body.STREAM and now.can_tell:
        return Farewell.EVENT
    return Farewell.ABORT
