"""What OpenAI's endpoints share: the shape of errors, and what may be said into a silence.

Errors are ``{"error":{"message":…,"type":…,"param":null,"code":…}}``; in a stream the same is one
event's data, without a name, and any such event makes the official SDKs raise.  No ``[DONE]``
follows an error.  Also the shape for families that have none of their own here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from .base import FRESH, UNSEEN, Dialect, Peek, Standing, Trouble
from .request import peek

_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_body(trouble: Trouble) -> bytes:
    """The JSON body of an error response."""
    return json_text({"error": _error(trouble)})


def error_event(trouble: Trouble) -> bytes:
    """The event that ends a stream which failed; it also tells the status, which came too late."""
    return b"data: %b\n\n" % json_text({"error": {**_error(trouble), "status": trouble.status}})


def _error(trouble: Trouble) -> dict[str, object]:
    return {
        "message": plain(trouble.message),
        "type": plain(trouble.kind or "") or _type(trouble.status),
        "param": None,
        "code": plain(trouble.provider_code or "") or trouble.code.value,
    }


def keepalive(*, after_id: bool) -> bytes:
    """A comment, as an event of its own.

    After an ``id:`` line the blank line has to go: OpenAI's Python SDK takes it for the end of an
    event whose data it then fails to decode.  The comment then leads the upstream's next event.
    """
    return b": keepalive\n" if after_id else b": keepalive\n\n"


class OpenAIEndpoint(Dialect):
    """What the dialects of OpenAI's endpoints have in common; each has meters of its own."""

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """Model, stream flag, ``include_usage``; raises `BadRequest`."""
        return peek(body, known)

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""
        return error_body(trouble)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """The event that ends a stream which failed."""
        return error_event(trouble)

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """A comment: any event with data would have to be one of the endpoint's own."""
        return keepalive(after_id=standing.after_id)


def plain(text: str) -> str:
    """Text without halves of surrogate pairs, which strict JSON parsers refuse even as escapes."""
    return text.encode("utf-8", "replace").decode()


def json_text(value: object) -> bytes:
    """A value as compact JSON in ASCII: one line, safe in an event, whatever text it holds."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _type(status: int) -> str:
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
