"""Keys go where they are meant to go, and nowhere else."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canaries import CLIENTS_KEY, OWN_KEY
from tests.process.gateway_process import GatewayProcess
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, reset, send
from tests.transcripts import CHAT_BODY, CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

HEADERS = {
    "Authorization": f"Bearer {CLIENTS_KEY}",
    "X-Api-Key": CLIENTS_KEY,
    "X-Goog-Api-Key": CLIENTS_KEY,
}


@pytest.fixture(scope="module")
def module_gateway(
    module_folder: Path, module_upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """The same upstream with a key of the gateway's own, as OpenAI and Anthropic take it, and
    without one."""
    sections = module_upstream.sections()
    for name, dialect in (("own-openai", "openai"), ("own-anthropic", "anthropic")):
        sections += f"\n[upstream {name}]\nurl = {module_upstream.url}\ndialect = {dialect}\n"
        sections += "api_key = env:OWN_KEY\npool_size = 0"
    environ = {"OWN_KEY": OWN_KEY}
    with GatewayProcess(module_folder, sections, environ=environ) as gateway:
        yield gateway


def credentials(request: bytes) -> dict[str, str]:
    """The fields of a request that carry credentials, and those that hold one of the keys."""
    found = {}
    for line in request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        if name.lower() in map(str.lower, HEADERS) or CLIENTS_KEY in value or OWN_KEY in value:
            assert name.lower() not in found, request
            found[name.lower()] = value
    return found


def test_a_clients_key_reaches_an_upstream_that_has_none_of_its_own(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """H8: as it came."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    ask(gateway.port, PATHS["openai_chat"], prompt(stream=True), HEADERS)
    [request] = upstream.requests
    assert credentials(request) == {name.lower(): value for name, value in HEADERS.items()}


@pytest.mark.parametrize(
    ("name", "dialect", "carried"),
    [
        ("own-openai", "openai_chat", {"authorization": f"Bearer {OWN_KEY}"}),
        ("own-anthropic", "anthropic", {"x-api-key": OWN_KEY}),
    ],
)
def test_a_clients_key_does_not_reach_an_upstream_that_has_its_own(
    gateway: GatewayProcess,
    upstream: ScriptedUpstream,
    name: str,
    dialect: str,
    carried: dict[str, str],
) -> None:
    """H8: it is replaced, in whichever field it came."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    ask(gateway.port, f"/{name}{PATHS[dialect]}", prompt(stream=True), HEADERS)
    [request] = upstream.requests
    assert credentials(request) == carried
    assert CLIENTS_KEY.encode() not in request


def test_no_key_is_in_anything_that_the_gateway_says_or_keeps(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """H8: not in answers, rows, the log or any file, for requests that end in all sorts of ways."""
    body = prompt(stream=True)
    ends = {
        "finished": (send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST),),
        "no stream": (send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CHAT_BODY)),),
        "reset": (reset,),
        "malformed": (send(b"HTTP/1.1 banana\r\n\r\n"),),
    }
    said = []
    paths = (*PATHS.values(), f"/own-openai{PATHS['openai_chat']}")
    for steps in ends.values():
        upstream.play(read_request, *steps)
        for path in paths:
            with RawClient(gateway.port) as client:
                client.post(f"{path}?key={CLIENTS_KEY}", body, HEADERS)
                said.append(_everything(client))
    refused = (
        (f"/nowhere?key={CLIENTS_KEY}", body, HEADERS),
        (PATHS["anthropic"], b"{no JSON " + CLIENTS_KEY.encode(), HEADERS),
        (PATHS["openai_chat"], body, {**HEADERS, "Content-Length": "7"}),
        (PATHS["openai_chat"], body, {**HEADERS, "Bad Name": CLIENTS_KEY}),
        (PATHS["openai_chat"], body, {**HEADERS, "X": f"{CLIENTS_KEY}\0"}),
    )
    for path, wrong, headers in refused:
        with RawClient(gateway.port) as client:
            client.post(path, wrong, headers)
            said.append(_everything(client))
    rows = gateway.new_rows(len(ends) * len(paths) + 1)
    assert {row["outcome"] for row in rows} == {"finished", "upstream_failed", "rejected"}

    kept = {str(path): path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file()}
    assert str(gateway.state / "ledger.sqlite") in kept
    assert len(said) == len(ends) * len(paths) + len(refused)
    for key in (CLIENTS_KEY, OWN_KEY):
        assert key not in repr(rows)
        assert [text for text in said if key.encode() in text] == []
        assert [name for name, content in kept.items() if key.encode() in content] == []


def _everything(client: RawClient) -> bytes:
    """All that the gateway answers, also where it breaks off."""
    head = b""
    try:
        response = client.response
        head = f"{response.status} {response.reason}\n{response.headers}".encode()
        return head + client.rest()
    except http.client.IncompleteRead as cut:
        return head + cut.partial
    except ConnectionResetError:
        return head
