"""How an upstream is reached by what its URL calls it."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IReactorPluggableNameResolver
from zope.interface import directlyProvides

from gateway.config.model import Family, Upstream, Url
from gateway.upstream.endpoint import endpoint_for
from gateway.upstream.pool import Pool
from tests.net.watching import Watching


class Resolver:
    """Finds every name on the loopback."""

    def resolveHostName(self, receiver: Any, host: str, portNumber: int) -> None:  # noqa: N802, N803
        receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        receiver.resolutionComplete()


class Resolving(Watching):
    """A reactor that knows where names lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = Resolver()
        directlyProvides(self, IReactorPluggableNameResolver)


def test_an_upstream_is_reached_by_its_name_and_no_timer_is_left_behind() -> None:
    """E1: as nearly every upstream is named."""
    reactor = Resolving()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = Url("http", "llm.example", listener.getsockname()[1], "")
        upstream = Upstream("u", url, Family.GENERIC)
        found: list[Any] = []
        Pool(upstream, endpoint_for(upstream, reactor), reactor).connect().addBoth(found.append)
        listener.settimeout(5)
        listener.accept()[0].close()
    [connection] = found
    assert connection.transport.getPeer() == IPv4Address("TCP", "127.0.0.1", url.port)
    connection.abort()
    reactor.turn()
    assert reactor.readers == reactor.writers == reactor.getDelayedCalls() == []
