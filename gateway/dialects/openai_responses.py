"""OpenAI's ``/v1/responses``: its keepalive, its errors, and its answers given again by id.

``GET /v1/responses/{id}`` gives a response again; with ``?stream=true`` it streams, from the event
after ``starting_after`` on.  Such an answer is a replay: what it used may have been told before.

A stream that failed is told twice, once for each kind of client.  OpenAI's SDKs raise at an event
whose data has an ``error`` member, which the flat shape of the documentation has not; Codex acts on
``response.failed``, by the code of its error, and drops the words of an ``error`` event.
"""

from __future__ import annotations

from typing import ClassVar, Final
from urllib.parse import parse_qs

from . import openai
from .base import FRESH, Meter, Peek, Standing, StreamKind, Trouble
from .openai import OpenAIEndpoint, json_text, plain
from .openai_responses_meter import ResponseBodyMeter, ResponseStreamMeter

#: The codes of OpenAI's that clients do not try again after, besides the one for bad requests.
_FINAL: Final = frozenset(
    {"context_length_exceeded", "insufficient_quota", "invalid_prompt", "usage_not_included"}
)
#: Statuses below 500 after which trying again may help.
_PASSING: Final = frozenset({408, 409})


class OpenAIResponses(OpenAIEndpoint):
    """The dialect of ``/v1/responses``; with `replay`, of ``/v1/responses/{id}``."""

    name: ClassVar[str] = "openai_responses"

    def __init__(self, *, replay: bool = False) -> None:
        self._replay = replay

    def peek_target(self, method: bytes, target: bytes) -> Peek:
        """A replay's stream flag stands in its query."""
        if not self._replay or method != b"GET":
            return Peek(replay=self._replay)
        query = parse_qs(target.partition(b"?")[2].decode("latin-1"))
        return Peek(stream=query.get("stream", [""])[-1].lower() in ("true", "1"), replay=True)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """An ``error`` event and ``response.failed``, numbered on from the last event."""
        seen = standing.reading
        number = 0 if seen.sequence is None else seen.sequence + 1
        code, message = _code(trouble), plain(trouble.message)
        kind = plain(trouble.kind or "") or code
        error = {
            "type": "error",
            "sequence_number": number,
            "code": code,
            "message": message,
            "param": None,
            "error": {
                "type": kind,
                "code": code,
                "message": message,
                "param": None,
                "status": trouble.status,
            },
        }
        failed = {
            "type": "response.failed",
            "sequence_number": number + 1,
            "response": {
                "id": seen.response_id or "",
                "object": "response",
                "status": "failed",
                "error": {"code": code, "message": message},
            },
        }
        return b"event: error\ndata: %b\n\nevent: response.failed\ndata: %b\n\n" % (
            json_text(error),
            json_text(failed),
        )

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """An event once there were numbered ones, since Codex's patience knows events alone.

        Before ``response.created`` the SDKs' helpers take no event, only a comment.  The number is
        the last one, again, so that a client that goes on after it misses nothing.
        """
        number = standing.reading.sequence
        if number is None:
            return openai.keepalive(after_id=standing.after_id)
        return b"event: keepalive\ndata: %b\n\n" % json_text(
            {"type": "keepalive", "sequence_number": number}
        )

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of a response."""
        return ResponseStreamMeter()

    def body_meter(self) -> Meter:
        """A meter for a response, or an error, as one JSON object."""
        return ResponseBodyMeter()


def _code(trouble: Trouble) -> str:
    """The code by which clients decide whether to try again."""
    for named in (trouble.provider_code, trouble.kind):
        if named in _FINAL:
            return named
    if trouble.status == 429:
        return "rate_limit_exceeded"
    if trouble.status < 500 and trouble.status not in _PASSING:
        return "invalid_prompt"
    return "server_error"
