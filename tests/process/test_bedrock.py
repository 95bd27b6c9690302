"""Amazon's own reader of event streams, botocore, behind a gateway's process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import pytest

from gateway.demo.models import TEXT, split
from tests.dialects.test_bedrock import USAGE, event
from tests.process.gateway_process import GatewayProcess, Row
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send
from tests.world import LAST, chunked

pytest.importorskip("botocore", reason="botocore is in the extra test")

from botocore import exceptions
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch
from botocore.session import Session
from urllib3.exceptions import ProtocolError

TOKENS = split(TEXT)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
DELTA = event("contentBlockDelta", {"delta": {"text": "Hi"}, "contentBlockIndex": 0})
WHOLE = (
    event("messageStart", {"role": "assistant"})
    + DELTA * 3
    + event("messageStop", {"stopReason": "end_turn"})
    + event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})
)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


#: What breaks off, and what the row says then.
BREAKS_OFF: Final = {
    "demo-cut": "truncated",
    "demo-reset": "reset",
    "demo-bad-chunk": "malformed",
}
#: What is streamed by the simulated provider at its own pace, and asked for all at once.
PACED: Final = ("demo", *BREAKS_OFF, "demo-error-event")


def runtime(url: str, name: str = "") -> Any:
    """A client of Bedrock's runtime; `name` is told in its User-Agent."""
    session = Session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    config = Config(retries={"total_max_attempts": 1}, read_timeout=60, user_agent_extra=name)
    return session.create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=config
    )


def conversed(url: str, model: str = "demo") -> Iterator[dict[str, Any]]:
    """The events of a stream of Converse, as they come."""
    messages = [{"role": "user", "content": [{"text": "hello"}]}]
    answer = runtime(url, "conversed").converse_stream(modelId=model, messages=messages)
    yield from answer["stream"]


def invoked(url: str, model: str = "demo") -> Iterator[dict[str, Any]]:
    """The model's own events of a stream of Invoke."""
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "hello"}],
    }
    answer = runtime(url, "invoked").invoke_model_with_response_stream(
        modelId=model, body=json.dumps(body)
    )
    for chunk in answer["body"]:
        yield json.loads(chunk["chunk"]["bytes"])


Ask = Callable[..., Iterator[dict[str, Any]]]
ASKS: Final[tuple[Ask, ...]] = (conversed, invoked)


class Heard(NamedTuple):
    """The events of a stream, what reading it raised, and its row."""

    events: list[dict[str, Any]]
    error: Exception | None
    row: Row


Streams = dict[tuple[Ask, str], Heard]


def read(events: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], Exception | None]:
    """All events, and what ended them if it was not their end."""
    found = []
    try:
        for each in events:
            found.append(each)
    except (ProtocolError, exceptions.EventStreamError) as error:
        return found, error
    return found, None


@pytest.fixture(scope="module")
def streams(module_gateway: GatewayProcess) -> Streams:
    """What came of each of `PACED`, asked for in each way."""
    module_gateway.forget_rows()
    cells = [(ask, model) for ask in ASKS for model in PACED]
    with ThreadPoolExecutor(len(cells)) as pool:
        url = f"{module_gateway.url}/demo"
        came = list(pool.map(lambda cell: read(cell[0](url, cell[1])), cells))
    rows = module_gateway.new_rows(len(cells))
    found = {}
    for (ask, model), (events, error) in zip(cells, came, strict=True):
        [row] = [
            row
            for row in rows
            if row["model_requested"] == model and ask.__name__ in str(row["user_agent"])
        ]
        found[ask, model] = Heard(events, error, row)
    return found


def test_a_stream_of_converse_is_read_by_botocore_and_metered(streams: Streams) -> None:
    """A8, E9: it checks each CRC."""
    events, error, row = streams[conversed, "demo"]
    assert error is None
    deltas = [e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e]
    assert "".join(deltas) == TEXT
    usage = events[-1]["metadata"]["usage"]
    assert (row["dialect"], row["outcome"], row["model_requested"]) == (
        "bedrock",
        "finished",
        "demo",
    )
    assert (row["input_tokens"], row["output_tokens"]) == (usage["inputTokens"], len(TOKENS))
    assert row["stop_reason"] == "end_turn"
    assert str(row["upstream_request_id"]).startswith("req_")


def test_a_stream_of_invoke_is_read_by_botocore_and_metered(streams: Streams) -> None:
    """A8, E9: with the model's own events within."""
    events, error, row = streams[invoked, "demo"]
    assert error is None
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert (row["outcome"], row["stop_reason"]) == ("finished", "end_turn")
    assert (row["input_tokens"], row["output_tokens"]) == (
        metrics["inputTokenCount"],
        metrics["outputTokenCount"],
    )


def test_answers_in_one_piece_are_read_by_botocore_and_metered(gateway: GatewayProcess) -> None:
    """A8: of Converse."""
    messages = [{"role": "user", "content": [{"text": "hello"}]}]
    answer = runtime(gateway.url + "/demo").converse(modelId="demo", messages=messages)
    assert answer["output"]["message"]["content"][0]["text"] == TEXT
    (row,) = gateway.new_rows()
    assert (row["outcome"], row["output_tokens"]) == ("finished", len(TOKENS))


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("model", BREAKS_OFF)
def test_a_stream_that_breaks_off_raises(streams: Streams, ask: Ask, model: str) -> None:
    """E3, E7, E9: behind what had come; botocore lets the HTTP library's own error through."""
    events, error, row = streams[ask, model]
    assert events
    assert isinstance(error, ProtocolError)
    assert (row["outcome"], row["error"]) == ("upstream_failed", BREAKS_OFF[model])


@pytest.mark.parametrize("ask", ASKS)
def test_an_exception_in_mid_stream_raises_and_the_row_says_so(streams: Streams, ask: Ask) -> None:
    """E5, E9: the provider's own words, once."""
    _, error, row = streams[ask, "demo-error-event"]
    assert isinstance(error, exceptions.EventStreamError)
    assert "simulated provider failed" in str(error)
    assert (row["outcome"], row["error"]) == ("upstream_failed", "provider_error_event")
    assert str(row["error_detail"]).startswith("modelStreamErrorException: The simulated")


@pytest.mark.parametrize(
    ("model", "code", "status"),
    [
        ("demo-error-500", "InternalServerException", 500),
        ("demo-overloaded", "ThrottlingException", 429),
        ("none", "ResourceNotFoundException", 404),
    ],
)
def test_an_error_in_place_of_a_stream_has_its_name(
    gateway: GatewayProcess, model: str, code: str, status: int
) -> None:
    """E9: before the head."""
    with pytest.raises(exceptions.ClientError) as raised:
        list(conversed(gateway.url + "/demo", model))
    assert raised.value.response["Error"]["Code"] == code
    (row,) = gateway.new_rows()
    assert (row["outcome"], row["status_sent"], row["error_detail"]) == ("finished", status, None)


def play(upstream: ScriptedUpstream, body: bytes) -> str:
    """Let the upstream answer with this body, whole by HTTP; returns the path of its API."""
    upstream.play(read_request, send(HEAD + CHUNKED, chunked(body), LAST))
    return "/v1"


def test_a_damaged_frame_raises_and_the_row_tells_which(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """A10: byte for byte, also where the bytes are wrong."""
    damaged = bytearray(WHOLE)
    damaged[WHOLE.index(DELTA) + len(DELTA) - 6] ^= 1
    with pytest.raises(ChecksumMismatch):
        list(conversed(gateway.url + play(upstream, bytes(damaged))))
    (row,) = gateway.new_rows()
    assert row["outcome"] == "finished"
    assert row["error_detail"] == (
        "frame 2 of the event stream has a CRC that does not fit it, and was not read"
    )
    assert row["output_tokens"] == 12


def test_a_body_that_ends_inside_a_frame_is_told_of(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """E7: whole as HTTP goes, so it is passed on as it is; no SDK notices, the row does."""
    events = list(conversed(gateway.url + play(upstream, WHOLE[:-5])))
    assert "metadata" not in events[-1]
    (row,) = gateway.new_rows()
    assert (row["outcome"], row["output_tokens"]) == ("finished", None)
    assert row["error_detail"] == "frame 6 of the event stream has not come to its end"
