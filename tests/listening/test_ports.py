"""Ports on sockets that others share."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from gateway.listening import Listener, adopt, open_listener
from tests.listening.greeter import Greeter, stopped
from tests.process.gateway_process import ROOT


@pytest.fixture(params=["tcp", "unix"])
def text(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"unix:{tmp_path}/s:mode=640" if request.param == "unix" else "tcp:0:interface=127.0.0.1"


async def greeting(listener: Listener) -> bytes:
    """What a client is told; the reactor runs meanwhile."""
    with socket.socket(listener.family, socket.SOCK_STREAM) as sock:
        sock.connect(listener.socket.getsockname())
        sock.setblocking(False)
        said = b""
        while True:
            try:
                piece = sock.recv(100)
            except BlockingIOError:
                await deferLater(reactor, 0.001)
                continue
            if not piece:
                return said
            said += piece


async def test_a_port_that_stops_leaves_the_socket_to_the_others(text: str) -> None:
    """O3: an old worker's end is nothing to the new one, which serves on the same socket."""
    with closing(open_listener(text)) as listener:
        old = adopt(reactor, listener, Greeter(b"old"))
        assert await greeting(listener) == b"old"
        new = adopt(reactor, listener, Greeter(b"new"))
        await stopped(old)
        for _ in range(3):
            assert await greeting(listener) == b"new"
        await stopped(new)
        # The kernel still takes connections for whoever adopts next.
        with socket.socket(listener.family, socket.SOCK_STREAM) as sock:
            assert sock.connect_ex(listener.socket.getsockname()) == 0


async def test_a_process_that_stops_leaves_the_socket_to_the_others(text: str) -> None:
    """O3, O5: the same between processes."""
    with closing(open_listener(text)) as listener:
        script = (
            "import sys\n"
            "from twisted.internet import reactor\n"
            "from twisted.internet.protocol import Factory\n"
            "from gateway.listening import Listener, adopt\n"
            "listener = Listener.from_fd(sys.argv[1], int(sys.argv[2]))\n"
            "port = adopt(reactor, listener, Factory())\n"
            "stopped = lambda: port.stopListening().addBoth(lambda _: reactor.stop())\n"
            "reactor.callWhenRunning(stopped)\n"
            "reactor.run()\n"
            "listener.close()\n"
        )
        subprocess.run(
            [sys.executable, "-c", script, text, str(listener.fileno())],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            check=True,
            timeout=20,
        )
        port = adopt(reactor, listener, Greeter(b"still here"))
        assert await greeting(listener) == b"still here"
        await stopped(port)


async def test_adopting_changes_nothing_about_a_unix_socket(tmp_path: Path) -> None:
    """Neither its mode, which Twisted would set to 666, nor, at the end, its file."""
    path = tmp_path / "s"
    with closing(open_listener(f"unix:{path}:mode=640")) as listener:
        port = adopt(reactor, listener, Greeter(b"hello"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        await stopped(port)
        assert path.exists()
