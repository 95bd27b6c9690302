"""An upstream on real sockets that does what a test tells it, step by step.

Each connection is served by a thread of its own, which goes through the steps of the script that
`ScriptedUpstream.play` set, and closes the connection after the last.  A step that finds the
gateway gone ends the script.  The upstream keeps the bytes of every request that it read.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.process.gateway_process import PATIENCE, GatewayProcess, eventually

#: On close, reset instead of FIN: linger on, for no time (socket(7)).
_RESET = struct.pack("ii", 1, 0)


class Peer:
    """One connection, as the upstream sees it."""

    def __init__(self, sock: socket.socket, upstream: ScriptedUpstream) -> None:
        self.sock = sock
        self.upstream = upstream
        self.request = b""  #: the last one that was read
        self.sent = 0  #: bytes that the kernel took
        self.gone = threading.Event()  #: the gateway closed or reset the connection

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)
        self.sent += len(data)


Step = Callable[[Peer], None]


def read_request(peer: Peer) -> None:
    """Read one request, with its body, and keep it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(peer)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    pieces = [data]
    missing = length - len(body)
    while missing > 0:
        pieces.append(_receive(peer))
        missing -= len(pieces[-1])
    peer.request = b"".join(pieces)
    peer.upstream.requests.append(peer.request)


def _receive(peer: Peer) -> bytes:
    data = peer.sock.recv(65536)
    if not data:
        raise ConnectionResetError("closed before the request was whole")
    return data


def send(*pieces: bytes) -> Step:
    """Send the pieces, each in a write of its own."""

    def step(peer: Peer) -> None:
        for piece in pieces:
            peer.send(piece)

    return step


def until(event: threading.Event, patience: float = PATIENCE) -> Step:
    """Be silent until the test sets `event`."""

    def step(peer: Peer) -> None:
        assert event.wait(patience), "nobody set the event that the upstream waits for"

    return step


def silence(seconds: float) -> Step:
    """Be silent for a while: for what the gateway does by its own clock meanwhile."""

    def step(peer: Peer) -> None:
        time.sleep(seconds)

    return step


def flood(piece: bytes, total: int) -> Step:
    """Send `piece` over and over, up to `total` bytes, as fast as they are taken."""

    def step(peer: Peer) -> None:
        while peer.sent < total:
            peer.send(piece)

    return step


def until_gone(peer: Peer) -> None:
    """Wait until the gateway closes or resets the connection."""
    while peer.sock.recv(65536):
        pass
    raise ConnectionResetError("closed")


def small_buffers(peer: Peer) -> None:
    """Let the kernel hold little of what was sent and not read yet."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)


def reset(peer: Peer) -> None:
    """Break the connection off with a RST."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    peer.sock.close()


class ScriptedUpstream(socketserver.ThreadingTCPServer):
    """See the module's text.  With a TLS context, every connection begins with a handshake."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.port: int = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[bytes] = []
        self.peers: list[Peer] = []
        self.errors: list[Exception] = []
        self._context = context
        self._script: Sequence[Step] = ()
        # The interval at which it looks whether it is to end.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def play(self, *script: Step) -> None:
        """Serve each connection from now on with these steps; forget what was."""
        self._script = script
        self.requests = []
        self.peers = []

    def sections(self, **policy: str) -> str:
        """A configuration that sends ``/v1/*`` here, with `policy` for the route.

        Connections are not kept, so that each request has a script of its own; and no keepalive is
        said, unless `policy` has it, into the silence of a test that a busy machine holds up.
        """
        policy = {"keepalive_after": "2m", "keepalive_interval": "2m", **policy}
        lines = [
            "[upstream scripted]",
            f"url = {self.url}",
            "dialect = generic",
            "pool_size = 0",
            "[route all]",
            "path = /v1/*",
            "upstream = scripted",
            *(f"{key} = {value}" for key, value in policy.items()),
        ]
        return "\n".join(lines)

    def wait_until_held_back(self, gateway: GatewayProcess) -> None:
        """Wait until the scripts that `flood` get no more off: every buffer on the way is full.

        Half a second in which nothing was sent says so if the gateway had nothing to do in it: on
        a busy machine it may have had much, and no processor.
        """
        counts = [0]

        def look() -> bool:
            counts.append(sum(peer.sent for peer in self.peers))
            if counts[-1] != counts[-2] or not gateway.waits():
                del counts[:-1]
            return counts[-1] > 0 and len(counts) >= 50

        eventually(look, "the upstream sends no more")

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, in its thread."""
        script = self._script
        peer = Peer(request, self)
        self.peers.append(peer)
        # A write is on its way at once: nothing is left to be thrown away by a reset after it.
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.settimeout(2 * PATIENCE)  # longer than any test waits
        try:
            if self._context is not None:
                peer.sock = self._context.wrap_socket(request, server_side=True)
            for step in script:
                step(peer)
        except (AssertionError, TimeoutError) as error:
            self.errors.append(error)
        except OSError:
            peer.gone.set()
        finally:
            peer.sock.close()

    def close(self) -> None:
        """Listen no more; scripts that still run end with their connections."""
        self.shutdown()
        self.server_close()
        for peer in self.peers:
            peer.gone.set()
        self._thread.join(PATIENCE)
