"""OpenAI's ``/v1/chat/completions`` and ``/v1/completions``, which most other servers speak too.

Where things stand in a stream: the model in every chunk (the first may leave it empty); usage in a
last chunk without choices, in the last one with choices, or in every chunk, growing, so that the
last one told is the one that counts; the end in ``data: [DONE]``.  Servers that omit that have
finished if HTTP ended cleanly after a ``finish_reason`` for every choice index seen.  llama.cpp
tells its counts as ``timings`` too, which count where it tells no usage.

Every chunk is decoded.  A `msgspec.Struct` that skips what is not asked for costs less than the
searches that could tell that a chunk holds nothing of interest, since nearly every one has
``"usage":null`` and ``"finish_reason":null``, in either style of white space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from ..sse import payloads
from .base import Meter, Reading, StreamKind
from .body_meter import BodyMeter
from .jsonpick import UNREADABLE, lenient, text
from .long_events import LongEvent
from .openai import OpenAIEndpoint
from .openai_usage import UNTOLD, read_timings, read_usage
from .provider_error import from_value
from .request import NAME_LIMIT

#: How many choice indexes a meter keeps apart (the API allows 128).
_MOST_CHOICES: Final = 1024

_DONE: Final = b"[DONE]"

#: Where a long completion, or chunk, tells what: near its beginning and near its end.
_HEAD: Final = ("model", "usage")
_TAIL: Final[Mapping[str, bytes]] = {
    "usage": b"{",
    "timings": b"{",
    "finish_reason": b'{"choices":[{',
    "model": b"{",
}


class OpenAIChat(OpenAIEndpoint):
    """The dialect of ``/v1/chat/completions``."""

    name: ClassVar[str] = "openai_chat"
    injects_usage: ClassVar[bool] = True

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of chunks."""
        return ChatStreamMeter()

    def body_meter(self) -> Meter:
        """A meter for a completion, or an error, as one JSON object."""
        return ChatBodyMeter()


class OpenAICompletions(OpenAIChat):
    """The dialect of ``/v1/completions``, whose chunks differ in what no meter reads."""

    name: ClassVar[str] = "openai_completions"


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    """What a meter wants of a chunk, and of a whole completion: they have the same members."""

    model: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, msgspec.Raw] | None = None
    timings: dict[str, msgspec.Raw] | None = None
    error: Any = None


_decode: Final = msgspec.json.Decoder(_Chunk).decode


#: Of nearly every stream; one set of each is enough for all of them.
_NO_INDEXES: Final[frozenset[int]] = frozenset()
_FIRST_INDEX: Final = frozenset({0})


def _with(indexes: frozenset[int], index: int) -> frozenset[int]:
    return _FIRST_INDEX if not indexes and index == 0 else indexes | {index}


class _Tally:
    """What chunks have told so far."""

    __slots__ = (
        "_closed", "_crowded", "_stop_index", "_stop_reason", "_timings", "_usage", "error",
        "model", "open",
    )  # fmt: skip

    def __init__(self) -> None:
        self.model: str | None = None
        self.error: str | None = None
        self.open = _NO_INDEXES  # choice indexes without a finish_reason yet
        self._closed = _NO_INDEXES
        self._crowded = False  # whether there were more indexes than are kept apart
        self._stop_reason: str | None = None
        self._stop_index: int | None = None
        self._usage: bytes | None = None
        self._timings: bytes | None = None

    @property
    def all_closed(self) -> bool:
        """Whether every choice seen has finished, and there was one."""
        return bool(self._closed) and not self.open and not self._crowded

    def add(self, chunk: _Chunk) -> None:
        """Take what a chunk tells."""
        if not self.model and chunk.model:
            self.model = chunk.model[:NAME_LIMIT]
        if chunk.usage:  # an empty one tells nothing
            self._usage = text(chunk.usage)
        if chunk.timings:
            self._timings = text(chunk.timings)
        if chunk.error and self.error is None:
            self.error = str(from_value(chunk.error))
        for choice in chunk.choices or ():
            self._add_choice(choice.index, choice.finish_reason)

    def _add_choice(self, index: int, finish_reason: str | None) -> None:
        if index not in self.open and index not in self._closed:
            if len(self.open) + len(self._closed) == _MOST_CHOICES:
                self._crowded = True
                return
            self.open = _with(self.open, index)
        if finish_reason:
            self.open -= {index}
            self._closed = _with(self._closed, index)
            if self._stop_reason is None or index in (0, self._stop_index):
                self._stop_reason, self._stop_index = finish_reason[:NAME_LIMIT], index

    def reading(self) -> Reading:
        """All of it."""
        told = UNTOLD
        if self._usage is not None:
            told = read_usage(self._usage)
        elif self._timings is not None:
            told = read_timings(self._timings)
        return Reading(
            self.model, told.usage, told.raw, told.problem, self._stop_reason, self.error
        )


class ChatStreamMeter(Meter):
    """Reads a stream of chat completion chunks.

    `complete` also becomes true with an in-band ``error``: the provider has said its last word, and
    nothing need be added to what it said.  `reading` then tells the error.
    """

    __slots__ = ("_done", "_long", "_tally", "_underway", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._tally = _Tally()
        self._done = False  # after [DONE], which clients do not read past
        self._underway = False  # the model is known, and choice 0 is open
        self._long: LongEvent | None = None

    def feed(self, block: bytes) -> None:
        """Take whole events."""
        if self._done:
            return
        if block.startswith(b"data:") and block.find(b"\n") >= len(block) - len(b"\n\r\n"):
            # One event of one line, as most reads are.  JSON does not mind the line's end.
            try:
                chunk = _decode(block[5:])
            except UNREADABLE:
                pass
            else:
                self._add(chunk)
                return
        for data in payloads(block):
            try:
                chunk = _decode(data)
            except UNREADABLE:
                if data.startswith(_DONE):
                    self.complete = self._done = True
                    return
                chunk = _loosely(data)
            self._add(chunk)

    def feed_part(self, part: bytes, *, last: bool) -> None:
        """Take a part of a chunk that was too long to be held: what stands at its ends counts."""
        if self._long is None:
            self._long = LongEvent()
        self._long.feed(part)
        if last:
            documents, self._long = self._long.documents(_HEAD, _TAIL), None
            for document in documents if not self._done else ():
                self._add(_chunk(document))

    def end(self) -> None:
        """The clean end of HTTP is enough if every choice has finished."""
        if self._tally.all_closed:
            self.complete = True

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading()

    def _add(self, chunk: _Chunk) -> None:
        choices = chunk.choices
        if (
            self._underway
            and chunk.usage is None
            and chunk.timings is None
            and chunk.error is None
            and choices is not None
            and len(choices) == 1
            and choices[0].finish_reason is None
            and choices[0].index == 0
        ):
            return
        tally = self._tally
        tally.add(chunk)
        self._underway = tally.model is not None and 0 in tally.open
        if tally.error is not None:
            self.complete = True


class ChatBodyMeter(BodyMeter):
    """Reads a chat completion, or an error, that is one JSON object."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        for document in self._windows.documents(_HEAD, _TAIL):
            tally.add(_chunk(document))
        return tally.reading()


def _chunk(data: bytes) -> _Chunk:
    try:
        return _decode(data)
    except UNREADABLE:
        return _loosely(data)


def _loosely(data: bytes) -> _Chunk:
    """A chunk that is not quite as it should be: what can be read of it."""
    value = lenient(data)
    if not isinstance(value, dict):
        return _Chunk()
    model, choices = value.get("model"), value.get("choices")
    return _Chunk(
        model=model if isinstance(model, str) else None,
        choices=[_choice(item) for item in choices if isinstance(item, dict)]
        if isinstance(choices, list)
        else None,
        usage=value.get("usage"),
        timings=value.get("timings"),
        error=value.get("error"),
    )


def _choice(item: dict[str, Any]) -> _Choice:
    index, reason = item.get("index"), item.get("finish_reason")
    return _Choice(
        index if isinstance(index, int) else 0, reason if isinstance(reason, str) else None
    )
