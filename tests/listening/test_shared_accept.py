"""Several processes accept on one socket."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from twisted.internet.protocol import Factory, Protocol

from gateway.listening import adopt, open_listener


class Counting(Factory):
    """Counts connections."""

    def __init__(self) -> None:
        self.count = 0

    def buildProtocol(self, addr: object) -> Protocol:
        self.count += 1
        return Protocol()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_port_takes_one_connection_at_a_time(tmp_path: Path, kind: str) -> None:
    """O3: of those that wait, the others take theirs."""
    from twisted.internet import reactor

    path = tmp_path / "socket"
    text = "tcp:0:interface=127.0.0.1" if kind == "tcp" else f"unix:{path}"
    listener = open_listener(text, {})
    with ExitStack() as ends:
        ends.callback(listener.close)
        factories = [Counting(), Counting()]
        ports = []
        for factory in factories:
            port = adopt(reactor, listener, factory)
            ends.callback(port.stopListening)
            port.pauseProducing()
            ports.append(port)
        for _ in range(4):
            client = socket.socket(listener.family)
            ends.callback(client.close)
            client.connect(listener.socket.getsockname())
        for port in (*ports, *ports):
            port.doRead()
        assert [factory.count for factory in factories] == [2, 2]
