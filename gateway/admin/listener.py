"""The admin listener: opened once, by the one process or by the supervisor, and closed last.

While the gateway stops it still answers, so that whoever asked for it can see how far that is.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from ..config import Config
from ..config.endpoint import parse_endpoint
from ..front.budget import BodyBudget
from ..front.site import FrontLimits
from ..http1 import HeadLimits
from ..listening import Listener, ListenError, adopt, open_listener
from .door import AdminDoor, hosts_of
from .errors import AdminError
from .exposition import MISSING
from .fleet import Fleet
from .history import History
from .site import AdminResource, AdminSite

_log = Logger(namespace="gateway.admin")

_LIMITS = FrontLimits(head=HeadLimits(total=16 * 1024, fields=100), write_timeout=30.0)


class AdminListener:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        fleet: Fleet,
        reactor: Any,
        history: History | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall` is the time of day, in seconds since the epoch.  Nothing is opened yet."""
        assert config.gateway.admin is not None
        self._text = config.gateway.admin
        self._asked = config.gateway.admin_asked
        self._reactor = reactor
        self.site = AdminSite(
            AdminResource(fleet, history or History(config)),
            AdminDoor(hosts_of(config), config.gateway.admin_token),
            reactor,
            BodyBudget(64 * 1024),
            _LIMITS,
            wall,
        )
        self._listener: Listener | None = None
        self._port: IListeningPort | None = None

    @property
    def address(self) -> str | None:
        """Where it listens, as people are told; None if it does not."""
        if self._port is None:
            return None
        host = self._port.getHost()
        if not isinstance(host, IPv4Address | IPv6Address):
            return self._text
        name = f"[{host.host}]" if isinstance(host, IPv6Address) else host.host
        scheme = "https" if parse_endpoint(self._text).kind in ("ssl", "tls") else "http"
        return f"{scheme}://{name}:{host.port}"

    def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Listen.

        Raises `AdminError` where the file says where to; what is so by default is left out with a
        warning, so that a second gateway starts as well.
        """
        try:
            self._listener = open_listener(self._text, environ)
            self._port = adopt(self._reactor, self._listener, self.site, environ)
        except ListenError as error:
            self._close_listener()
            what = f"admin = {self._text}: {error.reason}"
            if self._asked:
                raise AdminError(f"[gateway] {what}; {_hint(error)}") from error
            _log.warn(
                "there is no admin listener: {what}; name another port in admin, or write off",
                what=what,
            )
            return
        _log.info("admin listener on {address}", address=self.address)
        if importlib.util.find_spec("prometheus_client") is None:
            _log.info("{what}", what=MISSING)

    def stop(self) -> Deferred[None]:
        """Close it, and the connections that are open."""
        port, self._port = self._port, None
        self._close_listener()
        self.site.close_idle()
        self.site.abort_all()
        if port is None:
            return succeed(None)
        return succeed(port).addCallback(lambda port: port.stopListening()).addCallback(_nothing)

    def _close_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def _hint(error: ListenError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        return "is another gateway running? Stop it, or write another port or admin = off"
    return error.hint


def _nothing(_: object) -> None:
    return None
