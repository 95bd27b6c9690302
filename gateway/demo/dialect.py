"""What a dialect of the simulated provider has to do, and what all of them share.

Pure functions of a request's body or of an `Answer`; `site` is the only caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Protocol, TypeVar

import msgspec

from .models import Answer, Model, Prompt

_Shape = TypeVar("_Shape")

Json = dict[str, object]


class Refusal(Exception):
    """A request that gets an error: the HTTP status, the words, and what OpenAI adds to them.

    `param` is the field at fault and `code` OpenAI's name of the fault, where it has one.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


class Dialect(Protocol):
    """One provider's manner of speaking.  Stateless."""

    #: The response header that carries the request's id.
    request_id_header: ClassVar[str]

    def read(self, body: bytes) -> Prompt:
        """Understand a request's body; raises `Refusal` where a real server would refuse it."""

    def parts(self, answer: Answer) -> list[bytes]:
        """A streamed answer, one part for each moment at which something is said."""

    def whole(self, answer: Answer) -> Json:
        """The answer to a request that did not ask for a stream."""

    def refusal(self, refusal: Refusal, request_id: str) -> Json:
        """An error's body."""

    def listing(self, models: Iterable[Model]) -> Json:
        """The body of ``GET /v1/models``."""


class Part(msgspec.Struct):
    """One part of a message's content; only text is counted."""

    text: str = ""


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


def text_of(content: str | list[Part] | None) -> str:
    """All text of a message's content."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)


def texts(messages: Iterable[Message]) -> Iterator[str]:
    """The text of each message."""
    return (text_of(message.content) for message in messages)


def event(data: Json) -> bytes:
    """An event without a name."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"
