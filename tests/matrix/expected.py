"""What is to come of each cell, from rules that can be read beside the table of ends.

The rules, in the order in which they are applied:

1.  An answer that is none of the way's own (an HTTP error, another type of body, a coded one) goes
    to the client as it is.  Once the gateway has begun the stream it becomes an error there.
2.  A stream whose last event has been passed on is finished, whatever follows.  Where HTTP's end
    belongs to the end, it is not finished before.
3.  Everything else ends as `ENDS` says.
4.  The client is told in the way that is left: by a response before the commit, by the dialect's
    error in a stream, by a break where neither can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.record import ErrorCode, Outcome, Phase, Usage
from tests.matrix.dialects import WAYS
from tests.matrix.failures import FAILURES
from tests.matrix.stage import Mode
from tests.matrix.way import End, Shape, Way


class Told(Enum):
    """What the client gets in the end."""

    WHOLE = "the upstream's answer, whole"
    RESPONSE = "an error response"
    ERROR = "one error sequence of the dialect, the last chunk, close"
    BREAK = "a body that is broken visibly"
    NOTHING = "nothing more: it has gone"


class Upstream(Enum):
    """What becomes of the connection to the upstream."""

    NEVER = "there was none"
    POOLED = "kept for the next request"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Ending:
    """What the row says of an end, and the status that a response would have before the commit."""

    outcome: Outcome
    phase: Phase
    error: ErrorCode | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """All that is asserted of a cell."""

    ending: Ending
    told: Told
    upstream: Upstream
    begun: bool  #: the gateway began the stream itself
    relayed: bool  #: what the upstream sent of its answer is the client's, too
    status_upstream: int | None
    stream: bool  #: the row's
    usage: Usage
    stop_reason: str | None

    @property
    def status_sent(self) -> int | None:
        """The status that the client has been told."""
        if self.begun:
            return 200
        if self.told is Told.RESPONSE:
            return self.ending.status
        return self.status_upstream


_FAILED, _LATE, _GONE = Outcome.UPSTREAM_FAILED, Outcome.TIMED_OUT, Outcome.CLIENT_GONE
_FINISHED: Final = Ending(Outcome.FINISHED, Phase.DONE)

#: Where each failure stands that is not the upstream's answer itself (rule 3).
ENDS: Final[dict[str, Ending]] = {
    "refused": Ending(_FAILED, Phase.CONNECT, ErrorCode.CONNECT_REFUSED, 502),
    "connect timeout": Ending(_LATE, Phase.CONNECT, ErrorCode.CONNECT_TIMEOUT, 504),
    "head timeout": Ending(_LATE, Phase.HEAD, ErrorCode.HEAD_TIMEOUT, 504),
    "reset before the head": Ending(_FAILED, Phase.HEAD, ErrorCode.RESET, 502),
    "malformed head": Ending(_FAILED, Phase.HEAD, ErrorCode.MALFORMED, 502),
    "stopped before the head": Ending(Outcome.DRAINED, Phase.HEAD, ErrorCode.OPERATOR, 503),
    "first-event timeout": Ending(_LATE, Phase.FIRST_EVENT, ErrorCode.FIRST_EVENT_TIMEOUT, 504),
    "reset in mid-stream": Ending(_FAILED, Phase.RELAY, ErrorCode.RESET, 502),
    "reset inside a long event": Ending(_FAILED, Phase.RELAY, ErrorCode.RESET, 502),
    "reset after the last event": Ending(_FAILED, Phase.RELAY, ErrorCode.RESET, 502),
    "FIN in mid-stream": Ending(_FAILED, Phase.RELAY, ErrorCode.TRUNCATED, 502),
    "malformed chunk": Ending(_FAILED, Phase.RELAY, ErrorCode.MALFORMED, 502),
    "silence in mid-event": Ending(_LATE, Phase.RELAY, ErrorCode.IDLE_TIMEOUT, 504),
    "silence inside a long event": Ending(_LATE, Phase.RELAY, ErrorCode.IDLE_TIMEOUT, 504),
    "total timeout": Ending(_LATE, Phase.RELAY, ErrorCode.TOTAL_TIMEOUT, 504),
    "client does not read": Ending(_LATE, Phase.RELAY, ErrorCode.CLIENT_WRITE_TIMEOUT),
    "stopped in mid-stream": Ending(Outcome.DRAINED, Phase.RELAY, ErrorCode.OPERATOR, 503),
    "error event in a 200": Ending(_FAILED, Phase.RELAY, ErrorCode.PROVIDER_ERROR_EVENT),
    "client gone at request": Ending(_GONE, Phase.REQUEST),
    "client gone at connect": Ending(_GONE, Phase.CONNECT),
    "client gone at head": Ending(_GONE, Phase.HEAD),
    "client gone at first_event": Ending(_GONE, Phase.FIRST_EVENT),
    "client gone at relay": Ending(_GONE, Phase.RELAY),
    "client gone after the last event": Ending(_GONE, Phase.RELAY),
}

#: Rule 1: answers of another kind, and what they are in a stream that the gateway has begun.
OTHER_ANSWERS: Final[dict[str, ErrorCode]] = {
    "HTTP error": ErrorCode.HTTP_ERROR,
    "JSON instead": ErrorCode.NOT_SSE,
    "HTML instead": ErrorCode.NOT_SSE,
    "empty answer": ErrorCode.NOT_SSE,
    "coded stream": ErrorCode.NOT_SSE,
}

#: Clean ends of HTTP before the answer was whole, and how many events had come.
EARLY_ENDS: Final = {"clean early end": 1, "clean end before any event": 0}

#: Those that stand inside an event which has been begun: nothing can be said there.
LONG: Final = {"reset inside a long event", "silence inside a long event"}

#: Those in which HTTP's framing was whole, so that the connection can be used again.
_HTTP_WHOLE: Final = {"finished", "error event in a 200", *OTHER_ANSWERS, *EARLY_ENDS}
#: Those in which every piece of the answer came.
_ALL_CAME: Final = {"finished", "reset after the last event", "client gone after the last event"}


def inapplicable(way: Way, failure: str, mode: Mode) -> str | None:
    """Why there is no such cell; None if there is."""
    body = way.shape is Shape.BODY
    if failure in LONG and body:
        return "a body that is no stream has no events, long or short"
    if failure == "clean end before any event" and body:
        return "a body of no bytes is 'empty answer'"
    if failure == "JSON instead" and way.media_type == b"application/json" and body:
        return "JSON is what it answers with; see 'finished'"
    if failure == "error event in a 200" and way.error_piece is None:
        return "no stream, or one of which no event is known"
    early = failure in ENDS and ENDS[failure].phase is Phase.CONNECT
    if early and way.goes_by and way.speaks and mode is not Mode.OFF:
        return "that a form asks for a stream is not known before it has gone by"
    return None


Cell = tuple[str, str, Mode]
_ALL: Final = [(way, failure, mode) for way in WAYS for failure in FAILURES for mode in Mode]
INAPPLICABLE: Final[dict[Cell, str]] = {
    (way, failure, mode): reason
    for way, failure, mode in _ALL
    if (reason := inapplicable(WAYS[way], failure, mode))
}
CELLS: Final[list[Cell]] = [cell for cell in _ALL if cell not in INAPPLICABLE]


def expected(way: Way, failure: str, mode: Mode) -> Expected:
    """What is to come of a cell."""
    begun = mode is not Mode.OFF and way.speaks and failure != "client gone at request"
    ending = _ending(way, failure, begun=begun)
    head_came = failure not in ENDS or ENDS[failure].phase in (Phase.FIRST_EVENT, Phase.RELAY)
    is_other = failure in OTHER_ANSWERS
    upstream = _upstream(failure, ending)
    return Expected(
        ending=ending,
        told=_told(way, failure, ending, committed=begun or head_came),
        upstream=upstream,
        begun=begun,
        relayed=head_came and not (begun and is_other),
        status_upstream=(429 if failure == "HTTP error" else 200) if head_came else None,
        # What a body that is passed on asks for is not known before it has gone by.
        stream=way.streams and not (way.goes_by and upstream is Upstream.NEVER),
        usage=_usage(way, failure),
        stop_reason=_stop_reason(way, failure, ending, streamed=head_came and not is_other),
    )


def _ending(way: Way, failure: str, *, begun: bool) -> Ending:
    if failure == "finished":
        return _FINISHED
    if failure in OTHER_ANSWERS:
        status = 429 if failure == "HTTP error" else 502
        told = Ending(_FAILED, Phase.FIRST_EVENT, OTHER_ANSWERS[failure], status)
        return told if begun else _FINISHED
    if failure in EARLY_ENDS:
        if way.ends is End.HTTP:
            return _FINISHED
        phase = Phase.RELAY if EARLY_ENDS[failure] else Phase.FIRST_EVENT
        return Ending(_FAILED, phase, ErrorCode.NO_TERMINAL_EVENT, 502)
    if failure in _ALL_CAME and way.ends is End.EVENT:
        return _FINISHED
    return ENDS[failure]


def _told(way: Way, failure: str, ending: Ending, *, committed: bool) -> Told:
    if failure.startswith("client gone"):
        return Told.NOTHING
    if ending is _FINISHED or failure == "error event in a 200":
        return Told.WHOLE
    if not committed:
        return Told.RESPONSE
    if way.shape is Shape.BODY or failure in LONG or failure == "client does not read":
        return Told.BREAK
    return Told.ERROR


def _upstream(failure: str, ending: Ending) -> Upstream:
    if failure in _HTTP_WHOLE:
        return Upstream.POOLED
    never = ending.phase in (Phase.REQUEST, Phase.CONNECT)
    return Upstream.NEVER if never else Upstream.CLOSED


def _usage(way: Way, failure: str) -> Usage:
    """What was told counts, however the answer ended; what could not be read is not known."""
    if failure == "JSON instead":
        return WAYS[way.whole].usage if way.whole else Usage()
    if failure in OTHER_ANSWERS and not _decoded(way, failure):
        return Usage()
    if failure in _ALL_CAME or _decoded(way, failure):
        return way.usage
    came = failure in EARLY_ENDS or ENDS[failure].phase is Phase.RELAY
    return way.first_usage if came and failure != "clean end before any event" else Usage()


def _decoded(way: Way, failure: str) -> bool:
    """A whole answer is read behind its coding; a stream that is coded is not."""
    return failure == "coded stream" and way.shape is Shape.BODY


def _stop_reason(way: Way, failure: str, ending: Ending, *, streamed: bool) -> str | None:
    """The provider's; `incomplete` for a stream that did not finish and told none."""
    if failure == "JSON instead":
        told = WAYS[way.whole].stop_reason if way.whole else None
    else:
        all_came = failure in _ALL_CAME or _decoded(way, failure)
        told = way.stop_reason if all_came else None
    is_stream = way.shape is not Shape.BODY or way.streams
    cut = streamed and is_stream and ending.outcome is not Outcome.FINISHED
    return told or ("incomplete" if cut else None)
