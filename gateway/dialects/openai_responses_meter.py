"""Usage, end and numbering of OpenAI's responses, streamed and not.

Every event of a stream has its type and a ``sequence_number`` in its data.  Those with a
``response`` in it tell its id and model; the last of them, ``response.completed``, ``.incomplete``
or ``.failed``, its usage and how it ended.  An ``error`` event is told nested or flat, and may be
followed by ``response.failed``, so that the stream is complete with the one and over with the
other.  OpenAI's documentation: "Streaming API responses", "The response object".

Of the events between, which are nearly all, only the last one's number matters, and that only if
the gateway has something to say itself; it is looked for then.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..sse import parse
from .base import Meter, Reading
from .body_meter import BodyMeter
from .jsonpick import UNREADABLE, lenient, text
from .long_events import LongEvent
from .openai_usage import UNTOLD, read_usage
from .provider_error import from_value
from .request import NAME_LIMIT

_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})

#: Where a long response, alone or in an event, tells what: near its beginning and near its end.
_HEAD: Final = ("id", "status", "error", "incomplete_details", "model")
_TAIL: Final = ("usage", "model", "incomplete_details", "status")
_OUTER: Final = ("type", "sequence_number")
_UNDERWAY: Final = frozenset({"queued", "in_progress"})


class _Numbered(msgspec.Struct):
    sequence_number: int | None = None


class ResponseStreamMeter(Meter):
    """Reads the event stream of a response.

    `complete` becomes true with its last event and with an ``error`` event.
    """

    def __init__(self) -> None:
        self._tally = _Tally()
        self._recent = b""  # the last events that have numbers
        self._long: LongEvent | None = None

    def feed(self, block: bytes) -> None:
        """Take whole events."""
        if block.rfind(b'"sequence_number"') >= 0:
            self._recent = block
        # Each event that tells more has one of these.  Text that the model wrote cannot have the
        # first, since its quotes are escaped; where it has the second, it costs a closer look.
        if block.find(b'"response"') < 0 and block.find(b"error") < 0:
            return
        for name, data in parse(block):
            if name == b"error" or data.find(b'"response"') >= 0 or data.find(b"error") >= 0:
                self._event(lenient(data), name)

    def feed_part(self, part: bytes, *, last: bool) -> None:
        """Take a part of an event that was too long to be held: its id, usage and end count."""
        if self._long is None:
            self._long = LongEvent()
        self._long.feed(part)
        if last:
            tail = dict.fromkeys(_TAIL, b'{"response":{') | dict.fromkeys(_OUTER, b"{")
            documents = self._long.documents(_OUTER, tail, inner=_HEAD)
            self._long = None
            self._long_event([lenient(document) for document in documents])

    def end(self) -> None:
        """A clean end of HTTP is not the end of a response."""

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading(self._sequence())

    def _event(self, event: object, name: bytes | None = None) -> None:
        if not isinstance(event, dict):
            return
        kind = event.get("type")
        if kind is None and name is not None:
            kind = name.decode("utf-8", "replace")
        response = event.get("response")
        if isinstance(response, dict):
            self._tally.add(response)
        if kind == "error" or event.get("error"):
            flat = {"code": event.get("code"), "message": event.get("message")}
            self._tally.add_error(event.get("error") or flat)
            self.complete = True
        if isinstance(kind, str) and kind in _LAST:
            self._tally.finish(kind.removeprefix("response."))
            self.complete = self.over = True

    def _long_event(self, pieces: list[object]) -> None:
        """An event of which the pieces that were found are known."""
        event: dict[str, Any] = {}
        response: dict[str, Any] = {}
        for piece in pieces:
            if isinstance(piece, dict):
                inner = piece.pop("response", None)
                response |= inner if isinstance(inner, dict) else {}
                event |= piece
        if response:
            event["response"] = response
        if "sequence_number" in event:
            self._recent = b"data: %b\n\n" % text({"sequence_number": event["sequence_number"]})
        self._event(event)

    def _sequence(self) -> int | None:
        """The number of the last event that has one."""
        for _, data in reversed(list(parse(self._recent))):
            try:
                number = _decode_number(data).sequence_number
            except UNREADABLE:
                continue
            if number is not None:
                return number
        return None


_decode_number: Final = msgspec.json.Decoder(_Numbered).decode


class ResponseBodyMeter(BodyMeter):
    """Reads a response, or an error, that is one JSON object."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        for document in self._windows.documents(_HEAD, dict.fromkeys(_TAIL, b"{")):
            value = lenient(document)
            if isinstance(value, dict):
                tally.add(value)
        return tally.reading(None)


class _Tally:
    """What a response has told so far."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._model: str | None = None
        self._status: str | None = None
        self._reason: str | None = None
        self._error: str | None = None
        self._usage: bytes | None = None

    def add(self, response: dict[str, Any]) -> None:
        """Take what a response object tells."""
        self._id = self._id or _name(response.get("id"))
        self._model = self._model or _name(response.get("model"))
        self._status = _name(response.get("status")) or self._status
        details = response.get("incomplete_details")
        if isinstance(details, dict):
            self._reason = _name(details.get("reason")) or self._reason
        if response.get("usage"):
            self._usage = text(response["usage"])
        if response.get("error"):
            self.add_error(response["error"])

    def add_error(self, error: object) -> None:
        """Take a provider's error; the first one counts."""
        if self._error is None:
            self._error = str(from_value(error))

    def finish(self, status: str) -> None:
        """The last event has come; `status` is what its type says of the response."""
        if self._status is None or self._status in _UNDERWAY:
            self._status = status
        if status == "failed":
            self.add_error({})  # for one that does not tell why

    def reading(self, sequence: int | None) -> Reading:
        """All of it.  Why a response is incomplete is its stop reason, else its last status."""
        told = UNTOLD if self._usage is None else read_usage(self._usage)
        status = None if self._status in _UNDERWAY else self._status
        reason = self._reason if status == "incomplete" and self._reason else status
        return Reading(
            self._model,
            told.usage,
            told.raw,
            told.problem,
            reason,
            self._error,
            self._id,
            sequence,
        )


def _name(value: object) -> str | None:
    return value[:NAME_LIMIT] if isinstance(value, str) and value else None
