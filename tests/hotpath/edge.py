"""The whole way of a request in memory: what `gateway.assembly` makes of a configuration.

Door, inspection, exchange, relay, prices, meter, log line and the ledger with its spool are the
real ones.  What is faked is the edge: the transports, the endpoints and the clock of `tests.world`,
the time of day, which stands still, and the file that the log goes to.

What threads tell the reactor waits until `settle`: so nothing that they do falls between two
requests by chance.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogPublisher

from gateway import assembly
from gateway.config import parse
from gateway.config.model import Upstream
from gateway.descriptors import Descriptors
from gateway.front.channel import Channel
from gateway.journal import StreamObserver, line
from gateway.redact import Redactor, redacting
from gateway.state import open_state
from tests.hotpath.works import SECTIONS
from tests.process.gateway_process import PATIENCE
from tests.world import MemoryEndpoint, Wire

_CONF = """\
[gateway]
listen = tcp:8080:interface=127.0.0.1
allowed_hosts = gw.test
admin = off
state_dir = {folder}
"""


class EdgeClock(Clock):
    """A clock that only tests move, which threads may call as they call a reactor."""

    def __init__(self) -> None:
        super().__init__()
        self._told: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self.advance(1000)

    def callFromThread(  # noqa: N802
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """Keep a call for `settle`."""
        self._told.put(lambda: callable(*args, **kwargs))

    def settle(self, done: Callable[[], bool]) -> None:
        """Do what threads tell, and what is due at once, until `done`."""
        while not done():
            try:
                self._told.get(timeout=PATIENCE)()
            except Empty:
                raise AssertionError(f"no thread told anything for {PATIENCE:g} s") from None
            self.advance(0)


def time_of_day() -> float:
    """Seconds since the epoch: a second that passed would have texts made anew."""
    return 1_700_000_000.0


class MemoryGateway:
    """See the module's text; made by `memory_gateway`."""

    def __init__(self, folder: Path, endpoint: Callable[[Clock], MemoryEndpoint]) -> None:
        self.clock = EdgeClock()
        self._make_endpoint = endpoint
        self.log = io.StringIO()
        self.endpoints: dict[str, MemoryEndpoint] = {}
        text = _CONF.format(folder=folder) + SECTIONS.format(url="http://127.0.0.1:9")
        config = parse("gateway.ini", text.encode(), {})
        observer = StreamObserver(self.log, priorities=False)
        self.publisher = LogPublisher(redacting(observer, Redactor.of(config)))
        self._state = open_state(config, self.clock, "test")
        with mock.patch.object(assembly, "endpoint_for", self._endpoint):
            self._assembly = assembly.assemble(
                config,
                self.clock,
                self._state.ledger,
                "test",
                self._state.tenant_key,
                lambda: True,
                Descriptors(1000),
            )
        self._assembly.prices.start()

    def _endpoint(self, upstream: Upstream, reactor: object) -> MemoryEndpoint:
        made = self.endpoints[upstream.name] = self._make_endpoint(self.clock)
        return made

    def connect(self) -> Wire:
        """A client's connection."""
        wire = Wire(self.channel(), self.clock)
        wire.makeConnection()
        return wire

    def channel(self) -> Channel:
        """The gateway's side of a client's connection, which is still to be made."""
        return Channel(self._assembly.sites[0])

    def upstream(self, name: str) -> Wire:
        """The only connection to an upstream."""
        (wire,) = self.endpoints[name].wires
        return wire

    def settle(self) -> None:
        """Wait until all that was answered is priced, logged and in the database."""
        ledger = self._state.ledger
        self.clock.settle(lambda: not ledger.open_rows and not ledger.queued)

    def stop(self) -> None:
        """End the threads."""
        for stop in (self._assembly.prices.stop, self._state.ledger.stop):
            stopped: Deferred[None] = stop()
            self.clock.settle(lambda stopped=stopped: bool(stopped.called))  # type: ignore[misc]


@contextlib.contextmanager
def memory_gateway(
    folder: Path, endpoint: Callable[[Clock], MemoryEndpoint] = MemoryEndpoint
) -> Iterator[MemoryGateway]:
    """A gateway whose state is in `folder`; `endpoint` is how it reaches upstreams."""
    with mock.patch("time.time", time_of_day):
        gateway = MemoryGateway(folder, endpoint)
        # By what processes have in its place, and with no other observer beside it.
        with mock.patch.object(line._log, "observer", gateway.publisher):
            try:
                yield gateway
            finally:
                gateway.stop()
