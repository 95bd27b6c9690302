"""Answers in common over real sockets: one upstream call, whatever each client does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.gateway_process import PATIENCE, GatewayProcess, eventually, gatewayctl
from tests.process.raw_client import PATHS, RawClient, ask, prompt
from tests.process.scripted_upstream import (
    ScriptedUpstream,
    flood,
    read_request,
    send,
    until,
    until_gone,
)
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
BODY = b"".join(CHAT_EVENTS)
FIRST = CHAT_EVENTS[0]
OTHERS = b"".join(map(chunked, CHAT_EVENTS[1:])) + LAST
LARGE = b"data: " + b"x" * 20_000 + b"\n\n"


@pytest.fixture(scope="module")
def module_gateway(
    module_folder: Path, module_upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """A gateway with dedup, in the place of that which the other modules use."""
    sections = module_upstream.sections(dedup="60s")
    with GatewayProcess(module_folder, sections, "dedup_memory = 256MiB") as gateway:
        yield gateway


def test_a_fast_client_gets_everything_while_a_stalled_one_gets_it_later(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """C4, D5: 8 MB, one upstream call; both have every byte."""
    joined = threading.Event()
    upstream.play(
        read_request, send(SSE_HEAD, chunked(FIRST)), until(joined),
        flood(chunked(LARGE), 8_000_000), send(OTHERS),
    )  # fmt: skip
    question = prompt(stream=True, text="one fast, one stalled")
    with RawClient(gateway.port) as fast, RawClient(gateway.port, receive_buffer=8192) as slow:
        slow.post(CHAT, question).body_until(FIRST)
        fast.post(CHAT, question).body_until(FIRST)
        joined.set()
        got = fast.rest()
        assert got.endswith(CHAT_EVENTS[-1])
        assert len(got) > 8_000_000
        assert slow.rest() == got
    assert len(upstream.requests) == 1
    leader, follower = gateway.new_rows(2)
    assert (leader["outcome"], follower["outcome"]) == ("finished", "finished")
    assert (leader["answer_of"], follower["answer_of"]) == (None, leader["id"])
    assert leader["paused_ms"]
    assert (leader["output_tokens"], follower["output_tokens"]) == (3, None)
    assert follower["cost_usd"] == 0


def test_when_the_first_leaves_the_second_gets_the_rest(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """C4: and the first one's row has the tokens."""
    left = threading.Event()
    upstream.play(read_request, send(SSE_HEAD, chunked(FIRST)), until(left), send(OTHERS))
    question = prompt(stream=True, text="the first leaves")
    with RawClient(gateway.port) as first, RawClient(gateway.port) as second:
        first.post(CHAT, question).body_until(FIRST)
        second.post(CHAT, question).body_until(FIRST)
        first.reset()
        left.set()
        assert FIRST + second.rest() == BODY
    leader, follower = gateway.new_rows(2)
    assert (leader["outcome"], leader["output_tokens"]) == ("client_gone", 3)
    assert (follower["outcome"], follower["answer_of"]) == ("finished", leader["id"])


def test_when_the_last_leaves_the_upstream_is_closed(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """C4, A2: though it would have gone on."""
    upstream.play(read_request, send(SSE_HEAD, chunked(FIRST)), until_gone)
    question = prompt(stream=True, text="both leave")
    with RawClient(gateway.port) as first, RawClient(gateway.port) as second:
        first.post(CHAT, question).body_until(FIRST)
        second.post(CHAT, question).body_until(FIRST)
        second.finish_sending()
        eventually(lambda: [row for row in gateway.rows() if row["answer_of"]], "it has a row")
        assert not upstream.peers[0].gone.is_set()
        first.finish_sending()
        assert upstream.peers[0].gone.wait(PATIENCE)
    assert [row["outcome"] for row in gateway.new_rows(2)] == ["client_gone"] * 2


def test_a_replay_has_the_same_bytes_and_asks_nobody(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """C2: and gatewayctl counts its tokens and its cost once."""
    upstream.play(read_request, send(SSE_HEAD, chunked(FIRST), OTHERS))
    question = prompt(stream=True, text="again")
    assert ask(gateway.port, CHAT, question) == (200, BODY)
    assert ask(gateway.port, CHAT, question) == (200, BODY)
    assert len(upstream.requests) == 1
    first, second = gateway.new_rows(2)
    assert (second["outcome"], second["answer_of"]) == ("replayed", first["id"])
    shown = gatewayctl(
        gateway.folder, "requests", "--config", str(gateway.config), "--show", str(second["id"])
    )
    told = dict(line.split(maxsplit=1) for line in shown.output.splitlines())
    assert (told["outcome"], told["answer_of"]) == ("replayed", first["id"])
    assert (told["output_tokens"], told["cost_usd"]) == ("-", "0.0")


def test_rows_of_a_gateway_that_is_killed_while_they_had_an_answer_in_common_are_settled(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """C4, A5: all of them as killed, and each says whose answer it was to have."""
    upstream.play(read_request, send(SSE_HEAD, chunked(FIRST)), until_gone)
    sections = upstream.sections(dedup="60s")
    with GatewayProcess(tmp_path, sections) as gateway:
        with RawClient(gateway.port) as first, RawClient(gateway.port) as second:
            for client in (first, second):
                client.post(CHAT, prompt(stream=True)).body_until(FIRST)
            gateway.kill()
        gateway.start().wait_until_it_answers()
        leader, follower = gateway.new_rows(2)
    assert (leader["outcome"], follower["outcome"]) == ("killed", "killed")
    assert (leader["answer_of"], follower["answer_of"]) == (None, leader["id"])
