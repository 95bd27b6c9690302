"""The load of the kill test: an upstream that remembers whom it saw, and clients that stream.

Every request carries a token of its own as its ``User-Agent``, which the gateway passes on to the
upstream and keeps in the row: so each request is followed by name, not by totals.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

from tests.transcripts import CHAT_EVENTS

_BODY = b'{"model":"m-1","stream":true,"messages":[{"role":"user","content":"hello"}]}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)

#: Seconds between two events of a stream, at most.
_PACE = 0.03


@dataclass
class Upstream:
    """A provider of one endpoint; `seen` counts the requests that came to it, by their tokens."""

    seen: Counter[str] = field(default_factory=Counter)
    ended: set[str] = field(default_factory=set)  #: whose last byte was handed to the kernel

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the gateway's."""
        with contextlib.suppress(*_BROKEN):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                token = _field(head, b"user-agent").decode()
                self.seen[token] += 1
                await reader.readexactly(int(_field(head, b"content-length")))
                writer.write(_HEAD)
                for event in CHAT_EVENTS:
                    await asyncio.sleep(random.random() * _PACE)
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                self.ended.add(token)
        writer.close()


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    raise AssertionError(f"no {name!r} in {head!r}")


@dataclass
class Clients:
    """Clients of one gateway; `told` are the tokens whose whole stream a client has."""

    port: int
    prefix: str
    asked: int = 0
    told: set[str] = field(default_factory=set)

    async def stream(self) -> None:
        """One stream after the other on one connection, until that breaks."""
        with contextlib.suppress(*_BROKEN):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                while True:
                    await self._ask(reader, writer)
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        token = f"{self.prefix}-{self.asked}"
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
        )
        writer.write(head.encode() + _BODY)
        answer = await reader.readuntil(b"0\r\n\r\n")
        if answer.startswith(b"HTTP/1.1 200"):
            self.told.add(token)
