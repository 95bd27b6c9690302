"""What an exchange answers: usually the client's own request, or several clients' at once.

`gateway.front.request.Request` is the one, `gateway.dedup.audience.Audience` the other.  An
exchange, and what belongs to it, uses no more of either than what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

from ..front.upload import Upload
from ..http1 import Framing, RequestHead

Pairs = Iterable[tuple[bytes, bytes]]


class Recipient(Protocol):
    """See the module's text; what each name means, `gateway.front.request.Request` says."""

    head: RequestHead
    body: list[bytes]
    body_size: int
    upload: Upload | None
    status_sent: int | None
    on_gone: Callable[[Failure], None] | None
    on_broken: Callable[[int, str], None] | None

    @property
    def present(self) -> bool:
        """Whether there is anybody yet who can be given anything."""

    @property
    def takes_chunks(self) -> bool:
        """Whether chunks and interim responses are understood: HTTP/1.1."""

    def release_body(self) -> None:
        """The request's body is no longer held."""

    def let_go_of_fields(self) -> None:
        """Nobody will look at the request's fields any more."""

    def taken(self) -> int | None:
        """A counter of the bytes that have been taken; None where nobody can tell."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> object:
        """`producer` is paused while nothing more is taken."""

    def unregisterProducer(self) -> object:
        """The producer has nothing more to say."""

    def send_interim(self, status: int, reason: bytes, pairs: Pairs) -> None:
        """Pass on an interim (1xx) response."""

    def start(
        self,
        status: int,
        reason: bytes,
        pairs: Pairs,
        framing: Framing,
        *,
        more: bool = False,
    ) -> None:
        """Write the response's head; with `more` it may wait for what follows."""

    def flush(self) -> None:
        """Write what waits."""

    def send(self, data: bytes) -> None:
        """Write a piece of the body."""

    def send_beat(self, beat: bytes) -> None:
        """Write what is no part of the answer, and only shows that somebody is there."""

    def end(self, *, close: bool = False) -> None:
        """The body is whole."""

    def abort(self) -> None:
        """Break the response visibly."""

    def respond(self, status: int, body: bytes, pairs: Pairs = ()) -> None:
        """A whole short response."""
