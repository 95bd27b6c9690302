"""Meters of OpenAI's endpoints that are neither chat nor responses: images, audio, embeddings.

Their streams consist of events with a type, of which one kind is the last word and has the usage:
``image_generation.completed``, ``transcript.text.done``, ``speech.audio.done``.  vLLM streams
transcriptions as chunks like those of chat instead, usage in the last of them, with ``[DONE]`` at
the end.  Their bodies are one JSON object with a ``usage`` at its outermost level, if any.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from ..sse import payloads
from .base import Meter, Reading
from .body_meter import BodyMeter
from .jsonpick import lenient, text
from .long_events import LongEvent
from .openai_usage import UNTOLD, Told, added, read_usage
from .provider_error import from_value
from .request import NAME_LIMIT

_DONE: Final = b"[DONE]"


class TypedStreamMeter(Meter):
    """Reads an event stream of which events with one of the types `last` have the usage.

    `several`: there may be more than one of them, each with the usage of its own image, so that
    only the clean end of HTTP tells that none is missing.  Else the first one is terminal, as are
    ``[DONE]`` and an in-band ``error`` everywhere.
    """

    def __init__(self, last: frozenset[str], *, several: bool = False) -> None:
        self._last = last
        self._several = several
        self._markers = (
            *(f'"{kind}"'.encode() for kind in last),
            b'"usage"',
            b'"model"',
            b"error",
            _DONE,
        )
        self._tally = _Tally()
        self._seen_last = False
        self._done = False
        self._long: LongEvent | None = None

    def feed(self, block: bytes) -> None:
        """Take whole events."""
        if self._done or not any(block.find(marker) >= 0 for marker in self._markers):
            return
        for data in payloads(block):
            if data.startswith(_DONE):
                self.complete = self._done = True
                return
            self._event(lenient(data))

    def feed_part(self, part: bytes, *, last: bool) -> None:
        """Take a part of an event that was too long to be held: its type and usage count."""
        if self._long is None:
            self._long = LongEvent()
        self._long.feed(part)
        if last:
            documents = self._long.documents(("type", "usage"), {"usage": b"{", "type": b"{"})
            self._long = None
            event: dict[str, Any] = {}
            for document in documents:
                value = lenient(document)
                event |= value if isinstance(value, dict) else {}
            if not self._done:
                self._event(event)

    def end(self) -> None:
        """The clean end of HTTP is enough once there was an event of the last kind."""
        if self._seen_last:
            self.complete = True

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading()

    def _event(self, event: object) -> None:
        if not isinstance(event, dict):
            return
        self._tally.add_model(event.get("model"))
        kind = event.get("type")
        if isinstance(kind, str) and kind in self._last:
            self._seen_last = True
            self.complete = self.complete or not self._several
            if self._several:
                self._tally.add_part(event.get("usage"))
            else:
                self._tally.add_usage(event.get("usage"))
        elif kind == "error" or event.get("error"):
            flat = {"code": event.get("code"), "message": event.get("message")}
            self._tally.add_error(event.get("error") or flat)
            self.complete = True
        else:
            self._tally.add_usage(event.get("usage"))


class UsageBodyMeter(BodyMeter):
    """Reads a body that is one JSON object; of any other there is nothing to read."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        documents = self._windows.documents(
            ("model", "usage", "error"), {"usage": b"{", "model": b"{"}
        )
        for document in documents:
            value = lenient(document)
            if isinstance(value, dict):
                tally.add_model(value.get("model"))
                tally.add_usage(value.get("usage"))
                if value.get("error"):
                    tally.add_error(value["error"])
        return tally.reading()


class _Tally:
    """What events or a body have told so far."""

    def __init__(self) -> None:
        self._model: str | None = None
        self._error: str | None = None
        self._usage: bytes | None = None  # the last one told
        self._sum: Told = UNTOLD  # of those that are told for a part each
        self._parts = 0

    def add_model(self, model: object) -> None:
        """Take the model's name where it is not known yet."""
        if self._model is None and isinstance(model, str) and model:
            self._model = model[:NAME_LIMIT]

    def add_error(self, error: object) -> None:
        """Take a provider's error; the first one counts."""
        if self._error is None:
            self._error = str(from_value(error))

    def add_usage(self, usage: object) -> None:
        """Take a usage, which counts if no other follows; an empty one tells nothing."""
        if usage:
            self._usage = text(usage)

    def add_part(self, usage: object) -> None:
        """Take a usage that adds to those before it."""
        if usage:
            self._sum = added(self._sum, read_usage(text(usage)))
            self._parts += 1

    def reading(self) -> Reading:
        """All of it."""
        told = self._sum
        if self._parts > 1:
            told = replace(told, raw=f"[{told.raw}]")
        elif self._parts == 0 and self._usage is not None:
            told = read_usage(self._usage)
        return Reading(self._model, told.usage, told.raw, told.problem, error=self._error)
