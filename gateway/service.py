"""The root service: everything started in order, and stopped in the opposite one.

Start: the ledger, then the listeners, then READY.  A start that fails says why in one line and ends
the process with 1.

Stop: no new connections and requests; running streams go on for up to ``drain_timeout``; what still
runs then is ended with an error event (`gateway.draining`); the ledger is flushed last, so that
every end has its row; then its rows are shipped, if they are.  A second SIGTERM or SIGINT skips the
waiting.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from . import journal
from .callers import Callers
from .config import Config, with_demo
from .config.advice import advice
from .config.model import Gateway
from .dedup import Dedup
from .demo import demo_site
from .door import FrontDoor
from .draining import Drain
from .exchange.completion import Link
from .exchange.forward import Outbound
from .exchange.services import Services
from .front.budget import BodyBudget
from .front.site import FrontLimits, GatewaySite
from .hooks.calls import Hooks
from .hooks.loader import HookError, load
from .hosts import hosts_for
from .http1 import HeadLimits
from .intents import Intents
from .ledger import LedgerError, SqliteLedger
from .ledger.postgres import shipper_for
from .notify import Notifier
from .prices import PriceLink, Pricer
from .proxy import ReverseProxy
from .redact import Redactor
from .routing import Router
from .statekey import load_key
from .upstream.endpoint import CertificateFileError, endpoint_for
from .upstream.pool import Pool

if TYPE_CHECKING:
    from .ledger.postgres.shipper import Shipper

_log = Logger(namespace="gateway.service")


#: What would be right, by the error of listening.
_LISTEN_HINTS: Final[Mapping[int | None, str]] = {
    errno.EADDRINUSE: "is another gateway running? Stop it, or name another port in listen",
    errno.EADDRNOTAVAIL: "no interface of this machine has the address, name one that it has",
    errno.EACCES: "ports below 1024 are the administrator's, take a higher one",
}


class StartError(Exception):
    """The gateway cannot start; the text says why and what would be right."""


class GatewayService(Service):
    """See the module's text."""

    name = "gateway"

    def __init__(self, config: Config, reactor: Any, notifier: Notifier | None = None) -> None:
        self._config = config
        self._reactor = reactor
        self._notifier = notifier or Notifier()
        self._instance = f"{socket.gethostname()}-{os.getpid()}"
        self._accepting = True
        self._signalled = False
        self._ports: list[IListeningPort] = []
        self._demo_port: IListeningPort | None = None
        self._sites: list[GatewaySite] = []
        self._drain = Drain(self._sites, reactor)
        self._pools: dict[str, Pool] = {}
        self._ledger: SqliteLedger | None = None
        self._prices: PriceLink | None = None
        self._shipper: Shipper | None = None
        self._hooks: Hooks | None = None
        self._services: Services | None = None

    # Start.

    def startService(self) -> None:
        """Start everything, or end the process with 1 and a line that says why."""
        try:
            self._start()
        except StartError as error:
            self._give_up(str(error))
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._running)

    def _give_up(self, why: str) -> NoReturn:
        _log.critical("cannot start: {why}", why=why)
        sys.exit(1)

    def _start(self) -> None:
        config = self._config
        if config.hooks is not None:
            self._hooks = self._load_hooks(config.hooks)
        if config.gateway.demo:
            demo = demo_site(self._reactor)
            demo.noisy = False
            self._demo_port = self._reactor.listenTCP(0, demo, interface="127.0.0.1")
            config = self._config = with_demo(config, _port_of(self._demo_port))
        key = self._open_state(config)
        try:
            self._pools = {
                name: Pool(upstream, endpoint_for(upstream, self._reactor), self._reactor)
                for name, upstream in config.upstreams.items()
            }
        except CertificateFileError as error:
            raise StartError(str(error)) from error
        assert self._ledger is not None
        self._prices = PriceLink(Pricer.of(config), self._reactor)
        self._prices.start()
        links: list[Link] = [
            ("prices", self._prices.price),
            ("ledger", self._ledger.settle),
            ("log", journal.log_record),
        ]
        if self._hooks is not None:
            links.append(("hooks", self._hooks.settled))
        self._services = Services(
            clock=self._reactor,
            wall=time.time,
            ledger=self._ledger,
            links=links,
            redactor=Redactor.of(config),
            hooks=self._hooks if self._hooks is not None and self._hooks.sees_requests else None,
        )
        services = self._services
        callers = Callers(config.clients, config.gateway.trusted_proxies, key, os.urandom(32))
        outbound = {
            name: Outbound(upstream, callers.pseudonym, clients_configured=callers.configured)
            for name, upstream in config.upstreams.items()
        }
        intents = Intents(self._instance, services.wall, services.redactor)
        door = FrontDoor(
            services,
            Router(config.routes),
            callers,
            outbound,
            intents,
            config.gateway.max_streams,
            lambda: self._accepting,
        )
        dedup = Dedup(services, config.gateway.dedup_memory)
        proxy = ReverseProxy(services, door, self._pools, intents, dedup)
        budget = BodyBudget(config.gateway.max_buffered)
        limits = _front_limits(config.gateway)
        for description in config.gateway.listen:
            hosts = hosts_for(description, config.gateway.allowed_hosts)
            site = GatewaySite(proxy, door, self._reactor, budget, limits, hosts=hosts)
            self._sites.append(site)
            self._ports.append(self._listen(description, site))

    def _load_hooks(self, path: Path) -> Hooks:
        try:
            return Hooks(load(path), self._reactor)
        except HookError as error:
            raise StartError(f"[hooks] module: {error}") from error

    def _open_state(self, config: Config) -> bytes:
        """Open the ledger and the key of the tenants' names."""
        state_dir = config.gateway.state_dir
        database = config.ledger.postgres
        ledger = SqliteLedger(
            config.ledger.path,
            config.ledger.durability,
            self._instance,
            self._reactor,
            retention=config.ledger.retention,
            ship=database is not None,
        )
        try:
            if database is not None:
                self._shipper = shipper_for(config.ledger.path, database, self._reactor)
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = load_key(state_dir / "tenant.key")
            ledger.start()
            if self._shipper is not None:
                self._shipper.start()
        except LedgerError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(f"state_dir {state_dir} cannot be used: {error}") from error
        self._ledger = ledger
        return key

    def _listen(self, description: str, site: GatewaySite) -> IListeningPort:
        """Listen; TCP and Unix endpoints answer at once."""
        results: list[IListeningPort | Failure] = []
        serverFromString(self._reactor, description).listen(site).addBoth(results.append)
        if results and not isinstance(results[0], Failure):
            return results[0]
        reason, hint = "no answer", "see --check"
        if results and isinstance(results[0], Failure):
            error = results[0].value
            cause = error.socketError if isinstance(error, CannotListenError) else error
            reason, hint = str(cause), _LISTEN_HINTS.get(getattr(cause, "errno", None), hint)
        raise StartError(f"listen = {description}: {reason}; {hint}")

    def _running(self) -> None:
        self._install_signals()
        # What is there now stays: looking through it again and again would hold up streams by tens
        # of milliseconds each time.
        gc.collect()
        gc.freeze()
        self._notifier.send("READY=1", f"STATUS={self._config.source}")
        for sentence in advice(self._config):
            _log.warn("{sentence}", sentence=sentence)
        for description in self._config.gateway.listen:
            _log.info("listening on {description}", description=description)
        _log.info("rows go to {path}", path=str(self._config.ledger.path))
        if self._config.ledger.postgres is not None:
            _log.info("and from there to {place}", place=self._config.ledger.postgres.place)

    def _install_signals(self) -> None:
        """Let the second signal of a kind end the drain that the first one began."""
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            # Nothing to reload in one process, and no reason to die of a closed terminal.
            signal.signal(signal.SIGHUP, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            first = signal.getsignal(number)
            if callable(first):
                signal.signal(number, self._on_signal(first))

    def _on_signal(
        self, first: Callable[[int, FrameType | None], object]
    ) -> Callable[[int, FrameType | None], None]:
        def handler(number: int, frame: FrameType | None) -> None:
            if not self._signalled:
                self._signalled = True
                first(number, frame)
            else:
                self._reactor.callFromThread(self._hurry)

        return handler

    def _hurry(self) -> None:
        self._drain.hurry()
        if self._hooks is not None:
            self._hooks.hurry()

    # Stop.

    def stopService(self) -> Deferred[None]:
        """Drain, then stop the rest in order."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._accepting = False
        self._notifier.send("STOPPING=1")
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await DeferredList([_stop_listening(port) for port in self._ports])
        running = self._services.running if self._services is not None else set()
        try:
            await self._drain.run(running, self._config.gateway.drain_timeout)
        finally:
            await self._stop_rest()

    async def _stop_rest(self) -> None:
        for pool in self._pools.values():
            pool.close()
        if self._demo_port is not None:
            await _stop_listening(self._demo_port)
        for results in list(self._services.results) if self._services is not None else ():
            results.flush()
        if self._prices is not None:
            await self._prices.stop()
        if self._ledger is not None:
            await self._ledger.stop()
        if self._shipper is not None:
            await self._shipper.stop()
        if self._hooks is not None:
            await self._hooks.stop()


def _front_limits(gateway: Gateway) -> FrontLimits:
    return FrontLimits(
        head=HeadLimits(total=gateway.max_head, fields=gateway.max_headers),
        head_timeout=gateway.client_head_timeout,
        idle_timeout=gateway.client_idle_timeout,
        body_grace=gateway.client_body_grace,
        body_rate=gateway.client_body_rate,
    )


def _stop_listening(port: IListeningPort) -> Deferred[object]:
    return succeed(None).addCallback(lambda _: port.stopListening())


def _port_of(port: IListeningPort) -> int:
    address = port.getHost()
    assert isinstance(address, IPv4Address)
    return address.port
