"""Amazon Bedrock's runtime: Converse and Invoke, streamed (as an AWS event stream) and not.

The path names model and operation (``/model/{model}/converse-stream``).  Requests are signed with
host, path and body, so that they pass only as they are.  Nothing can be said into an AWS event
stream: no keepalive is known to be harmless there, and one that failed is broken visibly.

An error is ``{"__type":…,"message":…}``: the type as AWS's REST-JSON protocol finds it in a body,
where the header ``x-amzn-errortype`` does not tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import unquote_to_bytes

from .base import FRESH, UNSEEN, Dialect, Meter, Peek, Standing, StreamKind, Trouble
from .bedrock_meter import BedrockBodyMeter, BedrockStreamMeter
from .openai import json_text, plain
from .request import NAME_LIMIT

_TYPES: Final = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


def error_body(trouble: Trouble) -> bytes:
    """The JSON body of an error response."""
    by_class = "InternalServerException" if trouble.status >= 500 else "ValidationException"
    kind = plain(trouble.kind or "") or _TYPES.get(trouble.status, by_class)
    return json_text({"__type": kind, "message": plain(trouble.message)})


def error_event(trouble: Trouble) -> bytes:
    """Nothing: the body has to be broken."""
    return b""


class Bedrock(Dialect):
    """The dialect of Bedrock's ``converse`` and ``invoke``, and of both as a stream."""

    name: ClassVar[str] = "bedrock"

    def __init__(self, *, streams: bool) -> None:
        """`streams`: this is an operation that answers with an AWS event stream."""
        self._streams = streams

    def peek_target(self, method: bytes, target: bytes) -> Peek:
        """The model and whether it is to stream."""
        segments = target.partition(b"?")[0].rstrip(b"/").split(b"/")
        model = unquote_to_bytes(segments[-2]) if len(segments) > 1 else b""
        name = model.decode("utf-8", "replace")[:NAME_LIMIT]
        return Peek(name or None, stream=self._streams, events=False)

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """What the target told: the body adds nothing."""
        return known

    def stream_kind(self, media_type: bytes, peek: Peek) -> StreamKind | None:
        """None that anything could be said into."""
        return None

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""
        return error_body(trouble)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """Nothing: the body has to be broken."""
        return error_event(trouble)

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """Nothing: no frame is known to be harmless."""
        return b""

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """The meter that `body_meter` gives: `stream_kind` tells of no stream."""
        return self.body_meter()

    def body_meter(self) -> Meter:
        """A meter for the answer of this operation."""
        return BedrockStreamMeter() if self._streams else BedrockBodyMeter()
