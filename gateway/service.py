"""The root service of a process that serves: everything started in order, and stopped in the
opposite one.

Start: the ledger, then the listeners, then READY.  A start that fails says why in one line and ends
the process with 1.

Stop: no new connections and requests; running streams go on for up to ``drain_timeout``; what still
runs then is ended with an error event (`gateway.draining`); the ledger is flushed last, so that
every end has its row; then its rows are shipped, if they are.  A second SIGTERM or SIGINT skips the
waiting.

A worker is given its listeners, and is drained before it is stopped when another one takes its
place: see `GatewayService.drain`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from . import journal, signals
from .admin.errors import AdminError
from .admin.fleet import LocalFleet
from .assembly import Assembly, assemble
from .config import Config, ConfigError, with_demo
from .config.advice import about_hooks, advice
from .descriptors import Descriptors, raise_limit
from .draining import Drain
from .front.site import GatewaySite
from .hooks.calls import Hooks
from .hooks.loader import described, hooks_of
from .listening import Listener, ListenError, adopt, open_listener
from .manager import LOOK, Manager
from .net.port import StreamPort
from .notify import Notifier, watchdog_interval
from .state import State, StateError, open_state
from .upstream.endpoint import CertificateFileError

if TYPE_CHECKING:
    from .admin.listener import AdminListener

_log = Logger(namespace="gateway.service")


class StartError(Exception):
    """The process cannot serve; the text says why and what would be right."""


class GatewayService(Service):
    """See the module's text."""

    name = "gateway"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        notifier: Notifier | None = None,
        listeners: Sequence[Listener] | None = None,
        *,
        ships: bool = True,
    ) -> None:
        """`listeners` are those of the configuration's ``listen``, in its order; this service
        closes them.  Without them it opens its own, takes the ledger's lock, and takes signals
        over; with them all that is up to whoever gave them.  `ships`: see `open_state`.
        """
        self._config = config
        self._reactor = reactor
        self._manager = Manager(notifier or Notifier(), watchdog_interval())
        self._look = LoopingCall(self._looked)
        self._instance = f"{socket.gethostname()}-{os.getpid()}"
        self._alone = listeners is None
        self._ships = ships
        self._listeners = list(listeners or ())
        self._ports: list[StreamPort] = []
        self._demo_port: IListeningPort | None = None
        self._sites: list[GatewaySite] = []
        self._drain = Drain(self._sites, reactor)
        self._drained: Deferred[None] | None = None
        self._admin: AdminListener | None = None
        #: What was opened and put together at start, for those who report on it; None before.
        self.state: State | None = None
        self.assembly: Assembly | None = None
        self.descriptors: Descriptors | None = None

    @property
    def streams(self) -> int:
        """How many requests run."""
        return 0 if self.assembly is None else len(self.assembly.services.running)

    @property
    def connections(self) -> int:
        """How many clients' connections are open."""
        return sum(len(site.open_channels) for site in self._sites)

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken."""
        return self.assembly is not None and self._drained is None

    # Start.

    def startService(self) -> None:
        """Start everything, or end the process with 1 and a line that says why."""
        try:
            self.open()
        except StartError as error:
            self._give_up(str(error))
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._running)

    def open(self) -> None:
        """Make everything ready; a worker accepts when it is told to.  Raises `StartError`."""
        try:
            self._start()
        except (StateError, CertificateFileError, ListenError, AdminError) as error:
            raise StartError(str(error)) from error
        except ConfigError as error:  # of the hook module
            raise StartError("; ".join(map(str, error.problems))) from error
        if not self._alone:
            for port in self._ports:
                port.pauseProducing()

    def accept(self) -> None:
        """Accept connections on listeners that were given."""
        for port in self._ports:
            port.resumeProducing()

    def _give_up(self, why: str) -> NoReturn:
        for listener in self._listeners:
            listener.close()
        _log.critical("cannot start: {why}", why=why, kind=journal.Kind.START_FAILED)
        sys.exit(1)

    def _start(self) -> None:
        config = self._config
        hooks = self._hooks()
        descriptors = self.descriptors = Descriptors(raise_limit())
        if config.gateway.demo:
            from .demo import demo_site  # many modules, which few need

            demo = demo_site(self._reactor)
            demo.noisy = False
            self._demo_port = self._reactor.listenTCP(0, demo, interface="127.0.0.1")
            config = self._config = with_demo(config, _port_of(self._demo_port))
        state = self.state = open_state(
            config, self._reactor, self._instance, alone=self._alone, ships=self._ships
        )
        assembly = self.assembly = assemble(
            config,
            self._reactor,
            state.ledger,
            self._instance,
            state.tenant_key,
            lambda: self._drain.accepting,
            descriptors,
            hooks,
        )
        assembly.prices.start()
        if self._alone:
            for text in config.gateway.listen:
                self._listeners.append(open_listener(text))
        self._sites.extend(assembly.sites)
        for listener, site in zip(self._listeners, assembly.sites, strict=True):
            self._ports.append(adopt(self._reactor, listener, site))
        descriptors.watch(
            assembly.sites,
            assembly.pools.values(),
            self._ports,
            assembly.door.admitted,
            assembly.services.reading_on,
        )

        if self._alone and config.gateway.admin is not None:
            from .admin.listener import AdminListener  # no worker needs what that takes

            self._admin = AdminListener(config, self._fleet(), self._reactor)
            self._admin.start()

    def _hooks(self) -> Hooks | None:
        """What the operator's module has.  Raises `ConfigError`."""
        module = hooks_of(self._config)
        if module is None:
            return None
        text = described(self._config, module)
        _log.info("{text}", text=text, kind=journal.Kind.START)
        for sentence in about_hooks(self._config, module.names):
            _log.warn("{sentence}", sentence=sentence, kind=journal.Kind.ADVICE)
        return Hooks(module, self._reactor)

    def _fleet(self) -> LocalFleet:
        def stop() -> None:
            signal.raise_signal(signal.SIGTERM)

        return LocalFleet(self, self._config.source, time.time(), stop)

    def _running(self) -> None:
        signals.install(self._reactor, self.hurry)
        # What is there now stays: looking through it again and again would hold up streams by tens
        # of milliseconds each time.
        gc.collect()
        gc.freeze()
        if self._alone:
            self._manager.ready()
            self._look.clock = self._reactor
            self._look.start(LOOK)
        for sentence in advice(self._config):
            _log.warn("{sentence}", sentence=sentence, kind=journal.Kind.ADVICE)
        for description in self._config.gateway.listen:
            _log.info(
                "listening on {description}", description=description, kind=journal.Kind.READY
            )
        _log.info("rows go to {path}", path=str(self._config.ledger.path), kind=journal.Kind.START)
        if self._config.ledger.postgres is not None:
            _log.info("and from there to {place}", place=self._config.ledger.postgres.place)

    def _looked(self) -> None:
        streams = "1 stream" if self.streams == 1 else f"{self.streams} streams"
        stopping = self._drained is not None
        self._manager.look(
            f"stopping: {streams}" if stopping else f"{self._config.source}: {streams}",
            self._reactor.seconds(),
            stopping=stopping,
            alive=True,
        )

    # Stop.

    def hurry(self) -> None:
        """Wait no longer: the first time, for streams; the second, for their last words."""
        self._drain.hurry()
        if self.assembly is not None and self.assembly.hooks is not None:
            self.assembly.hooks.hurry()

    def drain(self, limit: float) -> Deferred[None]:
        """Take no more connections, and serve those that there are to their end, for a reload.

        This process's copies of the listeners are closed, and connections that wait for a request;
        a request that still comes on one of the others is served, with ``Connection: close``.  What
        has not ended after `limit` seconds is ended.  Fires when nothing is left; `stopService` has
        to follow, also earlier: from then on new requests are refused.
        """
        if self._drained is None:
            self._drained = Deferred.fromCoroutine(self._drain_connections(limit))
        waiter: Deferred[None] = Deferred()

        def tell(result: Failure | None) -> None:
            waiter.callback(None) if result is None else waiter.errback(result)

        self._drained.addBoth(tell)
        return waiter

    async def _drain_connections(self, limit: float) -> None:
        await DeferredList([_stop_listening(port) for port in self._ports])
        for listener in self._listeners:
            listener.close()
        running = self.assembly.services.running if self.assembly is not None else set()
        await self._drain.run(running, limit)

    def stopService(self) -> Deferred[None]:
        """Refuse new requests, drain what runs, unless that is being done, and stop the rest."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._drain.accepting = False
        _log.info("stopping", kind=journal.Kind.STOP)
        if self._alone:
            self._manager.stopping()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        try:
            await self.drain(self._config.gateway.drain_timeout)
        finally:
            await self._stop_rest()

    async def _stop_rest(self) -> None:
        if self.assembly is not None:
            for pool in self.assembly.pools.values():
                pool.close()
        if self._demo_port is not None:
            await _stop_listening(self._demo_port)
        if self.assembly is not None:
            for results in list(self.assembly.services.results):
                results.flush()
            await self.assembly.prices.stop()
        if self.state is not None:
            await self.state.ledger.stop()
            if self.state.shipper is not None:
                await self.state.shipper.stop()
        if self.assembly is not None and self.assembly.hooks is not None:
            await self.assembly.hooks.stop()
        if self._admin is not None:
            await self._admin.stop()
        if self._look.running:
            self._look.stop()


def _stop_listening(port: IListeningPort) -> Deferred[object]:
    return succeed(None).addCallback(lambda _: port.stopListening())


def _port_of(port: IListeningPort) -> int:
    address = port.getHost()
    assert isinstance(address, IPv4Address)
    return address.port
