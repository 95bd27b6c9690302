"""Anthropic's ``/v1/messages``: its errors, its keepalive, and where usage and the end stand.

Anthropic's documentation ("Streaming messages", "Errors"): a stream is ``message_start``, blocks,
``message_delta``, ``message_stop``, with ``ping`` anywhere; an error is
``{"type":"error","error":{"type":…,"message":…}}``, in a stream as an event named ``error``, which
is terminal.  Clients ignore events without a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from .anthropic_meter import MessageBodyMeter, MessageStreamMeter
from .base import FRESH, UNSEEN, Dialect, Meter, Peek, Standing, StreamKind, Trouble
from .openai import json_text, plain
from .request import peek

_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(trouble: Trouble) -> bytes:
    """The JSON body of an error response."""
    return json_text({"type": "error", "error": _error(trouble)})


def error_event(trouble: Trouble) -> bytes:
    """The event that ends a stream which failed; without its name it would be ignored.

    It also tells the status, which came too late.
    """
    error = {**_error(trouble), "status": trouble.status}
    return b"event: error\ndata: %b\n\n" % json_text({"type": "error", "error": error})


def _error(trouble: Trouble) -> dict[str, object]:
    by_class = "api_error" if trouble.status >= 500 else "invalid_request_error"
    kind = plain(trouble.kind or "") or _TYPES.get(trouble.status, by_class)
    return {"type": kind, "message": plain(trouble.message)}


class Anthropic(Dialect):
    """The dialect of ``/v1/messages``."""

    name: ClassVar[str] = "anthropic"

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """Model and stream flag; raises `BadRequest`."""
        return peek(body, known)

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""
        return error_body(trouble)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """The event that ends a stream which failed."""
        return error_event(trouble)

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """A ``ping``, which may stand anywhere between events, before the first one too."""
        return b'event: ping\ndata: {"type": "ping"}\n\n'

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of a message."""
        return MessageStreamMeter()

    def body_meter(self) -> Meter:
        """A meter for a message, or an error, as one JSON object."""
        return MessageBodyMeter()


class AnthropicCountTokens(Anthropic):
    """The dialect of ``/v1/messages/count_tokens``.  What it counts is the answer, and no usage."""

    name: ClassVar[str] = "anthropic_count_tokens"
