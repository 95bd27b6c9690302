"""Counts, done reason and end of Ollama's answers, streamed as lines and not.

Ollama's documentation ("Generate a completion", "Generate a chat completion", "Streaming errors"):
every line is an object; the last one has ``"done":true``, ``done_reason`` and the counts
``prompt_eval_count`` (the prompt) and ``eval_count`` (the answer, thinking included); an error is a
line ``{"error":…}`` and the last one too.  A line with counts may be long: ``/api/generate`` puts
the tokens of the whole context before them.

The server leaves out what is zero.  An answer of no tokens is told so; but no prompt is empty, and
older servers leave its count out when it came from their cache: then it is not known.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..record import Usage
from .base import Meter, Reading
from .body_meter import BodyMeter
from .counts import Unbelievable, believe, told
from .jsonpick import UNREADABLE, lenient, text
from .longobject import LongObject
from .provider_error import from_value
from .request import NAME_LIMIT

_PROMPT: Final = "prompt_eval_count"
_ANSWER: Final = "eval_count"

#: Where an object that is too long to be kept tells something.
_HEAD: Final = ("model", "done", "done_reason", "error")
_TAIL: Final = dict.fromkeys(("done", "done_reason", _PROMPT, _ANSWER), b"{")


class _Line(msgspec.Struct, gc=False):
    """What a meter wants of a line, and of a whole answer: they have the same members."""

    model: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


_decode: Final = msgspec.json.Decoder(_Line).decode


class _Tally:
    """What lines have told so far."""

    def __init__(self) -> None:
        self.model: str | None = None
        self.error: str | None = None
        self.done = False
        self._stop_reason: str | None = None
        self._told: dict[str, object] = {}

    def read(self, document: bytes) -> None:
        """Take what a line tells."""
        try:
            line = _decode(document)
        except UNREADABLE:
            line = _loosely(document)
        if not self.model and line.model:
            self.model = line.model[:NAME_LIMIT]
        if line.error and self.error is None:
            self.error = str(from_value(line.error))
        if line.done:
            self.done = True
        if line.done_reason:
            self._stop_reason = line.done_reason[:NAME_LIMIT]
        counts = {_PROMPT: line.prompt_eval_count, _ANSWER: line.eval_count}
        self._told.update(told(counts, (_PROMPT, _ANSWER)))

    def reading(self) -> Reading:
        """All of it."""
        usage, problem = Usage(), None
        try:
            counts = believe(self._told)
        except Unbelievable as reason:
            problem = str(reason)
        else:
            unsaid = 0 if self.done and _PROMPT in counts else None
            usage = Usage(
                input_tokens=counts.get(_PROMPT), output_tokens=counts.get(_ANSWER, unsaid)
            )
        raw = text(self._told).decode() if self._told else None
        return Reading(self.model, usage, raw, problem, self._stop_reason, self.error)


class OllamaStreamMeter(Meter):
    """Reads a stream of lines.  `complete` becomes true with ``done`` and with an error."""

    def __init__(self) -> None:
        self.complete = False
        self._tally = _Tally()
        self._long = LongObject(_HEAD, _TAIL)

    def feed(self, block: bytes) -> None:
        """Take whole lines; the last one of a stream may lack its line feed."""
        # A line that neither ends the answer nor is an error has nothing to tell but the model.
        if self._tally.model and block.find(b"true") < 0 and block.find(b"error") < 0:
            return
        for line in block.split(b"\n"):
            self._read(line)

    def feed_part(self, part: bytes, *, last: bool) -> None:
        """Take a part of a long line."""
        for document in self._long.feed(part, last=last):
            self._read(document)

    def end(self) -> None:
        """A clean end of HTTP is not the end of an answer."""

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading()

    def _read(self, document: bytes) -> None:
        if document.strip():
            self._tally.read(document)
            self.complete = self._tally.done or self._tally.error is not None


class OllamaBodyMeter(BodyMeter):
    """Reads an answer, an embedding or an error that is one JSON object."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        for document in self._windows.documents(_HEAD, _TAIL):
            tally.read(document)
        return tally.reading()


def _loosely(document: bytes) -> _Line:
    """A line that is not quite as it should be: what can be read of it."""
    value = lenient(document)
    if not isinstance(value, dict):
        return _Line()
    model, reason = value.get("model"), value.get("done_reason")
    return _Line(
        model=model if isinstance(model, str) else None,
        done=value.get("done") is True,
        done_reason=reason if isinstance(reason, str) else None,
        prompt_eval_count=value.get(_PROMPT),
        eval_count=value.get(_ANSWER),
        error=value.get("error"),
    )
