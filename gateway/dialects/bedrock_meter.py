"""Usage, stop reason and errors of Amazon Bedrock's answers, streamed and not.

Amazon's documentation ("ConverseStream", "InvokeModelWithResponseStream", "TokenUsage"): a stream
of Converse tells ``stopReason`` in a ``messageStop`` event, ``usage`` in a ``metadata`` event; one
of Invoke wraps the model's own events in Base64 and adds ``amazon-bedrock-invocationMetrics`` to
the last.  Anthropic's events tell more than those metrics do, and Nova's are Converse's; so the
metrics count only where the model's events tell no usage.

Tokens read from and written to a cache are beside the input tokens, as with Anthropic.  Whether a
body is whole is HTTP's to say.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from ..awsstream import Frame, FrameReader
from ..record import Usage
from .anthropic_meter import MessageBodyMeter, MessageStreamMeter
from .base import Meter, Reading
from .counts import RAW_LIMIT, Unbelievable, believe, told
from .jsonpick import lenient, text
from .provider_error import ProviderError, from_body
from .request import NAME_LIMIT

_CONVERSE: Final = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
_METRICS: Final = (
    "inputTokenCount",
    "outputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)
_METRICS_MEMBER: Final = "amazon-bedrock-invocationMetrics"


class _Tally:
    """What Bedrock itself has told so far."""

    def __init__(self) -> None:
        self.error: str | None = None
        self._stop_reason: str | None = None
        self._usage: Mapping[str, object] | None = None
        self._names: tuple[str, ...] = _CONVERSE

    def add_stop_reason(self, reason: object) -> None:
        """Take a stop reason; null is none."""
        if isinstance(reason, str) and reason:
            self._stop_reason = reason[:NAME_LIMIT]

    def add_usage(self, usage: object, names: tuple[str, ...]) -> None:
        """Take a usage object whose fields have these names, if it tells something."""
        if isinstance(usage, dict) and told(usage, names):
            self._usage, self._names = usage, names

    def reading(self) -> Reading:
        """All of it."""
        usage, kept, problem = Usage(), None, None
        if self._usage is not None:
            raw = text(self._usage)
            if len(raw) > RAW_LIMIT:
                problem = f"usage has {len(raw)} bytes, more than {RAW_LIMIT}"
            else:
                kept = raw.decode()
                try:
                    usage = _usage(believe(told(self._usage, self._names)), self._names)
                except Unbelievable as reason:
                    problem = str(reason)
        return Reading(None, usage, kept, problem, self._stop_reason, self.error)


class BedrockStreamMeter(Meter):
    """Reads an AWS event stream of Converse's events or of a model's own."""

    def __init__(self) -> None:
        self.complete = False
        self._frames = FrameReader()
        self._tally = _Tally()
        self._anthropic = MessageStreamMeter()

    def feed(self, block: bytes) -> None:
        """Take the next piece of the body."""
        for frame in self._frames.feed(block):
            self._read(frame)

    def end(self) -> None:
        """The body is whole as HTTP goes."""
        self.complete = True
        self._frames.end()

    def reading(self) -> Reading:
        """What has been seen so far, and whether frames were damaged."""
        reading = _either(self._anthropic.reading(), self._tally.reading())
        if self._frames.problem is None:
            return reading
        return replace(reading, usage_problem=reading.usage_problem or self._frames.problem)

    def _read(self, frame: Frame) -> None:
        kind = frame.headers.get(":event-type")
        if frame.headers.get(":message-type") in ("exception", "error"):
            name = frame.headers.get(":exception-type") or frame.headers.get(":error-code")
            message = from_body(frame.payload).message or frame.headers.get(":error-message")
            self._tally.error = str(ProviderError(name, message))
        elif kind == "chunk":
            self._read_native(frame.payload)
        elif kind in ("messageStop", "metadata"):
            self._read_event({kind: lenient(frame.payload)})

    def _read_native(self, payload: bytes) -> None:
        wrapped = lenient(payload)
        coded = wrapped.get("bytes") if isinstance(wrapped, dict) else None
        try:
            native = binascii.a2b_base64(coded if isinstance(coded, str) else "")
        except ValueError:
            return
        # The model's event is one JSON text.  Those of Anthropic's are known by their type.
        self._anthropic.feed(b"data: " + b" ".join(native.splitlines()) + b"\n\n")
        if native.find(b'"messageStop"') >= 0 or native.find(b'"metadata"') >= 0:
            self._read_event(lenient(native))
        elif native.find(b"stop_reason") >= 0 or native.find(_METRICS_MEMBER.encode()) >= 0:
            event = lenient(native)
            if isinstance(event, dict):
                self._tally.add_stop_reason(event.get("stop_reason"))
                self._tally.add_usage(event.get(_METRICS_MEMBER), _METRICS)

    def _read_event(self, event: object) -> None:
        """Read an event of Converse's, by its name."""
        for name, inner in event.items() if isinstance(event, dict) else ():
            if isinstance(inner, dict) and name == "messageStop":
                self._tally.add_stop_reason(inner.get("stopReason"))
            elif isinstance(inner, dict) and name == "metadata":
                self._tally.add_usage(inner.get("usage"), _CONVERSE)


class BedrockBodyMeter(MessageBodyMeter):
    """Reads an answer that is one JSON object: Converse's, or Anthropic's message."""

    def reading(self) -> Reading:
        """What the body tells, or as much of it as a very long one's beginning and end do."""
        tally = _Tally()
        names = ("stopReason", "usage")
        for document in self._windows.documents(names, dict.fromkeys(names, b"{")):
            value = lenient(document)
            if isinstance(value, dict):
                tally.add_stop_reason(value.get("stopReason"))
                tally.add_usage(value.get("usage"), _CONVERSE)
        return _either(super().reading(), tally.reading())


def _either(native: Reading, own: Reading) -> Reading:
    """The reading of the model's own events if they told usage, else Bedrock's, as one."""
    first, second = (native, own) if native.usage != Usage() else (own, native)
    return Reading(
        model=native.model,
        usage=first.usage,
        usage_raw=first.usage_raw or second.usage_raw,
        usage_problem=first.usage_problem or second.usage_problem,
        stop_reason=native.stop_reason or own.stop_reason,
        error=own.error or native.error,
    )


def _usage(counts: Mapping[str, int], names: tuple[str, ...]) -> Usage:
    """Bedrock's counts in the meaning of `Usage`."""
    fresh, output, read, written = (counts.get(name) for name in names)
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=output,
    )
