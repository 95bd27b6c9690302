"""A provider's own words about what went wrong, out of any shape that providers use.

Called by the meters for errors inside a 200, and by the exchange to carry the words of an error
response over into an error event.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .jsonpick import lenient

#: How much of a provider's words is kept, in characters; the records keep less, but they are cut
#: only once secrets have been taken out.
_KEPT: Final = 4000


class ProviderError(NamedTuple):
    """A provider's error: its type, words and code, None where it gave none."""

    kind: str | None = None
    message: str | None = None
    code: str | None = None

    def __str__(self) -> str:
        """One line for the records: ``type: message``."""
        told = ": ".join(part for part in (self.kind, self.message) if part)
        return " ".join(told.split())[:_KEPT] or "an error without type and message"


def from_value(error: object) -> ProviderError:
    """Read the value of an ``error`` member: an object in any family's shape, or plain text."""
    if isinstance(error, str):
        return ProviderError(message=error)
    if not isinstance(error, dict):
        return ProviderError()
    # "status" is where Google's APIs name the error; "code" is a name at OpenAI, else a number.
    kind = _first_text(error, "type", "status", "code")
    return ProviderError(kind, _first_text(error, "message"), _first_text(error, "code"))


def from_body(body: bytes) -> ProviderError:
    """Read the body of an error response; nothing is known of one that is not such JSON."""
    value = lenient(body)
    if isinstance(value, list) and value:  # Gemini without alt=sse answers with an array
        value = value[0]
    if not isinstance(value, dict):
        return ProviderError()
    if value.get("error"):
        return from_value(value["error"])
    return ProviderError(message=_first_text(value, "message", "detail"))


def _first_text(fields: dict[str, object], *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    return None
