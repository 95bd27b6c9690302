"""One request's body on its way in: out of its framing and within its limits.

What comes is kept with the request, and counted in the budget of all kept bodies, or, where the
request has an upload, passed on to that.  A body that turns out to be longer than what is kept gets
an upload then, which begins with what was kept.
"""

from __future__ import annotations

from collections.abc import Callable

from ..http1 import Framing, RemoteError
from ..http1.body import decoder_for
from .budget import BodyBudget
from .request import Request
from .verdict import Admission


class Intake:
    """See the module's text."""

    def __init__(
        self,
        request: Request,
        framing: Framing,
        admission: Admission,
        budget: BodyBudget,
        pass_on: Callable[[], None],
    ) -> None:
        """`pass_on` gives the request its upload.

        Raises `RemoteError` (413) for a body that is told to be longer than is admitted.
        """
        self._request = request
        self._max_body = max_body = admission.max_body
        self._hold = admission.hold
        self._pass_on = pass_on
        self._budget = budget
        self.claimed = 0  #: bytes taken from the budget
        #: Takes the body out of its framing, and tells its end.
        self.decoder = decoder_for(framing, lean=True)
        if framing.length > max_body:
            raise self._too_large()

    def received(self, data: bytes) -> None:
        """One read of the client's socket.

        Raises `RemoteError`: 400 or 431 for a broken framing, 413 for a body that is too long, 503
        where all kept bodies together have no room for it.
        """
        piece = self.decoder.feed(data)
        if not piece:
            return
        request, added = self._request, len(piece)
        size = request.body_size if request.upload is None else request.upload.size
        if size + added > self._max_body:
            raise self._too_large()
        if request.upload is None and size + added > self._hold:
            self._pass_on()
        if request.upload is not None:
            request.upload.received(piece)
            return
        if not self._budget.take(added):
            why = "too many request bodies are held in memory; try again shortly"
            raise RemoteError(why, 503)
        self.claimed += added
        request.body_received(piece)

    def release(self) -> None:
        """Give back what was claimed of the budget: the body is no longer held."""
        self._budget.give_back(self.claimed)
        self.claimed = 0

    def hand_over(self) -> Callable[[], None]:
        """Leave what was claimed to whoever keeps the body; what is returned gives it back."""
        claimed, self.claimed = self.claimed, 0
        return lambda: self._budget.give_back(claimed)

    def _too_large(self) -> RemoteError:
        return RemoteError(f"the request body is longer than {self._max_body} bytes", 413)
