"""A client of the gateway's that sees every byte, and can leave in any way."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Mapping
from types import TracebackType

from tests.process.gateway_process import PATIENCE
from tests.world import post

#: Paths, by the dialect that is spoken there.
PATHS = {"openai_chat": "/v1/chat/completions", "anthropic": "/v1/messages"}

_RESET = struct.pack("ii", 1, 0)


def prompt(*, stream: bool, model: str = "m-1", text: str = "hello") -> bytes:
    """A request's body that both dialects take."""
    return json.dumps(
        {
            "model": model,
            "max_tokens": 5,
            "stream": stream,
            "messages": [{"role": "user", "content": text}],
        }
    ).encode()


class RawClient:
    """One connection to the gateway.

    Reading raises what HTTP makes of a body that is not whole (`http.client.IncompleteRead`), or
    what the socket raises (`ConnectionResetError`).
    """

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self._response: http.client.HTTPResponse | None = None

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, version: str = "1.1"
    ) -> RawClient:
        """Send a request; wait for nothing."""
        fields = (f"{name}: {value}" for name, value in (headers or {}).items())
        self.sock.sendall(post(path, body, *fields, version=version))
        return self

    @property
    def response(self) -> http.client.HTTPResponse:
        """The response's head, waited for; `read` and `read1` on it are the body."""
        if self._response is None:
            response = http.client.HTTPResponse(self.sock, method="POST")
            response.begin()
            self._response = response
        return self._response

    def body_until(self, marker: bytes) -> bytes:
        """Read the body up to and with the piece that holds `marker`."""
        data = b""
        while marker not in data:
            piece = self.response.read1(65536)
            assert piece, f"the body ended without {marker!r}: {data!r}"
            data += piece
        return data

    def rest(self) -> bytes:
        """Read the body to its end."""
        return self.response.read()

    def finish_sending(self) -> None:
        """Leave with a FIN."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self._response is not None:
            self._response.close()  # it holds the socket open
        self.sock.close()


def ask(
    port: int, path: str, body: bytes, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one request."""
    with RawClient(port) as client:
        client.post(path, body, headers)
        return client.response.status, client.rest()
