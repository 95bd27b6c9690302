"""What the client is told at the end of an exchange: the doing of `life.Farewell`."""

from __future__ import annotations

from typing import Final

from ..dialects.base import FRESH, Dialect, Trouble
from ..record import ErrorCode
from .life import Ending, Farewell, Signal
from .recipient import Recipient
from .relay import Relay, StreamRelay

#: Seconds after which a refused client may try again; SDKs and agents give up on more than 60.
RETRY_AFTER: Final = 5


def take_leave(
    request: Recipient, dialect: Dialect, relay: Relay | None, ending: Ending, signal: Signal
) -> None:
    """Do towards the client what `ending` says."""
    if ending.farewell is Farewell.END:
        if relay is not None:
            relay.flush()
        request.end()
    elif ending.farewell is Farewell.ABORT:
        request.abort()
    elif ending.farewell is not Farewell.NOTHING:
        code = ending.error or ErrorCode.BUG
        message = ending.detail or code.value
        trouble = Trouble(signal.status, code, message, signal.provider_kind, signal.provider_code)
        if ending.farewell is Farewell.EVENT:
            standing = relay.standing() if isinstance(relay, StreamRelay) else FRESH
            request.send(dialect.error_event(trouble, standing))
            request.end(close=True)
        else:
            pairs = [(b"Retry-After", b"%d" % RETRY_AFTER)] if signal.status == 503 else []
            request.respond(signal.status, dialect.error_body(trouble), pairs)
