"""What is done on the wire, and when: the one place where something goes wrong.

`models.MODELS` says what; the dialect says how its events look; nothing else knows both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from .answers import Answer
from .dialect import FAILED, Body, Dialect, Refusal, json_body
from .models import End, Instead, Model

#: Seconds that an overloaded server asks for.  SDKs wait as long before they try again.
RETRY_AFTER: Final = 2

#: Ends that break the connection.
_BROKEN: Final = frozenset({End.CLOSE, End.RESET, End.GARBLE})

_PAGE: Final = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center></body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to say `after` so many seconds from the step before."""

    after: float
    say: bytes


@dataclass(frozen=True, slots=True)
class Script:
    """A response, from its head to its end."""

    steps: Iterator[Step]
    end: End = End.FINISH
    status: int = 200
    fields: dict[str, str] = field(default_factory=dict)


def script(dialect: Dialect, answer: Answer, request_id: str) -> Script:
    """What the answer's model makes of it; raises `Refusal` for one that is an error."""
    model = answer.model
    if model.instead is not None:
        return _instead(model, dialect, request_id)
    if answer.prompt.stream and model.streams:
        return _stream(model, dialect, answer)
    return _whole(model, dialect, answer, request_id)


def _instead(model: Model, dialect: Dialect, request_id: str) -> Script:
    if model.instead is Instead.ERROR:
        raise Refusal(500, "The simulated provider had an error, as this model always has.")
    if model.instead is Instead.OVERLOADED:
        message = "The simulated provider is overloaded, as it always is with this model."
        raise Refusal(dialect.overloaded, message, retry_after=RETRY_AFTER)
    if model.instead is Instead.TOO_LONG:
        message = "The prompt is too long for the simulated provider, as any is for this model."
        refusal = Refusal(400, message, code="context_length_exceeded")
        status, body = 400, json_body(dialect.refusal(refusal, request_id))
    else:
        status, body = 502, Body(_PAGE, "text/html")
    fields = {"content-type": body.content_type, "content-length": str(len(body.content))}
    return Script(iter((Step(model.silence, body.content),)), status=status, fields=fields)


def _stream(model: Model, dialect: Dialect, answer: Answer) -> Script:
    parts = dialect.parts(answer)
    spoken = len(parts)
    if model.share < 1.0:
        # Never the last part, which tells that it is over.
        spoken = min(int(spoken * model.share) or (model.share > 0), spoken - 1)
    said = parts[:spoken]
    if model.end is End.FAIL:
        said.append(dialect.failure(answer, spoken))
    fields = {"content-type": dialect.stream_type(answer.prompt), "cache-control": "no-cache"}
    return Script(_ended(model, _paced(model, said, len(parts))), model.end, fields=fields)


def _paced(model: Model, said: Sequence[bytes], whole: int) -> Iterator[Step]:
    """Each part when it is due: the first after the silence, the rest at pace."""
    stretches = model.pauses + 1
    pauses = {max(1, whole * stretch // stretches) for stretch in range(1, stretches)}
    yield Step(model.silence, said[0] if said else b"")
    for index, part in enumerate(said[1:], 1):
        yield Step(model.pace + (model.pause if index in pauses else 0.0), part)


def _whole(model: Model, dialect: Dialect, answer: Answer, request_id: str) -> Script:
    """An answer in one piece: once it would have been streamed, all at once."""
    if model.end is End.FAIL:
        body = json_body(dialect.refusal(Refusal(503, FAILED), request_id))
        said = body.content
    else:
        body = dialect.whole(answer)
        said = body.content[: int(len(body.content) * model.share)]
    after = (
        model.silence + model.pace * len(answer.tokens) * model.share + model.pauses * model.pause
    )
    fields = {"content-type": body.content_type}
    if model.end is not End.GARBLE:  # which needs chunks
        # Who breaks off has promised more; who merely stops has not.
        promised = said if model.end in (End.FINISH, End.FAIL) else body.content
        fields["content-length"] = str(len(promised))
    return Script(_ended(model, iter((Step(after, said),))), model.end, fields=fields)


def _ended(model: Model, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps, with a moment of silence before a break: it might overtake what was said."""
    yield from steps
    if model.end in _BROKEN:
        yield Step(model.pace, b"")
