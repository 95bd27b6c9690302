"""A client of the simulated provider: twisted.web's real channel, a transport in memory and a fake
clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gateway.demo import demo_site
from gateway.demo.models import TEXT, split

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
PROMPT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
TOKENS = split(TEXT)


@dataclass(frozen=True)
class Answer:
    """A response as it stood on the transport when it was looked at."""

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool  #: the framing says that the body has ended

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str | None, Any]]:
        """Name and data of each event; data that is not JSON as it stands."""
        found: list[tuple[str | None, Any]] = []
        for block in self.body.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = fields["data"]
            found.append((fields.get("event"), json.loads(data) if data[0] == "{" else data))
        return found


class Client:
    """A client on a connection of its own to a provider of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self._channel = demo_site(self.clock).buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self._channel.makeConnection(self.transport)

    def ask(
        self, path: str, content: object = None, *, method: str | None = None, **fields: str
    ) -> None:
        """Send a request: a GET, or a POST if there is content."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if content is None:
            body = b""
        method = method or ("POST" if body else "GET")
        lines = [f"{method} {path} HTTP/1.1", "Host: demo", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self._channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self) -> Answer:
        """What has come back so far."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if fields.get("transfer-encoding") == "chunked":
            return Answer(int(first.split()[1]), fields, *_unchunked(body))
        whole = len(body) == int(fields["content-length"])
        return Answer(int(first.split()[1]), fields, body, whole)

    def wait(self, seconds: float) -> None:
        """Let time pass, from one call that is due to the next."""
        end = self.clock.seconds() + seconds
        while due := [t for call in self.clock.getDelayedCalls() if (t := call.getTime()) <= end]:
            self.clock.advance(min(due) - self.clock.seconds())
        self.clock.advance(end - self.clock.seconds())

    def leave(self) -> None:
        """Close the connection from the client's side."""
        self._channel.connectionLost(Failure(ConnectionDone()))


def form(*fields: tuple[str, str], file: bytes | None = None) -> tuple[bytes, str]:
    """A form and its content type."""
    parts = [
        f'--b--\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    if file is not None:
        head = b'--b--\r\nContent-Disposition: form-data; name="file"; filename="name=a"\r\n\r\n'
        parts.insert(1, head + file + b"\r\n")
    return b"".join(parts) + b"--b----\r\n", 'multipart/form-data; boundary="b--"'


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body, and whether its last chunk was there."""
    content: list[bytes] = []
    at = 0
    while at < len(body):
        end = body.index(b"\r\n", at)
        try:
            size = int(body[at:end], 16)
        except ValueError:
            break
        if size == 0:
            return b"".join(content), body[end:] == b"\r\n\r\n"
        content.append(body[end + 2 : end + 2 + size])
        at = end + size + 4
    return b"".join(content), False
