"""What was asked and what is going to be said, before it has any dialect's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .models import LONG, TEXT, Model, split

#: How many tokens are thought before a long token is said.
_BEFORE_LONG: Final = 10
#: Tokens of reasoning by what OpenAI calls effort; what is not listed is none.
_EFFORT: Final = {"low": 16, "medium": 32, "high": 64, "xhigh": 128}
#: Tokens of reasoning where the request turns it on without saying how much.
THOUGHTS: Final = _EFFORT["medium"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asked for, in one form for every dialect."""

    model: str
    stream: bool
    input_tokens: int  #: all of them, cached ones too
    max_tokens: int | None = None
    include_usage: bool = True  #: whether a stream is to tell its usage
    cached_tokens: int = 0  #: of the input, read from a cache
    written_tokens: int = 0  #: of the input, written to a cache
    reasoning_tokens: int = 0
    form: str = ""  #: which of its dialect's forms the answer is to have
    count: int = 1  #: how many images or vectors
    partials: int = 0  #: how many images on the way to the first one
    dimensions: int = 16  #: of a vector
    image_tokens: int = 0  #: of the input
    stored: bool = True  #: whether the answer may be kept
    after: int = -1  #: the number of the last event that need not be repeated


@dataclass(frozen=True, slots=True)
class Answer:
    """What is going to be said, and by whom."""

    id: str  #: unique; a dialect puts its own prefix in front
    created: int  #: seconds since the epoch
    prompt: Prompt
    model: Model
    tokens: tuple[str, ...]
    reasoning_tokens: int
    shortened: bool  #: a limit ended it, not the text

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.tokens)

    @property
    def output_tokens(self) -> int:
        """What was said and what was only thought."""
        return len(self.tokens) + self.reasoning_tokens


def answer(prompt: Prompt, model: Model, id: str, created: int) -> Answer:
    """The answer to `prompt`: the fixed text, or as much of it as prompt and model allow."""
    tokens = split(TEXT)
    if model.long:
        tokens = (*tokens[:_BEFORE_LONG], LONG, *tokens[_BEFORE_LONG:])
    thought, room = prompt.reasoning_tokens, len(tokens)
    if prompt.max_tokens is not None:
        thought = min(thought, prompt.max_tokens)
        room = prompt.max_tokens - thought
    said = tokens[: room if model.limit is None else min(room, model.limit)]
    return Answer(id, created, prompt, model, said, thought, shortened=len(said) < len(tokens))


def effort(name: str | None) -> int:
    """Tokens of reasoning for an effort of that name."""
    return _EFFORT.get(name or "", 0)
