"""An endpoint of which nothing is known but the shape of its family's errors.

Its requests are not looked into and its answers not metered; HTTP's framing alone tells whether an
answer is whole.  Nothing is said into its silences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from .base import FRESH, UNSEEN, Dialect, Meter, Peek, Reading, Standing, StreamKind, Trouble


class ErrorShape(Protocol):
    """How a family writes errors: a module such as `gateway.dialects.openai`."""

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""

    def error_event(self, trouble: Trouble) -> bytes:
        """The event that ends a stream which failed."""


class Generic(Dialect):
    """The dialect of an endpoint that is only passed through."""

    name: ClassVar[str] = "generic"
    inspects: ClassVar[bool] = False

    def __init__(self, shape: ErrorShape) -> None:
        self._shape = shape

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """Nothing: the body may be of any type."""
        return known

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response, in the family's shape."""
        return self._shape.error_body(trouble)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """The event that ends a stream which failed, in the family's shape."""
        return self._shape.error_event(trouble)

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """Nothing: it is not known what the client would make of it."""
        return b""

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter that reads nothing."""
        return NullMeter()

    def body_meter(self) -> Meter:
        """A meter that reads nothing."""
        return NullMeter()


class NullMeter(Meter):
    """Reads nothing; complete with the clean end of HTTP."""

    def __init__(self) -> None:
        self.complete = False

    def feed(self, block: bytes) -> None:
        """Ignore the bytes."""

    def end(self) -> None:
        """The clean end is all that tells."""
        self.complete = True

    def reading(self) -> Reading:
        """Nothing was read."""
        return Reading()
