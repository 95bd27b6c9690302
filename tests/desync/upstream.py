"""An upstream that keeps every request it gets, and answers one of them with what a case says.

All others are answered with the target that was asked for, so that whoever asked can tell whose
answer it got.
"""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
import time
from typing import Any

from tests.desync.strict import Request, Unclean, take_request
from tests.process.gateway_process import PATIENCE

#: Seconds between the pieces of an answer: time for the gateway to act on each.
PAUSE = 0.03


class Script:
    """The answer to the next request: pieces, and whether the connection ends behind them."""

    def __init__(self, pieces: tuple[bytes, ...], *, ends: bool) -> None:
        self.pieces = pieces
        self.ends = ends
        self.played = threading.Event()  #: everything was sent, or the gateway had gone


class Upstream(socketserver.ThreadingTCPServer):
    """See the module's text."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self._script: Script | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def play(self, script: Script) -> None:
        """Answer the next request with `script`."""
        with self._lock:
            self._script = script

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self.requests, self.faults, self._script = [], [], None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, in its thread."""
        request.settimeout(PATIENCE)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data, number = b"", next(self._numbers)
        try:
            while True:
                taken = take_request(data, number)
                if taken is None:
                    piece = request.recv(65536)
                    if not piece:
                        return
                    data += piece
                    continue
                asked, data = taken
                with self._lock:
                    self.requests.append(asked)
                    script, self._script = self._script, None
                if script is None:
                    request.sendall(_echo(asked))
                elif not self._play(request, script):
                    return
        except Unclean as fault:
            self.faults.append(f"{fault}, in {data[:200]!r}")
        except OSError:
            return

    @staticmethod
    def _play(sock: socket.socket, script: Script) -> bool:
        """Whether the connection goes on behind the script."""
        try:
            for index, piece in enumerate(script.pieces):
                if index:
                    time.sleep(PAUSE)
                sock.sendall(piece)
            if len(script.pieces) > 1:
                time.sleep(PAUSE)
        finally:
            script.played.set()
        return not script.ends

    def close(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()
        self._thread.join(PATIENCE)


def _echo(request: Request) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nAsked: %b\r\n\r\n"
    body = request.target
    head %= len(body), body
    return head if request.method == b"HEAD" else head + body
