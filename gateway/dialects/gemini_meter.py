"""Usage, finish reason and end of Gemini's answers, streamed both ways and not.

Google's documentation ("GenerateContentResponse", "UsageMetadata"): every chunk of a stream is a
whole response.  ``usageMetadata`` may stand in any of them and is cumulative, so that the last one
counts; ``promptTokenCount`` includes the cached part; thoughts are not among the tokens of the
candidates; the total is the sum of prompt, candidates, tool use and thoughts.  Fields that are zero
are left out, as everywhere in JSON that comes of Protocol Buffers.

No event ends a stream: it is whole after a ``finishReason`` for every candidate seen, or the
prompt's ``blockReason``, if HTTP ends cleanly too.  Usage may come after either.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..jsonstream import ArrayScanner
from ..record import Usage
from ..sse import payloads
from .base import Meter, Reading
from .body_meter import BodyMeter
from .counts import RAW_LIMIT, Unbelievable, believe, part_of, told
from .jsonpick import UNREADABLE, lenient, text
from .longobject import LongObject
from .provider_error import from_value
from .request import NAME_LIMIT

#: How many candidates a meter keeps apart (the API allows 8).
_MOST_CANDIDATES: Final = 256

_PROMPT, _CACHED, _TOOLS = "promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount"
_CANDIDATES, _THOUGHTS, _TOTAL = "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"
_TOLD: Final = (_PROMPT, _CACHED, _TOOLS, _CANDIDATES, _THOUGHTS, _TOTAL)

#: Where a response that is too long to be kept tells something.
_HEAD: Final = ("modelVersion", "promptFeedback", "usageMetadata", "error")
_TAIL: Final = {
    "finishReason": b'{"candidates":[{',
    "promptFeedback": b"{",
    "usageMetadata": b"{",
    "modelVersion": b"{",
}

#: What may stand before an element of an array.
_BETWEEN: Final = b" \t\r\n[,"


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    index: int = 0
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Response(msgspec.Struct, gc=False, rename="camel"):
    """What a meter wants of a response, which each piece of a stream is too."""

    model_version: str | None = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: dict[str, Any] | None = None
    error: Any = None


_decode: Final = msgspec.json.Decoder(_Response).decode


class _Tally:
    """What responses have told so far."""

    def __init__(self) -> None:
        self.error: str | None = None
        self._model: str | None = None
        self._open: set[int] = set()  # candidates without a finishReason yet
        self._closed: dict[int, str] = {}
        self._crowded = False  # whether there were more candidates than are kept apart
        self._blocked: str | None = None
        self._usage: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether the prompt was blocked, or every candidate seen has finished."""
        finished = bool(self._closed) and not self._open and not self._crowded
        return finished or self._blocked is not None

    def read(self, document: bytes) -> None:
        """Take what a response tells."""
        try:
            response = _decode(document)
        except UNREADABLE:
            response = _loosely(document)
        if not self._model and response.model_version:
            self._model = response.model_version[:NAME_LIMIT]
        if response.usage_metadata and told(response.usage_metadata, _TOLD):
            self._usage = response.usage_metadata
        if response.error and self.error is None:
            self.error = str(from_value(response.error))
        feedback = response.prompt_feedback
        if feedback is not None and _is_told(feedback.block_reason):
            self._blocked = feedback.block_reason
        for candidate in response.candidates or ():
            self._read_candidate(candidate.index, candidate.finish_reason)

    def _read_candidate(self, index: int, reason: str | None) -> None:
        if index not in self._open and index not in self._closed:
            if len(self._open) + len(self._closed) == _MOST_CANDIDATES:
                self._crowded = True
                return
            self._open.add(index)
        if reason is not None and _is_told(reason):
            self._open.discard(index)
            self._closed[index] = reason[:NAME_LIMIT]

    def reading(self) -> Reading:
        """All of it.  The reason of the first candidate stands for those of all."""
        reason = self._closed[min(self._closed)] if self._closed else self._blocked
        usage, raw, problem = Usage(), None, None
        if self._usage is not None:
            usage, raw, problem = _read_usage(self._usage, finished=self.finished)
        return Reading(self._model, usage, raw, problem, reason, self.error)


class GeminiStreamMeter(Meter):
    """Reads a stream of server-sent events, each with a response as its data."""

    def __init__(self) -> None:
        self.complete = False
        self._tally = _Tally()
        self._long = LongObject(_HEAD, _TAIL)

    def feed(self, block: bytes) -> None:
        """Take whole events."""
        for data in payloads(block):
            self._tally.read(data)
        self._look()

    def feed_part(self, part: bytes, *, last: bool) -> None:
        """Take a part of a long event: one with an image in it."""
        for document in self._long.feed(part, last=last):
            self._tally.read(document)
        self._look()

    def end(self) -> None:
        """The clean end of HTTP is enough if every candidate has finished."""
        self.complete = self.complete or self._tally.finished

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading()

    def _look(self) -> None:
        if self._tally.error is not None:
            self.complete = True


class GeminiArrayMeter(Meter):
    """Reads a stream that is one JSON array of responses.

    An object in its place is a response of which HTTP tells whether it is whole.
    """

    def __init__(self) -> None:
        self.complete = False
        self._tally = _Tally()
        self._scanner = ArrayScanner()
        self._long = LongObject(_HEAD, _TAIL)

    def feed(self, block: bytes) -> None:
        """Take the next piece of the array."""
        scanner = self._scanner
        in_long, held, start = scanner.in_long_event, scanner.held, 0
        out = scanner.feed(block)
        for end in scanner.ends:
            element = out[start : held + end]
            if in_long:
                self._read_long(element, last=True)
                in_long = False
            else:
                self._tally.read(element.lstrip(_BETWEEN))
            start = held + end
        if out[start:]:
            self._read_long(out[start:], last=False)
        if self._tally.error is not None or (self._scanner.closed and self._tally.finished):
            self.complete = True

    def feed_part(self, part: bytes, *, last: bool) -> None:
        """Take a part of a long element: it is a piece of the array like any other."""
        self.feed(part)

    def end(self) -> None:
        """The clean end of HTTP adds nothing to an array: its closing bracket makes it whole."""
        if self._scanner.alien:
            self._read_long(b"", last=True)
            self.complete = True

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading()

    def _read_long(self, part: bytes, *, last: bool) -> None:
        for document in self._long.feed(part, last=last):
            self._tally.read(document)


class GeminiBodyMeter(BodyMeter):
    """Reads a response, or an error, that is one JSON object."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        for document in self._windows.documents(_HEAD, _TAIL):
            tally.read(document)
        return tally.reading()


def _loosely(document: bytes) -> _Response:
    """A response that is not quite as it should be: what can be read of it."""
    value = lenient(document)
    if not isinstance(value, dict):
        return _Response()
    model, usage = value.get("modelVersion"), value.get("usageMetadata")
    feedback, candidates = value.get("promptFeedback"), value.get("candidates")
    return _Response(
        model_version=model if isinstance(model, str) else None,
        candidates=[_candidate(item) for item in candidates if isinstance(item, dict)]
        if isinstance(candidates, list)
        else None,
        prompt_feedback=_Feedback(_text(feedback.get("blockReason")))
        if isinstance(feedback, dict)
        else None,
        usage_metadata=usage if isinstance(usage, dict) else None,
        error=value.get("error"),
    )


def _candidate(item: dict[str, Any]) -> _Candidate:
    index = item.get("index")
    return _Candidate(index if isinstance(index, int) else 0, _text(item.get("finishReason")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _is_told(reason: str | None) -> bool:
    """Whether a reason is one; the APIs' names for an unset one all end alike."""
    return bool(reason) and not str(reason).endswith("_UNSPECIFIED")


def _read_usage(value: dict[str, Any], *, finished: bool) -> tuple[Usage, str | None, str | None]:
    """A usage object as counts, as text to keep, and what is wrong with it."""
    raw = text(value)
    if len(raw) > RAW_LIMIT:
        return Usage(), None, f"usageMetadata has {len(raw)} bytes, more than {RAW_LIMIT}"
    kept = raw.decode("utf-8", "replace")
    try:
        counts = believe(told(value, _TOLD))
        prompt = counts.get(_PROMPT)
        part_of(prompt, counts, (_CACHED,), _PROMPT)
    except Unbelievable as problem:
        return Usage(), kept, str(problem)
    tools, thoughts = counts.get(_TOOLS, 0), counts.get(_THOUGHTS, 0)
    candidates = counts.get(_CANDIDATES)
    if candidates is None and finished and counts.get(_TOTAL) == (prompt or 0) + tools + thoughts:
        candidates = 0  # left out because it is zero, as the total shows
    usage = Usage(
        input_tokens=None if prompt is None else prompt + tools,
        cache_read_tokens=counts.get(_CACHED),
        output_tokens=None if candidates is None else candidates + thoughts,
        reasoning_tokens=counts.get(_THOUGHTS),
    )
    return usage, kept, None
