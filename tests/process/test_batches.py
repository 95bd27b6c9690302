"""Results of batches fetched through a gateway's process: again, cut, and after a kill."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from gateway.record import derived_id
from tests.dialects.test_batches import line
from tests.process.gateway_process import GatewayProcess, Row, eventually, gatewayctl
from tests.process.scripted_upstream import Peer, ScriptedUpstream, read_request, until, until_gone

COUNT = 400
LINES = b"".join(line(f"r{number}") + b"\n" for number in range(COUNT))
OTHERS = line("no", "errored") + b"\n" + line("late", "expired") + b"\n"
BODY = LINES + OTHERS
IDS = {derived_id("scripted", "msgbatch_1", f"r{number}") for number in range(COUNT)}
RESULTS = "/v1/messages/batches/msgbatch_1/results"
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": COUNT, "errored": 1, "canceled": 0},
    "created_at": "2026-11-01T00:00:00Z",
    "expires_at": "2026-11-02T00:00:00Z",
    "results_url": RESULTS,
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"


def answer(peer: Peer) -> None:
    """Answer what was asked for: the results, or what is known of the batch."""
    if peer.request.startswith(b"GET %b " % RESULTS.encode()):
        peer.send(HEAD % (b"application/x-jsonl", len(BODY)) + BODY)
    else:
        body = json.dumps(BATCH).encode()
        peer.send(HEAD % (b"application/json", len(body)) + body)


def half(peer: Peer) -> None:
    """Half of the results, the last of them in part."""
    peer.send(HEAD % (b"application/x-jsonl", len(BODY)) + BODY[: len(LINES) // 2])


@pytest.fixture
def own_gateway(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[GatewayProcess]:
    """A gateway of the test's own, with prices for what answers."""
    prices = "[prices mine]\nmodel = large-2\ninput = 2\noutput = 10\nbatch = 0.5\n"
    with GatewayProcess(tmp_path, f"{upstream.sections()}\n{prices}") as gateway:
        yield gateway


def fetched(gateway: GatewayProcess) -> list[MessageBatchIndividualResponse]:
    """The results, as Anthropic's SDK fetches them."""
    with anthropic.Anthropic(base_url=gateway.url, api_key="k" * 20, max_retries=0) as client:
        return list(client.messages.batches.results("msgbatch_1"))


def results_of(gateway: GatewayProcess) -> list[Row]:
    """The rows of results."""
    return [row for row in gateway.rows() if row["dialect"] == "anthropic_batch"]


def all_there(gateway: GatewayProcess) -> list[Row]:
    """The rows of results, as soon as there is one for each."""
    rows = eventually(
        lambda: rows if len(rows := results_of(gateway)) >= COUNT else None, "a row for each"
    )
    assert sorted(str(row["id"]) for row in rows) == sorted(IDS)
    assert {row["outcome"] for row in rows} == {"finished"}
    return rows


def test_each_result_is_counted_once_however_often_it_is_fetched(
    own_gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """A8: by Anthropic's SDK, twice; what was looked up besides has no tokens."""
    upstream.play(read_request, answer)
    for _ in range(2):
        found = fetched(own_gateway)
        assert [one.custom_id for one in found][-3:] == [f"r{COUNT - 1}", "no", "late"]
        assert found[0].result.type == "succeeded"
        rows = all_there(own_gateway)
    first = [row["id"] for row in own_gateway.rows() if row["dialect"] == "anthropic_batches"]
    assert len(first) == 4
    assert {row["answer_of"] for row in rows} == {first[1]}
    # 255 tokens in, 12 out, at half of 2 and 10 dollars a million.
    assert rows[0]["cost_usd"] == pytest.approx((255 * 1 + 12 * 5) / 1e6)
    told = gatewayctl(own_gateway.folder, "--config", str(own_gateway.config), "usage", "--json")
    sums = {row["model"]: row for row in map(json.loads, told.output.splitlines())}
    assert sums["large-2"]["requests"] == COUNT
    assert sums["large-2"]["input_tokens"] == 255 * COUNT
    assert sums["large-2"]["output_tokens"] == 12 * COUNT
    assert sums["large-2"]["cost_usd"] == pytest.approx(COUNT * (255 * 1 + 12 * 5) / 1e6)
    assert (sums[None]["requests"], sums[None]["unknown_usage"]) == (4, 0)


def test_a_cut_fetch_counts_what_came_and_the_next_one_the_rest(
    own_gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """A8: the client is told that the rest is missing."""
    upstream.play(read_request, half)
    with pytest.raises(httpx2.TransportError):
        httpx2.get(own_gateway.url + RESULTS)
    came = BODY[: len(LINES) // 2].count(b"\n")
    eventually(lambda: len(results_of(own_gateway)) == came, "what came whole has rows")
    upstream.play(read_request, answer)
    assert httpx2.get(own_gateway.url + RESULTS).content == BODY
    rows = all_there(own_gateway)
    assert len({row["answer_of"] for row in rows}) == 2


def test_after_a_kill_in_the_middle_each_result_is_counted_once(
    own_gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """A5, A8: what the dead process had noted stays, the next fetch adds the rest."""
    go_on = threading.Event()
    upstream.play(read_request, half, until(go_on), until_gone)
    with httpx2.stream("GET", own_gateway.url + RESULTS) as response:
        pieces = response.iter_raw()
        next(pieces)
        eventually(lambda: results_of(own_gateway), "some rows")
        own_gateway.process.kill()
        own_gateway.process.wait()
    go_on.set()
    own_gateway.start().wait_until_it_answers()
    before = len(results_of(own_gateway))
    assert 0 < before < COUNT
    upstream.play(read_request, answer)
    assert httpx2.get(own_gateway.url + RESULTS).content == BODY
    all_there(own_gateway)
    fetches = [row for row in own_gateway.rows() if row["dialect"] == "anthropic_batches"]
    assert [row["outcome"] for row in fetches] == ["killed", "finished"]


def test_results_that_are_still_to_be_counted_are_when_the_gateway_stops(
    own_gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """O4, A8: SIGTERM right behind the last byte."""
    upstream.play(read_request, answer)
    assert httpx2.get(own_gateway.url + RESULTS).content == BODY
    own_gateway.stop()
    all_there(own_gateway)
