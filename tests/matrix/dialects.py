"""Every dialect, each way in which it answers: what is asked, a whole answer, and what it tells.

A `Way` is one endpoint asked in one manner: streamed or not.  Its answer comes in pieces: the
events of a stream (or lines, or elements of an array), or the parts of a body that is none.  What
the gateway may say into it stands in ``way.py`` as bytes, and what it tells of usage here as
numbers, both to be read against the providers' documentation; how clients read errors is in
``clients.py``.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.config.model import Family
from gateway.record import Usage
from tests.dialects.streams import (
    MESSAGE_STOP,
    START_USAGE,
    event,
    message_delta,
    message_start,
    named,
)
from tests.matrix import openai_ways
from tests.matrix.clients import ANTHROPIC, BEDROCK, GEMINI, OLLAMA, OPENAI
from tests.matrix.way import PROMPT, End, Shape, Way, blank, halves, json_text, ping
from tests.test_awsstream import frame
from tests.world import post

# ---- Anthropic ----

_MESSAGE_START_USAGE: Final = Usage(255, 200, 30, 10, None, None)
_MESSAGE_USAGE: Final = Usage(255, 200, 30, 10, 12, None)
_MESSAGE: Final = {
    "id": "msg_7",
    "model": "large-2",
    "stop_reason": "end_turn",
    "usage": {**START_USAGE, "output_tokens": 12},
}

_ANTHROPIC: Final = (
    Way(
        "anthropic", "anthropic", Family.ANTHROPIC,
        post("/v1/messages", f'{{"model":"m","stream":true,{PROMPT}}}'.encode()),
        Shape.EVENTS, b"text/event-stream",
        (
            message_start(START_USAGE),
            named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}),
            named("content_block_stop", index=0),
            message_delta({"output_tokens": 12}), MESSAGE_STOP,
        ),
        ANTHROPIC, End.EVENT, usage=_MESSAGE_USAGE, first_usage=_MESSAGE_START_USAGE,
        stop_reason="end_turn", beat=ping, whole="anthropic whole",
        error_piece=named("error", error={"type": "overloaded_error", "message": "It broke."}),
    ),
    Way(
        "anthropic whole", "anthropic", Family.ANTHROPIC,
        post("/v1/messages", f'{{"model":"m",{PROMPT}}}'.encode()),
        Shape.BODY, b"application/json", halves(_MESSAGE), ANTHROPIC,
        usage=_MESSAGE_USAGE, stop_reason="end_turn", streams=False,
    ),
    Way(
        "anthropic_count_tokens", "anthropic_count_tokens", Family.ANTHROPIC,
        post("/v1/messages/count_tokens", f'{{"model":"m",{PROMPT}}}'.encode()),
        Shape.BODY, b"application/json", (b"{", b" " * 100, b'"input_tokens":7}'), ANTHROPIC,
        streams=False,
    ),
    Way(
        "anthropic_batches", "anthropic_batches", Family.ANTHROPIC,
        post("/v1/messages/batches", b'{"requests":[]}'),
        Shape.BODY, b"application/json",
        (b"{", b" " * 100, b'"id":"msgbatch_1","processing_status":"in_progress"}'), ANTHROPIC,
        streams=False,
    ),
)  # fmt: skip


# ---- Gemini ----

_PROMPT_COUNT: Final = {"promptTokenCount": 40, "cachedContentTokenCount": 30}
_COUNTS: Final = {
    **_PROMPT_COUNT, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 7,
    "thoughtsTokenCount": 5, "totalTokenCount": 54,
}  # fmt: skip
_CONTENTS: Final = b'{"contents":[{"parts":[{"text":"Hi"}]}]}'
_GEMINI_ERROR: Final = {"error": {"code": 500, "message": "It broke.", "status": "INTERNAL"}}


def _candidate(text: str, reason: str | None = None, usage: object = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}]}}
    more = {} if reason is None else {"finishReason": reason}
    told = {} if usage is None else {"usageMetadata": usage}
    return {"candidates": [candidate | more], "modelVersion": "swift-3", **told}


_CANDIDATES: Final = tuple(
    map(
        json_text,
        (
            _candidate("Hi", usage=_PROMPT_COUNT),
            _candidate(" you"),
            _candidate("", "STOP", _COUNTS),
        ),
    )
)


def _gemini(id: str, verb: str, shape: Shape, pieces: tuple[bytes, ...], **more: Any) -> Way:
    return Way(
        **{
            "id": id, "name": "gemini", "family": Family.GEMINI,
            "request": post(f"/v1beta/models/m:{verb}", _CONTENTS),
            "shape": shape, "media_type": b"application/json", "pieces": pieces,
            "errors": GEMINI, "stop_reason": "STOP", "usage": Usage(42, 30, None, None, 12, 5),
            **more,
        }
    )  # fmt: skip


_GEMINI: Final = (
    _gemini(
        "gemini", "streamGenerateContent?alt=sse", Shape.EVENTS,
        tuple(b"data: %b\r\n\r\n" % text for text in _CANDIDATES),
        media_type=b"text/event-stream", ends=End.EVENT_AND_HTTP, beat=blank,
        first_usage=Usage(input_tokens=40, cache_read_tokens=30), whole="gemini whole",
        error_piece=b"data: %b\r\n\r\n" % json_text(_GEMINI_ERROR),
    ),
    _gemini(
        "gemini array", "streamGenerateContent", Shape.ARRAY,
        (b"[" + _CANDIDATES[0], *(b"\n,\r\n" + text for text in _CANDIDATES[1:])),
        close=b"\n]\n", ends=End.EVENT_AND_HTTP, whole="gemini whole",
        first_usage=Usage(input_tokens=40, cache_read_tokens=30),
        error_piece=b"\n,\r\n" + json_text(_GEMINI_ERROR),
    ),
    _gemini(
        "gemini whole", "generateContent", Shape.BODY,
        halves(_candidate("Hi", "STOP", _COUNTS)), streams=False,
    ),
    _gemini(
        "gemini_embeddings", "embedContent", Shape.BODY,
        halves({"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 5}}),
        name="gemini_embeddings", streams=False, usage=Usage(input_tokens=5), stop_reason=None,
    ),
    _gemini(
        "gemini_count_tokens", "countTokens", Shape.BODY,
        (b"{", b" " * 100, b'"totalTokens":7}'),
        name="gemini_count_tokens", streams=False, usage=Usage(), stop_reason=None,
    ),
)  # fmt: skip


# ---- Ollama, Bedrock, and what is not known ----


def _line(**members: object) -> bytes:
    return json_text({"model": "small:7b", **members}) + b"\n"


def _frame(kind: str, value: object, message: str = "event") -> bytes:
    return frame({f":{message}-type": kind, ":message-type": message}, json_text(value))


_DONE_LINE: Final = {
    "done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 259,
}  # fmt: skip
_CONVERSE_USAGE: Final = {
    "inputTokens": 5, "outputTokens": 12, "totalTokens": 17,
    "cacheReadInputTokens": 200, "cacheWriteInputTokens": 30,
}  # fmt: skip

_OTHERS: Final = (
    Way(
        "ollama", "ollama", Family.OLLAMA, post("/api/chat", f'{{"model":"m",{PROMPT}}}'.encode()),
        Shape.LINES, b"application/x-ndjson",
        (
            _line(message={"content": "Hi"}, done=False),
            _line(message={"content": " you"}, done=False),
            _line(**_DONE_LINE),
        ),
        OLLAMA, End.EVENT, usage=Usage(input_tokens=26, output_tokens=259), stop_reason="stop",
        error_piece=b'{"error":"It broke."}\n', whole="ollama whole",
    ),
    Way(
        "ollama whole", "ollama", Family.OLLAMA,
        post("/api/chat", f'{{"model":"m","stream":false,{PROMPT}}}'.encode()),
        Shape.BODY, b"application/json", halves({"model": "small:7b", **_DONE_LINE}), OLLAMA,
        usage=Usage(input_tokens=26, output_tokens=259), stop_reason="stop", streams=False,
    ),
    Way(
        "ollama_embeddings", "ollama_embeddings", Family.OLLAMA,
        post("/api/embed", b'{"model":"m","input":"Hi"}'), Shape.BODY, b"application/json",
        halves({"model": "small:7b", "embeddings": [[0.5]], "prompt_eval_count": 8}), OLLAMA,
        usage=Usage(input_tokens=8), streams=False,
    ),
    Way(
        "bedrock", "bedrock", Family.BEDROCK, post("/model/m/converse-stream", b'{"messages":[]}'),
        Shape.BODY, b"application/vnd.amazon.eventstream",
        (
            _frame("contentBlockDelta", {"delta": {"text": "Hi"}, "contentBlockIndex": 0}),
            _frame("contentBlockDelta", {"delta": {"text": " you"}, "contentBlockIndex": 0}),
            _frame("messageStop", {"stopReason": "end_turn"}),
            _frame("metadata", {"usage": _CONVERSE_USAGE}),
        ),
        BEDROCK, usage=Usage(235, 200, 30, None, 12, None), stop_reason="end_turn",
        error_piece=_frame("throttlingException", {"message": "It broke."}, "exception"),
    ),
    Way(
        "bedrock whole", "bedrock", Family.BEDROCK, post("/model/m/converse", b'{"messages":[]}'),
        Shape.BODY, b"application/json",
        halves({"output": {}, "stopReason": "end_turn", "usage": _CONVERSE_USAGE}), BEDROCK,
        usage=Usage(235, 200, 30, None, 12, None), stop_reason="end_turn", streams=False,
    ),
    Way(
        "generic", "generic", Family.GENERIC, post("/v2/anything", b'{"stream":true}'),
        Shape.EVENTS, b"text/event-stream",
        (event({"n": 1}), event({"n": 2}), event({"n": 3})), OPENAI, streams=False, goes_by=True,
    ),
)  # fmt: skip

WAYS: Final = {way.id: way for way in (*openai_ways.WAYS, *_ANTHROPIC, *_GEMINI, *_OTHERS)}
