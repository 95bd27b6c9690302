"""Hundreds of megabytes through a gateway that keeps nothing of them."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.interop.chain import Chain, MiB, answered, as_chunks, chain, new_case
from tests.process.gateway_process import PATIENCE, eventually

DOWNLOAD = 500 * MiB
UPLOAD = 200 * MiB
#: How much the gateway may grow by meanwhile.
GROWTH = 32 * MiB
#: What the kernel may hold of a body between two programs that stand still: several megabytes for
#: each of the four sockets in a row.
IN_SOCKETS = 64 * MiB

BLOCK = bytes(range(256)) * (MiB // 256)
FORM_HEAD = (
    b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
FORM_TAIL = b"\r\n--frontier--\r\n"
BINARY = {"Content-Type": "application/octet-stream"}
FORM = {"Content-Type": "multipart/form-data; boundary=frontier"}


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory, peer: Path) -> Iterator[Chain]:
    """The provider behind the gateway, and nothing else; warm, so that only growth is left."""
    with chain(tmp_path_factory.mktemp("row"), peer, "Go's net/http behind") as row:
        for _ in range(20):
            row.begin("GET", f"/v1/files/{MiB}/content", {}).getresponse().read()
        yield row
        assert row.complaints() == []


class Watch:
    """What the gateway holds while something goes through it."""

    def __init__(self, row: Chain) -> None:
        self._gateway = row.gateway
        self._resident = row.gateway.rss()
        self._files = self._there()

    def look(self) -> None:
        """Fail if the gateway has made or opened a file."""
        assert self._there() == self._files

    @property
    def growth(self) -> int:
        """Bytes of memory that it had more at any time since; the kernel keeps the highest mark."""
        status = Path(f"/proc/{self._gateway.process.pid}/status").read_text(encoding="ascii")
        highest = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(highest.split()[1]) * 1024 - self._resident

    def _there(self) -> tuple[list[Path], list[str]]:
        files = [path for path in self._gateway.folder.rglob("*") if path.is_file()]
        return sorted(files), self._gateway.open_files()


@pytest.mark.parametrize("query", ["", "?chunked"])
def test_a_download_of_500_megabytes_is_not_held(row: Chain, query: str) -> None:
    """D10: memory stays bounded, and no file is made."""
    watch = Watch(row)
    response = row.begin("GET", f"/v1/files/{DOWNLOAD}/content{query}", {}).getresponse()
    digest, size = hashlib.sha256(), 0
    while piece := response.read(MiB):
        digest.update(piece)
        size += len(piece)
        watch.look()
    assert size == DOWNLOAD
    assert digest.digest() == digest_of(DOWNLOAD)
    assert watch.growth < GROWTH


def with_length(pieces: Iterable[bytes]) -> tuple[dict[str, str], Iterable[bytes]]:
    size = len(FORM_HEAD) + UPLOAD + len(FORM_TAIL)
    return {"Content-Length": str(size)}, pieces


def in_chunks(pieces: Iterable[bytes]) -> tuple[dict[str, str], Iterable[bytes]]:
    return {"Transfer-Encoding": "chunked"}, as_chunks(pieces)


Framed = Callable[[Iterable[bytes]], tuple[dict[str, str], Iterable[bytes]]]


@pytest.mark.parametrize("framed", [with_length, in_chunks])
def test_an_upload_of_200_megabytes_is_not_held(row: Chain, framed: Framed) -> None:
    """D10: memory stays bounded, and no file is made."""
    framing, pieces = framed(form())
    watch = Watch(row)
    connection = row.begin("POST", "/v1/files", {**FORM, **framing, "X-Case": new_case()})
    for piece in pieces:
        connection.send(piece)
        watch.look()
    receipt = answered(connection)
    assert receipt["size"] == UPLOAD
    assert receipt["sha256"] == digest_of(UPLOAD).hex()
    assert watch.growth < GROWTH


def test_an_upload_waits_with_the_client_while_the_upstream_does_not_read(row: Chain) -> None:
    """D10: what the kernel does not hold stays with the client, and nothing is lost of it."""
    case = new_case()
    head = {**BINARY, "Content-Length": str(UPLOAD), "X-Case": case}
    watch = Watch(row)
    connection = row.begin("POST", "/v1/files?wait", head)
    connection.sock.settimeout(1)
    sent = send_until_held_back(connection.sock)
    assert sent < IN_SOCKETS
    assert row.received(case) == 0
    row.go_on(case)
    connection.sock.settimeout(PATIENCE)
    while sent < UPLOAD:
        connection.send(BLOCK[sent % MiB :])
        sent += MiB - sent % MiB
        watch.look()
    receipt = answered(connection)
    assert (receipt["size"], receipt["sha256"]) == (UPLOAD, digest_of(UPLOAD).hex())
    assert watch.growth < GROWTH


def test_a_download_waits_with_the_upstream_while_the_client_does_not_read(row: Chain) -> None:
    """D5, D10: what the kernel does not hold stays with the upstream, and nothing is lost of it."""
    case = new_case()
    watch = Watch(row)
    connection = row.begin("GET", f"/v1/files/{DOWNLOAD}/content", {"X-Case": case})
    eventually(lambda: row.sent(case) and stands_still(row, case), "the upstream is held back")
    assert row.sent(case) < IN_SOCKETS
    response = connection.getresponse()
    digest = hashlib.sha256()
    while piece := response.read(MiB):
        digest.update(piece)
        watch.look()
    assert digest.digest() == digest_of(DOWNLOAD)
    assert watch.growth < GROWTH


def send_until_held_back(sock: socket.socket) -> int:
    """Send the upload until the socket takes nothing for as long as its timeout."""
    sent = 0
    try:
        while sent < UPLOAD:
            sent += sock.send(BLOCK[sent % MiB :])
    except TimeoutError:
        pass
    return sent


def stands_still(row: Chain, case: str) -> bool:
    """Whether the provider has written nothing for half a second."""
    before = row.sent(case)
    time.sleep(0.5)
    return row.sent(case) == before


def form() -> Iterator[bytes]:
    yield FORM_HEAD
    for _ in range(UPLOAD // MiB):
        yield BLOCK
    yield FORM_TAIL


def digest_of(size: int) -> bytes:
    """Of so many bytes that count up."""
    digest = hashlib.sha256()
    for _ in range(size // MiB):
        digest.update(BLOCK)
    return digest.digest()
