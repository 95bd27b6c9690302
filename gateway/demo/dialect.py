"""What a dialect of the simulated provider has to do, and what all of them share.

Pure functions of a request or of an `Answer`; `site` and `script` are the only callers.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, TypeVar

import msgspec

from .answers import Answer, Prompt, answer
from .models import MODELS, Model

_Shape = TypeVar("_Shape")

Json = dict[str, object]

EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

#: How many numbers may be in the vectors of an answer: some megabytes of text.
_MOST_NUMBERS: Final = 200_000

#: What is said of a failure in the middle of an answer.
FAILED: Final = "The simulated provider failed in the middle of its answer, as this model does."


class Refusal(Exception):
    """A request that gets an error: the HTTP status, the words, and what OpenAI adds to them.

    `param` is the field at fault and `code` OpenAI's name of the fault, where it has one;
    `retry_after` the seconds after which the client may try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as any dialect looks at it."""

    body: bytes = b""
    content_type: str = ""
    name: str = ""  #: the model or the response that the path names, if it names one
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """A response's body in one piece."""

    content: bytes
    content_type: str = "application/json"


class Dialect(ABC):
    """One endpoint's manner of speaking."""

    #: The response header that carries the request's id, if one does.
    request_id_header: ClassVar[str | None] = None
    #: The status that tells of too much load.
    overloaded: ClassVar[int] = 503

    @abstractmethod
    def read(self, asked: Asked) -> Prompt:
        """Understand a request; raises `Refusal` where a real server would refuse it."""

    def answer(self, asked: Asked) -> Answer:
        """What is said to a request; raises `Refusal`, also for a model that there is not."""
        prompt = self.read(asked)
        model = MODELS.get(prompt.model)
        if model is None:
            raise Refusal(
                404,
                f"The simulated provider has no model of that name; it has {', '.join(MODELS)}.",
                param="model",
                code="model_not_found",
            )
        return answer(prompt, model, uuid.uuid4().hex, int(time.time()))

    def stream_type(self, prompt: Prompt) -> str:
        """The media type of a streamed answer."""
        return EVENT_STREAM

    def parts(self, answer: Answer) -> list[bytes]:
        """A streamed answer, one part for each moment at which something is said.

        Only the last part tells that the answer is over.  An endpoint that never streams has none.
        """
        return []

    def failure(self, answer: Answer, given: int) -> bytes:
        """The provider's own error in a streamed answer, behind so many of its parts (1 or more,
        unless the answer has only one).
        """
        return b""

    @abstractmethod
    def whole(self, answer: Answer) -> Body:
        """The answer to a request that did not ask for a stream."""

    @abstractmethod
    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error's body."""

    @abstractmethod
    def listing(self, models: Iterable[Model]) -> Json:
        """The list of models."""


class Part(msgspec.Struct):
    """One part of a message's content; only text is counted."""

    text: str = ""
    cache_control: Json | None = None


class Message(msgspec.Struct):
    """One message of a prompt."""

    role: str
    content: str | list[Part] | None = None


Messages = Annotated[list[Message], msgspec.Meta(min_length=1)]
Limit = Annotated[int, msgspec.Meta(ge=1)]


def decode(body: bytes, shape: type[_Shape]) -> _Shape:
    """A request's body in the shape that it must have; raises `Refusal`, which says where not."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"Invalid request body: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"The request body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise Refusal(400, "The request body is nested too deeply.") from error


def for_vectors(prompt: Prompt) -> Prompt:
    """A prompt for vectors; raises `Refusal` if they were more than is answered at once."""
    if prompt.count * prompt.dimensions > _MOST_NUMBERS:
        message = f"All vectors together may have {_MOST_NUMBERS} dimensions; ask for less."
        raise Refusal(400, message, param="input")
    return prompt


def text_of(content: str | list[Part] | None) -> str:
    """All text of a message's content."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)


def texts(messages: Iterable[Message]) -> Iterator[str]:
    """The text of each message."""
    return (text_of(message.content) for message in messages)


def event(data: Json, name: str | None = None) -> bytes:
    """An event of a stream."""
    lead = b"" if name is None else f"event: {name}\n".encode()
    return lead + b"data: " + msgspec.json.encode(data) + b"\n\n"


def framed(opening: bytes, tokens: Sequence[bytes], closing: bytes) -> list[bytes]:
    """The parts of a stream whose opening comes with its first token."""
    return [opening + b"".join(tokens[:1]), *tokens[1:], closing]


def json_body(content: Json) -> Body:
    """A body of JSON."""
    return Body(msgspec.json.encode(content))
