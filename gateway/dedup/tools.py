"""Whether a request ends with nothing but results of tools.

An agent that lost an answer sends such a request again as it was: nobody has typed anything, and
what it answers is decided already.  A person's words may be sent twice on purpose.

The last turn is read from its end back to the last thing that the model said; it has to hold
results alone.  Only what is looked at is decoded, and nothing here raises on any body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from ..dialects.jsonpick import lenient, picked

_Raws = list[msgspec.Raw]


class _Turn(Enum):
    """Who speaks in an item of a conversation."""

    RESULT = "nothing but results of tools"
    MODEL = "the model"
    OTHER = "anything else"


class _Messages(msgspec.Struct):
    messages: _Raws = []


class _Input(msgspec.Struct):
    input: _Raws | str = ""


class _Contents(msgspec.Struct):
    contents: _Raws = []


_decode_messages = msgspec.json.Decoder(_Messages).decode
_decode_input = msgspec.json.Decoder(_Input).decode
_decode_contents = msgspec.json.Decoder(_Contents).decode


def ends_with_tool_results(dialect: str, body: Sequence[bytes]) -> bool:
    """Whether the last turn of a request's JSON body, given as chunks, holds only tool results.

    `dialect` is `gateway.dialects.base.Dialect.name`; False for those that know no tools.
    """
    if dialect not in _READERS:
        return False
    items, turn = _READERS[dialect]
    found = False
    for item in reversed(items(b"".join(body))):
        value = lenient(item)
        who = turn(value) if isinstance(value, dict) else _Turn.OTHER
        if who is _Turn.OTHER:
            return False
        if who is _Turn.MODEL:
            break
        found = True
    return found


def _messages(body: bytes) -> _Raws:
    found = picked(_decode_messages, body)
    return [] if found is None else found.messages


def _input(body: bytes) -> _Raws:
    found = picked(_decode_input, body)
    return [] if found is None or isinstance(found.input, str) else found.input


def _contents(body: bytes) -> _Raws:
    found = picked(_decode_contents, body)
    return [] if found is None else found.contents


def _anthropic(message: Mapping[str, Any]) -> _Turn:
    """A user's message of ``tool_result`` blocks (Anthropic, Messages API)."""
    if message.get("role") == "assistant":
        return _Turn.MODEL
    return _all(message.get("content"), lambda block: block.get("type") == "tool_result")


def _chat(message: Mapping[str, Any]) -> _Turn:
    """A message of the role ``tool`` (OpenAI, chat completions; Ollama)."""
    role = message.get("role")
    if role == "assistant":
        return _Turn.MODEL
    return _Turn.RESULT if role in ("tool", "function") else _Turn.OTHER


def _responses(item: Mapping[str, Any]) -> _Turn:
    """An item such as ``function_call_output`` (OpenAI, Responses)."""
    kind = str(item.get("type", "message"))
    if kind.endswith("_call_output"):
        return _Turn.RESULT
    told = kind == "message" and item.get("role") != "assistant"
    return _Turn.OTHER if told or kind == "item_reference" else _Turn.MODEL


def _gemini(content: Mapping[str, Any]) -> _Turn:
    """A content of ``functionResponse`` parts (Google, generateContent)."""
    if content.get("role") == "model":
        return _Turn.MODEL
    names = ("functionResponse", "function_response")
    return _all(content.get("parts"), lambda part: any(name in part for name in names))


def _all(parts: object, is_result: Callable[[Mapping[str, Any]], bool]) -> _Turn:
    if not isinstance(parts, list) or not parts:
        return _Turn.OTHER
    whole = all(isinstance(part, dict) and is_result(part) for part in parts)
    return _Turn.RESULT if whole else _Turn.OTHER


#: By dialect: what a conversation's items are, and who speaks in one.
_READERS: Final[
    Mapping[str, tuple[Callable[[bytes], _Raws], Callable[[Mapping[str, Any]], _Turn]]]
] = {
    "anthropic": (_messages, _anthropic),
    "openai_chat": (_messages, _chat),
    "openai_responses": (_input, _responses),
    "gemini": (_contents, _gemini),
    "ollama": (_messages, _chat),
}
