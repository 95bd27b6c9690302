"""Usage, stop reason and end of Anthropic's messages, streamed and not.

In a stream ``message_start`` gives the model and a first usage; the usage of ``message_delta`` is
cumulative and overwrites field by field, never adds.  A null overwrites nothing, and a zero no
known input or cache count, since some servers send zeros for what they do not repeat.  What
``message_start`` tells of the output is a placeholder: until a delta tells, it is not known.
Anthropic's ``input_tokens`` leaves the cache out, so that the whole input is the sum of three.

vLLM, llama.cpp and Ollama speak the same.  vLLM begins with zeros and tells the input in the delta;
older ones end with ``[DONE]`` too.  llama.cpp sends an error without Anthropic's envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..record import Usage
from ..sse import parse
from . import provider_error
from .base import Meter, Reading
from .body_meter import BodyMeter
from .counts import RAW_LIMIT, Unbelievable, believe, told
from .jsonpick import lenient, members, text
from .request import NAME_LIMIT

_INPUT: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
)
_THINKING: Final = (
    "output_tokens_details.thinking_tokens",
    "output_tokens_details.reasoning_tokens",
)
_TOLD: Final = (*_INPUT, "output_tokens", *_THINKING)

#: The events that tell something; all others are passed over.
_KINDS: Final = frozenset({"message_start", "message_delta", "message_stop", "error"})


class _Tally:
    """What a message has told so far."""

    def __init__(self) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.error: str | None = None
        self._counts: dict[str, object] = {}
        self._raw: dict[str, str] = {}
        self._problem: str | None = None

    def add_model(self, model: object) -> None:
        """Take the model's name where it is not known yet."""
        if self.model is None and isinstance(model, str) and model:
            self.model = model[:NAME_LIMIT]

    def add_stop_reason(self, reason: object) -> None:
        """Take a stop reason; null is none."""
        if isinstance(reason, str) and reason:
            self.stop_reason = reason[:NAME_LIMIT]

    def add_error(self, error: object) -> None:
        """Take the value of an ``error`` member; the first one counts."""
        if self.error is None:
            self.error = str(provider_error.from_value(error))

    def add_usage(self, usage: object, source: str, names: tuple[str, ...] = _TOLD) -> None:
        """Overwrite what is known with what a usage object tells; `source` names the event.

        `names` are the fields that are believed to be meant.
        """
        if usage is None:
            return
        raw = text(usage)
        if len(raw) > RAW_LIMIT:
            self._problem = f"usage of {source} has {len(raw)} bytes, more than {RAW_LIMIT}"
            return
        self._raw[source] = raw.decode()
        if not isinstance(usage, dict):
            self._problem = f"usage of {source} is not an object"
            return
        for name, value in told(usage, names).items():
            if not (name in _INPUT and _is_zero(value) and name in self._counts):
                self._counts[name] = value

    def reading(self, *, streamed: bool) -> Reading:
        """All of it.  A stream's raw usage tells which event each object came from."""
        kept = None
        if self._raw:
            named = ",".join(f'"{source}":{raw}' for source, raw in self._raw.items())
            kept = f"{{{named}}}" if streamed else next(iter(self._raw.values()))
        usage, problem = Usage(), self._problem
        if problem is None:
            try:
                usage = _usage(believe(self._counts))
            except Unbelievable as reason:
                problem = str(reason)
        return Reading(self.model, usage, kept, problem, self.stop_reason, self.error)


class MessageStreamMeter(Meter):
    """Reads the event stream of a message.

    `complete` becomes true with ``message_stop`` and with a provider's ``error`` event: both are
    the last word.  `reading` tells which of them it was.
    """

    def __init__(self) -> None:
        self.complete = False
        self._tally = _Tally()
        self._stopped = False  # after message_stop, behind which there is nothing to read

    def feed(self, block: bytes) -> None:
        """Take whole events."""
        # Each event that tells something has one of these in its name or its type.  Text of the
        # model that has them too only costs a closer look.
        if self._stopped or (block.rfind(b"message_") < 0 and block.rfind(b"error") < 0):
            return
        for name, data in parse(block):
            self._event(name, data)
            if self._stopped:
                return

    def end(self) -> None:
        """A clean end of HTTP is not the end of a message."""

    def reading(self) -> Reading:
        """What has been seen so far."""
        return self._tally.reading(streamed=True)

    def _event(self, name: bytes | None, data: bytes) -> None:
        kind: object = None if name is None else name.decode("utf-8", "replace")
        if kind is not None and kind not in _KINDS:
            return
        value = lenient(data)
        event: Mapping[str, object] = value if isinstance(value, dict) else {}
        if kind is None:
            # No client reads this, but servers that leave the names out mean the same.
            kind = event.get("type") or ("error" if event.get("error") else None)
        if kind == "message_start":
            message = event.get("message")
            if isinstance(message, dict):
                self._tally.add_model(message.get("model"))
                self._tally.add_stop_reason(message.get("stop_reason"))
                self._tally.add_usage(message.get("usage"), "message_start", _INPUT)
        elif kind == "message_delta":
            delta = event.get("delta")
            if isinstance(delta, dict):
                self._tally.add_stop_reason(delta.get("stop_reason"))
            self._tally.add_usage(event.get("usage"), "message_delta")
        elif kind == "message_stop":
            self.complete = self._stopped = True
        elif kind == "error":
            self._tally.add_error(event.get("error") or event)
            self.complete = True


class MessageBodyMeter(BodyMeter):
    """Reads a message, or an error, that is one JSON object."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        documents = self._windows.documents(
            head=("model", "usage", "stop_reason"),
            tail={"usage": b"{", "stop_reason": b"{", "model": b"{"},
        )
        for document in documents:
            found = members(document) or {}
            body = {name: lenient(found[name]) for name in _BODY_MEMBERS if name in found}
            tally.add_model(body.get("model"))
            tally.add_stop_reason(body.get("stop_reason"))
            tally.add_usage(body.get("usage"), "message")
            if body.get("error"):
                tally.add_error(body["error"])
        return tally.reading(streamed=False)


def message_reading(model: object, stop_reason: object, usage: object) -> Reading:
    """What these members of a whole message tell, of whatever type they are."""
    tally = _Tally()
    tally.add_model(model)
    tally.add_stop_reason(stop_reason)
    tally.add_usage(usage, "message")
    return tally.reading(streamed=False)


_BODY_MEMBERS: Final = ("model", "stop_reason", "usage", "error")


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and value == 0


def _usage(counts: Mapping[str, int]) -> Usage:
    """Anthropic's counts in the meaning of `Usage`."""
    uncached = counts.get("input_tokens")
    written = counts.get("cache_creation_input_tokens")
    read = counts.get("cache_read_input_tokens")
    thinking = [counts[name] for name in _THINKING if name in counts]
    return Usage(
        input_tokens=None if uncached is None else uncached + (written or 0) + (read or 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=counts.get("cache_creation.ephemeral_1h_input_tokens"),
        output_tokens=counts.get("output_tokens"),
        reasoning_tokens=thinking[0] if thinking else None,
    )
