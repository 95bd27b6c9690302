"""Dialects other than chat and messages on their way through an exchange."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.record import Usage
from gateway.sse import parse
from tests.dialects.streams import CREATED, DELTAS, IMAGE_USAGE, RESPONSE_USAGE, completed, image
from tests.matrix.dialects import WAYS
from tests.world import LAST, SSE_HEAD, UPSTREAM, World, chunked, post

RESPONSES = post("/v1/responses", b'{"model":"m","stream":true,"input":"x"}')
IMAGES = post("/v1/images/generations", b'{"model":"m","stream":true,"prompt":"x"}')


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_response_with_long_instructions_finishes(size: int) -> None:
    """A8: its last event may be longer than what is held back of any."""
    world = World()
    client = world.client().send(RESPONSES)
    last = completed(instructions="x" * size)
    stream = CREATED + DELTAS + last
    pieces = [stream[i : i + 16384] for i in range(0, len(stream), 16384)]
    world.up.deliver(SSE_HEAD)
    for piece in pieces:
        world.up.deliver(chunked(piece))
    world.up.deliver(LAST)
    response = client.response()
    assert response.whole
    assert response.body == stream
    assert (world.record.outcome, world.record.stop_reason) == ("finished", "completed")
    assert world.record.intent.dialect == "openai_responses"
    assert world.record.usage.input_tokens == RESPONSE_USAGE["input_tokens"]


def test_an_image_of_more_than_is_held_finishes() -> None:
    """D3, A8: one event of 300 kB."""
    world = World()
    client = world.client().send(IMAGES)
    stream = image("x" * 300_000)
    world.up.deliver(SSE_HEAD)
    for at in range(0, len(stream), 16384):
        world.up.deliver(chunked(stream[at : at + 16384]))
    world.up.deliver(LAST)
    assert client.response().body == stream
    assert world.record.outcome == "finished"
    assert world.record.usage.output_tokens == IMAGE_USAGE["output_tokens"]


def test_a_response_that_is_cut_ends_in_two_events_that_go_on_from_it() -> None:
    """E3: with its id and the next numbers, and nothing that looks like a good end."""
    world = World()
    client = world.client().send(RESPONSES)
    world.up.deliver(SSE_HEAD + chunked(CREATED + DELTAS))
    world.up.reset()
    response = client.response()
    assert response.whole
    assert response.body.startswith(CREATED + DELTAS)
    events = list(parse(response.body.removeprefix(CREATED + DELTAS)))
    assert [name for name, _ in events] == [b"error", b"response.failed"]
    told = [json.loads(data) for _, data in events]
    assert [data["sequence_number"] for data in told] == [4, 5]
    assert told[1]["response"]["id"] == "resp_7"
    assert (world.record.outcome, world.record.stop_reason) == ("upstream_failed", "incomplete")


STREAMED = WAYS["bedrock"]
AWS_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def bedrock() -> World:
    return World(replace(UPSTREAM, family=STREAMED.family))


def test_an_exception_in_an_aws_event_stream_is_passed_on_and_the_row_says_so() -> None:
    """E5: as an error event in any other stream is."""
    world = bedrock()
    client = world.client().send(STREAMED.request)
    assert STREAMED.error_piece is not None
    sent = STREAMED.pieces[0] + STREAMED.error_piece
    world.up.deliver(AWS_HEAD + chunked(sent) + LAST)
    assert (client.response().body, client.response().whole) == (sent, True)
    record = world.record
    assert (record.outcome, record.error) == ("upstream_failed", "provider_error_event")
    assert record.error_detail == "throttlingException: It broke."
    assert record.stop_reason == "incomplete"


def test_an_aws_event_stream_that_is_cut_is_incomplete() -> None:
    """E7, E8: it is broken off, since nothing can be said into it."""
    world = bedrock()
    client = world.client().send(STREAMED.request)
    world.up.deliver(AWS_HEAD + chunked(*STREAMED.pieces[:2]))
    world.up.reset()
    assert client.wire.aborted
    assert (world.record.outcome, world.record.stop_reason) == ("upstream_failed", "incomplete")


def test_an_error_in_a_body_that_was_not_to_be_streamed_is_its_content() -> None:
    """E5: a response that failed, asked for by its id, say."""
    world = World()
    client = world.client().send(post("/v1/responses", b'{"model":"m","input":"x"}'))
    body = b'{"id":"resp_7","status":"failed","error":{"code":"server_error","message":"no"}}'
    world.up.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert client.response().body == body
    assert (world.record.outcome, world.record.stop_reason) == ("finished", "failed")


@pytest.mark.parametrize("replay", [True, False])
def test_a_record_says_which_answer_it_was_and_whether_it_was_one_given_before(
    replay: bool,
) -> None:
    """A11: by that the ledger knows that it is billed already."""
    world = World()
    again = b"GET /v1/responses/resp_7?stream=true HTTP/1.1\r\nHost: gw.test\r\n\r\n"
    client = world.client().send(again if replay else RESPONSES)
    world.up.deliver(SSE_HEAD + chunked(CREATED + DELTAS + completed()) + LAST)
    assert client.response("GET" if replay else "POST").whole
    assert (world.record.response_id, world.record.replay) == ("resp_7", replay)
    assert world.record.usage_source == "provider"


def test_usage_of_which_nothing_is_known_has_no_source() -> None:
    """A8: a provider that sends an empty object has told nothing."""
    world = World()
    world.client().send(RESPONSES)
    world.up.deliver(SSE_HEAD + chunked(CREATED + DELTAS + completed(usage={})) + LAST)
    assert world.record.outcome == "finished"
    assert (world.record.usage, world.record.usage_source) == (Usage(), "none")
