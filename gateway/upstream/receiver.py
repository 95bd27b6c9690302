"""What a connection tells of one response, and in which order.

Any number of `interim_received`, one `head_received`, any number of calls of what that returned,
and then exactly one of `response_ended` and `upstream_failed`; or `upstream_failed` at any point
before.  If the read that brings the head brings no end, `body_follows` is called when it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.python.failure import Failure

from ..http1 import Framing, ResponseHead
from .errors import UpstreamError

#: Called with the bytes of a body as they come.
TakeBody = Callable[[bytes], None]


class Receiver(Protocol):
    """Who waits for a response."""

    def request_written(self) -> None:
        """The request's body has been handed to the socket and is no longer held."""

    def upload_paused(self) -> None:
        """The socket takes no more of a body that is still coming; `send_more` no more for now."""

    def upload_resumed(self) -> None:
        """The socket takes more of it."""

    def interim_received(self, head: ResponseHead) -> None:
        """An interim response (1xx other than 101) came."""

    def head_received(self, head: ResponseHead, framing: Framing) -> TakeBody:
        """The final response's head came.  What is returned takes its body, out of its framing."""

    def body_follows(self) -> None:
        """The read that brought the head is over; the body, or more of it, is still to come."""

    def response_ended(self) -> None:
        """The body is whole."""

    def upstream_failed(self, error: UpstreamError) -> None:
        """The response will not come, or not whole."""

    def bug_found(self, failure: Failure) -> None:
        """One of the calls above raised."""
