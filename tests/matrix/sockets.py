"""A stage over real sockets: a gateway in a process of its own between two sockets of the test's.

Everything happens in the test's thread.  What the upstream sends is waited for at the client's end
before anything else happens, so that a reset can overtake nothing.  Deadlines are short, and each
cell has a route on which no other one is on.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sqlite3
import struct
from typing import Final

from tests.matrix.checks import Seen
from tests.matrix.expected import Expected, Told, Upstream
from tests.matrix.stage import Deadline, Mode, Stage
from tests.matrix.way import Way
from tests.process.gateway_process import PATIENCE, GatewayProcess
from tests.world import Response, chunked, read_responses

#: Seconds between two pieces of an upstream that goes on and on.
_PAUSE: Final = 0.05
#: Bytes that nobody takes for a client that does not read.
_MOST: Final = 64 * 1024 * 1024
_RESET: Final = struct.pack("ii", 1, 0)


def listener() -> socket.socket:
    """A socket that listens on loopback."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(16)
    sock.settimeout(PATIENCE)
    return sock


def deaf_listener() -> list[socket.socket]:
    """A socket to which no connection is made: its queue is full, with the others (listen(2))."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    fillers = [socket.socket() for _ in range(3)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(deaf.getsockname())
    return [deaf, *fillers]


def silent_port() -> socket.socket:
    """A socket that refuses: it has a port, and does not listen."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


class SocketStage(Stage):
    """See the module's text.  `prefix` is the cell's route."""

    def __init__(
        self,
        way: Way,
        mode: Mode,
        wanted: Expected,
        gateway: GatewayProcess,
        upstream: socket.socket,
        prefix: str,
        *,
        locked: bool,
    ) -> None:
        super().__init__(way, mode)
        self._wanted = wanted
        self._gateway = gateway
        self._upstream = upstream
        self._up: socket.socket | None = None
        self._raw = b""
        self._aborted = self._closed = False
        self._request = way.request.replace(b" /", b" " + prefix.encode() + b"/", 1)
        # Who holds the ledger's lock keeps the request where it is.
        self._lock = sqlite3.connect(gateway.state / "ledger.sqlite", isolation_level=None)
        if locked:
            self._lock.execute("BEGIN IMMEDIATE")
        self._client = self._new_client()

    def _new_client(self) -> socket.socket:
        client = socket.socket()
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self._gateway.port))
        client.sendall(self._request)
        return client

    def close(self) -> None:
        """Close whatever is open."""
        self._lock.close()
        self._client.close()
        if self._up is not None:
            self._up.close()

    # The way there.

    def ask(self) -> None:
        if not self.way.goes_by:
            self._await_beginning()

    def connect(self) -> None:
        self._up, _ = self._upstream.accept()
        self._up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._up.settimeout(PATIENCE)
        self._read_request()
        self._await_beginning()

    def _await_beginning(self) -> None:
        if self._wanted.begun:
            self._read_until(len(self.way.beat(None)))

    def _read_request(self) -> None:
        """Read until the request's body has come: it ends the request."""
        body = self._request.partition(b"\r\n\r\n")[2]
        data = b""
        while not (b"\r\n\r\n" in data and data.endswith(body)):
            piece = self.up.recv(65536)
            assert piece, f"the gateway closed the connection before its request: {data!r}"
            data += piece

    def refuse(self) -> None:
        """The port does, by itself."""

    # The upstream.

    @property
    def up(self) -> socket.socket:
        assert self._up is not None, "the upstream has not been asked"
        return self._up

    def deliver(self, data: bytes) -> None:
        self.up.sendall(data)

    def head(self, *fields: bytes) -> None:
        super().head(*fields)
        while not self._wanted.begun and b"\r\n\r\n" not in self._raw:
            assert self._read(), "the client's connection ended before a head came"

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            super().send(piece)
            self._read_until(self._arrived)

    def send_long(self) -> None:
        super().send_long()
        self._read_until(self._arrived + len(self.rest))

    @property
    def _arrived(self) -> int:
        """How many bytes of the body the client gets of what was sent whole."""
        beats = len(self.way.beat(None)) if self._wanted.begun else 0
        return beats + len(b"".join(self.pieces))

    def reset(self) -> None:
        self.up.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.up.close()

    def lose(self) -> None:
        self.up.close()

    def drip(self) -> None:
        for _ in range(int(PATIENCE / _PAUSE)):
            if select.select([self.up], [], [], _PAUSE)[0]:
                return
            self.send(self.way.pieces[1])
        raise AssertionError("the gateway lets an upstream go on for ever")

    # The client, the clock and the operator.

    def wait(self, deadline: Deadline) -> None:
        """The gateway's own clock passes."""

    def leave(self) -> None:
        self.left = self._raw
        self._client.shutdown(socket.SHUT_WR)
        self._read_to_end()

    def stall(self) -> None:
        piece = self.way.pieces[1]
        filler = [piece] * (65536 // len(piece))
        for _ in range(_MOST // 65536):
            self.pieces += filler
            try:
                self.deliver(chunked(b"".join(filler)))
            except OSError:  # the gateway has had enough
                return
        raise AssertionError(f"the gateway took {_MOST} bytes for a client that reads none")

    def drain(self) -> None:
        self._gateway.terminate()

    # What becomes of it.

    def _read(self) -> bool:
        """Take what has come; False at the end of the connection."""
        try:
            data = self._client.recv(65536)
        except ConnectionResetError:
            self._aborted = self._closed = True
            return False
        self._raw += data
        self._closed = not data
        return bool(data)

    def _read_to_end(self) -> None:
        while self._read():
            pass

    def _response(self) -> Response:
        return read_responses(self._raw, "POST", closed=self._closed)[0]

    def _read_until(self, size: int) -> None:
        while len(self._response().body) < size:
            assert self._read(), f"the client's connection ended before {size} bytes: {self._raw!r}"

    def seen(self) -> Seen:
        """What became of it, once the client and the ledger know."""
        self._lock.rollback()
        if self._wanted.told in (Told.WHOLE, Told.RESPONSE):
            while not self._response().whole and self._read():
                pass
        else:
            self._read_to_end()
        [row] = self._gateway.new_rows()
        return Seen(self._raw, row, aborted=self._aborted, closed=self._closed)

    def check_upstream(self) -> None:
        """The connection is closed, or the next request comes on it."""
        if self._up is None or self._up.fileno() < 0:
            return
        if self._wanted.upstream is Upstream.CLOSED:
            with contextlib.suppress(ConnectionResetError):
                assert self._up.recv(65536) == b""
        else:
            with self._new_client() as client:
                self._read_request()
                self._up.close()
                assert client.recv(1)
                self._gateway.new_rows(2)
