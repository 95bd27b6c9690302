"""The listening sockets, across generations: what stays the same stays open.

What counts is the address.  The same one with another certificate is the same socket; of one that
stays, backlog and mode stay, too.  A port cannot change its address while the gateway has it: both
sockets would have to share it (SO_REUSEPORT), and the kernel would give connections to the narrower
one, which nobody may ever come to serve.  A Unix socket whose file was removed does not stay: it is
made again, and the old one is kept for the generation that has it until the next one serves.  The
supervisor's copy keeps a socket alive while workers come and go, and connections wait in its
backlog when there are none.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from ..config.endpoint import parse_endpoint
from ..listening import Listener, ListenError, open_listener

#: Hosts that stand for all addresses; the second for those of IPv4, too.
_ALL: Final = frozenset(("0.0.0.0", "::"))

Opener = Callable[[str, Mapping[str, str]], Listener]


class Sockets:
    """See the module's text."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, opener: Opener = open_listener
    ) -> None:
        self._environ = environ
        self._open_one = opener
        self._open: dict[Hashable, Listener] = {}
        self._lost: dict[Hashable, Listener] = {}  #: in whose place another was opened

    def take(self, listen: Sequence[str]) -> list[Listener]:
        """The sockets for these endpoint strings, in their order; those that are new are opened.

        `keep` or `go_back` has to follow.  Raises `gateway.listening.ListenError`, and then nothing
        has changed.
        """
        new: dict[Hashable, Listener] = {}
        try:
            for place, text in zip(places(listen), listen, strict=True):
                if place not in self._open or self._open[place].lost:
                    new[place] = self._opened(text)
        except BaseException:
            for listener in new.values():
                listener.close()
            raise
        self._lost = {place: self._open[place] for place in self._open.keys() & new.keys()}
        self._open.update(new)
        return [self._open[place] for place in places(listen)]

    def _opened(self, text: str) -> Listener:
        try:
            return self._open_one(text, self._environ)
        except ListenError as error:
            cause = error.__cause__
            own = [each.text for each in self._open.values() if _overlap(each.text, text)]
            if not own or not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
                raise
            hint = (
                f"this gateway itself has the port, by {own[0]}: restart it, or leave that out of "
                "listen for one reload and write this one for the next"
            )
            raise ListenError(text, error.reason, hint) from cause

    def keep(self, *listens: Sequence[str]) -> list[str]:
        """Close all others but those for these endpoint strings; returns what was closed."""
        while self._lost:
            self._lost.popitem()[1].close()
        needed = {place for listen in listens for place in places(listen)}
        closed = [self._open.pop(place) for place in self._open.keys() - needed]
        for listener in closed:
            listener.close()
        return [listener.text for listener in closed]

    def go_back(self, listen: Sequence[str]) -> None:
        """As `keep`, for those who had these sockets before the last `take`."""
        for place, listener in self._lost.items():
            self._open[place].close()
            self._open[place] = listener
        self._lost.clear()
        self.keep(listen)


def places(listen: Sequence[str]) -> list[Hashable]:
    """Where endpoint strings listen: equal for those that can have the same socket."""
    seen: Counter[Hashable] = Counter()
    found: list[Hashable] = []
    for text in listen:
        place = _place(text)
        seen[place] += 1
        # Of two that are the same, one may be meant: port 0 is another one each time.
        found.append((place, seen[place]))
    return found


def _place(text: str) -> Hashable:
    endpoint = parse_endpoint(text)
    arguments = endpoint.arguments
    if endpoint.kind == "systemd":
        return text
    if endpoint.kind == "unix":
        return arguments["address"]
    default = "::" if endpoint.kind in ("tcp6", "tls") else "0.0.0.0"
    host = arguments.get("interface") or default
    with contextlib.suppress(ValueError):  # a name, or an address with a scope
        host = str(ip_address(host))
    return host, int(arguments.get("port", "443"))


def _overlap(one: str, other: str) -> bool:
    """Whether one of these has all addresses of a port, and the other some of them."""
    place, beside = _place(one), _place(other)
    if not isinstance(place, tuple) or not isinstance(beside, tuple):
        return False
    return place[1] == beside[1] and bool({place[0], beside[0]} & _ALL)
