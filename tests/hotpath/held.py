"""The memory that a stream keeps while nothing comes on it, in a run that is the same each time.

Counted is what Python allocates (`tracemalloc`) for a stream that has had its first event and a
keepalive since, from the client's transport to the upstream's.  The transports are the gateway's
own, over pairs of sockets; the reactor that would watch them is not there.  What the kernel keeps,
and what is allocated by lines of tests, does not count.
"""

from __future__ import annotations

import gc
import socket
import tracemalloc
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory

from gateway.net.transport import StreamTransport
from tests.hotpath.edge import MemoryGateway, memory_gateway
from tests.hotpath.works import HELD
from tests.process.gateway_process import PATIENCE, ROOT
from tests.world import MemoryEndpoint

#: Streams that are there before any is counted: tables have grown, and what is made once is made.
_BEFORE: Final = 100
#: Streams that are counted; so many fit into tables that have grown for those before.
_COUNTED: Final = 50
#: Seconds until each has had a keepalive.
_SILENCE: Final = 16.0

_HERE: Final = IPv4Address("TCP", "127.0.0.1", 8080)
#: The clock of tests is one of Twisted's, and takes more for a timer than a reactor.
_EDGE: Final = (
    str(ROOT / "tests" / "*"),
    task.__file__,
    str(ROOT / "gateway" / "ledger" / "*"),  # its thread has more or less in hand each time
)
_FOLDERS: Final = (f"{ROOT}/", "/site-packages/")


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes per stream, by the lines that allocate them."""

    lines: Mapping[str, float]

    def figures(self) -> dict[str, float]:
        """The sum, by its key in the budget."""
        return {"bytes": round(sum(self.lines.values()))}

    def top(self, count: int) -> list[str]:
        """Lines of those that allocate most."""
        ordered = sorted((-size, name) for name, size in self.lines.items())
        return [f"{-size:8.1f}  {name}" for size, name in ordered[:count] if size]


class _Unwatched:
    """What a transport asks of its reactor."""

    def __init__(self, clock: task.Clock) -> None:
        self.callLater = clock.callLater

    def addReader(self, reader: object) -> None:
        """Nobody watches: `_Line.deliver` has it read."""

    removeReader = addWriter = removeWriter = addReader


class _Line:
    """A connection of the gateway's, and its peer's end of it."""

    def __init__(self, protocol: IProtocol, clock: task.Clock) -> None:
        ours, self._peer = socket.socketpair()
        ours.setblocking(False)
        self._peer.settimeout(PATIENCE)
        peer = IPv4Address("TCP", "127.0.0.1", ours.fileno())
        self._transport = StreamTransport(ours, protocol, _Unwatched(clock), _HERE, peer)
        self._transport.start()

    def deliver(self, data: bytes) -> None:
        """Have the gateway read what the peer sends."""
        self._peer.sendall(data)
        self._transport.doRead()

    def read(self) -> bytes:
        """What the gateway has sent."""
        return self._peer.recv(1 << 16)

    def close(self) -> None:
        """The peer is gone."""
        self._peer.close()
        self._transport.abortConnection()


class _LineEndpoint(MemoryEndpoint):
    """Connects by a `_Line`."""

    def __init__(self, clock: task.Clock) -> None:
        super().__init__(clock)
        self.lines: list[_Line] = []

    def _join(self, result: Deferred[Any], factory: IProtocolFactory) -> Deferred[Any]:
        protocol = factory.buildProtocol(_HERE)
        assert protocol is not None
        self.lines.append(_Line(protocol, self.clock))
        result.callback(protocol)
        return result


def count(folder: Path) -> Held:
    """Hold streams and count; `folder` is for the gateway's state."""
    with memory_gateway(folder, _LineEndpoint) as memory:
        lines: list[_Line] = []
        try:
            _hold(memory, lines, _BEFORE)
            gc.collect()  # and free lists are empty, so that what is kept is allocated
            tracemalloc.start()
            try:
                _hold(memory, lines, _COUNTED)
                gc.collect()
                kept = tracemalloc.take_snapshot()
            finally:
                tracemalloc.stop()
        finally:
            for line in lines:
                line.close()
            memory.clock.advance(0)
    kept = kept.filter_traces([tracemalloc.Filter(False, path) for path in _EDGE])
    sizes: defaultdict[str, float] = defaultdict(float)
    for statistic in kept.statistics("lineno"):
        frame = statistic.traceback[0]
        path = frame.filename
        for part in _FOLDERS:
            path = path.rpartition(part)[2]
        sizes[f"{path}:{frame.lineno}"] += statistic.size / _COUNTED
    return Held(sizes)


def _hold(memory: MemoryGateway, lines: list[_Line], streams: int) -> None:
    endpoint = memory.endpoints[HELD.upstream]
    assert isinstance(endpoint, _LineEndpoint)
    clients = []
    for _ in range(streams):
        client = _Line(memory.channel(), memory.clock)
        client.deliver(HELD.request)
        upstream = endpoint.lines[-1]
        upstream.deliver(HELD.head)
        upstream.deliver(HELD.piece)
        assert client.read().endswith(HELD.piece)
        clients.append(client)
        lines += client, upstream
    memory.clock.advance(_SILENCE)
    for client in clients:
        assert b"\r\n:" in client.read()  # a comment
