"""Prompts stay in memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.process.gateway_process import GatewayProcess, eventually
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked


def files(folder: Path) -> list[Path]:
    """Every file below `folder`."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_prompt_of_a_megabyte_is_in_no_file(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """D10: none is made, not even one without a name, while the upstream thinks about it."""
    answered = threading.Event()
    upstream.play(read_request, until(answered), send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    body = prompt(stream=True, text="a long story " * 80_000)
    assert len(body) > 1_000_000
    before, opened = files(gateway.folder), gateway.open_files()
    with RawClient(gateway.port) as client:
        client.post(PATHS["openai_chat"], body)
        eventually(lambda: upstream.requests, "the upstream is asked")
        assert (files(gateway.folder), gateway.open_files()) == (before, opened)
        answered.set()
        assert client.rest() == b"".join(CHAT_EVENTS)
    assert upstream.requests[0].endswith(body)


@pytest.mark.parametrize("dialect", PATHS)
def test_the_simulated_provider_keeps_a_prompt_in_memory_too(
    gateway: GatewayProcess, dialect: str
) -> None:
    """D10: while its answer is under way, nothing of the question is in a file."""
    body = prompt(stream=True, model="demo", text="a long story " * 80_000)
    before, opened = files(gateway.folder), gateway.open_files()
    with RawClient(gateway.port) as client:
        client.post(f"/demo{PATHS[dialect]}", body).body_until(b"\n\n")
        assert (files(gateway.folder), gateway.open_files()) == (before, opened)
