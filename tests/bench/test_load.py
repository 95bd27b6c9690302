"""The benchmark's load program: its clients against its own upstream, and against a bad one."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench import client
from bench.certificate import write_certificate
from bench.processes import free_port, listening
from bench.works import WORKS, Work
from tests.interop.servers import program

CORES = os.sched_getaffinity(0)


@dataclass(frozen=True)
class Load:
    """The program, and where its upstream and its proxy to that (over TLS) listen."""

    program: Path
    upstream: str
    proxy: str

    def run(
        self, url: str, work: Work, *, loose: bool = False
    ) -> tuple[Mapping[str, Any], list[str]]:
        """The client's report, and the phases that it named."""
        phases: list[str] = []
        report = client.run(
            self.program, url, work, CORES, header={}, loose=loose, look=phases.append
        )
        return report, phases


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """The built program with its upstream and its proxy."""
    folder = tmp_path_factory.mktemp("load")
    built = client.build(program("go"), folder)
    server, ca = write_certificate(folder)
    plain, tls, proxy = free_port(), free_port(), free_port()
    upstream = [str(built), "upstream", "-listen", f"127.0.0.1:{plain}"]
    upstream += ["-listen-tls", f"127.0.0.1:{tls}", "-certificate", str(server)]
    passing = [str(built), "proxy", "-listen", f"127.0.0.1:{proxy}", "-ca", str(ca)]
    passing += ["-upstream", f"https://127.0.0.1:{tls}"]
    with (
        listening("upstream", upstream, port=plain, cores=CORES, folder=folder),
        listening("proxy", passing, port=proxy, cores=CORES, folder=folder),
    ):
        yield Load(built, f"http://127.0.0.1:{plain}", f"http://127.0.0.1:{proxy}")


def small(name: str, **options: int) -> Work:
    """A work with less to do."""
    work = WORKS[name]
    return replace(work, options={**work.options, **options})


@pytest.mark.parametrize("name", ["S10k", "S10k-anthropic"])
@pytest.mark.parametrize("loose", [False, True])
def test_streams_come_through_a_proxy_over_tls_whole(load: Load, name: str, loose: bool) -> None:
    work = small(name, streams=3, events=5, interval=1)

    report, phases = load.run(load.proxy, work, loose=loose)

    assert (report["requests"], report["events"], report["failed"]) == (3, 15, 0)
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["max"]
    assert phases == []


def test_short_answers_and_large_bodies_come_through_whole(load: Load) -> None:
    requests, _ = load.run(load.proxy, small("U200", clients=2, requests=5))
    body, _ = load.run(load.proxy, small("B", bytes=300_001))

    assert (requests["requests"], requests["failed"]) == (5, 0)
    assert (body["bytes"], body["failed"]) == (300_001, 0)


def test_held_streams_wait_until_the_proxy_was_looked_at(load: Load) -> None:
    report, phases = load.run(load.proxy, small("H", hold=4))

    assert phases == ["held"]
    assert (report["requests"], report["keepalives"], report["failed"]) == (4, 0, 0)


class _Altering(http.server.BaseHTTPRequestHandler):
    """An upstream whose events are not those of the benchmark."""

    def do_POST(self) -> None:
        """Answer with one event."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'data: {"choices":[{"delta":{"content":"tok-"}}]}\n\n' * 20)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("loose", [False, True])
def test_a_stream_that_was_altered_is_a_failure(load: Load, loose: bool) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Altering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        work = small("S10k", streams=1, events=2, interval=1)

        report, _ = load.run(url, work, loose=loose)
        server.shutdown()

    assert report["failed"] == 1
    assert report["errors"] == {"an event is not what was sent": 1}
