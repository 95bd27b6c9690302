"""A factory whose connections are greeted, and how its ports stop."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol


class Greeter(Factory):
    """Says its name to whoever connects, and hangs up."""

    noisy = False

    def __init__(self, name: bytes) -> None:
        self.name = name

    def buildProtocol(self, addr: object) -> Protocol:
        """A connection's greeting."""
        return _Greeting(self.name)


class _Greeting(Protocol):
    transport: Any

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connectionMade(self) -> None:
        self.transport.write(self._name)
        self.transport.loseConnection()


async def stopped(port: Any) -> None:
    """Stop a port."""
    result = port.stopListening()
    if isinstance(result, Deferred):
        await result
