"""The simulated provider's chat completions and messages, its pace, its errors and its lists."""

from __future__ import annotations

import pytest

from gateway.demo.models import MODELS, TEXT, count_input

from .client import CHAT, MESSAGES, PROMPT, TOKENS, Answer, Client

SHOWN = [model.shows for model in MODELS.values()]


def ask_whole(client: Client, path: str, **content: object) -> Answer:
    """Ask, wait for the end of the answer, and look at it."""
    client.ask(path, {"model": "demo", **PROMPT, **content})
    client.wait(0.15 + 0.025 * (len(TOKENS) + 1))
    return client.answer()


def test_chat_stream_begins_with_the_role_and_ends_with_reason_and_done(client: Client) -> None:
    answer = ask_whole(client, CHAT, stream=True)
    assert answer.status == 200
    assert answer.fields["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.fields["x-request-id"].startswith("req_")
    names, data = zip(*answer.events, strict=True)
    assert set(names) == {None}
    *chunks, done = data
    assert answer.whole
    assert done == "[DONE]"
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(delta["content"] for delta in deltas[:-1]) == TEXT
    assert deltas[-1] == {}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {"demo"}


def test_chat_stream_has_no_usage_unless_asked_for(client: Client) -> None:
    answer = ask_whole(client, CHAT, stream=True)
    assert b"usage" not in answer.body


def test_chat_stream_tells_usage_in_a_chunk_of_its_own_when_asked(client: Client) -> None:
    answer = ask_whole(client, CHAT, stream=True, stream_options={"include_usage": True})
    *chunks, last, _ = [data for _, data in answer.events]
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == count_input(["hello"])
    assert last["usage"]["completion_tokens"] == len(TOKENS)
    assert last["usage"]["total_tokens"] == count_input(["hello"]) + len(TOKENS)


def test_chat_without_a_stream_is_one_object_with_usage(client: Client) -> None:
    answer = ask_whole(client, CHAT)
    assert answer.fields["content-type"] == "application/json"
    assert answer.whole
    assert answer.json["object"] == "chat.completion"
    choice = answer.json["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": TEXT, "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert answer.json["usage"]["completion_tokens"] == len(TOKENS)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_chat_honours_its_limit_and_says_so(client: Client, limit: str) -> None:
    answer = ask_whole(client, CHAT, **{limit: 5})
    choice = answer.json["choices"][0]
    assert choice["message"]["content"] == "I am a simulated model"
    assert choice["finish_reason"] == "length"
    assert answer.json["usage"]["completion_tokens"] == 5


def test_messages_stream_opens_and_closes_message_and_block(client: Client) -> None:
    answer = ask_whole(client, MESSAGES, stream=True, max_tokens=1000)
    assert answer.fields["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.fields["request-id"].startswith("req_")
    assert answer.whole
    events = answer.events
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * len(TOKENS),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(data["type"] == name for name, data in events)
    text = "".join(data["delta"]["text"] for name, data in events if name == "content_block_delta")
    assert text == TEXT


def test_messages_stream_tells_input_first_and_running_output_last(client: Client) -> None:
    answer = ask_whole(client, MESSAGES, stream=True, max_tokens=1000, system="Be good.")
    events = dict(answer.events)
    opened = events["message_start"]["message"]["usage"]
    assert opened["input_tokens"] == count_input(["hello", "Be good."])
    assert opened["cache_read_input_tokens"] == 0
    assert opened["output_tokens"] == 1
    assert events["message_delta"]["usage"] == {"output_tokens": len(TOKENS)}
    assert events["message_delta"]["delta"]["stop_reason"] == "end_turn"


def test_messages_without_a_stream_is_one_message(client: Client) -> None:
    answer = ask_whole(client, MESSAGES, max_tokens=5)
    assert answer.json["type"] == "message"
    assert answer.json["content"] == [{"type": "text", "text": "I am a simulated model"}]
    assert answer.json["stop_reason"] == "max_tokens"
    assert answer.json["usage"]["output_tokens"] == 5


def test_prompt_tokens_follow_the_length_of_all_text_in_parts_too(client: Client) -> None:
    parts = [{"type": "text", "text": "12345678"}, {"type": "image_url", "image_url": {}}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": None}]
    answer = ask_whole(client, CHAT, messages=messages)
    assert answer.json["usage"]["prompt_tokens"] == (2 + 4) + (0 + 4)


def test_nothing_of_the_prompt_is_echoed(client: Client) -> None:
    answer = ask_whole(client, CHAT, messages=[{"role": "user", "content": "xyzzy"}])
    assert b"xyzzy" not in answer.body


def test_the_first_token_comes_after_the_silence_and_the_rest_at_pace(client: Client) -> None:
    client.ask(CHAT, {"model": "demo", "stream": True, **PROMPT})
    client.wait(0.149)
    assert client.transport.value() == b""
    client.wait(0.002)
    assert len(client.answer().events) == 2  # the role and the first token
    client.wait(1.0)
    assert len(client.answer().events) == 2 + 40


def test_a_client_that_leaves_stops_the_timers() -> None:
    client = Client()
    client.ask(CHAT, {"model": "demo", "stream": True, **PROMPT})
    client.wait(0.5)
    seen = client.transport.value()
    client.leave()
    assert client.clock.getDelayedCalls() == []
    client.wait(1)
    assert client.transport.value() == seen


def test_a_connection_serves_one_answer_after_the_other(client: Client) -> None:
    ask_whole(client, CHAT, max_tokens=1)
    client.transport.clear()
    assert ask_whole(client, MESSAGES, max_tokens=1).json["stop_reason"] == "max_tokens"


def test_models_are_listed_as_openai_lists_them(client: Client) -> None:
    client.ask("/v1/models?limit=1000")
    listing = client.answer().json
    assert listing["object"] == "list"
    assert [model["id"] for model in listing["data"]] == list(MODELS)
    assert {model["object"] for model in listing["data"]} == {"model"}
    assert [model["description"] for model in listing["data"]] == SHOWN


def test_models_are_listed_as_anthropic_lists_them_to_those_who_name_its_version(
    client: Client,
) -> None:
    client.ask("/v1/models", anthropic_version="2023-06-01")
    listing = client.answer().json
    assert [model["id"] for model in listing["data"]] == list(MODELS)
    assert {model["type"] for model in listing["data"]} == {"model"}
    shown = [model["display_name"].partition(": ")[2] for model in listing["data"]]
    assert shown == SHOWN
    assert (listing["has_more"], listing["first_id"]) == (False, "demo")


@pytest.mark.parametrize(
    ("path", "fields"), [("/v1beta/models", {}), ("/v1/models", {"x_goog_api_key": "none"})]
)
def test_models_are_listed_as_gemini_lists_them_there_or_to_its_clients(
    client: Client, path: str, fields: dict[str, str]
) -> None:
    client.ask(path, **fields)
    models = client.answer().json["models"]
    assert [model["name"] for model in models] == [f"models/{name}" for name in MODELS]
    assert [model["description"] for model in models] == SHOWN


def test_models_are_listed_as_ollama_lists_them(client: Client) -> None:
    client.ask("/api/tags")
    models = client.answer().json["models"]
    assert [model["model"] for model in models] == list(MODELS)


#: Requests that are refused: what differs from a good one, the status, and what the error names.
REFUSED = [
    ({"model": "gpt-none"}, 404, ", ".join(MODELS)),
    ({"model": None}, 400, "model"),
    ({"messages": []}, 400, "messages"),
    ({"messages": "hello"}, 400, "messages"),
    ({"max_tokens": 0}, 400, "max_tokens"),
    ({"stream": "yes"}, 400, "stream"),
]


@pytest.mark.parametrize(("change", "status", "named"), REFUSED)
def test_openai_refusals_have_its_shape_and_name_the_fault(
    client: Client, change: dict[str, object], status: int, named: str
) -> None:
    client.ask(CHAT, {"model": "demo", **PROMPT, **change})
    answer = client.answer()
    assert answer.status == status
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert named in answer.json["error"]["message"]


@pytest.mark.parametrize(("change", "status", "named"), REFUSED)
def test_anthropic_refusals_have_its_shape_and_name_the_fault(
    client: Client, change: dict[str, object], status: int, named: str
) -> None:
    client.ask(MESSAGES, {"model": "demo", "max_tokens": 9, **PROMPT, **change})
    answer = client.answer()
    assert answer.status == status
    assert answer.json["type"] == "error"
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    assert answer.json["error"]["type"] == kind
    assert named in answer.json["error"]["message"]
    assert answer.json["request_id"] == answer.fields["request-id"]


@pytest.mark.parametrize(
    ("path", "content", "missing"),
    [
        (CHAT, {"model": "demo"}, "messages"),
        (CHAT, PROMPT, "model"),
        (MESSAGES, {"model": "demo", **PROMPT}, "max_tokens"),
    ],
)
def test_a_missing_field_is_named(
    client: Client, path: str, content: dict[str, object], missing: str
) -> None:
    client.ask(path, content)
    answer = client.answer()
    assert answer.status == 400
    assert f"missing required field `{missing}`" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"model": "\xff"}', b"\x00", b'{"a":' + b"[" * 9999]
)
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_body_that_is_no_json_object_is_a_400(client: Client, path: str, body: bytes) -> None:
    client.ask(path, body)
    answer = client.answer()
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_an_unknown_path_is_a_404_that_names_the_known_ones(client: Client) -> None:
    client.ask("/v1/nothing")
    answer = client.answer()
    assert answer.status == 404
    assert CHAT in answer.json["error"]["message"]


def test_a_wrong_method_is_a_405_that_names_the_right_one(client: Client) -> None:
    client.ask(CHAT, method="GET")
    answer = client.answer()
    assert (answer.status, answer.fields["allow"]) == (405, "POST")
