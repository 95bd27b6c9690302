"""Answers that break off, seen through other proxies: none of them makes a whole one of it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.chain import OLD_NGINX, Chain, MiB, chain, new_case
from tests.transcripts import CHAT_EVENTS

#: How a client sees that an answer has broken off.
BROKEN = (http.client.IncompleteRead, ConnectionResetError)
FIRST = CHAT_EVENTS[0].decode()
WHOLE = "".join(event.decode() for event in CHAT_EVENTS)
#: Between the gateway, whose answers these are, and the client.
IN_FRONT = ("nothing else", "Go's ReverseProxy in front", "nginx in front")


# One for each test: the gateway closes connections here, and a proxy that has not noticed yet may
# send the next test's request on one of them.
@pytest.fixture(params=IN_FRONT)
def row(request: pytest.FixtureRequest, tmp_path: Path, peer: Path) -> Iterator[Chain]:
    """The gateway by itself, and behind each other proxy."""
    with chain(tmp_path, peer, request.param) as row:
        yield row


@pytest.fixture
def old_row(tmp_path: Path, peer: Path) -> Iterator[Chain]:
    """The gateway behind a proxy that speaks HTTP/1.0 to it."""
    with chain(tmp_path, peer, OLD_NGINX) as row:
        yield row


def chat(
    row: Chain, case: str, *, path: str = "/v1/chat/completions", **asked: object
) -> http.client.HTTPResponse:
    """The answer to a request for a stream."""
    body = json.dumps({"model": "m", "stream": True, **asked}).encode()
    head = {"Content-Type": "application/json", "Content-Length": str(len(body)), "X-Case": case}
    connection = row.begin("POST", path, head)
    connection.send(body)
    return connection.getresponse()


def cut_stream(row: Chain) -> http.client.HTTPResponse:
    """An answer that has broken off behind the gateway, after its first event was read here."""
    case = new_case()
    response = chat(row, case, events=[FIRST], cut=True)
    assert response.status == 200
    seen = b""
    while not seen.endswith(b"\n\n"):
        seen += response.read1()
    assert seen.decode() == FIRST
    row.go_on(case)
    return response


def cut_file(row: Chain, query: str) -> http.client.HTTPResponse:
    """A download that has broken off behind the gateway, after its head was read here."""
    case = new_case()
    path = f"/v1/files/{MiB}/cut{query}"
    response = row.begin("GET", path, {"X-Case": case}).getresponse()
    assert response.status == 200
    row.go_on(case)
    return response


def end(row: Chain) -> tuple[object, object]:
    """How the gateway's row says that it ended."""
    [record] = row.gateway.new_rows()
    return record["outcome"], record["error"]


def test_a_stream_that_breaks_off_is_told_in_an_event_that_no_proxy_loses(row: Chain) -> None:
    """E3: the event tells the truth in whole chunks, so nobody in front finds a fault in them."""
    told = cut_stream(row).read().decode()
    assert told.count("data: ") == 1
    assert "error" in json.loads(told.removeprefix("data: "))
    assert end(row) == ("upstream_failed", "truncated")
    assert row.complaints() == []


def test_an_error_after_a_keepalive_is_an_event_that_no_proxy_loses(row: Chain) -> None:
    """K2, K3: the gateway has begun the stream itself and ends it in whole chunks."""
    response = chat(row, new_case(), path="/spoken/v1/chat/completions", status=429)
    assert response.status == 200
    *beats, told = response.read().decode().strip().split("\n\n")
    assert beats
    assert all(beat.startswith(":") for beat in beats)
    assert json.loads(told.removeprefix("data: "))["error"]["message"] == "no"
    assert end(row) == ("upstream_failed", "http_error")
    assert row.complaints() == []


@pytest.mark.parametrize("query", ["", "?chunked"])
def test_a_body_that_breaks_off_is_broken_behind_every_proxy(row: Chain, query: str) -> None:
    """E7: with a length or in chunks; a proxy in front sees it too, and says so."""
    with pytest.raises(BROKEN):
        cut_file(row, query).read()
    assert end(row) == ("upstream_failed", "truncated")
    assert row.complaints() or not row.between


def test_a_whole_stream_is_whole_over_http_1_0(old_row: Chain) -> None:
    """D4: where there are no chunks the body ends with the connection."""
    response = chat(old_row, new_case(), events=[WHOLE])
    assert (response.status, response.read().decode()) == (200, WHOLE)
    assert end(old_row) == ("finished", None)
    assert old_row.complaints() == []


def test_a_stream_that_breaks_off_is_broken_over_http_1_0(old_row: Chain) -> None:
    """E7: an error event before a connection's end would look like a whole answer."""
    with pytest.raises(BROKEN):
        cut_stream(old_row).read()
    assert end(old_row) == ("upstream_failed", "truncated")
    assert old_row.complaints()


@pytest.mark.parametrize("query", ["", "?chunked"])
def test_a_body_that_breaks_off_is_broken_over_http_1_0(old_row: Chain, query: str) -> None:
    """E7: with a length, and without one."""
    with pytest.raises(BROKEN):
        cut_file(old_row, query).read()
    assert end(old_row) == ("upstream_failed", "truncated")
