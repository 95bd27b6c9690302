"""Google's Gemini API, and Vertex AI's endpoints of the same shape.

The path names model and method (``…/models/{model}:streamGenerateContent``); the body tells
neither, and is not judged here, since Google's servers read more than strict JSON.  A stream is one
of server-sent events with ``alt=sse``, else one JSON array, sent element by element.

Errors are ``{"error":{"code":503,"message":…,"status":"UNAVAILABLE"}}``, after the names of
google.rpc.Code.  In a stream the same is the data of an event that must not be named ``error``, or
the last element of an array that is then left open: Google's own client library for arrays
(google-api-core) takes an error in a closed one for an empty response.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import parse_qs, unquote_to_bytes

from .base import FRESH, UNSEEN, Dialect, Meter, Peek, Standing, StreamKind, Trouble
from .gemini_meter import GeminiArrayMeter, GeminiBodyMeter, GeminiStreamMeter
from .openai import json_text, plain
from .request import NAME_LIMIT

_STATUSES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}


def error_body(trouble: Trouble) -> bytes:
    """The JSON body of an error response."""
    by_class = "UNAVAILABLE" if trouble.status >= 500 else "INVALID_ARGUMENT"
    return json_text(
        {
            "error": {
                "code": trouble.status,
                "message": plain(trouble.message),
                "status": plain(trouble.kind or "") or _STATUSES.get(trouble.status, by_class),
            }
        }
    )


def error_event(trouble: Trouble) -> bytes:
    """The event that ends a stream which failed."""
    return b"data: " + error_body(trouble) + b"\r\n\r\n"


class Gemini(Dialect):
    """The dialect of ``:generateContent`` and ``:streamGenerateContent``."""

    name: ClassVar[str] = "gemini"

    def peek_target(self, method: bytes, target: bytes) -> Peek:
        """The model and whether it is to stream, and as what."""
        path, _, query = target.partition(b"?")
        model, _, verb = unquote_to_bytes(path.rpartition(b"/")[2]).rpartition(b":")
        settings = parse_qs(query.decode("latin-1"))
        alt = settings.get("alt") or settings.get("$alt") or [""]
        return Peek(
            model.decode("utf-8", "replace")[:NAME_LIMIT] or None,
            stream=verb == b"streamGenerateContent" and method == b"POST",
            events=alt[-1] == "sse",
        )

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """What the target told: the body adds nothing."""
        return known

    def stream_kind(self, media_type: bytes, peek: Peek) -> StreamKind | None:
        """Events, or an array if that is what the target asks for."""
        if media_type == b"application/json" and peek.stream:
            return StreamKind.ARRAY
        return super().stream_kind(media_type, peek)

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""
        return error_body(trouble)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """The event, or the element at the end of an open array, that ends a stream which failed.

        The element follows what `gateway.jsonstream.ArrayScanner` has passed on.
        """
        if standing.kind is StreamKind.ARRAY:
            return (b",\r\n" if standing.started else b"[") + error_body(trouble) + b"\n"
        return error_event(trouble)

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """A blank line: Google's SDK for Python fails at a comment.  Into an array, nothing."""
        return b"\n" if standing.kind is StreamKind.EVENTS else b""

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of responses."""
        return GeminiArrayMeter() if kind is StreamKind.ARRAY else GeminiStreamMeter()

    def body_meter(self) -> Meter:
        """A meter for a response, or an error, as one JSON object."""
        return GeminiBodyMeter()


class GeminiEmbeddings(Gemini):
    """The dialect of ``:embedContent`` and ``:batchEmbedContents``, which may tell usage."""

    name: ClassVar[str] = "gemini_embeddings"


class GeminiCountTokens(Gemini):
    """The dialect of ``:countTokens``.  What it counts is the answer, and is not usage."""

    name: ClassVar[str] = "gemini_count_tokens"
