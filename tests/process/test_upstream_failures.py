"""Upstreams that cannot be reached, cannot be trusted, or break off."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.certificates import make_authority, server_context
from tests.process.gateway_process import GatewayProcess
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, reset, send
from tests.transcripts import CHAT_BODY, CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]

#: What is wrong with an upstream, and what the row calls it.
UNREACHABLE = {
    "refusing": "connect_refused",
    "nowhere": "dns",
    "self-signed": "tls",
    "misnamed": "tls",
    "expired": "tls",
    "unknown-ca": "tls",
}


@pytest.fixture(scope="module")
def module_gateway(
    module_folder: Path, module_upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """A gateway with an upstream for each of `UNREACHABLE`, and a trusted one over TLS."""
    authority = make_authority()
    ca = authority.write(module_folder / "ca.pem")
    contexts = {
        "self-signed": server_context(module_folder, None),
        "misnamed": server_context(module_folder, authority, "other.test"),
        "expired": server_context(module_folder, authority, valid_for=-datetime.timedelta(hours=1)),
        "unknown-ca": server_context(module_folder, make_authority()),
        "trusted": server_context(module_folder, authority),
    }
    secure = {name: ScriptedUpstream(context) for name, context in contexts.items()}
    refusing = socket.socket()  # bound, so that nobody else takes the port, but not listening
    refusing.bind(("127.0.0.1", 0))
    urls = {
        "refusing": f"http://127.0.0.1:{refusing.getsockname()[1]}",
        "nowhere": "http://nowhere.invalid",
        **{name: f"https://localhost:{upstream.port}" for name, upstream in secure.items()},
    }
    sections = [module_upstream.sections()]
    for name, url in urls.items():
        sections.append(f"[upstream {name}]\nurl = {url}\ndialect = generic")
        if name in secure:
            sections.append(f"ca = {ca}")
    for upstream in secure.values():
        upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    # A resolver that does not answer must not keep the test waiting (resolv.conf(5)).
    environ = {"RES_OPTIONS": "attempts:1 timeout:1"}
    with GatewayProcess(module_folder, "\n".join(sections), environ=environ) as gateway:
        yield gateway
    refusing.close()
    for upstream in secure.values():
        upstream.close()


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("name", UNREACHABLE)
def test_an_upstream_that_cannot_be_asked_is_a_502_and_the_row_says_why(
    gateway: GatewayProcess, name: str, dialect: str
) -> None:
    """E1: the error has the dialect's shape and the row's words."""
    status, body = ask(gateway.port, f"/{name}{PATHS[dialect]}", prompt(stream=True))
    assert status == 502
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("upstream_failed", UNREACHABLE[name])
    assert (row["phase"], row["status_sent"], row["status_upstream"]) == ("connect", 502, None)
    answer = json.loads(body)
    assert answer["error"]["message"] == row["error_detail"]
    assert answer.get("type") == ("error" if dialect == "anthropic" else None)


def test_an_upstream_whose_certificate_its_ca_has_signed_is_asked(gateway: GatewayProcess) -> None:
    """E1: the difference is the certificate, and nothing else."""
    status, body = ask(gateway.port, f"/trusted{CHAT}", prompt(stream=True))
    assert (status, body) == (200, b"".join(CHAT_EVENTS))
    [row] = gateway.new_rows()
    assert row["outcome"] == "finished"


def test_an_upstream_that_resets_before_its_head_is_a_502(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """E1: and it is asked once."""
    upstream.play(read_request, reset)
    status, _ = ask(gateway.port, CHAT, prompt(stream=True))
    [row] = gateway.new_rows()
    assert (status, row["error"], row["phase"]) == (502, "reset", "head")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("cut", [b"", b"ff\r\ndata: {"], ids=["between chunks", "inside a chunk"])
def test_a_stream_that_is_cut_ends_in_an_error_event_and_a_last_chunk(
    gateway: GatewayProcess, upstream: ScriptedUpstream, cut: bytes
) -> None:
    """E3: the client gets whole events and a whole body, and no [DONE]."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2]), cut))
    status, body = ask(gateway.port, CHAT, prompt(stream=True))
    whole = b"".join(CHAT_EVENTS[:2])
    assert status == 200
    assert body.startswith(whole)
    error = body.removeprefix(whole)
    [row] = gateway.new_rows()
    assert row["error"] == "truncated"
    assert json.loads(error.removeprefix(b"data: "))["error"]["message"] == row["error_detail"]


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        (b"Content-Length: %d" % len(CHAT_BODY), CHAT_BODY[:40]),
        (b"Transfer-Encoding: chunked", chunked(CHAT_BODY[:40])),
    ],
    ids=["with a length", "chunked"],
)
def test_a_body_that_is_no_stream_and_is_cut_is_broken_off(
    gateway: GatewayProcess, upstream: ScriptedUpstream, head: bytes, sent: bytes
) -> None:
    """E7: the client cannot take it for whole."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + b"\r\n\r\n"
    upstream.play(read_request, send(head, sent))
    with RawClient(gateway.port) as client:
        client.post(CHAT, prompt(stream=False))
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.rest()
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("upstream_failed", "truncated")


def test_a_stream_to_http_1_0_that_is_cut_ends_in_a_reset(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """E7: there a FIN would be the end of a whole body."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])))
    with RawClient(gateway.port) as client:
        client.post(CHAT, prompt(stream=True), version="1.0")
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_a_stream_to_http_1_0_that_is_whole_ends_in_a_fin(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """E7: the body is the stream, without chunks."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    with RawClient(gateway.port) as client:
        client.post(CHAT, prompt(stream=True), version="1.0")
        assert client.rest() == b"".join(CHAT_EVENTS)
