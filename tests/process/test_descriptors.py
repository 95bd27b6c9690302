"""A gateway that may open few files, and is asked for more than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.gateway_process import GatewayProcess, eventually
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
FILES = 128
CLIENTS = 300


@pytest.fixture
def options() -> str:
    """Keys of ``[gateway]``."""
    return ""


@pytest.fixture
def small(tmp_path: Path, upstream: ScriptedUpstream, options: str) -> Iterator[GatewayProcess]:
    """A gateway under ``ulimit -n 128``."""
    with GatewayProcess(tmp_path, upstream.sections(), options, files=FILES) as gateway:
        yield gateway


def test_more_connections_than_descriptors_are_shed_and_the_rest_is_served(
    small: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """O8: 300 connections under ulimit -n 128: whoever was admitted is served to the end, the
    others are told so, each has a row, the kernel is never asked in vain, and then all is well."""
    go_on = threading.Event()
    upstream.play(
        read_request,
        send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])),
        until(go_on),
        send(chunked(*CHAT_EVENTS[2:]), LAST),
    )
    small.forget_rows()
    statuses: list[int] = []
    with ExitStack() as stack:
        served = []
        for _ in range(CLIENTS):
            client = stack.enter_context(RawClient(small.port))
            status = client.post(CHAT, prompt(stream=True)).response.status
            statuses.append(status)
            if status == 200:
                served.append(client)
            else:
                assert client.response.getheader("Connection") == "close"
                client.reset()
        assert small.descriptors() <= FILES
        go_on.set()
        for client in served:
            assert client.rest() == b"".join(CHAT_EVENTS)
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 16
    rows = small.new_rows(len(statuses))
    assert len(rows) == len(statuses)
    outcomes = [row["outcome"] for row in rows]
    assert outcomes.count("finished") == statuses.count(200)
    assert outcomes.count("rejected") == statuses.count(503)
    assert {row["error"] for row in rows if row["outcome"] == "rejected"} == {"overloaded"}
    assert "EMFILE" not in small.output
    assert "Traceback" not in small.output
    assert ask(small.port, CHAT, prompt(stream=True))[0] == 200


@pytest.mark.parametrize("options", ["client_head_timeout = 1s"])
def test_connections_that_say_nothing_give_way(
    small: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """O8: they wait in the kernel's queue, without the gateway turning round on them, and
    whoever comes after them is served once their time is over."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS), LAST))
    with ExitStack() as stack:
        for _ in range(CLIENTS // 4):
            stack.enter_context(RawClient(small.port))
        status, body = ask(small.port, CHAT, prompt(stream=True))
        assert (status, body) == (200, b"".join(CHAT_EVENTS))
    assert "EMFILE" not in small.output
    eventually(lambda: small.descriptors() < FILES // 2, "their descriptors are given back")
