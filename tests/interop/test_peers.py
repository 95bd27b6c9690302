"""Other servers before and behind the gateway: events and uploads pass, and none finds a fault."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest

from tests.interop.chain import Chain, MiB, answered, as_chunks, new_case
from tests.process.gateway_process import PATIENCE, eventually
from tests.transcripts import CHAT_EVENTS

#: An event as image APIs send them: one line of several megabytes.
LARGE_EVENT = '{"b64_json":"' + "QUJD" * (3 * MiB // 4) + '"}'
EVENTS = (
    *(event.decode() for event in CHAT_EVENTS[:-1]),
    *(f'data: {{"choices":[],"n":{number}}}\n\n' for number in range(200)),
    f"data: {LARGE_EVENT}\n\n",
    CHAT_EVENTS[-1].decode(),
)

#: A file, in the pieces in which it is sent.
FILE = [bytes([number]) * (MiB // 2) for number in range(16)]
FORM_HEAD = (
    b'--frontier\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
FORM_TAIL = (
    b'\r\n--frontier\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue'
    b"\r\n--frontier--\r\n"
)
#: What the provider says of an upload that it does not read.
REFUSAL = b'{"error":{"message":"no","type":"invalid_request_error"}}'
BINARY = {"Content-Type": "application/octet-stream"}
FORM = {"Content-Type": "multipart/form-data; boundary=frontier"}


def test_events_pass_one_by_one_and_unchanged(row: Chain) -> None:
    """D1, D3, D4: the first is there while the provider waits, and nobody misreads a chunk."""
    case = new_case()
    body = json.dumps({"model": "m", "stream": True, "events": EVENTS}).encode()
    connection = row.begin(
        "POST",
        "/v1/chat/completions",
        {"Content-Type": "application/json", "Content-Length": str(len(body)), "X-Case": case},
    )
    connection.send(body)
    response = connection.getresponse()
    assert response.status == 200
    seen = b""
    while not seen.endswith(b"\n\n"):
        seen += response.read1()
    assert seen.decode() == EVENTS[0]
    row.go_on(case)
    assert (seen + response.read()).decode() == "".join(EVENTS)
    [record] = row.gateway.new_rows()
    assert (record["outcome"], record["output_tokens"]) == ("finished", 3)


def with_length(pieces: list[bytes]) -> tuple[dict[str, str], Iterable[bytes]]:
    return {"Content-Length": str(sum(map(len, pieces)))}, pieces


def in_chunks(pieces: list[bytes]) -> tuple[dict[str, str], Iterable[bytes]]:
    return {"Transfer-Encoding": "chunked"}, as_chunks(pieces)


Framed = Callable[[list[bytes]], tuple[dict[str, str], Iterable[bytes]]]


@pytest.mark.parametrize("framed", [with_length, in_chunks])
@pytest.mark.parametrize(
    ("headers", "pieces", "fields"),
    [
        (BINARY, FILE, None),
        (FORM, [FORM_HEAD, *FILE, FORM_TAIL], ["purpose", "file", "stream"]),
    ],
    ids=["binary", "multipart"],
)
def test_an_upload_arrives_while_it_is_sent(
    row: Chain,
    headers: dict[str, str],
    pieces: list[bytes],
    fields: list[str] | None,
    framed: Framed,
) -> None:
    """D4, D10: what was sent so far is at the provider before the rest is, and all of it after."""
    case = new_case()
    framing, body = framed(pieces)
    connection = row.begin("POST", "/v1/files", {**headers, **framing, "X-Case": case})
    for number, piece in enumerate(body):
        if number == len(FILE) // 2:
            eventually(lambda: row.received(case) > MiB, "the first half reaches the provider")
        connection.send(piece)
    receipt = answered(connection)
    assert receipt["size"] == sum(map(len, FILE))
    assert receipt["sha256"] == hashlib.sha256(b"".join(FILE)).hexdigest()
    assert receipt["fields"] == fields
    [record] = row.gateway.new_rows()
    assert record["outcome"] == "finished"
    assert record["request_bytes"] == sum(map(len, pieces))


@pytest.mark.parametrize("query", ["", "?chunked"])
def test_a_download_arrives_whole(row: Chain, query: str) -> None:
    """D4: with the length that the provider told, or in chunks."""
    size = 5 * MiB + 1
    connection = row.begin("GET", f"/v1/files/{size}/content{query}", {})
    response = connection.getresponse()
    assert response.headers["Content-Length"] == (None if query else str(size))
    body = response.read()
    assert (response.status, len(body)) == (200, size)
    assert body == (bytes(range(256)) * (size // 256 + 1))[:size]


def test_an_answer_comes_while_the_upload_it_answers_is_still_on(row: Chain) -> None:
    """D10: each half of the file is back before the next is sent."""
    connection = row.begin("POST", "/v1/files/echo", {**BINARY, "Transfer-Encoding": "chunked"})
    upload = connection.sock.dup()  # http.client lets go of its own when it has read the head
    half = b"a" * MiB
    for piece in list(as_chunks([half]))[:-1]:
        upload.sendall(piece)
    response = connection.getresponse()
    assert response.status == 200
    assert response.read(MiB) == half
    for piece in as_chunks([b"b" * MiB]):
        upload.sendall(piece)
    assert response.read() == b"b" * MiB
    upload.close()
    [record] = row.gateway.new_rows()
    assert (record["outcome"], record["request_bytes"]) == ("finished", 2 * MiB)


def test_a_refusal_comes_while_the_upload_that_it_refuses_is_still_on(module_row: Chain) -> None:
    """D10: the client is told before it has sent everything, and not by a reset after it."""
    row = module_row
    row.gateway.forget_rows()
    before = row.complaints()
    connection = row.begin("POST", "/v1/files/refused", {**BINARY, "Content-Length": str(8 * MiB)})
    upload = connection.sock.dup()
    upload.sendall(b"a" * MiB)
    response = connection.getresponse()
    assert response.status == 413
    told = response.read(len(REFUSAL))
    with trickling(upload):
        assert told + response.read() == REFUSAL
    [record] = row.gateway.new_rows()
    assert (record["outcome"], record["status_sent"]) == ("finished", 413)
    # HAProxy notes that the gateway (C) let go of it while it still had a body to pass on (D).
    assert [line for line in row.complaints() if " CD-- " not in line] == before


@contextmanager
def trickling(upload: socket.socket) -> Iterator[None]:
    """Send byte after byte of the upload meanwhile, and let go of it in the end.

    Go's ReverseProxy ends an answer when it has closed the upload, for which it waits until nobody
    reads there.  Its transport does until it finds the gateway gone: one byte more or two, as its
    goroutines happen to take turns.
    """
    over = threading.Event()

    def send() -> None:
        with suppress(OSError):  # the other side may close when it has said all
            while not over.wait(0.01):
                upload.sendall(b"a")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()
        upload.close()


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 429, 500])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_that_is_no_stream_keeps_its_status_fields_and_body(
    row: Chain, method: str, status: int
) -> None:
    """D9: as the provider gave it; what servers say of themselves and the time is theirs."""
    path = f"/v1/answers/{status}"
    through = whole_answer(row.entry, method, path)
    row.requests += 1
    assert through == whole_answer(row.provider.port, method, path)
    assert through.status == status
    assert [value for name, value in through.fields if name == "set-cookie"] == [
        "a=1; Path=/",
        "b=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT",
    ]


class Answer(NamedTuple):
    status: int
    fields: list[tuple[str, str]]
    body: bytes


def whole_answer(port: int, method: str, path: str) -> Answer:
    """An answer of the server on `port`, without what is a matter of one connection or server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path)
    response = connection.getresponse()
    own = ("connection", "date", "server")
    names = ((name.lower(), value) for name, value in response.getheaders())
    fields = sorted((name, value) for name, value in names if name not in own)
    answer = Answer(response.status, fields, response.read())
    connection.close()
    return answer


def test_requests_follow_one_another_on_a_connection(row: Chain) -> None:
    """D4: each body ends where the next head begins, for every server in the row."""
    connection = row.connect()
    for number in range(20):
        data = b"x" * number
        headers = {"X-Case": new_case()}
        pieces: bytes | Iterable[bytes] = data if number % 2 else iter((data, b"y"))
        connection.request(
            "POST", "/v1/files", pieces, headers={**BINARY, **headers}, encode_chunked=True
        )
        row.requests += 1
        assert answered(connection)["size"] == number + (1 - number % 2)
