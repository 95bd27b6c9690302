"""What a dialect has to be able to do, and what its meter reports.

A dialect is one endpoint's way of speaking: which requests ask for a stream, what an error looks
like before and after the head, what may be said into a silent stream, and where usage and the end
of a stream are to be found.  It knows nothing of sockets; the exchange asks, the dialect answers.

In the order of a request: `Dialect.peek_target` and `Dialect.peek` look at what was asked (or
`gateway.dialects.multipart`, for a form that is passed on while it comes); `Dialect.stream_kind`
looks at the head of the answer; a `Meter` reads the answer; `Standing` tells the dialect how far
the answer has come when the gateway has something to say itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from msgspec import Struct

from ..record import ErrorCode, Usage


class BadRequest(ValueError):
    """The request cannot be understood as its dialect; the text tells the client what is wrong."""


class Peek(Struct, frozen=True):
    """What the gateway needs to know of a request."""

    model: str | None = None
    stream: bool = False
    #: A stream so asked for is one of server-sent events: it may be begun before the upstream does.
    events: bool = True
    include_usage: bool = False  #: the client itself asked for a usage chunk in its stream
    #: The answer repeats one that another request began: its usage counts only where no row that
    #: has the same `Reading.response_id` has a usage already.
    replay: bool = False
    #: The answer holds many results, each of which is billed by itself; this names, for the
    #: upstream, what they are results of.
    results_of: str | None = None


#: A request of which nothing is known.
UNSEEN: Final = Peek()


class Trouble(Struct, frozen=True):
    """An error as the gateway reports it to a client, in any dialect's shape.

    `status` is the HTTP status (the upstream's own where it sent one); `code` the gateway's code;
    `kind`, `message` and `provider_code` the provider's own type, words and code where they are
    known.
    """

    status: int
    code: ErrorCode
    message: str
    kind: str | None = None
    provider_code: str | None = None


class Reading(Struct, frozen=True):
    """What a meter saw in a response."""

    model: str | None = None
    usage: Usage = Usage()
    usage_raw: str | None = None  #: the provider's usage objects as JSON text
    usage_problem: str | None = None  #: why the usage was not believed
    stop_reason: str | None = None
    error: str | None = None  #: the provider's own error in what was fed, as "type: message"
    response_id: str | None = None  #: by which the same answer can be asked for again
    sequence: int | None = None  #: the last ``sequence_number``, where events are numbered


@dataclass(frozen=True, slots=True)
class Result:
    """One of many results in an answer: what an answer of its own would have told."""

    key: str  #: the same each time that this result is told, and no other's of `Peek.results_of`
    reading: Reading


class StreamKind(Enum):
    """What a streamed answer comes as, and so where one piece of it ends."""

    EVENTS = "server-sent events"
    LINES = "lines, each a JSON document"
    ARRAY = "one JSON array, sent element by element"


class Standing(Struct, frozen=True):
    """How far a stream has come where the gateway wants to say something itself.

    The default is a stream of which only what the gateway itself said has been passed on.
    """

    kind: StreamKind = StreamKind.EVENTS
    started: bool = False  #: an event of the upstream's has been passed on
    after_id: bool = False  #: one of its events had an ``id:`` line
    reading: Reading = Reading()  #: what the stream's meter has seen


#: A stream that the gateway begins itself.
FRESH: Final = Standing()


class Meter(ABC):
    """Reads a response on the side.  O(1) memory; never raises on anything an upstream sends."""

    __slots__ = ()

    #: True once the dialect's terminal event (or whole body) was in what was fed.  A provider's own
    #: error event counts as terminal in a stream: it is the last word, to which nothing need be
    #: added.  `Reading.error` tells the two apart.
    complete: bool = False
    #: True once nothing of the stream can follow what was fed: the exchange ends at once, even if
    #: the upstream's body goes on.  Only where clients wait for that end.
    over: bool = False

    @abstractmethod
    def feed(self, block: bytes) -> None:
        """Take the next bytes: whole events of `StreamKind.EVENTS`, whole lines of
        `StreamKind.LINES`, any piece of `StreamKind.ARRAY` and of other bodies.

        "Whole events" is what `gateway.sse.EventScanner.whole` tells: no byte order mark, and
        nothing of an event that was too long to be held.
        """

    def feed_part(self, part: bytes, *, last: bool) -> None:  # noqa: B027
        """Take the next part of an event (or line) that was too long to be held.

        `last`: it ends with this part.  What such an event tells may be lost to a meter that does
        not care: only those whose usage or terminal event can be long do.
        """

    @abstractmethod
    def end(self) -> None:
        """The body came to its clean HTTP end; some dialects are only complete then."""

    @abstractmethod
    def reading(self) -> Reading:
        """What has been seen so far."""


class ResultsMeter(Meter):
    """Reads an answer that holds many results, and gives them out as they come.

    Bounded by the longest result that is read, and by what one call of `feed` brings.
    """

    @abstractmethod
    def take(self) -> list[Result]:
        """The results that were read since the last call."""


class Dialect(ABC):
    """One endpoint of one family.  Instances are immutable and shared."""

    #: The row's ``dialect``.
    name: ClassVar[str]
    #: Whether a request's body, if it is JSON, is kept and looked into by `peek`.
    inspects: ClassVar[bool] = True
    #: Whether a request's body, if it is ``multipart/form-data``, is looked into by a
    #: `gateway.dialects.multipart.MultipartPeek` while it is passed on.
    reads_forms: ClassVar[bool] = False
    #: Whether `gateway.usage_injection` can ask for usage here that the client did not ask for.
    injects_usage: ClassVar[bool] = False
    #: The ``dialect`` of the rows of results, where answers hold many (`Peek.results_of`): their
    #: `body_meter` is a `ResultsMeter`.
    results: ClassVar[str | None] = None

    def peek_target(self, method: bytes, target: bytes) -> Peek:
        """What method and target (the raw path and query) tell: all there is without a body."""
        return Peek()

    @abstractmethod
    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """What a request's JSON body (a list of chunks) tells, added to what its target told.

        Raises `BadRequest` if the body is not a JSON object or a field has the wrong type.
        """

    def stream_kind(self, media_type: bytes, peek: Peek) -> StreamKind | None:
        """What kind of stream a successful answer of this media type (in lower case, without
        parameters) to a request so seen is; None for a body that is no stream.
        """
        return StreamKind.EVENTS if media_type == b"text/event-stream" else None

    @abstractmethod
    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""

    @abstractmethod
    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """What ends a committed stream that failed: whole events or lines, never a terminal one
        that tells of success.  Empty if nothing can be said: the body has to be broken then.

        It may be several events; all of them are written at once.
        """

    @abstractmethod
    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """What may be said at a boundary; empty if this dialect has nothing harmless there."""

    @abstractmethod
    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of this kind."""

    @abstractmethod
    def body_meter(self) -> Meter:
        """A meter for any other body."""
