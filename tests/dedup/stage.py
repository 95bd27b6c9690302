"""What the tests of dedup share: a world with it on, a stream, and how it is sent."""

from __future__ import annotations

from typing import Any

from gateway.record import Record
from tests.transcripts import CHAT_EVENTS
from tests.world import CHAT, LAST, SSE_HEAD, Client, World, chunked

BODY = b"".join(CHAT_EVENTS)
WHOLE = b"".join(map(chunked, CHAT_EVENTS)) + LAST

#: Seconds that answers live in `deduped` worlds.
LIFETIME = 15.0


def deduped(**changed: Any) -> World:
    """A world whose one route has dedup."""
    return World(**{"dedup": LIFETIME, **changed})


def ask(world: World, request: bytes = CHAT) -> Client:
    """A client that has sent a request."""
    return world.client().send(request)


def answered(world: World, request: bytes = CHAT) -> Client:
    """A client that has had its whole answer from the upstream."""
    client = ask(world, request)
    world.up.deliver(SSE_HEAD + WHOLE)
    client.raw()
    return client


def rows(world: World) -> dict[str, Record]:
    """The rows by their ids; there is not more than one for each."""
    found = {record.intent.id: record for record in world.ledger.records}
    assert len(found) == len(world.ledger.records), "a request has two rows"
    return found


def leader_and_follower(world: World) -> tuple[Record, Record]:
    """The two rows that there are."""
    leader, follower = sorted(rows(world).values(), key=lambda row: bool(row.intent.answer_of))
    return leader, follower


def rest(world: World) -> None:
    """Let everything come to its end that will."""
    world.pool.close()
    world.clock.pump([0.0, 0.0, 0.5, LIFETIME, 100.0, 0.0])
    assert world.idle()
    assert world.dedup.used == 0
