"""What is counted: events of a stream, and requests, as the wire has them.

`tests.hotpath.calls` does a unit of a work in memory, `tests.hotpath.system_calls` through sockets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.world import SSE_HEAD, chunked, post

#: What SDKs send besides what is in `post`.
_FIELDS: Final = (
    "Accept: application/json",
    "Accept-Encoding: gzip, deflate",
    "Connection: keep-alive",
    "User-Agent: OpenAI/Python 3.52.0",
    "X-Stainless-Lang: python",
    "X-Stainless-OS: Linux",
    "X-Stainless-Retry-Count: 0",
)

#: The routes of a configuration; ``{url}`` is the upstream's.
SECTIONS: Final = """\
[upstream openai]
url = {url}
dialect = openai

[upstream anthropic]
url = {url}
dialect = anthropic

[route chat]
path = /v1/chat/completions
upstream = openai

[route messages]
path = /v1/messages
upstream = anthropic
"""


@dataclass(frozen=True, slots=True)
class Work:
    """Units are the stream's events where it is a `stream`, else whole requests."""

    name: str  #: of its section in the budget
    unit: str  #: in the singular
    upstream: str
    request: bytes
    stream: bool
    head: bytes  #: the answer's, or a stream's with all that comes before the events
    piece: bytes  #: of the answer behind its head: all of it, or one event, chunked


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _prompt(size: int, *, stream: bool, model: str) -> bytes:
    """A body of exactly `size` bytes."""
    text = ""
    while True:
        body: dict[str, Any] = {"model": model, "max_tokens": 1024, "stream": stream}
        body["messages"] = [{"role": "user", "content": text}]
        lacking = size - len(_json(body))
        if not lacking:
            return _json(body)
        text = "x" * lacking


def _answer(body: bytes) -> bytes:
    lines = (
        b"HTTP/1.1 200 OK",
        b"Date: Tue, 14 Nov 2023 22:13:20 GMT",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Connection: keep-alive",
        b"openai-processing-ms: 210",
        b"x-request-id: req_0123456789abcdef",
    )
    return b"\r\n".join((*lines, b"", b""))


def _chat_chunk(delta: dict[str, str]) -> bytes:
    chunk = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": _GPT,
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
        "usage": None,
    }
    return chunked(b"data: %b\n\n" % _json(chunk))


def _anthropic_event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _json({"type": name, **fields}))


_GPT: Final = "gpt-4o-2024-08-06"
_CLAUDE: Final = "claude-sonnet-4-20250514"

_COMPLETION: Final = _json(
    {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": _GPT,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 500,
            "completion_tokens": 2,
            "total_tokens": 502,
            "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "system_fingerprint": "fp_0123456789",
    }
)

_MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_0123456789",
    "type": "message",
    "role": "assistant",
    "model": _CLAUDE,
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 500, "output_tokens": 1, "cache_read_input_tokens": 0},
}


def _request(name: str, size: int) -> Work:
    return Work(
        name,
        "request",
        "openai",
        post("/v1/chat/completions", _prompt(size, stream=False, model=_GPT), *_FIELDS),
        False,
        _answer(_COMPLETION),
        _COMPLETION,
    )


OPENAI_EVENT: Final = Work(
    "openai event",
    "event",
    "openai",
    post("/v1/chat/completions", _prompt(2000, stream=True, model=_GPT), *_FIELDS),
    True,
    SSE_HEAD + _chat_chunk({"role": "assistant", "content": ""}),
    _chat_chunk({"content": " word"}),
)

ANTHROPIC_EVENT: Final = Work(
    "anthropic event",
    "event",
    "anthropic",
    post(
        "/v1/messages",
        _prompt(2000, stream=True, model=_CLAUDE),
        "anthropic-version: 2023-06-01",
        *_FIELDS,
    ),
    True,
    SSE_HEAD
    + chunked(
        _anthropic_event("message_start", message=_MESSAGE)
        + _anthropic_event(
            "content_block_start", index=0, content_block={"type": "text", "text": ""}
        )
    ),
    chunked(
        _anthropic_event(
            "content_block_delta", index=0, delta={"type": "text_delta", "text": " word"}
        )
    ),
)

REQUEST: Final = _request("request of 2 KB", 2000)
LARGE_REQUEST: Final = _request("request of 200 KB", 200_000)

#: A stream on which nothing comes after its first event.
HELD: Final = replace(OPENAI_EVENT, name="held stream", unit="stream")

WORKS: Final = (OPENAI_EVENT, ANTHROPIC_EVENT, REQUEST, LARGE_REQUEST)

#: Those that are done through sockets, too.  How many reads a large request takes, TCP decides.
SENT: Final = (OPENAI_EVENT, REQUEST)
