"""What is decided about a request at its head, before a byte of its body is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ..http1 import Framing, reason_phrase, response_bytes

if TYPE_CHECKING:
    from .request import Request


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that goes no further: the answer, before its body was read."""

    status: int
    body: bytes
    pairs: tuple[tuple[bytes, bytes], ...] = ()  #: further fields of the answer

    def response(self, date: bytes, *, bodiless: bool) -> bytes:
        """The whole answer, after which the connection is closed; `bodiless` answers a HEAD."""
        pairs = [
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(self.body)),
            (b"Date", date),
            (b"Connection", b"close"),
            *self.pairs,
        ]
        reason = reason_phrase(self.status)
        head = response_bytes(self.status, reason, pairs)
        return head if bodiless else head + self.body


class Admission(Struct, frozen=True):
    """A request whose body is read."""

    max_body: int  #: bytes
    #: Bytes that are kept before the request is rendered; a body that is longer is passed on while
    #: it comes, with 0 from its beginning.
    hold: int = 1 << 62


class Door(Protocol):
    """Who decides at a request's head whether, and up to which size, its body is read.

    Every request that `admit` was asked about has its `ended` once, however it ends.
    """

    def admit(self, request: Request, framing: Framing) -> Admission | Refusal:
        """How the body is read, or what to answer instead.

        `Request.context` is what it made that for the request before, if the head is the same but
        for the length of the body.
        """

    def refuse(self, request: Request | None, status: int, message: str) -> Refusal:
        """The answer to a request that broke a rule of HTTP (`request` None: no head came)."""

    def ended(self, request: Request) -> None:
        """The request is over: answered, refused or left by its client."""
