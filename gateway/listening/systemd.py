"""Sockets that systemd hands over: ``$LISTEN_PID``, ``$LISTEN_FDS`` and ``$LISTEN_FDNAMES``.

Source: sd_listen_fds(3).  The descriptors stay open for as long as the process lives, so that a
later generation can have them too; what is returned is a copy.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

from ..config.endpoint import Endpoint
from .errors import ListenError

_FIRST: Final = 3
_FAMILIES: Final = {
    "INET": socket.AF_INET,
    "INET6": socket.AF_INET6,
    "UNIX": socket.AF_UNIX,
}


def inherited(text: str, endpoint: Endpoint, environ: Mapping[str, str]) -> socket.socket:
    """A copy of the socket that a ``systemd:`` endpoint names.  Raises `ListenError`."""
    fd = _descriptor(text, endpoint, environ)
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=os.dup(fd))
    except OSError as error:
        reason = f"what systemd handed over as descriptor {fd} is no socket ({error.strerror})"
        raise ListenError(text, reason, "look at the .socket unit") from error
    try:
        _check(text, sock, endpoint.arguments["domain"])
    except BaseException:
        sock.close()
        raise
    return sock


def _descriptor(text: str, endpoint: Endpoint, environ: Mapping[str, str]) -> int:
    pid, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    if not count.isdecimal() or not int(count):
        reason = "systemd has handed over no socket ($LISTEN_FDS says so)"
        raise ListenError(text, reason, "enable and start the .socket unit")
    if pid != str(os.getpid()):
        reason = f"systemd's sockets are for process {pid or '(none)'}, this one is {os.getpid()}"
        raise ListenError(text, reason, "run twistd in the foreground, with --nodaemon")
    index = endpoint.arguments.get("index")
    if index is not None:
        if int(index) >= int(count):
            reason = f"systemd has handed over {count} of them, counted from 0"
            raise ListenError(text, reason, "name a lower index, or a name")
        return _FIRST + int(index)
    wanted = endpoint.arguments["name"]
    names = environ.get("LISTEN_FDNAMES", "").split(":")[: int(count)]
    found = [position for position, name in enumerate(names) if name == wanted]
    if not found:
        reason = f"systemd's sockets are called {', '.join(filter(None, names)) or '(nothing)'}"
        raise ListenError(text, reason, "write FileDescriptorName= into the .socket unit")
    if len(found) > 1:
        reason = f"{len(found)} of systemd's sockets are called {wanted}"
        raise ListenError(text, reason, "write index=…, or give each a .socket unit of its own")
    return _FIRST + found[0]


def _check(text: str, sock: socket.socket, domain: str) -> None:
    if sock.family != _FAMILIES[domain]:
        actual = next((name for name, family in _FAMILIES.items() if family == sock.family), "?")
        raise ListenError(text, f"systemd's socket is of domain {actual}", f"write domain={actual}")
    if sock.type != socket.SOCK_STREAM:
        reason = "systemd's socket is not one for streams"
        raise ListenError(text, reason, "write ListenStream= into the .socket unit")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        reason = "systemd's socket does not listen"
        raise ListenError(text, reason, "write Accept=no into the .socket unit")
