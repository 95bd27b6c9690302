"""A client, the gateway and real servers in a row, and what a client does with them."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop import servers
from tests.interop.servers import Server
from tests.process.gateway_process import PATIENCE, GatewayProcess

MiB = 1024 * 1024

#: Where in the row a server stands: what the client connects to, or what the gateway does.
LAYOUTS = (
    "Go's ReverseProxy in front",
    "nginx in front",
    "Go's net/http behind",
    "nginx behind",
    "HAProxy behind",
)
#: nginx as it is where nothing is said of the protocol; it cannot pass chunked uploads on at once.
OLD_NGINX = "nginx in front, with HTTP/1.0"


@dataclass
class Chain:
    """The row.  `entry` is the port that clients connect to; `between` are the proxies in it."""

    entry: int
    gateway: GatewayProcess
    provider: Server
    between: list[Server]
    requests: int = 0  #: that went through all of it
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def connect(self) -> http.client.HTTPConnection:
        """A new connection of a client's."""
        connection = http.client.HTTPConnection("127.0.0.1", self.entry, timeout=PATIENCE)
        self.connections.append(connection)
        return connection

    def begin(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> http.client.HTTPConnection:
        """Send a request's head on a new connection."""
        connection = self.connect()
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        self.requests += 1
        return connection

    def ask_provider(self, method: str, path: str, case: str) -> str:
        """Ask the provider something directly."""
        connection = http.client.HTTPConnection("127.0.0.1", self.provider.port, timeout=PATIENCE)
        connection.request(method, path, headers={"X-Case": case})
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def received(self, case: str) -> int:
        """How many bytes of the case's upload the provider has read."""
        return int(self.ask_provider("GET", "/progress", case).split()[0])

    def sent(self, case: str) -> int:
        """How many bytes of the case's download the provider has written."""
        return int(self.ask_provider("GET", "/progress", case).split()[1])

    def go_on(self, case: str) -> None:
        """Let the provider go on with what waits for it."""
        self.ask_provider("POST", "/go-on", case)

    def complaints(self) -> list[str]:
        """What any server in the row found wrong."""
        return [
            f"{server.name}: {line}"
            for server in (*self.between, self.provider)
            for line in server.complaints(self.requests)
        ]


def new_case() -> str:
    """A name that no other request has."""
    return uuid.uuid4().hex


def answered(connection: http.client.HTTPConnection) -> Any:
    """The JSON of a response with status 200."""
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    return json.loads(body)


def as_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in the chunked coding, with its end."""
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def sections(port: int) -> str:
    """A configuration that sends ``/v1/*`` to a port of loopback.

    Below ``/spoken`` is the same, but the gateway begins every stream itself.  Elsewhere it says
    nothing into streams, however long a busy machine holds them up.
    """
    return "\n".join(
        (
            "[upstream peer]",
            f"url = http://127.0.0.1:{port}",
            "dialect = openai",
            "[route all]",
            "path = /v1/*",
            "upstream = peer",
            "max_body = 1GiB",
            "keepalive_after = 2m",
            "keepalive_interval = 2m",
            "[route spoken]",
            "path = /spoken/v1/*",
            "strip_prefix = /spoken",
            "upstream = peer",
            "keepalive = immediate",
        )
    )


@contextmanager
def chain(folder: Path, peer: Path, layout: str, options: str = "") -> Iterator[Chain]:
    """The row with the server that `layout` names; `options` are keys of ``[gateway]``."""
    with ExitStack() as stack:
        provider = stack.enter_context(servers.go_provider(folder, peer))
        between: list[Server] = []
        if layout == "nginx behind":
            between.append(stack.enter_context(servers.nginx(folder, provider.port)))
        elif layout == "HAProxy behind":
            between.append(stack.enter_context(servers.haproxy(folder, provider.port)))
        upstream = between[0].port if between else provider.port
        gateway = stack.enter_context(GatewayProcess(folder, sections(upstream), options))
        entry = gateway.port
        if layout in ("nginx in front", OLD_NGINX):
            old = layout == OLD_NGINX
            between.append(stack.enter_context(servers.nginx(folder, gateway.port, old=old)))
        elif layout == "Go's ReverseProxy in front":
            between.append(stack.enter_context(servers.go_proxy(folder, peer, gateway.port)))
        if "in front" in layout:
            entry = between[0].port
        row = Chain(entry, gateway, provider, between)
        try:
            yield row
        finally:
            for connection in row.connections:
                connection.close()
