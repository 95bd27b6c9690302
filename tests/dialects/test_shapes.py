"""What the gateway says itself: errors before and after the head, and into silences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.model import Family
from gateway.dialects import ProviderError, for_request, provider_error
from gateway.dialects.base import Dialect, Standing, Trouble
from gateway.record import ErrorCode
from gateway.sse import EventScanner, parse

CHAT = for_request(Family.OPENAI, b"/v1/chat/completions")
MESSAGES = for_request(Family.ANTHROPIC, b"/v1/messages")
GEMINI = for_request(Family.GEMINI, b"/v1beta/models/m:streamGenerateContent")
UNKNOWN = for_request(Family.GEMINI, b"/v1beta/models/m")
ALL = [CHAT, MESSAGES, GEMINI]

CUT = Trouble(502, ErrorCode.TRUNCATED, "upstream closed")


def test_openai_errors_have_openais_shape() -> None:
    """E3: an event of data alone; the official SDKs raise at its ``error``."""
    body = (
        b'{"error":{"message":"upstream closed","type":"server_error",'
        b'"param":null,"code":"truncated"}}'
    )
    assert CHAT.error_body(CUT) == body
    event = b"data: %b\n\n" % body.replace(b'"truncated"', b'"truncated","status":502')
    assert CHAT.error_event(CUT) == event


def test_anthropic_errors_have_anthropics_shape() -> None:
    """E3: a named event; without the name it would be ignored."""
    body = b'{"type":"error","error":{"type":"api_error","message":"upstream closed"}}'
    assert MESSAGES.error_body(CUT) == body
    event = b"event: error\ndata: %b\n\n" % body.replace(b'closed"', b'closed","status":502')
    assert MESSAGES.error_event(CUT) == event


def test_gemini_errors_have_googles_shape() -> None:
    """E3: an event without a name, with lines ended as Gemini ends them."""
    body = b'{"error":{"code":502,"message":"upstream closed","status":"UNAVAILABLE"}}'
    assert GEMINI.error_body(CUT) == body
    assert GEMINI.error_event(CUT) == b"data: " + body + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "openai", "anthropic", "google"),
    [
        (400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "authentication_error", "UNAUTHENTICATED"),
        (402, "invalid_request_error", "billing_error", "INVALID_ARGUMENT"),
        (403, "permission_error", "permission_error", "PERMISSION_DENIED"),
        (404, "invalid_request_error", "not_found_error", "NOT_FOUND"),
        (409, "invalid_request_error", "conflict_error", "ABORTED"),
        (413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
        (418, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "server_error", "api_error", "INTERNAL"),
        (502, "server_error", "api_error", "UNAVAILABLE"),
        (503, "server_error", "overloaded_error", "UNAVAILABLE"),
        (504, "server_error", "timeout_error", "DEADLINE_EXCEEDED"),
        (529, "server_error", "overloaded_error", "UNAVAILABLE"),
    ],
)
def test_the_type_of_an_error_follows_from_its_status(
    status: int, openai: str, anthropic: str, google: str
) -> None:
    """E1, E2: in the words of each family."""
    trouble = Trouble(status, ErrorCode.HTTP_ERROR, "x")
    assert json.loads(CHAT.error_body(trouble))["error"]["type"] == openai
    assert json.loads(MESSAGES.error_body(trouble))["error"]["type"] == anthropic
    assert json.loads(GEMINI.error_body(trouble))["error"]["status"] == google


@pytest.mark.parametrize(
    ("dialect", "member"), [(CHAT, "type"), (MESSAGES, "type"), (GEMINI, "status")]
)
def test_the_providers_own_type_and_words_are_kept(dialect: Dialect, member: str) -> None:
    """K3: clients' retries read them."""
    trouble = Trouble(400, ErrorCode.HTTP_ERROR, "prompt is too long", kind="context_length")
    error = json.loads(dialect.error_body(trouble))["error"]
    assert (error[member], error["message"]) == ("context_length", "prompt is too long")


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    "message",
    [
        'quotes " and \\ and {"braces"}',
        "lines\r\nand\ndata: [DONE]\n\n",
        "Grüße \u2028 \x85 \x00 🙂",
    ],
)
def test_an_error_event_is_one_event_whatever_the_message(dialect: Dialect, message: str) -> None:
    """E3: no text of an upstream's ends or begins an event."""
    event = dialect.error_event(Trouble(502, ErrorCode.MALFORMED, message))
    assert event.isascii()
    scanner = EventScanner()
    assert scanner.feed(event) == event
    assert scanner.events == 1
    ((_, data),) = parse(event)
    assert json.loads(data)["error"]["message"] == message


@pytest.mark.parametrize("dialect", ALL)
def test_half_a_surrogate_pair_in_a_message_is_replaced(dialect: Dialect) -> None:
    """E3: strict parsers refuse it even as an escape."""
    body = dialect.error_body(Trouble(502, ErrorCode.MALFORMED, "a\ud83d", kind="b\udc80"))
    assert b"\\ud" not in body
    assert json.loads(body)["error"]["message"] == "a?"


@pytest.mark.parametrize("dialect", ALL)
def test_an_error_event_is_not_a_terminal_one(dialect: Dialect) -> None:
    """E3: it forges no end, and a meter behind another gateway takes it for an error."""
    event = dialect.error_event(CUT)
    assert b"[DONE]" not in event
    assert b"message_stop" not in event
    if dialect.inspects:
        meter = dialect.stream_meter()
        meter.feed(event)
        reading = meter.reading()
        assert reading.error is not None
        assert "upstream closed" in reading.error


# ---- keepalives ----


@pytest.mark.parametrize(
    ("dialect", "after_id", "beat"),
    [
        (CHAT, False, b": keepalive\n\n"),
        (CHAT, True, b": keepalive\n"),
        (MESSAGES, False, b'event: ping\ndata: {"type": "ping"}\n\n'),
        (MESSAGES, True, b'event: ping\ndata: {"type": "ping"}\n\n'),
        (GEMINI, False, b"\n"),
        (GEMINI, True, b"\n"),
        (UNKNOWN, False, b""),
    ],
)
@pytest.mark.parametrize("started", [False, True])
def test_the_shape_of_a_beat(dialect: Dialect, after_id: bool, beat: bytes, started: bool) -> None:
    """K4: what the official SDKs accept between any two events."""
    assert dialect.keepalive(Standing(started=started, after_id=after_id)) == beat


@pytest.mark.parametrize("dialect", ALL)
def test_a_beat_tells_a_meter_nothing(dialect: Dialect) -> None:
    """K9: beats are no tokens and no end."""
    meter = dialect.stream_meter()
    before = meter.reading()
    meter.feed(dialect.keepalive(Standing(started=True, after_id=False)))
    assert (meter.reading(), meter.complete) == (before, False)


# ---- endpoints that are not metered ----


def test_an_endpoint_that_is_not_known_is_complete_when_http_says_so() -> None:
    """E6: there is nothing else to go by."""
    for meter in (UNKNOWN.stream_meter(), UNKNOWN.body_meter()):
        meter.feed(b'data: {"usageMetadata":{"promptTokenCount":1}}\n\n')
        assert not meter.complete
        meter.end()
        assert meter.complete
        assert meter.reading().usage_raw is None


# ---- providers' words ----


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"error": {"message": "m", "type": "invalid_request_error", "code": "c"}},
            ProviderError("invalid_request_error", "m", "c"),
        ),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            ProviderError("overloaded_error", "m"),
        ),
        (
            {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
            ProviderError("UNAVAILABLE", "m"),
        ),
        ([{"error": {"code": 400, "message": "m"}}], ProviderError(None, "m")),
        ({"error": {"code": "c", "type": None}}, ProviderError("c", None, "c")),
        ({"error": "m"}, ProviderError(None, "m")),
        ({"message": "m"}, ProviderError(None, "m")),
        ({"detail": "Not Found"}, ProviderError(None, "Not Found")),
        ({"detail": [{"loc": []}]}, ProviderError()),
        ({"error": 7}, ProviderError()),
        ([], ProviderError()),
        ("text", ProviderError()),
    ],
)
def test_a_providers_own_words_are_found_in_every_familys_shape(
    body: Any, expected: ProviderError
) -> None:
    """K3: so that they can be said again in an error event."""
    assert provider_error(json.dumps(body).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b'{"error": ', b"[" * 100_000])
def test_a_body_that_is_no_json_has_no_words(body: bytes) -> None:
    """K3: an HTML page is nobody's error message."""
    assert provider_error(body) == ProviderError()


def test_the_records_keep_an_errors_words_in_one_line_of_bounded_length() -> None:
    """E5: whatever the provider writes."""
    assert str(ProviderError("a", "b\n c\r\n")) == "a: b c"
    assert len(str(ProviderError("a", "b" * 9999))) == 4000
    assert str(ProviderError()) == "an error without type and message"
