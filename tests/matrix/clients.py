"""How the clients of each family read an error: as the body of a response, and in a stream.

Each reader is strict: what it does not expect fails the test.  Sources: OpenAI's and Google's API
references ("Errors"), Anthropic's ("Errors", "Streaming messages"), Ollama's ("Errors", "Streaming
errors"), AWS's REST-JSON protocol, and what their official SDKs were seen to raise for.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.sse import parse


@dataclass(frozen=True, slots=True)
class Words:
    """An error as a client understands it; None for what its API has no member for."""

    message: str
    kind: str | None = None  #: the API's name for this sort of error
    code: str | None = None  #: OpenAI's second name
    status: int | None = None


class Errors(ABC):
    """How one family tells errors.  `kinds` are the names that its documentation has for them."""

    kinds: ClassVar[frozenset[str]] = frozenset()
    #: An upstream's own error, and its name and words.
    answer: ClassVar[bytes]
    answer_kind: ClassVar[str | None]
    answer_words: ClassVar[str] = "Slow down, please."

    @abstractmethod
    def read(self, body: bytes) -> Words:
        """The JSON body of an error response."""

    @abstractmethod
    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        """The whole of what follows the pieces that were passed on: one error, and nothing else."""


def _members(value: Any, *names: str) -> Any:
    assert isinstance(value, dict)
    assert set(value) == set(names), value
    return value


def _only_event(tail: bytes, name: bytes | None = None) -> bytes:
    """The data of the one event that `tail` is."""
    assert tail.endswith((b"\n\n", b"\r\n\r\n")), tail
    [(kind, data)] = parse(tail)
    assert kind == name
    return data


class _OpenAI(Errors):
    kinds = frozenset({"server_error", "invalid_request_error"})
    answer_kind = "requests"
    answer = (
        b'{"error":{"message":"Slow down, please.","type":"requests","param":null,'
        b'"code":"rate_limit_exceeded"}}'
    )

    def read(self, body: bytes, *more: str) -> Words:
        error = _members(
            _members(json.loads(body), "error")["error"], "message", "type", "param", "code", *more
        )
        assert error["param"] is None
        return Words(error["message"], error["type"], error["code"], error.get("status"))

    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        return self.read(_only_event(tail), "status")


class _Responses(_OpenAI):
    """SDKs raise at the nested ``error``; Codex reads ``response.failed``."""

    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        (name, first), (last_name, second) = parse(tail)
        assert (name, last_name) == (b"error", b"response.failed")
        error, failed = json.loads(first), json.loads(second)
        told = [json.loads(data) for piece in passed for _, data in parse(piece)]
        number = told[-1]["sequence_number"] + 1 if told else 0
        ids = [event["response"]["id"] for event in told if "response" in event]
        assert (error["type"], failed["type"]) == ("error", "response.failed")
        assert (error["sequence_number"], failed["sequence_number"]) == (number, number + 1)
        assert failed["response"]["status"] == "failed"
        assert failed["response"]["id"] == (ids[0] if ids else "")
        nested, codex = error["error"], failed["response"]["error"]
        assert nested["message"] == error["message"] == codex["message"]
        assert nested["code"] == error["code"] == codex["code"]
        return Words(nested["message"], nested["type"], nested["code"], nested["status"])


class _Anthropic(Errors):
    kinds = frozenset({"api_error", "timeout_error", "overloaded_error"})
    answer_kind = "rate_limit_error"
    answer = (
        b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down, please."},'
        b'"request_id":"req_7"}'
    )

    def read(self, body: bytes, *more: str) -> Words:
        whole = _members(json.loads(body), "type", "error")
        error = _members(whole["error"], "type", "message", *more)
        assert whole["type"] == "error"
        return Words(error["message"], error["type"], status=error.get("status"))

    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        return self.read(_only_event(tail, b"error"), "status")


class _Gemini(Errors):
    kinds = frozenset({"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
    answer_kind = "QUOTA_EXHAUSTED"
    answer = b'{"error":{"code":429,"message":"Slow down, please.","status":"QUOTA_EXHAUSTED"}}'

    def read(self, body: bytes) -> Words:
        error = _members(_members(json.loads(body), "error")["error"], "code", "message", "status")
        return Words(error["message"], error["status"], status=error["code"])

    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        """An event, or the last element of an array that is left open."""
        if passed and passed[0].startswith(b"["):
            assert tail.lstrip().startswith(b",")
            return self.read(tail.lstrip()[1:])
        if tail.startswith(b"["):
            return self.read(tail[1:])
        return self.read(_only_event(tail))


class _Ollama(Errors):
    answer_kind = None
    answer = b'{"error":"Slow down, please."}'

    def read(self, body: bytes) -> Words:
        return Words(_members(json.loads(body), "error")["error"])

    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        line, rest = tail.split(b"\n")
        assert not rest
        return self.read(line)


class _Bedrock(Errors):
    kinds = frozenset({"InternalServerException", "ServiceUnavailableException"})
    answer_kind = "ThrottlingException"
    answer = b'{"__type":"ThrottlingException","message":"Slow down, please."}'

    def read(self, body: bytes) -> Words:
        error = _members(json.loads(body), "__type", "message")
        return Words(error["message"], error["__type"])

    def read_stream(self, tail: bytes, passed: Sequence[bytes]) -> Words:
        raise AssertionError(f"something was said into frames, which take nothing: {tail!r}")


OPENAI, RESPONSES, ANTHROPIC = _OpenAI(), _Responses(), _Anthropic()
GEMINI, OLLAMA, BEDROCK = _Gemini(), _Ollama(), _Bedrock()
