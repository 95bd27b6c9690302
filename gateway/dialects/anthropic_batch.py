"""Anthropic's message batches: many messages asked for at once and answered within a day.

Anthropic's documentation ("Message Batches"): a batch is created, looked up, listed, cancelled and
deleted under ``/v1/messages/batches``, none of which uses a token.  Its results are lines of JSON
(``…/ID/results``), in any order, each with the ``custom_id`` of a request and a ``result`` whose
type is ``succeeded``, ``errored``, ``canceled`` or ``expired``.  Only those that succeeded have a
``message``, with its usage, and only they are billed.  Results can be fetched for 29 days, as often
as one likes: what identifies a result is the batch and its ``custom_id``.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final
from urllib.parse import unquote_to_bytes

import msgspec

from ..nature import BATCH_RESULT
from . import anthropic
from .anthropic_meter import message_reading
from .base import Meter, Peek, Reading, Result, ResultsMeter
from .generic import Generic
from .jsonpick import picked
from .request import NAME_LIMIT

#: The longest line that is read, in bytes.  The longest answers of today have some hundred thousand
#: tokens: two or three megabytes.
LINE_LIMIT: Final = 8 * 1024 * 1024

_BATCH: Final = re.compile(rb"/messages/batches/([^/]+)/results$")


class AnthropicBatches(Generic):
    """The dialect of what is done with batches, but for their results: it uses no tokens."""

    name: ClassVar[str] = "anthropic_batches"

    def __init__(self) -> None:
        super().__init__(anthropic)


class AnthropicBatchResults(AnthropicBatches):
    """The dialect of ``/v1/messages/batches/ID/results``.

    A fetch uses no tokens, either: what the results tell goes into rows of their own.
    """

    results: ClassVar[str | None] = BATCH_RESULT

    def peek_target(self, method: bytes, target: bytes) -> Peek:
        """Which batch the results are of."""
        found = _BATCH.search(target.partition(b"?")[0].rstrip(b"/"))
        if found is None or method != b"GET":
            return Peek()
        name = unquote_to_bytes(found[1]).decode("utf-8", "backslashreplace")
        return Peek(results_of=name if len(name) <= NAME_LIMIT else None)

    def body_meter(self) -> Meter:
        """A meter for results, or for the error in their place."""
        return BatchResultsMeter()


class _Message(msgspec.Struct):
    model: object = None
    stop_reason: object = None
    usage: object = None


class _Result(msgspec.Struct):
    type: object = None
    message: _Message | None = None


class _Line(msgspec.Struct):
    """What is looked at of a line; the message's content is not built."""

    custom_id: str
    result: _Result


_decode: Final = msgspec.json.Decoder(_Line).decode


class BatchResultsMeter(ResultsMeter):
    """Reads the lines of a batch's results.

    At most `limit` bytes of a line are held; a longer one is passed over, and told of.  So is one
    that cannot be read.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self.complete = False
        self._limit = limit
        self._line = bytearray()  # as much as has come of one that has not ended yet
        self._size = 0  # of that line, also of what is not kept of it
        self._results: list[Result] = []
        self._long = 0
        self._unread = 0

    def feed(self, block: bytes) -> None:
        """Take the next piece of the body."""
        first, *others = block.split(b"\n")
        self._add(first)
        for other in others:
            self._line_ended()
            self._add(other)

    def end(self) -> None:
        """The body is whole: a last line needs no line feed."""
        self._line_ended()
        self.complete = True

    def take(self) -> list[Result]:
        """The results of the lines that have ended since the last call."""
        results, self._results = self._results, []
        return results

    def reading(self) -> Reading:
        """Nothing but what is missing in the results."""
        problems = [
            f"{count} {what}"
            for count, what in (
                (self._long, f"longer than {self._limit} bytes"),
                (self._unread, "not readable as results"),
            )
            if count
        ]
        told = f"lines that were not counted: {', '.join(problems)}" if problems else None
        return Reading(usage_problem=told)

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._line += piece
        elif self._line:
            self._line = bytearray()

    def _line_ended(self) -> None:
        line, size = bytes(self._line), self._size
        self._line.clear()
        self._size = 0
        if size > self._limit:
            self._long += 1
        elif line.strip():
            self._read(line)

    def _read(self, line: bytes) -> None:
        found = picked(_decode, line)
        if found is None or not found.custom_id:
            self._unread += 1
        elif found.result.type == "succeeded":
            message = found.result.message or _Message()
            reading = message_reading(message.model, message.stop_reason, message.usage)
            self._results.append(Result(found.custom_id, reading))
