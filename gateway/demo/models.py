"""The simulated models: what each does, what they all say, and how their tokens are counted.

Pure data and pure functions; `dialects` puts an answer into a provider's shape, and `timeline` says
when each part of it is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

#: What every model answers, whatever it was asked.
TEXT: Final = (
    "I am a simulated model. I have weighed your question with great care and then set it aside:"
    " whatever you ask, this is the answer. It costs nothing, it comes at about forty tokens a"
    " second, and it says so when it is over. Should it stop without saying so, the fault is on"
    " the line, and whoever carries it owes you an error."
)


@dataclass(frozen=True, slots=True)
class Model:
    """One simulated model and its temper."""

    name: str
    silence: float = 0.15  #: seconds from the request to the response's head and first token
    pace: float = 0.025  #: seconds from one token to the next
    cut: float | None = None  #: the share of the answer after which the connection breaks


#: Every model there is, by name.
MODELS: Final = {
    model.name: model
    for model in (
        Model("demo"),
        Model("demo-slow-start", silence=6.0),
        Model("demo-cut", cut=0.4),
    )
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asked for, in one form for every dialect."""

    model: str
    stream: bool
    input_tokens: int
    max_tokens: int | None = None
    include_usage: bool = True  #: whether a stream is to tell its usage


@dataclass(frozen=True, slots=True)
class Answer:
    """What is going to be said, before it has any dialect's shape."""

    id: str  #: unique; a dialect puts its own prefix in front
    created: int  #: seconds since the epoch
    prompt: Prompt
    tokens: tuple[str, ...]
    shortened: bool  #: `Prompt.max_tokens` ended it, not the text


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do `after` so many seconds from the step before: to say it, or to break off."""

    after: float
    say: bytes | None  #: None: the connection is cut


def split(text: str) -> tuple[str, ...]:
    """A text in pieces about a token long: a word or a sign, with the blank before it."""
    return tuple(re.findall(r"\s*(?:\w+|[^\w\s])", text))


def count_input(texts: Iterable[str]) -> int:
    """Tokens of a prompt: one for every four characters of a text, rounded up, and four a text.

    A rule of thumb for English, with a chat format's overhead a message: plausible, and the same
    every time.
    """
    return sum(-(-len(text) // 4) + 4 for text in texts)


def answer(prompt: Prompt, id: str, created: int) -> Answer:
    """The answer to `prompt`: the fixed text, or as much of it as the prompt allows."""
    tokens = split(TEXT)
    allowed = tokens[: prompt.max_tokens]
    return Answer(id, created, prompt, allowed, shortened=len(allowed) < len(tokens))


def stream_timeline(model: Model, parts: Sequence[bytes]) -> Iterator[Step]:
    """When each part of a streamed answer is due: the first after the silence, the rest at pace."""
    spoken = len(parts) if model.cut is None else max(1, int(len(parts) * model.cut))
    for index, part in enumerate(parts[:spoken]):
        yield Step(model.pace if index else model.silence, part)
    if spoken < len(parts):
        yield Step(model.pace, None)


def body_timeline(model: Model, tokens: int, body: bytes) -> Iterator[Step]:
    """When a whole answer is due: once it would have been streamed, all at once."""
    share = 1.0 if model.cut is None else model.cut
    yield Step(model.silence + model.pace * tokens * share, body[: int(len(body) * share)])
    if share < 1.0:
        yield Step(model.pace, None)
