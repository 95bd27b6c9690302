"""Listening sockets by endpoint string: bound, listening, and nobody's but ours.

A port that Twisted opens shuts its socket down when it stops, for every process that shares it; a
socket of our own is handed on, adopted and closed copy by copy.

Invariants: the kernel takes connections for a `Listener` from the moment that it exists; it does
not block, and no child inherits it unless told to; the file of a Unix socket is removed by the
process that made it alone, and only while it is the same file.

Called by the service of a process that serves alone, and by the supervisor; workers are given
descriptors (`Listener.from_fd`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..config.endpoint import Endpoint, parse_endpoint
from .errors import ListenError
from .systemd import inherited

#: Connections that may wait to be accepted where an endpoint string says nothing.  After a restart
#: all agents of a company come back within a second; the 50 that Twisted takes overflow then, and
#: a client whose SYN was dropped waits a second or more.  The kernel caps it (net.core.somaxconn).
BACKLOG: Final = 1024
#: Twisted's: whoever may enter the folder may connect.
_UNIX_MODE: Final = "666"

#: What would be right, by the error.
_HINTS: Final[Mapping[int | None, str]] = {
    errno.EADDRINUSE: "is another gateway running? Stop it, or name another port in listen",
    errno.EADDRNOTAVAIL: "no interface of this machine has the address, name one that it has",
    errno.EACCES: "ports below 1024 are the administrator's, take a higher one",
}
_UNIX_HINTS: Final[Mapping[int | None, str]] = {
    None: "the path of a Unix socket has at most 107 bytes, take a shorter one",
    errno.EADDRINUSE: "is another gateway running? Stop it, or name another address in listen",
    errno.ENOENT: "make the folder first",
    errno.EACCES: "the gateway's user has to be allowed to write into the folder",
    errno.EROFS: "name a folder that can be written to, such as /run/gateway",
}


class Listener:
    """A listening socket, and the endpoint string that it was made of.  See the module's text."""

    def __init__(
        self, text: str, sock: socket.socket, made: tuple[int, int, int] | None = None
    ) -> None:
        """`made` is who made the file of a Unix socket: a process, and the file's identity."""
        self.text = text
        self.socket = sock
        self._made = made
        sock.setblocking(False)
        sock.set_inheritable(False)

    @classmethod
    def from_fd(cls, text: str, fd: int) -> Listener:
        """The listener whose socket this process was given as `fd`, which it owns from now on."""
        return cls(text, socket.socket(fileno=fd))

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET, AF_INET6 or AF_UNIX."""
        return socket.AddressFamily(self.socket.family)

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self.socket.fileno()

    @property
    def lost(self) -> bool:
        """Whether the file of a Unix socket that this process made is gone, or is another's: nobody
        comes to the socket any more."""
        if self._made is None or self._made[0] != os.getpid():
            return False
        return _identity(self.socket.getsockname()) != self._made[1:]

    def close(self) -> None:
        """Close this process's own copy; the file of a Unix socket that it made goes, too."""
        if self.fileno() < 0:
            return
        if self._made is not None and self._made[0] == os.getpid() and not self.lost:
            # A file that stays is taken for left over by the next one who listens there.
            with contextlib.suppress(OSError):
                os.unlink(self.socket.getsockname())
        self.socket.close()

    def __repr__(self) -> str:
        return f"<Listener {self.text} fd={self.fileno()}>"


def open_listener(text: str, environ: Mapping[str, str] = os.environ) -> Listener:
    """Bind and listen as the endpoint string `text` says, which the configuration found valid.

    `environ` says where systemd's sockets are.  Raises `ListenError`.
    """
    endpoint = parse_endpoint(text)
    try:
        if endpoint.kind == "systemd":
            return Listener(text, inherited(text, endpoint, environ))
        if endpoint.kind == "unix":
            return _open_unix(text, endpoint)
        return Listener(text, _open_tcp(endpoint))
    except OSError as error:
        hints = _UNIX_HINTS if endpoint.kind == "unix" else _HINTS
        raise ListenError(text, str(error), hints.get(error.errno, "see --check")) from error


def _backlog(endpoint: Endpoint) -> int:
    return int(endpoint.arguments.get("backlog", BACKLOG))


def _open_tcp(endpoint: Endpoint) -> socket.socket:
    """Bound as Twisted binds: to every IPv4 address without an interface, to those of both families
    for ``::``, unless the system says otherwise (net.ipv6.bindv6only)."""
    interface = endpoint.arguments.get("interface", "")
    if endpoint.kind in ("tcp6", "tls") and not interface:
        interface = "::"
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    port = int(endpoint.arguments.get("port", "443"))  # only tls may leave it out
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of an earlier process that linger in TIME_WAIT do not keep the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # With a scope (fe80::1%eth0) the address has four parts.
            flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
            sock.bind(socket.getaddrinfo(interface, port, family, flags=flags)[0][4])
        else:
            sock.bind((interface, port))
        sock.listen(_backlog(endpoint))
    except BaseException:
        sock.close()
        raise
    return sock


def _open_unix(text: str, endpoint: Endpoint) -> Listener:
    """The argument ``lockfile`` changes nothing: whoever listens there is asked instead."""
    path = endpoint.arguments["address"]
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            sock.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_over(text, path):
                raise
            os.unlink(path)
            sock.bind(path)
        # Nobody can connect before listen(2): the mode holds from the first connection on.
        Path(path).chmod(int(endpoint.arguments.get("mode", _UNIX_MODE), 8))
        sock.listen(_backlog(endpoint))
    except BaseException:
        sock.close()
        raise
    identity = _identity(path)
    return Listener(text, sock, None if identity is None else (os.getpid(), *identity))


def _is_left_over(text: str, path: str) -> bool:
    """Whether `path` is a Unix socket that nobody listens on."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise ListenError(text, f"{path} is no socket", "name another address in listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
