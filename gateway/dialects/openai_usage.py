"""Token counts as OpenAI's endpoints, and servers like them, tell them.

Chat, completions and embeddings say ``prompt_tokens`` and ``completion_tokens``; Responses, images
and audio say ``input_tokens`` and ``output_tokens``.  In both, the details tell apart what the
totals include.  A server that mixes the two up is read by the names that it uses.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from ..record import Usage
from .counts import RAW_LIMIT, Unbelievable, believe, part_of, told
from .jsonpick import lenient, text


class Told(Struct, frozen=True):
    """A usage object as counts, as text to keep, and what is wrong with it."""

    usage: Usage = Usage()
    raw: str | None = None
    problem: str | None = None


#: Where no usage was told.
UNTOLD: Final = Told()


class _Names:
    """What an endpoint calls its counts."""

    def __init__(self, input: str, output: str) -> None:
        self.input = input
        self.output = output
        self.cached = f"{input}_details.cached_tokens"
        self.written = f"{input}_details.cache_write_tokens"
        self.reasoning = f"{output}_details.reasoning_tokens"
        self.all = (input, output, "total_tokens", self.cached, self.written, self.reasoning)


_PROMPT: Final = _Names("prompt_tokens", "completion_tokens")
_INPUT: Final = _Names("input_tokens", "output_tokens")

_TIMINGS: Final = ("prompt_n", "cache_n", "predicted_n")


def read_usage(raw: bytes) -> Told:
    """What a usage object, as JSON, tells.

    One that has no counts, such as ``{"type":"duration","seconds":9}`` of a transcription that is
    billed by time, is kept and tells none.  xAI counts reasoning beside the output; there, and only
    there, the total is the sum of three.
    """
    value, kept, problem = _object(raw)
    if value is None:
        return Told(raw=kept, problem=problem)
    names = _INPUT if _INPUT.input in value or _INPUT.output in value else _PROMPT
    try:
        counts = believe(told(value, names.all))
        total_in, total_out = counts.get(names.input), counts.get(names.output)
        reasoning = counts.get(names.reasoning)
        if (
            reasoning
            and total_in is not None
            and total_out is not None
            and counts.get("total_tokens") == total_in + total_out + reasoning
        ):
            total_out += reasoning
        part_of(total_in, counts, (names.cached, names.written), names.input)
        part_of(total_out, counts, (names.reasoning,), names.output)
    except Unbelievable as reason:
        return Told(raw=kept, problem=str(reason))
    usage = Usage(
        input_tokens=total_in,
        cache_read_tokens=counts.get(names.cached),
        cache_write_tokens=counts.get(names.written),
        output_tokens=total_out,
        reasoning_tokens=reasoning,
    )
    return Told(usage, kept)


def added(told: Told, other: Told) -> Told:
    """Two usages that are each a part of what was used; a count that one of them lacks is unknown.

    What is kept of them is a list of JSON texts, without brackets.
    """
    if told == UNTOLD:
        return other
    counts: dict[str, int | None] = {}
    for name, mine in asdict(told.usage).items():
        theirs = getattr(other.usage, name)
        counts[name] = None if mine is None or theirs is None else mine + theirs
    raw = f"{told.raw},{other.raw}"
    problem = told.problem or other.problem
    if len(raw) > RAW_LIMIT:
        raw, problem = told.raw or "", problem or f"usages have more than {RAW_LIMIT} bytes"
    return Told(Usage() if problem else Usage(**counts), raw, problem)


def read_timings(raw: bytes) -> Told:
    """What the ``timings`` of llama.cpp, as JSON, tell where it tells no usage.

    ``prompt_n`` leaves out what came from the cache, so that the input is known only where
    ``cache_n`` is told too.
    """
    value, kept, problem = _object(raw)
    kept = None if kept is None else f'{{"timings":{kept}}}'
    if value is None:
        return Told(raw=kept, problem=problem)
    try:
        counts = believe(told(value, _TIMINGS))
    except Unbelievable as reason:
        return Told(raw=kept, problem=f"timings: {reason}")
    prompt, cached = counts.get("prompt_n"), counts.get("cache_n")
    usage = Usage(
        input_tokens=None if prompt is None or cached is None else prompt + cached,
        cache_read_tokens=cached,
        output_tokens=counts.get("predicted_n"),
    )
    return Told(usage, kept)


def _object(raw: bytes) -> tuple[dict[str, object] | None, str | None, str | None]:
    """The value of a usage object, the text of it to keep, and why it cannot be read."""
    if len(raw) > RAW_LIMIT:
        return None, None, f"usage has {len(raw)} bytes, more than {RAW_LIMIT}"
    value = lenient(raw)
    kept = (raw if value is None else text(value)).decode("utf-8", "replace")
    if not isinstance(value, dict):
        return None, kept, "usage is not an object, or cannot be read"
    return value, kept, None
