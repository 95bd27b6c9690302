"""The shape of errors in Google's Gemini API.

Errors are ``{"error":{"code":503,"message":…,"status":"UNAVAILABLE"}}``, after the names of
google.rpc.Code.  In a stream the same is the data of an event that must not be named ``error``.
"""

from __future__ import annotations

from typing import Final

from .base import Trouble
from .openai import json_text, plain

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
