"""What an upstream said after the commit is told in one error event, in its own words."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.config.model import Family
from tests.world import CHAT, MESSAGES, UPSTREAM, World


def answered(family: Family, request: bytes, status: int, body: bytes) -> bytes:
    """The last event of a stream that a beat began and an error answer ended."""
    world = World(replace(UPSTREAM, family=family), keepalive_after=1.0)
    client = world.client().send(request)
    world.clock.advance(1.5)
    head = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    world.up.deliver(head + body)
    response = client.response()
    assert response.whole
    assert world.record.error == "http_error"
    assert world.record.status_upstream == status
    return response.body.split(b"\n\n")[-2]


def test_an_openai_error_keeps_its_type_code_words_and_status() -> None:
    """K3: clients decide by the code whether to try again."""
    told = {"message": "too long", "type": "invalid_request_error", "code": "context_length"}
    event = answered(Family.OPENAI, CHAT, 400, json.dumps({"error": told}).encode())
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert error == {**told, "param": None, "status": 400}


def test_an_anthropic_error_keeps_its_type_words_and_status() -> None:
    """K3: 529 is Anthropic's own status for overload."""
    told = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    event = answered(Family.ANTHROPIC, MESSAGES, 529, json.dumps(told).encode())
    name, data = event.split(b"\n")
    assert name == b"event: error"
    error = json.loads(data.removeprefix(b"data: "))["error"]
    assert error == {"type": "overloaded_error", "message": "Overloaded", "status": 529}


def test_words_are_cut_only_after_secrets_were_taken_out_of_them() -> None:
    """H8: half of a key is not known any more."""
    long = "x" * 980 + " canary-of-the-client-5ac1e0 " + "y" * 5000
    event = answered(Family.OPENAI, CHAT, 500, json.dumps({"error": {"message": long}}).encode())
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert len(error["message"]) == 1000
    assert "canary" not in error["message"]
