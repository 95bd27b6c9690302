"""Reading an answer that came compressed, though identity coding was asked for.

What is passed on stays as it came.  A meter gets what it stands for, piece by piece and within a
bound: a read that decodes to more, or to nothing, ends the reading, and the row says so.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from ..coding import CodingError, Decoder, TooLarge, UnknownCoding
from ..dialects.base import Dialect, Meter, Peek, Reading, ResultsMeter
from ..dialects.generic import NullMeter
from ..http1 import ResponseHead

#: The most bytes that one read may stand for.  JSON is seldom packed to less than a thirtieth.
MOST: Final = 4 * 1024 * 1024


class DecodedMeter(Meter):
    """Feeds `inner` with what a compressed body stands for."""

    def __init__(self, inner: Meter, decoder: Decoder) -> None:
        self._inner = inner
        self._decoder = decoder
        self._problem: str | None = None

    def feed(self, block: bytes) -> None:
        """Take the next piece of the body, as it came."""
        if self._problem is None:
            try:
                for piece in self._decoder.feed(block, MOST):
                    self._inner.feed(piece)
            except (CodingError, TooLarge) as error:
                self._problem = f"usage was not read to the end: {error}"

    def end(self) -> None:
        """The body is whole; is what it stands for?"""
        self.complete = True
        if self._problem is None:
            try:
                self._decoder.end()
            except CodingError as error:
                self._problem = f"usage was not read to the end: {error}"
            else:
                self._inner.end()

    def reading(self) -> Reading:
        """What was seen in what could be decoded."""
        reading = self._inner.reading()
        if self._problem is None:
            return reading
        return replace(reading, usage_problem=reading.usage_problem or self._problem)


class _Unread(NullMeter):
    """Reads nothing, and says why."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self._problem = problem

    def reading(self) -> Reading:
        """Nothing was read."""
        return Reading(usage_problem=self._problem)


def decoding(meter: Meter, head: ResponseHead, dialect: Dialect, peek: Peek) -> Meter | None:
    """`meter`, fed with what the coded body of `head` stands for; None if it cannot be read.

    That is so for codings that are not known here, and for streams, whose meters want whole events.
    A row without tokens tells that of an answer by itself.  The row of a fetch of results never has
    any, so the problem is told there.
    """
    if isinstance(meter, NullMeter) or dialect.stream_kind(head.media_type, peek) is not None:
        return None
    codings = [name for name in head.fields.elements(b"content-encoding") if name != b"identity"]
    try:
        return DecodedMeter(meter, Decoder(codings))
    except UnknownCoding as error:
        results = isinstance(meter, ResultsMeter)
        return _Unread(f"usage was not read: {error}") if results else None
