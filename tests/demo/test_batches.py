"""The simulated provider's batches."""

from __future__ import annotations

import json
from typing import Any

from gateway.demo.models import TEXT, count_input

from .client import PROMPT, TOKENS, Answer, Client

BATCHES = "/v1/messages/batches"


def asked(custom_id: str, model: str = "demo", **params: Any) -> dict[str, Any]:
    """One request of a batch."""
    return {
        "custom_id": custom_id,
        "params": {"model": model, "max_tokens": 1000, **PROMPT, **params},
    }


def answered(client: Client, path: str, content: object = None) -> Answer:
    """Ask, and wait for the end."""
    client.transport.clear()
    client.ask(path, content)
    client.wait(30)
    return client.answer()


def test_a_batch_has_ended_once_it_was_created(client: Client) -> None:
    requests = [
        asked("a"),
        asked("b", max_tokens=5),
        asked("c", "demo-error-500"),
        asked("d", "no"),
    ]
    created = answered(client, BATCHES, {"requests": requests}).json
    assert created["processing_status"] == "ended"
    counts = {"processing": 0, "succeeded": 2, "errored": 2, "canceled": 0, "expired": 0}
    assert created["request_counts"] == counts
    assert answered(client, f"{BATCHES}/{created['id']}").json == created
    results = answered(client, created["results_url"])
    assert results.fields["content-type"] == "application/x-jsonl"
    a, b, c, d = map(json.loads, results.body.splitlines())
    assert [one["custom_id"] for one in (a, b, c, d)] == ["a", "b", "c", "d"]
    assert a["result"]["message"]["content"] == [{"type": "text", "text": TEXT}]
    usage = a["result"]["message"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (count_input(["hello"]), len(TOKENS))
    assert usage["service_tier"] == "batch"
    assert b["result"]["message"]["stop_reason"] == "max_tokens"
    assert [one["result"]["type"] for one in (c, d)] == ["errored", "errored"]
    assert d["result"]["error"]["error"]["type"] == "not_found_error"


def test_results_break_off_as_the_model_of_the_first_request_does(client: Client) -> None:
    requests = [asked(f"r{number}", "demo-cut") for number in range(10)]
    created = answered(client, BATCHES, {"requests": requests}).json
    results = answered(client, created["results_url"])
    assert not results.whole
    assert [json.loads(line)["custom_id"] for line in results.body.splitlines()] == [
        "r0", "r1", "r2", "r3",
    ]  # fmt: skip


def test_what_is_no_batch_is_refused(client: Client) -> None:
    assert answered(client, BATCHES, {"requests": []}).status == 400
    assert answered(client, BATCHES, {"requests": [asked("a"), asked("a")]}).status == 400
    assert answered(client, BATCHES, {"requests": [asked("a b")]}).status == 400
    assert answered(client, BATCHES, {"requests": [{"params": {}}]}).status == 400
    assert answered(client, f"{BATCHES}/msgbatch_no").status == 404
    assert answered(client, f"{BATCHES}/msgbatch_no/results").status == 404


def test_the_oldest_batches_are_forgotten(client: Client) -> None:
    first, *_, last = [
        answered(client, BATCHES, {"requests": [asked("a")]}).json["results_url"] for _ in range(21)
    ]
    assert answered(client, first).status == 404
    assert answered(client, last).status == 200
