"""When a client's connection lets others go first: between its requests, and at no other time."""

from __future__ import annotations

import socket

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from gateway.front.channel import Channel
from gateway.net.transport import StreamTransport
from tests.net.watching import Watching
from tests.transcripts import CHAT_EVENTS
from tests.world import CHAT, LAST, SSE_HEAD, World, chunked

ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)


class Busy(Watching):
    """A reactor that has no room for anything new."""

    room = False

    def may_begin(self, fd: int) -> bool:
        return self.room


class Line:
    """A channel on a socket, and the client's end."""

    def __init__(self, world: World, *, wrapped: bool) -> None:
        """`wrapped`: there is something between the two, as with TLS."""
        sock, self.client = socket.socketpair()
        sock.setblocking(False)
        self.client.settimeout(5)
        self.reactor = Busy()
        protocol: Channel | ProtocolWrapper = Channel(world.site)
        if wrapped:
            protocol = ProtocolWrapper(WrappingFactory(Factory()), protocol)
        StreamTransport(sock, protocol, self.reactor, ADDRESS, ADDRESS).start()

    def turn(self, *, room: bool) -> None:
        self.reactor.room = room
        self.reactor.turn()

    def read_to(self, end: bytes) -> None:
        data = b""
        while not data.endswith(end):
            data += self.client.recv(65536)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_request_waits_until_there_is_room_and_then_for_nothing(wrapped: bool) -> None:
    """D1: the next one on the same connection waits again, and a client that leaves is seen."""
    world = World()
    line = Line(world, wrapped=wrapped)
    begin, rest = CHAT[:-10], CHAT[-10:]
    for number in (1, 2):
        line.client.send(begin)
        line.turn(room=False)
        assert len(world.door.admitted) == 0
        line.turn(room=True)
        line.client.send(rest)
        line.turn(room=False)
        assert len(world.door.admitted) == 1
        assert len(world.endpoint.wires) == 1
        if number == 1:
            world.up.deliver(SSE_HEAD + chunked(*CHAT_EVENTS) + LAST)
            line.read_to(LAST)
    line.client.close()
    line.turn(room=False)
    assert len(world.door.admitted) == 0
    assert [record.outcome.value for record in world.ledger.records] == ["finished", "client_gone"]
