"""Redaction: no secret in any text, whoever wrote it, and little lost of what is none."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.config import load
from gateway.journal import StreamObserver
from gateway.record import Intent, Outcome, Phase, Record
from gateway.redact import (
    FOREIGN_INTENT_TEXTS,
    FOREIGN_RECORD_TEXTS,
    HIDDEN,
    Redactor,
    redacting,
)

#: A key of the gateway's own, in no vendor's form and with characters that have to be escaped.
OWN = "canary/own'\"\\+key"
#: A credential of a client's, in a vendor's form and in none.
KEY = "sk-canary-AbC123_xyz"
ODD = "canary7odd"

redactor = Redactor([OWN])


# What is found in any text.


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "authorization:Bearer {}\r\nHost: h",
        "Authorization: Basic {}=",
        "Authorization: {}",
        "x-api-key: {}",
        "X-Goog-Api-Key={}",
        "api-key: {}",
        "{{'x-api-key': '{}'}}",
        '{{"x-api-key": "{}", "b": 1}}',
        r'"{{\"x-api-key\":\"{}\"}}"',
        "[(b'X-Api-Key', b'{}'), (b'Host', b'h')]",
        "Headers({{'x-api-key': [b'{}']}})",
        r"b'GET / HTTP/1.1\r\nx-api-key: {}\r\nHost: h'",
        r"b'GET / HTTP/1.1\r\nAuthorization: Bearer {}\r\nHost: h'",
        "the token in 'Bearer {}' is unknown",
        "got bearer {}, which is unknown",
        "GET /v1beta/models?key={}",
        "GET /v1beta/models?alt=sse&key={}&x=y",
        "<a href='https://h/?a=b&amp;key={}'>",
        "https://h/?access_token={}#x",
        "https://user:{}@host/path",
        "https://{}@host/path",
        "Incorrect API key provided: {}.",
        "invalid api_key: {} (status 401)",
        "api key is: {}",
        "AZURE_OPENAI_API_KEY={}",
        'openai(api_key="{}")',
        "password={}",
        "client_secret: {}",
    ],
)
@pytest.mark.parametrize("secret", [KEY, ODD])
def test_what_is_named_as_a_credential_is_taken_out(text: str, secret: str) -> None:
    """H8: a client's credential reaches no output."""
    clean = redactor.redact(text.format(secret))
    assert "canary" not in clean
    assert HIDDEN in clean
    assert redactor.redact(clean) == clean


@pytest.mark.parametrize(
    "key",
    [
        "sk-canary",
        "sk-ant-api03-canary_-canary",
        "sk-proj-canary",
        "AIzaSycanarycanarycanarycanarycanary0",
        "AQ.Ab8canarycanarycanarycanary",
        "ya29.canarycanarycanarycanary",
        "gsk_canarycanarycanarycanary",
        "xai-canarycanarycanarycanary",
        "hf_canarycanarycanarycanary",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canarycanary",
    ],
)
@pytest.mark.parametrize(
    "text", ["{}", "model {} is unknown", "({}).", "x%3D{}&", r"'\n{}\n'", "a:{},b", "env_{}"]
)
def test_what_has_the_form_of_a_vendor_s_key_is_taken_out(key: str, text: str) -> None:
    """H8: wherever it was pasted."""
    clean = redactor.redact(text.format(key))
    assert clean == text.format(HIDDEN)


@pytest.mark.parametrize(
    "masked",
    [
        "sk-can***",
        "sk-can**********************nary",
        "sk-proj-can...nary",
        "sk-can…nary",
        "sk-•••••••nary",
        "AIzaSycan****************nary",
        "can*****nary",
        "*****nary",
        "canary****",
    ],
)
def test_what_somebody_else_has_masked_is_taken_out_whole(masked: str) -> None:
    """H8: the ends of a key that an upstream leaves to be read are a part of it."""
    text = "Incorrect key given: {}. You can find yours at https://example.com/keys."
    assert redactor.redact(text.format(masked)) == text.format(HIDDEN)


def test_a_signature_is_taken_out() -> None:
    text = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/x, Signature="
    assert "0123456789" not in redactor.redact(text + "0123456789abcdef" * 4)


FINE = [
    "finished 200 POST /v1/chat/completions model=gpt-9 tokens=9/3 events=4 total=1.204s id=0193f2",
    "no route of the gateway's configuration takes the path /v1/keys",
    "gateway.ini:4: [upstream a] api_key: this is not a reference, and a key itself never goes "
    "into a file, write env:NAME, file:/path or credential:NAME",
    "gateway.ini:5: [upstream a] api_key: the secret's file cannot be read (No such file or "
    "directory), make it readable or name another",
    "write one such as x-api-key or Authorization: Bearer",
    "write one such as https://api.openai.com or http://127.0.0.1:8000",
    "Missing bearer token, or Bearer authentication failed",
    "Missing API key, set one",
    "x-api-key header is required",
    "invalid x-api-key",
    "task-force risk-averse disk-full sk-x",
    "deepseek-r1 hf_transfer xai-grok mistral-large",
    "**bold** and a ** b",
    "max_tokens is too large: 100000",
    '{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}',
    "listening on tcp:8080:interface=127.0.0.1",
    "mail to someone@example.org",
    "",
]


@pytest.mark.parametrize("text", FINE)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redactor.redact(text) == text


# What is known.


@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        json.dumps,
        lambda secret: repr(secret.encode()),
        lambda secret: quote(secret, safe=""),
        lambda secret: f"x{secret}y",
    ],
)
def test_a_known_secret_is_taken_out_in_whatever_way_it_is_written(
    written: Callable[[str], str],
) -> None:
    """H8: the gateway's own key reaches no output."""
    clean = redactor.redact(f"before {written(OWN)} behind")
    assert HIDDEN in clean
    assert "canary" not in clean
    assert (clean[:7], clean[-7:]) == ("before ", " behind")


def test_the_credential_of_the_request_at_hand_is_taken_out() -> None:
    """H8: however little it looks like one."""
    echo = "no such user: plain-canary (plain-canary)"
    assert redactor.redact(echo, [b"plain-canary"]) == f"no such user: {HIDDEN} ({HIDDEN})"
    assert "dXNlcjpjYW5hcnk" not in redactor.redact("dXNlcjpjYW5hcnk", [b"basic dXNlcjpjYW5hcnk"])


def test_a_redactor_that_knows_a_requests_credentials_hides_them_and_its_own() -> None:
    """H8: and the one that it was made of does not learn them."""
    credentials = [b"plain-canary", b"basic dXNlcjpjYW5hcnk", b"short"]
    text = f"plain-canary {OWN} dXNlcjpjYW5hcnk short"
    knowing = redactor.knowing(credentials)

    assert knowing.redact(text) == f"{HIDDEN} {HIDDEN} {HIDDEN} short"
    assert knowing.redact(text) == redactor.redact(text, credentials)
    assert redactor.redact(text) == f"plain-canary {HIDDEN} dXNlcjpjYW5hcnk short"
    assert repr(knowing) == repr(redactor)


def test_of_two_known_secrets_the_longer_is_taken_out_first() -> None:
    redact = Redactor(["plain-canary", "plain-canary-2"]).redact
    assert redact("a plain-canary-2 b plain-canary c") == f"a {HIDDEN} b {HIDDEN} c"


@pytest.mark.parametrize("secret", ["", "EMPTY", "ollama"])
def test_a_word_that_protects_nothing_is_not_searched_for(secret: str) -> None:
    text = "upstream=ollama EMPTY"
    assert Redactor([secret]).redact(text, [secret.encode()]) == text


def test_a_configuration_s_keys_are_known(tmp_path: Path) -> None:
    """H8: the gateway's own key reaches no output."""
    (tmp_path / "g.ini").write_text(
        "[upstream a]\nurl = http://h\ndialect = openai\napi_key = env:A\n"
        "[upstream b]\nurl = http://h\ndialect = openai\n"
    )
    known = Redactor.of(load(tmp_path / "g.ini", {"HOME": "/", "A": "plain-canary"}))
    assert known.redact("it is plain-canary") == f"it is {HIDDEN}"


def test_a_redactor_does_not_show_what_it_knows() -> None:
    """H8: a key reaches no repr."""
    assert repr(redactor) == "<Redactor of 1 secrets>"


# For any text.

fragments = st.sampled_from(
    [
        "api_key", "x-api-key", "Authorization", "Bearer ", "Basic ", ": ", "=", "'", '"', "\\",
        "b'", "[", "]", "?key=", "&", "sk-", "AIza", "eyJ", "***", "...", "://", "@", "provided ",
        "1", "a", "abcdefgh12345678", HIDDEN, " ", "\n", ",", "(", "…", OWN, "password", "token",
        "%3D", "r8_",
    ]
) | st.text(max_size=4)  # fmt: skip


@given(st.lists(fragments, max_size=14).map("".join))
@settings(max_examples=500, deadline=None)
@example("\ud800 sk-canary\udfff")
@example("x-api-key: b'api_key")
def test_no_text_is_too_strange_and_redacting_twice_changes_nothing(text: str) -> None:
    clean = redactor.redact(text)
    assert OWN not in clean
    assert redactor.redact(clean) == clean


@given(st.lists(fragments, max_size=6).map("".join), st.lists(fragments, max_size=6).map("".join))
@settings(max_examples=500, deadline=None)
def test_a_known_secret_is_taken_out_of_any_surroundings(before: str, behind: str) -> None:
    """H8: the gateway's own key reaches no output."""
    assert "plain-canary" not in Redactor(["plain-canary"]).redact(f"{before}plain-canary{behind}")


@pytest.mark.parametrize(
    "unit",
    [
        "sk-", "sk-.", "eyJ-", "eyJ.", "AIza-", "*", "x", "x-", "x*", "api_key=,", "api_key: ",
        "api_key ", "&key=", "bearer ", "://", "://x", "authorization: ", "signature=", " ", "\\",
        "x-api-key'", "%3D",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "*** sk- eyJ api_key authorization bearer ?key= ://"])
def test_no_long_text_keeps_the_gateway_from_its_work(unit: str, end: str) -> None:
    """H8: what takes more than linear time would take minutes here."""
    text = unit * (300_000 // len(unit)) + end
    assert len(redactor.redact(text)) > 0


# Rows.


def make_record(**changed: Any) -> Record:
    """A record of which nothing has to be taken out but what is `changed`."""
    intent = Intent(
        id="0193f2e0-0000-7000-8000-000000000000",
        started_at=1.0,
        instance="here-1",
        route="chat",
        upstream="openai",
        dialect="openai_chat",
        method="POST",
        path="/v1/chat/completions",
        model_requested="gpt-9",
        stream=True,
        tenant="alice",
        session=None,
        client="192.0.2.1",
        user_agent="OpenAI/Python 3.52.0",
        request_bytes=7,
    )
    own = {name: value for name, value in changed.items() if hasattr(intent, name)}
    rest = {name: value for name, value in changed.items() if name not in own}
    return Record(
        intent=structs.replace(intent, **own),
        ended_at=2.0,
        outcome=Outcome.FINISHED,
        phase=Phase.DONE,
        **rest,
    )


@pytest.mark.parametrize("name", [*FOREIGN_INTENT_TEXTS, *FOREIGN_RECORD_TEXTS])
@pytest.mark.parametrize("secret", [OWN, KEY, "plain-canary"])
def test_a_row_has_no_secret_in_any_text_that_came_from_outside(name: str, secret: str) -> None:
    """H8: a key reaches no row."""
    record = make_record(**{name: f"it is {secret}!"})
    intent = redactor.intent(record.intent, [b"plain-canary"])
    clean = structs.replace(redactor.record(record, [b"plain-canary"]), intent=intent)
    row = {**record.as_row(), "response_id": record.response_id}
    clean_row = {**clean.as_row(), "response_id": clean.response_id}
    assert clean_row == {**row, name: f"it is {HIDDEN}!"}
    assert "canary" not in repr(clean)


def test_a_row_without_secrets_is_left_as_it_is() -> None:
    record = make_record(usage_raw='{"prompt_tokens":9}', error_detail="the token was not known")
    assert redactor.record(record) is record
    assert redactor.intent(record.intent) is record.intent


def test_every_text_of_a_row_is_redacted_or_the_gateway_s_own() -> None:
    """H8: also of the columns to come."""
    own = {
        "id", "instance", "route", "upstream", "dialect", "tenant", "client", "price_snapshot",
        "answer_of",
    }  # fmt: skip
    texts = {
        field.name
        for source in (Intent, Record)
        for field in structs.fields(source)
        if field.type in (str, str | None)
    }
    assert texts == own.union(FOREIGN_INTENT_TEXTS, FOREIGN_RECORD_TEXTS)


# The log.


@implementer(ILogObserver)
class Seen:
    """An observer that keeps the events that it gets."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)


def logged(emit: Callable[[Logger], object]) -> LogEvent:
    """What comes through the layer of one event that `emit` logs."""
    seen = Seen()
    emit(Logger("gateway.test", observer=redacting(seen, redactor)))
    (event,) = seen.events
    return event


class Head:
    """Something with a telling repr."""

    def __repr__(self) -> str:
        return f"<Head x-api-key: {KEY} {OWN}>"


def test_a_log_line_has_no_secret_in_its_text_or_in_its_fields() -> None:
    """H8: a key reaches no log."""
    event = logged(lambda log: log.warn("got {head} from {path}", head=Head(), path=f"/{OWN}", n=3))
    assert "canary" not in repr(event)
    assert formatEvent(event) == f"got <Head x-api-key: {HIDDEN} {HIDDEN}> from /{HIDDEN}"
    assert (event["path"], event["n"]) == (f"/{HIDDEN}", 3)
    assert (event["log_level"], event["log_namespace"]) == (LogLevel.warn, "gateway.test")
    assert "head" not in event


def test_a_traceback_has_no_secret() -> None:
    """H8: a key reaches no traceback."""

    def emit(log: Logger) -> None:
        try:
            raise ValueError(f"cannot read {Head()!r} of {OWN}")
        except ValueError:
            log.failure("request {id} failed", id=7)

    event = logged(emit)
    assert "canary" not in repr(event)
    text = formatEventAsClassicLogText(event) or ""
    assert "request 7 failed" in text
    assert "Traceback" in text
    assert f"ValueError: cannot read <Head x-api-key: {HIDDEN} {HIDDEN}> of {HIDDEN}" in text


def test_a_text_with_braces_is_not_a_format_any_more() -> None:
    event = logged(lambda log: log.info("{line}", line="{log_level} {"))
    assert formatEvent(event) == "{log_level} {"


def test_what_is_logged_in_the_old_way_is_redacted() -> None:
    """H8: libraries still log so."""
    seen = Seen()
    publisher = legacy_log.LogPublisher(
        observerPublisher=redacting(seen, redactor),
        publishPublisher=redacting(seen, redactor),
    )
    publisher.msg(f"old {OWN}", system="s")
    (event,) = seen.events
    assert "canary" not in repr(event)
    assert formatEvent(event) == f"old {HIDDEN}"


def test_an_event_that_cannot_be_shown_is_told_and_does_not_end_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H8: what cannot be searched for secrets is not shown."""

    failure = Failure(ValueError(OWN))
    monkeypatch.setattr(failure, "getTraceback", Mock(side_effect=RuntimeError(OWN)))
    event = logged(lambda log: log.failure("it failed", failure))
    assert formatEvent(event) == "a log event could not be shown (RuntimeError)"
    assert "canary" not in repr(event)


def test_the_gateway_s_own_observer_writes_what_is_redacted() -> None:
    """H8: a key reaches no log."""
    stream = io.StringIO()
    log = Logger(
        "gateway.test", observer=redacting(StreamObserver(stream, priorities=True), redactor)
    )
    log.failure("{head}", Failure(ValueError(KEY)), head=Head())
    written = stream.getvalue()
    assert "canary" not in written
    assert written.startswith("<2><Head x-api-key: [redacted] [redacted]>\n<2>Traceback")
