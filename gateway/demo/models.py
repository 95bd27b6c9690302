"""The simulated models: what each of them shows, and what they all say.

`MODELS` is the table of everything that can go wrong, one row a misbehaviour.  `script` turns a row
into what is done on the wire, in whatever dialect was asked; docs/demo.rst tells what becomes of it
behind the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

#: What every model answers, whatever it was asked.
TEXT: Final = (
    "I am a simulated model. I have weighed your question with great care and then set it aside:"
    " whatever you ask, this is the answer. It costs nothing, it comes at about forty tokens a"
    " second, and it says so when it is over. Should it stop without saying so, the fault is on"
    " the line, and whoever carries it owes you an error."
)

#: One token of two megabytes, as no model has it: events with images in them are as long.
LONG: Final = " and so on" * (2 * 1024 * 1024 // 10)


class End(Enum):
    """What happens once a model has said as much of its answer as it does."""

    FINISH = "the body ends as HTTP wants it"
    FAIL = "the provider's own error follows, then the body ends"
    CLOSE = "the connection is closed in the middle of the body"
    RESET = "the connection is reset"
    GARBLE = "what follows is no chunk"
    HOLD = "nothing more comes, and nothing ends"


class Instead(Enum):
    """What some models answer instead."""

    ERROR = "the dialect's error for a fault of the server's own, 500"
    OVERLOADED = "the dialect's error for an overloaded server, with Retry-After"
    TOO_LONG = "the dialect's error for a prompt that is too long, 400"
    HTML = "the page of a proxy that does not know the dialect, 502"


@dataclass(frozen=True, slots=True)
class Model:
    """One simulated model and its temper."""

    name: str
    shows: str  #: what happens, for the list of models
    silence: float = 0.15  #: seconds from the request to the response's head and first token
    pace: float = 0.025  #: seconds from one token to the next
    pause: float = 0.0  #: seconds of each silence more in an answer
    pauses: int = 3  #: how many of these there are, spread over it
    share: float = 1.0  #: how much of the answer is said before the end
    end: End = End.FINISH
    instead: Instead | None = None
    streams: bool = True  #: whether it streams where a stream is asked for
    limit: int | None = None  #: tokens after which it stops, whatever the request allows
    long: bool = False  #: whether one token is `LONG`


_MIDDLE: Final = 0.4

#: Every model there is, by name.
MODELS: Final = {
    model.name: model
    for model in (
        Model("demo", "answers as it should"),
        Model("demo-slow-start", "thinks for six seconds before it begins", silence=6.0),
        Model("demo-slow", "falls silent for five seconds, three times", pause=5.0),
        Model("demo-long-start", "thinks for six minutes before it begins", silence=360.0),
        Model(
            "demo-long-pause", "falls silent for six minutes in the middle", pause=360.0, pauses=1
        ),
        Model("demo-silent", "begins, and then says nothing, for ever", share=0.0, end=End.HOLD),
        Model("demo-cut", "breaks off in the middle: closed", share=_MIDDLE, end=End.CLOSE),
        Model("demo-reset", "breaks off in the middle: reset", share=_MIDDLE, end=End.RESET),
        Model("demo-early-eof", "ends in the middle, as if it were whole", share=_MIDDLE),
        Model("demo-bad-chunk", "sends a malformed chunk", share=_MIDDLE, end=End.GARBLE),
        Model("demo-error-event", "fails in the middle, and says so", share=_MIDDLE, end=End.FAIL),
        Model("demo-error-500", "answers with an error, status 500", instead=Instead.ERROR),
        Model("demo-overloaded", "is overloaded: Retry-After", instead=Instead.OVERLOADED),
        Model(
            "demo-late-error",
            "thinks for six seconds, then refuses: status 400",
            silence=6.0,
            instead=Instead.TOO_LONG,
        ),
        Model("demo-html", "answers with an HTML page, status 502", instead=Instead.HTML),
        Model(
            "demo-json", "answers in one piece, asked to stream or not", pace=0.005, streams=False
        ),
        Model("demo-empty", "answers 200 with an empty body", share=0.0),
        Model("demo-incomplete", "stops at a limit of twenty tokens", limit=20),
        Model("demo-long-event", "says one token of two megabytes", long=True),
    )
}


def split(text: str) -> tuple[str, ...]:
    """A text in pieces about a token long: a word or a sign, with the blank before it."""
    return tuple(re.findall(r"\s*(?:\w+|[^\w\s])", text))


def count_input(texts: Iterable[str]) -> int:
    """Tokens of a prompt: one for every four characters of a text, rounded up, and four a text.

    A rule of thumb for English, with a chat format's overhead a message: plausible, and the same
    every time.
    """
    return sum(-(-len(text) // 4) + 4 for text in texts)


def cached(tokens: int) -> int:
    """How many tokens of a prompt come from a cache that the client did not ask for.

    As OpenAI's guide "Prompt caching" has it: from 1024 tokens on, in steps of 128.
    """
    return tokens // 128 * 128 if tokens >= 1024 else 0
