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

#: Who is slow has one of few connections: what is asked here is small, and asked by programs.
_LIMITS = FrontLimits(
    head=HeadLimits(total=16 * 1024, fields=100),
    head_timeout=3.0,
    body_grace=3.0,
    write_timeout=30.0,
)


class AdminListener:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        fleet: Fleet,
        reactor: Any,
        history: Callable[[Config], History] = History,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall` is the time of day, in seconds since the epoch.  Nothing is opened yet."""
        self._config = config
        self._fleet = fleet
        self._reactor = reactor
        self._history = history
        budget = BodyBudget(64 * 1024)
        self.site = AdminSite(self._resource(), self._door(), reactor, budget, _LIMITS, wall)
        self._listener: Listener | None = None
        self._port: IListeningPort | None = None

    def _resource(self) -> AdminResource:
        return AdminResource(self._fleet, self._history(self._config))

    def _door(self) -> AdminDoor:
        return AdminDoor(hosts_of(self._config), self._config.gateway.admin_token)

    @property
    def address(self) -> str | None:
        """Where it listens, as people are told; None if it does not."""
        text = self._config.gateway.admin
        if self._port is None or text is None:
            return None
        host = self._port.getHost()
        if not isinstance(host, IPv4Address | IPv6Address):
            return text
        name = f"[{host.host}]" if isinstance(host, IPv6Address) else host.host
        scheme = "https" if parse_endpoint(text).kind in ("ssl", "tls") else "http"
        return f"{scheme}://{name}:{host.port}"

    def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Listen, if that is wanted.

        Raises `AdminError` where the file says where to; what is so by default is left out with a
        warning, so that a second gateway starts as well.
        """
        self._listener, self._port = self._opened(self._config, environ)
        self._tell()

    def reload(self, config: Config, environ: Mapping[str, str] = os.environ) -> Deferred[None]:
        """Go on as another configuration says; fires when what is not needed any more is closed.

        Where the address stays, so does the socket: nobody is refused meanwhile.  Raises
        `AdminError`, and then nothing has changed.
        """
        before, kept = self.address, self._listener
        same = config.gateway.admin == self._config.gateway.admin
        same = same and kept is not None and not kept.lost
        listener, port = self._opened(config, environ, kept if same else None)
        closed = self._closed(keep=same)
        self._config, self._listener, self._port = config, listener, port
        self.site.resource, self.site.door = self._resource(), self._door()
        if self.address != before:
            self._tell()
        return closed

    def _opened(
        self, config: Config, environ: Mapping[str, str], listener: Listener | None = None
    ) -> tuple[Listener, IListeningPort] | tuple[None, None]:
        text = config.gateway.admin
        if text is None:
            return None, None
        opened = None
        try:
            opened = listener or open_listener(text, environ)
            return opened, adopt(self._reactor, opened, self.site, environ)
        except ListenError as error:
            if opened is not None and opened is not listener:
                opened.close()
            what = f"admin = {text}: {error.reason}"
            if config.gateway.admin_asked:
                raise AdminError(f"[gateway] {what}; {_hint(error)}") from error
            _log.warn(
                "there is no admin listener: {what}; name another port in admin, or write off",
                what=what,
            )
            return None, None

    def _tell(self) -> None:
        if self.address is not None:
            _log.info("admin listener on {address}", address=self.address)
            if importlib.util.find_spec("prometheus_client") is None:
                _log.info("{what}", what=MISSING)

    def stop(self) -> Deferred[None]:
        """Close it, and the connections that are open."""
        closed = self._closed(keep=False)
        self.site.close_idle()
        self.site.abort_all()
        return closed

    def _closed(self, *, keep: bool) -> Deferred[None]:
        """Close the port; `keep` the socket that it works on a copy of."""
        port, self._port = self._port, None
        listener, self._listener = self._listener, None
        if listener is not None and not keep:
            listener.close()
        if port is None:
            return succeed(None)
        return succeed(port).addCallback(lambda port: port.stopListening()).addCallback(_nothing)


def _hint(error: ListenError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        return "is another gateway running? Stop it, or write another port or admin = off"
    return error.hint


def _nothing(_: object) -> None:
    return None
