"""Streams of twelve minutes with silences of up to five, in real time, behind real proxies.

    python -m tests.interop.long_stream                twelve minutes, and what came of them
    python -m tests.interop.long_stream --faster 60    whether the script works
    python -m tests.interop.long_stream --keepalive off    what becomes of them without keepalives

Too long for the tests, so it is run by hand; ``docs/keepalive.rst`` has the last result, and
``tests/exchange/test_long_stream.py`` shows the gateway's part of it with a clock of its own.

Behind each proxy, which is left at its timeouts, two streams run: one whose upstream thinks before
its head, so that the gateway begins the stream, and one whose upstream begins at once.  For each it
is told whether all of the upstream's events came, in order and unchanged; the longest time in which
the client heard nothing; and how long an event took at the most from the upstream to the client.
The script fails if an event is missing; how long a proxy holds events back is only told.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import itertools
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.interop import servers
from tests.interop.servers import Server
from tests.process.gateway_process import GatewayProcess
from tests.process.raw_client import PATHS, prompt
from tests.process.scripted_upstream import Peer, ScriptedUpstream, read_request
from tests.transcripts import CHAT_EVENTS, MESSAGES_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

#: Seconds before each piece of a stream, 720 in all.
SILENCES: Final = (100, 300, 45, 2, 200, 73)
#: The upstream's own silences stay below it, and above the gateway's default of three minutes.
IDLE_TIMEOUT: Final = 330
#: What the gateway says into silence, which the upstreams here never do.
BEATS: Final = {"openai_chat": b": keepalive\n\n", "anthropic": MESSAGES_EVENTS[2]}
#: How many seconds a client waits for a sign of life: more than any silence.
CLIENT_PATIENCE: Final = 800

#: nginx with nothing set but where to pass requests on to and the host's name, which the gateway
#: looks at, and with what may be set besides.
_HOST: Final = "proxy_set_header Host $host;"
_NGINX: Final = {
    "nginx": _HOST,
    "nginx, HTTP/1.1": f"{_HOST} {servers.KEPT}",
    "nginx, HTTP/1.1, proxy_buffering off": f"{_HOST} {servers.KEPT} proxy_buffering off;",
}


def in_pieces(dialect: str, count: int) -> list[bytes]:
    """A stream's events, but for those that look like keepalives, in so many pieces."""
    events = CHAT_EVENTS if dialect == "openai_chat" else MESSAGES_EVENTS
    own = [event for event in events if event != BEATS[dialect]]
    # Another of the same kind is as good for those that are too few; too many come at once.
    own[1:1] = own[1:2] * (count - len(own))
    return [*own[: count - 1], b"".join(own[count - 1 :])]


@dataclass
class Upstream:
    """One that sends a stream in pieces, each after its silence, and remembers when."""

    dialect: str
    thinks_first: bool
    faster: float
    sent: list[float] = field(default_factory=list)  #: when each piece was
    server: ScriptedUpstream = field(default_factory=ScriptedUpstream)

    def __post_init__(self) -> None:
        self.server.play(read_request, self._stream)

    @property
    def pieces(self) -> list[bytes]:
        """The stream, a piece for every silence; one that begins at once has one more."""
        return in_pieces(self.dialect, len(SILENCES) + (not self.thinks_first))

    def _stream(self, peer: Peer) -> None:
        pieces = self.pieces
        if not self.thinks_first:
            peer.send(SSE_HEAD)
            self._piece(peer, pieces.pop(0))
        for silence, piece in zip(SILENCES, pieces, strict=True):
            time.sleep(silence / self.faster)
            if self.thinks_first and not self.sent:
                peer.send(SSE_HEAD)
            self._piece(peer, piece)
        peer.send(LAST)

    def _piece(self, peer: Peer, piece: bytes) -> None:
        self.sent.append(time.monotonic())
        peer.send(chunked(piece))


@dataclass
class Heard:
    """What a client heard, and when."""

    began: float
    parts: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(part for _, part in self.parts)

    @property
    def longest_silence(self) -> float:
        """Seconds; the time before the first byte counts too."""
        moments = [self.began, *(moment for moment, _ in self.parts)]
        return max(after - before for before, after in itertools.pairwise(moments))

    def arrived(self, length: int) -> float:
        """When there were so many bytes of the body."""
        so_far = 0
        for moment, part in self.parts:
            so_far += len(part)
            if so_far >= length:
                return moment
        raise AssertionError(f"the body has {so_far} bytes, not {length}")


def listen(port: int, path: str, dialect: str) -> Heard:
    """Ask for a stream and take it as it comes; raises if HTTP says that it is not whole."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CLIENT_PATIENCE)
    heard = Heard(time.monotonic())
    body = prompt(stream=True)
    connection.request("POST", path + PATHS[dialect], body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    heard.parts.append((time.monotonic(), b""))
    assert response.status == 200, response.read()
    while part := response.read1(65536):
        heard.parts.append((time.monotonic(), part))
    connection.close()
    return heard


def longest_delay(heard: Heard, upstream: Upstream) -> float:
    """Seconds that a piece took at the most; raises unless the stream is the upstream's."""
    body, beat = heard.body, BEATS[upstream.dialect]
    at = 0
    delays = []
    for piece, sent in zip(upstream.pieces, upstream.sent, strict=True):
        while not body.startswith(piece, at):
            assert body.startswith(beat, at), f"at {at}, not {piece!r}: {body[at:]!r}"
            at += len(beat)
        at += len(piece)
        delays.append(heard.arrived(at) - sent)
    assert at == len(body), f"behind the end: {body[at:]!r}"
    return max(delays)


@contextmanager
def proxies(folder: Path, gateway: int) -> Iterator[dict[str, Server]]:
    """Each proxy in front of the gateway."""
    with ExitStack() as stack:
        started: dict[str, Server] = {}
        for name, directives in _NGINX.items():
            own = folder / f"nginx-{len(started)}"
            own.mkdir()
            started[name] = stack.enter_context(servers.nginx(own, gateway, directives=directives))
        peer = stack.enter_context(closing(servers.PeerBuild())).wait()
        started["Go's ReverseProxy"] = stack.enter_context(servers.go_proxy(folder, peer, gateway))
        yield started


def configuration(upstreams: Sequence[Upstream], faster: float, keepalive: str) -> str:
    """Each upstream below a prefix of its own; keepalives at the times of the defaults."""
    lines = [
        "[defaults]",
        f"keepalive = {keepalive}",
        f"idle_timeout = {round(IDLE_TIMEOUT / faster * 1000)}ms",
        f"keepalive_after = {round(10 / faster * 1000)}ms",
        f"keepalive_interval = {round(15 / faster * 1000)}ms",
    ]
    for number, upstream in enumerate(upstreams):
        lines += [f"[upstream u{number}]", f"url = {upstream.server.url}", "dialect = generic"]
    return "\n".join(lines)


def versions() -> str:
    """What it was measured with."""
    nginx = subprocess.run(
        [servers.program("nginx"), "-v"], capture_output=True, text=True, check=True
    )
    go = subprocess.run(
        [servers.program("go"), "env", "GOVERSION"], capture_output=True, text=True, check=True
    )
    python = f"Python {platform.python_version()}"
    return ", ".join((nginx.stderr.partition("/")[2].strip(), go.stdout.strip(), python))


def main() -> None:
    """Run all streams at once, and print what came of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--faster", type=float, default=1.0, help="divides every duration")
    parser.add_argument("--keepalive", default="delayed", help="the gateway's: delayed, or off")
    arguments = parser.parse_args()
    faster: float = arguments.faster
    os.environ["no_proxy"] = "127.0.0.1"
    upstreams = [
        Upstream(dialect, thinks_first, faster)
        for _ in range(len(_NGINX) + 1)
        for dialect, thinks_first in (("openai_chat", True), ("anthropic", False))
    ]
    print(f"{datetime.date.today()}, nginx {versions()}", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        GatewayProcess(
            Path(folder), configuration(upstreams, faster, arguments.keepalive)
        ) as gateway,
        proxies(Path(folder), gateway.port) as between,
        ThreadPoolExecutor(len(upstreams)) as clients,
    ):
        gateway.forget_rows()
        names = [name for name in between for _ in range(2)]
        asked = [
            clients.submit(listen, between[name].port, f"/u{number}", upstream.dialect)
            for number, (name, upstream) in enumerate(zip(names, upstreams, strict=True))
        ]
        failed = 0
        for number, (name, upstream) in enumerate(zip(names, upstreams, strict=True)):
            begins = "gateway" if upstream.thinks_first else "upstream"
            try:
                heard = asked[number].result()
                delay = longest_delay(heard, upstream)
            except (AssertionError, OSError, http.client.HTTPException) as error:
                print(f"{name}, begun by the {begins}: {error!r}", flush=True)
                failed += 1
                continue
            print(
                f"{name}, begun by the {begins}: whole after"
                f" {heard.parts[-1][0] - heard.began:.0f} s with"
                f" {heard.body.count(BEATS[upstream.dialect])} keepalives;"
                f" longest silence {heard.longest_silence:.1f} s,"
                f" longest delay of an event {delay:.1f} s",
                flush=True,
            )
        outcomes = [row["outcome"] for row in gateway.new_rows(len(upstreams) - failed)]
        print(f"rows: {len(outcomes)}, of them finished: {outcomes.count('finished')}")
        complaints = [line for proxy in between.values() for line in proxy.complaints(2)]
        print(f"the proxies complained {len(complaints)} times", *complaints, sep="\n")
    for upstream in upstreams:
        upstream.server.close()
    if failed or set(outcomes) != {"finished"}:
        sys.exit(1)


if __name__ == "__main__":
    main()
