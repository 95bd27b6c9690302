"""A case of the table: bytes that break a rule of HTTP/1.1, or come close, and what has to follow.

The modules `request_…`, `response_…` and `connections` hold the cases, written with the five
functions below, one for each thing that can be expected; `runner` puts a case to a gateway and
judges it.  Ids are for good: an id in a bug report means one input.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypedDict, Unpack


class Level(StrEnum):
    """How much depends on a case."""

    MUST = "must"  #: else requests are smuggled, answers split, or a cut is hidden
    SHOULD = "should"  #: a stricter reading than the RFC demands
    POLICY = "policy"  #: HTTP leaves it open; `Case.ours` is what the gateway does


class Expect(StrEnum):
    """What has to follow."""

    #: The client gets a 4xx, 501 or 505, or is closed on; nothing whole reaches the upstream.
    REFUSED = "refused"
    #: The message goes on, and what goes on is strict HTTP.
    FORWARDED = "forwarded"
    #: Nothing whole goes on, and nobody is told of a success.
    CUT = "cut"
    #: The upstream's answer is a 502 to the client, or visibly broken off.
    FAILED = "failed"
    #: Any of these, as long as no message is read as two and all that goes on is strict HTTP.
    EITHER = "either"


MUST: Final = Level.MUST
SHOULD: Final = Level.SHOULD
POLICY: Final = Level.POLICY


class More(TypedDict, total=False):
    """What only some cases say."""

    #: At level POLICY: the gateway's decision, which the case is held to.
    ours: Expect
    #: Whoever sends the bytes ends its side of the connection after them.
    ends: bool
    #: The method of the request that a response answers.
    method: bytes
    #: The status of a response that is forwarded.
    status: int
    #: What has to arrive: of requests ``METHOD TARGET BODY``, of a response its body.
    arrives: tuple[bytes, ...]
    #: Text, in lower case, that must not be in any head that goes on.
    absent: tuple[bytes, ...]
    #: Nothing more may be asked on the connection that a response came on.
    retired: bool


@dataclass(frozen=True, slots=True)
class Case:
    """See the module's text.

    `wire` is what is sent: by a client, or by an upstream as its answer.  Pieces are sent one by
    one, with a short pause after each.
    """

    id: str
    level: Level
    expect: Expect
    about: str
    rule: str
    wire: tuple[bytes, ...]
    ours: Expect | None = None
    ends: bool = False
    method: bytes = b"GET"
    status: int = 200
    arrives: tuple[bytes, ...] | None = None
    absent: tuple[bytes, ...] = ()
    retired: bool = False

    @property
    def held_to(self) -> Expect:
        """What the gateway is held to: its own decision where there is one."""
        return self.ours or self.expect

    def __str__(self) -> str:
        return f"{self.id} ({self.about})"


Wire = bytes | tuple[bytes, ...]


def _case(
    expect: Expect, id: str, level: Level, about: str, rule: str, wire: Wire, more: More
) -> Case:
    pieces = (wire,) if isinstance(wire, bytes) else wire
    return Case(id, level, expect, about, rule, pieces, **more)


def refused(id: str, level: Level, about: str, rule: str, wire: Wire, **more: Unpack[More]) -> Case:
    """A request that has to be refused."""
    return _case(Expect.REFUSED, id, level, about, rule, wire, more)


def forwarded(
    id: str, level: Level, about: str, rule: str, wire: Wire, **more: Unpack[More]
) -> Case:
    """A message that has to go on."""
    return _case(Expect.FORWARDED, id, level, about, rule, wire, more)


def cut(id: str, level: Level, about: str, rule: str, wire: Wire, **more: Unpack[More]) -> Case:
    """A message that ends too early, or is broken in the middle."""
    return _case(Expect.CUT, id, level, about, rule, wire, more)


def failed(id: str, level: Level, about: str, rule: str, wire: Wire, **more: Unpack[More]) -> Case:
    """A response that the client must not get."""
    return _case(Expect.FAILED, id, level, about, rule, wire, more)


def either(id: str, level: Level, about: str, rule: str, wire: Wire, **more: Unpack[More]) -> Case:
    """A message that may go on or not; `ours` says which."""
    return _case(Expect.EITHER, id, level, about, rule, wire, more)


# What many cases are made of.

HOST: Final = b"Host: localhost\r\n"
GET: Final = b"GET /v1/models HTTP/1.1\r\n" + HOST
POST: Final = b"POST /v1/files HTTP/1.1\r\n" + HOST
#: A POST up to its chunks.
CHUNKED: Final = POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
#: "hello" as one chunk and the last one.
HELLO: Final = b"5\r\nhello\r\n0\r\n\r\n"
#: 51 bytes that stand where no request may begin; whoever reads them as one has been deceived.
SMUGGLED: Final = b"GET /smuggled-request HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#: A request that may follow another one.
SECOND: Final = b"GET /second-request HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

#: What has to arrive of these.
GOT: Final = b"GET /v1/models "
POSTED: Final = b"POST /v1/files hello"
GOT_SECOND: Final = b"GET /second-request "

#: A response up to what frames its body, and that body.
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY: Final = b'{"ok":1}'
#: An answer to nothing that was asked, and the bytes in it that no client may ever see.
POISONED: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
POISON: Final = b"POISON"
