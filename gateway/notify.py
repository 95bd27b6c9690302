"""Tells systemd how the service is: sd_notify's protocol, a datagram to ``$NOTIFY_SOCKET``.

Source: sd_notify(3), sd_watchdog_enabled(3).  Without the variable every call does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


def status(text: str) -> str:
    """What ``systemctl status`` shows; one line."""
    return f"STATUS={' '.join(text.split())}"


def reloading(now: float | None = None) -> tuple[str, str]:
    """A reload begins; `READY` ends it.  `now` is CLOCK_MONOTONIC, in seconds."""
    now = time.clock_gettime(time.CLOCK_MONOTONIC) if now is None else now
    return "RELOADING=1", f"MONOTONIC_USEC={int(now * 1_000_000)}"


def extend_timeout(seconds: float) -> str:
    """The stop that is under way may take so much longer, from now on."""
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which systemd wants a `WATCHDOG` of this process; None if it does not."""
    interval, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    if not interval.isdecimal() or not int(interval) or pid not in (None, "", str(os.getpid())):
        return None
    return int(interval) / 1_000_000


class Notifier:
    """Sends states such as ``READY=1`` to the service manager."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL byte of an abstract socket's name.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def send(self, *states: str) -> None:
        """Send the states in one datagram; a manager that does not listen is no reason to fail."""
        if not self._address:
            return
        # Without a descriptor for it, too: who calls would end, and with it the watchdog's beats.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)
            # A path in a status need not be text.
            sock.sendto("\n".join(states).encode("utf-8", "backslashreplace"), self._address)
