"""The simulated provider: the real channel of twisted.web, a transport in memory and a fake clock.

The last tests ask it over a real socket with the vendors' own SDKs, which are the best judges of
the shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import anthropic
import openai
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from gateway.demo import demo_site
from gateway.demo.models import MODELS, TEXT, count_input, split

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
PROMPT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
TOKENS = split(TEXT)


@dataclass(frozen=True)
class Answer:
    """A response as it stood on the transport when it was looked at."""

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool  #: the framing says that the body has ended

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str | None, Any]]:
        """Name and data of each event; data that is not JSON as it stands."""
        found: list[tuple[str | None, Any]] = []
        for block in self.body.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = fields["data"]
            found.append((fields.get("event"), json.loads(data) if data[0] == "{" else data))
        return found


class Client:
    """A client on a connection of its own to a provider of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self._channel = demo_site(self.clock).buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self._channel.makeConnection(self.transport)

    def ask(
        self, path: str, content: object = None, *, method: str | None = None, **fields: str
    ) -> None:
        """Send a request: a GET, or a POST if there is content."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if content is None:
            body = b""
        method = method or ("POST" if body else "GET")
        lines = [f"{method} {path} HTTP/1.1", "Host: demo", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self._channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self) -> Answer:
        """What has come back so far."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if fields.get("transfer-encoding") == "chunked":
            return Answer(int(first.split()[1]), fields, *_unchunked(body))
        whole = len(body) == int(fields["content-length"])
        return Answer(int(first.split()[1]), fields, body, whole)

    def wait(self, seconds: float) -> None:
        """Let time pass, from one call that is due to the next."""
        end = self.clock.seconds() + seconds
        while due := [t for call in self.clock.getDelayedCalls() if (t := call.getTime()) <= end]:
            self.clock.advance(min(due) - self.clock.seconds())
        self.clock.advance(end - self.clock.seconds())

    def leave(self) -> None:
        """Close the connection from the client's side."""
        self._channel.connectionLost(Failure(ConnectionDone()))


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body, and whether its last chunk was there."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        if size == b"0":
            return content, body == b"\r\n"
        content += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return content, False


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that leaves at the end; whatever it did, no timer may be left then."""
    client = Client()
    yield client
    client.leave()
    assert client.clock.getDelayedCalls() == []


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


def test_a_slow_start_is_silent_before_its_head_and_then_like_the_others(client: Client) -> None:
    client.ask(CHAT, {"model": "demo-slow-start", "stream": True, **PROMPT})
    client.wait(5.9)
    assert client.transport.value() == b""
    client.wait(2.5)
    assert client.answer().whole


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_cut_stream_breaks_off_after_some_tokens_without_an_end(
    client: Client, path: str
) -> None:
    client.ask(path, {"model": "demo-cut", "stream": True, "max_tokens": 1000, **PROMPT})
    client.wait(3)
    answer = client.answer()
    assert client.transport.disconnected
    assert not answer.whole
    assert 10 < len(answer.events) < len(TOKENS)
    assert b"[DONE]" not in answer.body
    assert b"message_stop" not in answer.body


def test_a_cut_body_breaks_off_before_its_length(client: Client) -> None:
    client.ask(CHAT, {"model": "demo-cut", **PROMPT})
    client.wait(3)
    answer = client.answer()
    assert client.transport.disconnected
    assert 0 < len(answer.body) < int(answer.fields["content-length"])


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


def test_models_are_listed_as_anthropic_lists_them_to_those_who_name_its_version(
    client: Client,
) -> None:
    client.ask("/v1/models", anthropic_version="2023-06-01")
    listing = client.answer().json
    assert [model["id"] for model in listing["data"]] == list(MODELS)
    assert {model["type"] for model in listing["data"]} == {"model"}
    assert (listing["has_more"], listing["first_id"]) == (False, "demo")


#: Requests that are refused: what differs from a good one, the status, and what the error names.
REFUSED = [
    ({"model": "gpt-none"}, 404, "demo, demo-slow-start, demo-cut"),
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


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "\xff"}', b"\x00"])
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


def _ask_openai(root: str) -> tuple[str, str | None]:
    """What OpenAI's SDK makes of a stream of five tokens: its text and why it ended."""
    with openai.OpenAI(base_url=f"{root}/v1", api_key="none", max_retries=0) as sdk:
        chunks = sdk.chat.completions.create(
            model="demo",
            stream=True,
            max_tokens=5,
            messages=[{"role": "user", "content": "hello"}],
        )
        choices = [chunk.choices[0] for chunk in chunks]
    return "".join(c.delta.content or "" for c in choices), choices[-1].finish_reason


def _ask_anthropic(root: str) -> tuple[str, str | None]:
    """What Anthropic's SDK makes of a stream of five tokens: its text and why it ended."""
    with (
        anthropic.Anthropic(base_url=root, api_key="none", max_retries=0) as sdk,
        sdk.messages.stream(
            model="demo", max_tokens=5, messages=[{"role": "user", "content": "hello"}]
        ) as stream,
    ):
        return stream.get_final_text(), stream.get_final_message().stop_reason


@pytest.mark.parametrize(
    ("ask", "reason"), [(_ask_openai, "length"), (_ask_anthropic, "max_tokens")]
)
async def test_the_vendors_sdk_understands_a_stream(
    ask: Callable[[str], tuple[str, str | None]], reason: str
) -> None:
    from twisted.internet import reactor

    internet = cast(Any, reactor)
    port = internet.listenTCP(0, demo_site(internet), interface="127.0.0.1")
    try:
        heard = await deferToThread(ask, f"http://127.0.0.1:{port.getHost().port}")
    finally:
        await port.stopListening()
    assert heard == ("I am a simulated model", reason)
