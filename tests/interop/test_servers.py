"""What the other tests rely on: no server is missing unnoticed, each complains when it is due."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.interop import servers
from tests.interop.servers import Server
from tests.process.gateway_process import PATIENCE, eventually
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send

ROOT = Path(__file__).parents[2]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#: What an upstream can do wrong; the last two go wrong only once the head has been passed on.
BROKEN_ANSWERS = {
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a chunk without a size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    "a body that is cut": HEAD + b"Content-Length: 5\r\n\r\n{}",
}
BROKEN_REQUESTS = {
    "two lengths": b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    "a chunk without a size": b"POST /v1/files HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    "bytes behind a request": b"GET /v1/answers/200 HTTP/1.1\r\nHost: a\r\n\r\nzz\r\n\r\n",
}

Start = Callable[[Path, int], AbstractContextManager[Server]]


def go_proxy(peer: Path) -> Start:
    return lambda folder, upstream: servers.go_proxy(folder, peer, upstream)


def ask(port: int, raw: bytes) -> bytes:
    """What a server answers before it closes."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(raw)
        answer = b""
        try:
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """Answers as it is told."""
    upstream = ScriptedUpstream()
    yield upstream
    upstream.close()


@pytest.fixture(params=["nginx", "HAProxy", "Go's ReverseProxy"])
def start(request: pytest.FixtureRequest) -> Start:
    """Each of the proxies."""
    if request.param == "nginx":
        return servers.nginx
    if request.param == "HAProxy":
        return servers.haproxy
    return go_proxy(request.getfixturevalue("peer"))


@pytest.mark.parametrize("wrong", BROKEN_ANSWERS)
def test_a_proxy_complains_of_a_broken_answer(
    start: Start, upstream: ScriptedUpstream, tmp_path: Path, wrong: str
) -> None:
    with start(tmp_path, upstream.port) as proxy:
        upstream.play(read_request, send(HEAD + b"Content-Length: 2\r\n\r\n{}"))
        request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert ask(proxy.port, request).endswith(b"{}")
        assert proxy.complaints(1) == []
        upstream.play(read_request, send(BROKEN_ANSWERS[wrong]))
        ask(proxy.port, request)
        eventually(lambda: proxy.complaints(2), f"{proxy.name} complains")


@pytest.mark.parametrize("wrong", BROKEN_REQUESTS)
def test_a_server_behind_complains_of_a_broken_request(
    peer: Path, tmp_path: Path, wrong: str
) -> None:
    with servers.go_provider(tmp_path, peer) as provider:
        ask(provider.port, b"GET /v1/answers/200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert provider.complaints(1) == []
        ask(provider.port, BROKEN_REQUESTS[wrong])
        eventually(lambda: provider.complaints(2), "the provider complains")


def test_ci_installs_every_program() -> None:
    installed = (ROOT / ".ci" / "run").read_text() + (ROOT / "setup.cfg").read_text()
    for _, advice in servers.LEFT_OUT.values():
        package = re.search(r"install ([\w-]+)", advice)
        assert package
        assert package[1] in installed


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_program_that_is_missing_is_told_of_and_fails_only_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(outcome, match=r"not tested: .*HAProxy; .*apt-get install haproxy"):
        servers.program("haproxy")
