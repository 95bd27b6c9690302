"""Responses of the simulated provider: how events are numbered, and given again."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.demo.answers import Prompt, answer
from gateway.demo.dialect import Refusal
from gateway.demo.models import MODELS, TEXT
from gateway.demo.openai_responses import ResponseStore

from .client import TOKENS, Answer, Client

RESPONSES = "/v1/responses"


def ask(client: Client, path: str = RESPONSES, **content: Any) -> Answer:
    """Ask for a new response, or for one that was given; wait, and forget the ones before."""
    client.transport.clear()
    client.ask(path, {"model": "demo", "input": "hello", **content} if path == RESPONSES else None)
    client.wait(5)
    return client.answer()


def test_events_are_numbered_and_open_and_close_all_there_is(client: Client) -> None:
    events = ask(client, stream=True).events
    assert [name for name, _ in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * len(TOKENS),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert all(data["type"] == name for name, data in events)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert events[-1][1]["response"]["output"][0]["content"][0]["text"] == TEXT


@pytest.mark.parametrize("after", [-1, 0, 3, 30, 80])
def test_a_stream_that_broke_off_is_taken_up_behind_any_of_its_events(
    client: Client, after: int
) -> None:
    whole = ask(client, stream=True).events
    id = whole[0][1]["response"]["id"]
    again = ask(client, f"{RESPONSES}/{id}?stream=true&starting_after={after}")
    assert again.whole
    assert again.events == whole[after + 1 :]


def test_a_model_that_misbehaves_behaves_when_it_is_asked_again(client: Client) -> None:
    client.ask(RESPONSES, {"model": "demo-error-event", "input": "hello", "stream": True})
    client.wait(5)
    id = client.answer().events[0][1]["response"]["id"]
    again = ask(client, f"{RESPONSES}/{id}").json
    assert (again["id"], again["model"], again["status"]) == (id, "demo-error-event", "completed")


def test_a_response_that_must_not_be_kept_is_not_found(client: Client) -> None:
    response = ask(client, store=False).json
    assert response["store"] is False
    answer = ask(client, f"{RESPONSES}/{response['id']}")
    assert answer.status == 404
    assert "no response of that id" in answer.json["error"]["message"]


def test_a_number_to_start_after_that_is_none_is_refused(client: Client) -> None:
    id = ask(client).json["id"]
    answer = ask(client, f"{RESPONSES}/{id}?stream=true&starting_after=x")
    assert (answer.status, answer.json["error"]["param"]) == (400, "starting_after")


def test_only_the_last_responses_are_kept() -> None:
    store = ResponseStore(most=2)
    for id in ("a", "b", "c"):
        store.keep(answer(Prompt("demo", False, 1), MODELS["demo"], id, 0))
    with pytest.raises(Refusal):
        store.find("resp_a")
    assert [store.find(f"resp_{id}").id for id in ("b", "c")] == ["b", "c"]
