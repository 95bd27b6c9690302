"""What OpenAI's endpoints have in common: errors, the list of models, forms of usage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from .answers import Answer
from .dialect import FAILED, Dialect, Json, Refusal, event
from .models import Model


class OpenAI(Dialect):
    """The part that is the same everywhere."""

    request_id_header: ClassVar[str | None] = "x-request-id"
    overloaded: ClassVar[int] = 429

    def failure(self, answer: Answer, given: int) -> bytes:
        """An event whose data is an error object; no ``[DONE]`` follows."""
        return event({"error": server_error()})

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error object; the request's id is told in the header alone."""
        kind, code = "invalid_request_error", refusal.code
        if refusal.status == self.overloaded:
            kind, code = "requests", "rate_limit_exceeded"
        elif refusal.status >= 500:
            kind = "server_error"
        return {
            "error": {
                "message": refusal.message,
                "type": kind,
                "param": refusal.param,
                "code": code,
            }
        }

    def listing(self, models: Iterable[Model]) -> Json:
        """A list of ``model`` objects."""
        data = [
            {
                "id": model.name,
                "object": "model",
                "created": 0,
                "owned_by": "txgateway",
                "description": model.shows,
            }
            for model in models
        ]
        return {"object": "list", "data": data}


def server_error() -> Json:
    """What stands for a failure in the middle of an answer."""
    return {"type": "server_error", "code": "server_error", "message": FAILED, "param": None}


def input_usage(answer: Answer) -> Json:
    """Usage as all endpoints tell it that are younger than chat."""
    prompt, made = answer.prompt, answer.output_tokens
    return {
        "input_tokens": prompt.input_tokens,
        "output_tokens": made,
        "total_tokens": prompt.input_tokens + made,
    }
