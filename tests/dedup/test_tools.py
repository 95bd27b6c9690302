"""Requests whose last turn holds nothing but results of tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dedup.tools import ends_with_tool_results

RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "42"}
TEXT = {"type": "text", "text": "hello"}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f"}]}
TOOL = {"role": "tool", "tool_call_id": "t", "content": "42"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "42"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
FUNCTION = {"functionResponse": {"name": "f", "response": {}}}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def gemini(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


RESULTS: list[tuple[str, Any]] = [
    ("anthropic", {"messages": [user(TEXT), CALLED, user(RESULT, RESULT)]}),
    ("anthropic", {"messages": [user(TEXT), CALLED, user(RESULT), user(RESULT)]}),
    ("openai_chat", {"messages": [user("hi"), {"role": "assistant", "content": None}, TOOL, TOOL]}),
    ("openai_chat", {"messages": [{"role": "assistant"}, {"role": "function", "name": "f"}]}),
    ("openai_responses", {"input": [user("hi"), CALL, OUTPUT, OUTPUT]}),
    ("openai_responses", {"previous_response_id": "r", "input": [OUTPUT]}),
    ("openai_responses", {"input": [CALL, {"type": "custom_tool_call_output", "output": "x"}]}),
    ("gemini", {"contents": [gemini("model", {"functionCall": {}}), gemini("user", FUNCTION)]}),
    ("gemini", {"contents": [gemini("function", FUNCTION, FUNCTION)]}),
    ("ollama", {"messages": [{"role": "assistant"}, {"role": "tool", "content": "42"}]}),
]
OTHERS: list[tuple[str, Any]] = [
    ("anthropic", {"messages": [user(TEXT)]}),
    ("anthropic", {"messages": [CALLED, user(RESULT, TEXT)]}),
    ("anthropic", {"messages": [CALLED, user(TEXT), user(RESULT)]}),
    ("anthropic", {"messages": [CALLED, {"role": "user", "content": "hello"}]}),
    ("anthropic", {"messages": [CALLED, user()]}),
    ("anthropic", {"messages": [CALLED]}),
    ("anthropic", {"messages": []}),
    ("openai_chat", {"messages": [{"role": "assistant"}, TOOL, user("go on")]}),
    ("openai_chat", {"messages": [{"role": "assistant"}, user("go on"), TOOL]}),
    ("openai_responses", {"input": "hello"}),
    ("openai_responses", {"input": [CALL, OUTPUT, user("go on")]}),
    ("openai_responses", {"input": [CALL]}),
    ("gemini", {"contents": [gemini("user", FUNCTION, {"text": "hello"})]}),
    ("gemini", {"contents": [gemini("model", {"functionCall": {}})]}),
    ("openai_embeddings", {"messages": [TOOL]}),
]


@pytest.mark.parametrize(("dialect", "body"), RESULTS, ids=str)
def test_a_turn_of_tool_results_alone_is_one(dialect: str, body: Any) -> None:
    """C3: by the shape of each API."""
    assert ends_with_tool_results(dialect, [json.dumps(body).encode()])


@pytest.mark.parametrize(("dialect", "body"), OTHERS, ids=str)
def test_any_other_turn_is_none(dialect: str, body: Any) -> None:
    """C3: words of a person above all."""
    assert not ends_with_tool_results(dialect, [json.dumps(body).encode()])


_json = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "input", "contents", "role", "parts", "content", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(
    dialect=st.sampled_from(sorted({name for name, _ in RESULTS})),
    body=_json.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50),
)
def test_no_body_can_do_harm(dialect: str, body: bytes) -> None:
    """C3, H2: whatever it is, the answer is yes or no."""
    assert ends_with_tool_results(dialect, [body]) in (True, False)
