"""The way of a body that is passed on while it comes: from the client's upload to the upstream.

Its pace is the slower one's: the upstream's socket pauses the client's.  While it lasts the
upstream owes no answer, only to take it; `Moments` are told so.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from ..dialects.multipart import MultipartPeek
from ..front.upload import Upload
from ..http1 import LAST_CHUNK, chunk
from ..upstream.connection import Connection
from .deadlines import Deadlines, Moments


class Uploading:
    """A `gateway.front.upload.UploadReceiver`."""

    def __init__(
        self,
        upload: Upload,
        moments: Moments,
        deadlines: Deadlines,
        clock: IReactorTime,
        ended: Callable[[], None],
        form: MultipartPeek | None = None,
    ) -> None:
        """`ended` is called once the body is whole; `form` looks at what goes by."""
        self._upload = upload
        self._moments = moments
        self._deadlines = deadlines
        self._clock = clock
        self._connection: Connection | None = None
        self._chunked = upload.length is None
        self._ended = ended
        self._form = form
        moments.uploading = True
        upload.receiver = self

    def begin(self, connection: Connection) -> None:
        """The request's head has been written on `connection`: send the body after it."""
        self._connection = connection
        self._upload.begin()

    def stop(self) -> None:
        """The exchange is over: what still comes is nobody's."""
        self._connection = None

    # What the client's side tells.

    def upload_received(self, data: bytes) -> None:
        """The next piece of the body."""
        if self._form is not None:
            self._form.feed(data)
        if self._connection is not None:
            self._connection.send_more(chunk(data) if self._chunked else data)

    def upload_ended(self) -> None:
        """The body is whole; from now on the upstream owes an answer."""
        self._moments.uploading = False
        self._moments.blocked = None
        self._moments.dispatched = self._clock.seconds()
        self._deadlines.look()
        if self._connection is not None:
            if self._chunked:
                self._connection.send_more(LAST_CHUNK)
            self._connection.send_end()
        self._ended()

    # What the upstream's side tells.

    def paused(self) -> None:
        """The upstream takes no more for now."""
        self._upload.pause()
        self._moments.blocked = self._clock.seconds()
        self._deadlines.look()

    def resumed(self) -> None:
        """The upstream takes more."""
        self._moments.blocked = None
        self._upload.resume()
