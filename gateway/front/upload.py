"""A request's body that is passed on while it comes, instead of being kept.

It stands between the channel, which takes the body out of its framing, and whoever sends it on.
What one read of the client's socket held is kept, no more: until the taker says that it is ready,
and whenever it says `pause`, the client's socket is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .channel import Channel


class UploadReceiver(Protocol):
    """Who sends the body on."""

    def upload_received(self, data: bytes) -> None:
        """The next piece of the body."""

    def upload_ended(self) -> None:
        """The body is whole."""


class Upload:
    """See the module's text.  `length` is bytes, None where the client did not tell it."""

    def __init__(self, channel: Channel, length: int | None) -> None:
        self.length = length
        self.size = 0  #: bytes received so far
        self.done = False
        self.receiver: UploadReceiver | None = None
        self._channel = channel
        self._ready = False
        self._paused = False
        self._early: list[bytes] = []

    def begin(self) -> None:
        """The receiver is ready: give it what came so far, and the rest as it comes."""
        assert self.receiver is not None
        self._ready = True
        early, self._early = self._early, []
        for piece in early:
            self.receiver.upload_received(piece)
        if self.done:
            self.receiver.upload_ended()
        else:
            self.resume()

    def pause(self) -> None:
        """Read no more of the client's socket for now."""
        if not self._paused and not self.done:
            self._paused = True
            self._channel.pause_body()

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self.done:
            self._paused = False
            self._channel.resume_body()

    # What the channel calls.

    def received(self, data: bytes) -> None:
        """A piece came."""
        self.size += len(data)
        if self._ready and self.receiver is not None:
            self.receiver.upload_received(data)
        else:
            self._early.append(data)
            self.pause()

    def ended(self) -> None:
        """The body is whole."""
        self.done = True
        if self._ready and self.receiver is not None:
            self.receiver.upload_ended()
