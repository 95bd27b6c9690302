"""How the gateway listens: sockets of its own, which the reactor adopts.

`sockets` makes them out of endpoint strings, `ports` has a reactor accept on them, `tls` says what
is spoken on them.  Both kinds of process use it: one that serves alone, and workers, which are
given the sockets of their supervisor.
"""

from .errors import ListenError
from .ports import adopt
from .sockets import Listener, open_listener

__all__ = ["ListenError", "Listener", "adopt", "open_listener"]
