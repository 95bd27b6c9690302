"""One exchange's dealings with the operator's hooks; made only where there are hooks to deal with.

The exchange asks `ask` when the row is open and before its upstream is asked, `answered` at the
upstream's head, and passes a stream through `outlet`.  `stop` may come at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..hooks.calls import Hooks, Waiting
from ..hooks.heads import (
    REQUEST_PROTECTED,
    RESPONSE_PROTECTED,
    Headers,
    Notes,
    RequestHead,
    ResponseHead,
)
from ..match import Match
from ..record import ErrorCode, Intent
from .forward import Pairs
from .life import Kind, Signal
from .recipient import Recipient
from .relay import Outlet


class Hooked:
    """See the module's text."""

    def __init__(self, hooks: Hooks, match: Match, request: Recipient, intent: Intent) -> None:
        forward = match.forward
        protected = REQUEST_PROTECTED | forward.outbound.own_fields
        self._hooks = hooks
        self._notes = Notes()
        self._headers = Headers(forward.changeable(request.head), protected)
        self._head = RequestHead.of(intent, forward.target, self._headers, self._notes)
        self._watches = hooks.module.event is not None and match.route.hook_events
        self._waiting: Waiting | None = None

    def ask(self, go_on: Callable[[], None], refuse: Callable[[Signal], None]) -> None:
        """Let the hook see the request; then call one of the two, now or later."""

        def judged() -> None:
            self._headers.close("the request has been sent or refused, its head cannot change")
            refusal = self._notes.refusal
            if refusal is None:
                go_on()
            else:
                status, message = refusal
                refuse(Signal(Kind.REJECTED, ErrorCode.HOOK, message, status))

        if self._hooks.module.request is None:
            judged()
        else:
            self._waiting = self._hooks.request(self._head, judged)

    @property
    def changed(self) -> Pairs | None:
        """What `Forward.changeable` is to be replaced by; None: nothing was changed."""
        return self._headers.raw if self._headers.changed else None

    def answered(self, status: int, pairs: Pairs, *, begun: bool) -> Pairs:
        """Let the hook see the upstream's head; the fields for the client."""
        if self._hooks.module.response is None:
            return pairs
        headers = Headers(pairs, RESPONSE_PROTECTED)
        self._hooks.response(ResponseHead(status, begun, headers, self._head))
        headers.close("the response's head has been sent")
        return headers.raw

    def outlet(self, request: Recipient) -> Outlet:
        """Where a stream goes: past the hook, if it is to see it, and to the client."""
        if not self._watches:
            return request
        return Watched(request, partial(self._hooks.watch, self._head.id))

    def tags(self) -> str | None:
        """What the row is to say."""
        return self._notes.tags_json()

    def stop(self) -> None:
        """The exchange is over: wait for no hook."""
        if self._waiting is not None:
            self._waiting.give_up()


class Watched:
    """A client's stream that a hook watches."""

    def __init__(self, request: Recipient, watch: Callable[[bytes], None]) -> None:
        self._request = request
        self._watch = watch

    @property
    def takes_chunks(self) -> bool:
        """See `Request.takes_chunks`."""
        return self._request.takes_chunks

    def send(self, data: bytes) -> None:
        """Pass events on, and show them."""
        self._request.send(data)
        if data:
            self._watch(data)
