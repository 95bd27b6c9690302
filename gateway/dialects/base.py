"""What a dialect has to be able to do, and what its meter reports.

A dialect is one endpoint's way of speaking: which requests ask for a stream, what an error looks
like before and after the head, what may be said into a silent stream, and where usage and the end
of a stream are to be found.  It knows nothing of sockets; the exchange asks, the dialect answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from ..record import ErrorCode, Usage


class BadRequest(ValueError):
    """The request cannot be understood as its dialect; the text tells the client what is wrong."""


@dataclass(frozen=True, slots=True)
class Peek:
    """What the gateway needs to know of a request's body."""

    model: str | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error as the gateway reports it to a client, in any dialect's shape.

    `status` is the HTTP status (the upstream's own where it sent one); `code` the gateway's code;
    `kind` and `message` the provider's own type and words where they are known.
    """

    status: int
    code: ErrorCode
    message: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter saw in a response."""

    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    usage_raw: str | None = None  #: the provider's usage objects as JSON text
    usage_problem: str | None = None  #: why the usage was not believed
    stop_reason: str | None = None
    error: str | None = None  #: the provider's own error in what was fed, as "type: message"


class Meter(Protocol):
    """Reads a response on the side.  O(1) memory; never raises on anything an upstream sends."""

    #: True once the dialect's terminal event (or whole body) was in what was fed.  A provider's own
    #: error event counts as terminal in a stream: it is the last word, to which nothing need be
    #: added.  `Reading.error` tells the two apart.
    complete: bool

    def feed(self, block: bytes) -> None:
        """Take the next bytes: whole events for a stream, any piece for other bodies.

        "Whole events" is what `gateway.sse.EventScanner.whole` tells: no byte order mark, and
        nothing of an event that was too long to be held.
        """

    def end(self) -> None:
        """The body came to its clean HTTP end; some dialects are only complete then."""

    def reading(self) -> Reading:
        """What has been seen so far."""


class Dialect(Protocol):
    """One endpoint of one family.  Instances are stateless and shared."""

    #: The row's ``dialect``.
    name: ClassVar[str]
    #: Whether a request's body must be JSON and is looked into.
    inspects: ClassVar[bool]

    def peek(self, body: Sequence[bytes]) -> Peek:
        """Model and stream flag of a request body (a list of chunks).

        Raises `BadRequest` if the body is not a JSON object or a field has the wrong type.
        """

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""

    def error_event(self, trouble: Trouble) -> bytes:
        """What ends a committed event stream that failed: whole events, never a terminal one."""

    def keepalive(self, *, started: bool, after_id: bool) -> bytes:
        """What may be said at an event boundary; empty if this dialect has nothing harmless.

        `started`: bytes of the upstream have been passed on; `after_id`: one of its events had an
        ``id:`` line.
        """

    def stream_meter(self) -> Meter:
        """A meter for an event stream."""

    def body_meter(self) -> Meter:
        """A meter for any other body."""
