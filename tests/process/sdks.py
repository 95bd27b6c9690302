"""The vendors' SDKs, each way in which a program asks with them, in one form for the tests.

An `Ask` takes the gateway's URL, a model and a list that it appends each text to as it comes, so
that a test sees what had come before an error; it returns what the SDK says that it all cost.
No client retries: what the gateway does to a request is seen once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anthropic
import openai
from anthropic.types import MessageParam, RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk, ChatCompletionUserMessageParam

#: Tokens in, tokens out.
Told = tuple[int, int]
Ask = Callable[[str, str, list[str]], Told]

_TIMEOUT: Final = 20.0
_KEY: Final = "sk-not-a-real-key"
_MAX_TOKENS: Final = 5
_QUESTION: Final[ChatCompletionUserMessageParam] = {"role": "user", "content": "What is it?"}
_TO_CLAUDE: Final[MessageParam] = {"role": "user", "content": "What is it?"}


def _openai(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=_KEY, max_retries=0, timeout=_TIMEOUT)


def _async_openai(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=_KEY, max_retries=0, timeout=_TIMEOUT)


def _anthropic(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=_KEY, max_retries=0, timeout=_TIMEOUT)


def _async_anthropic(url: str) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key=_KEY, max_retries=0, timeout=_TIMEOUT)


class _Chunks:
    """Adds up the chunks of a chat completion."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self.told: Told = (0, 0)

    def add(self, chunk: ChatCompletionChunk) -> None:
        self._texts += [choice.delta.content or "" for choice in chunk.choices]
        if chunk.usage is not None:
            self.told = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)


class _Events:
    """Adds up the events of a message, usage as the vendor documents it: the last one counts."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._input = 0
        self._output = 0

    @property
    def told(self) -> Told:
        return self._input, self._output

    def add(self, event: RawMessageStreamEvent) -> None:
        if event.type == "message_start":
            self._input = _whole_input(event.message.usage)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            self._texts.append(event.delta.text)
        elif event.type == "message_delta":
            self._output = event.usage.output_tokens


def _whole_input(usage: anthropic.types.Usage) -> int:
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return usage.input_tokens + cached


# OpenAI's chat completions.


def _chat(url: str, model: str, texts: list[str]) -> Told:
    with _openai(url) as client:
        answer = client.chat.completions.create(
            model=model, messages=[_QUESTION], max_completion_tokens=_MAX_TOKENS
        )
    texts.append(answer.choices[0].message.content or "")
    assert answer.usage is not None
    return answer.usage.prompt_tokens, answer.usage.completion_tokens


def _chat_stream(url: str, model: str, texts: list[str]) -> Told:
    chunks = _Chunks(texts)
    with (
        _openai(url) as client,
        client.chat.completions.create(
            model=model,
            messages=[_QUESTION],
            max_completion_tokens=_MAX_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        for chunk in stream:
            chunks.add(chunk)
    return chunks.told


def _chat_helper(url: str, model: str, texts: list[str]) -> Told:
    # Its final completion is left out: that is no matter of the wire, and raises for "length".
    chunks = _Chunks(texts)
    with (
        _openai(url) as client,
        client.chat.completions.stream(
            model=model,
            messages=[_QUESTION],
            max_completion_tokens=_MAX_TOKENS,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        for event in stream:
            if event.type == "chunk":
                chunks.add(event.chunk)
    return chunks.told


async def _chat_async(url: str, model: str, texts: list[str]) -> Told:
    async with _async_openai(url) as client:
        answer = await client.chat.completions.create(
            model=model, messages=[_QUESTION], max_completion_tokens=_MAX_TOKENS
        )
    texts.append(answer.choices[0].message.content or "")
    assert answer.usage is not None
    return answer.usage.prompt_tokens, answer.usage.completion_tokens


async def _chat_stream_async(url: str, model: str, texts: list[str]) -> Told:
    chunks = _Chunks(texts)
    async with _async_openai(url) as client:
        stream = await client.chat.completions.create(
            model=model,
            messages=[_QUESTION],
            max_completion_tokens=_MAX_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
        )
        async with stream:
            async for chunk in stream:
                chunks.add(chunk)
    return chunks.told


async def _chat_helper_async(url: str, model: str, texts: list[str]) -> Told:
    chunks = _Chunks(texts)
    async with (
        _async_openai(url) as client,
        client.chat.completions.stream(
            model=model,
            messages=[_QUESTION],
            max_completion_tokens=_MAX_TOKENS,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        async for event in stream:
            if event.type == "chunk":
                chunks.add(event.chunk)
    return chunks.told


# Anthropic's messages.


def _message(url: str, model: str, texts: list[str]) -> Told:
    with _anthropic(url) as client:
        answer = client.messages.create(model=model, messages=[_TO_CLAUDE], max_tokens=_MAX_TOKENS)
    texts += [block.text for block in answer.content if block.type == "text"]
    return _whole_input(answer.usage), answer.usage.output_tokens


def _message_stream(url: str, model: str, texts: list[str]) -> Told:
    events = _Events(texts)
    with (
        _anthropic(url) as client,
        client.messages.create(
            model=model, messages=[_TO_CLAUDE], max_tokens=_MAX_TOKENS, stream=True
        ) as stream,
    ):
        for event in stream:
            events.add(event)
    return events.told


def _message_helper(url: str, model: str, texts: list[str]) -> Told:
    with (
        _anthropic(url) as client,
        client.messages.stream(
            model=model, messages=[_TO_CLAUDE], max_tokens=_MAX_TOKENS
        ) as stream,
    ):
        for text in stream.text_stream:
            texts.append(text)
        usage = stream.get_final_message().usage
    return _whole_input(usage), usage.output_tokens


async def _message_async(url: str, model: str, texts: list[str]) -> Told:
    async with _async_anthropic(url) as client:
        answer = await client.messages.create(
            model=model, messages=[_TO_CLAUDE], max_tokens=_MAX_TOKENS
        )
    texts += [block.text for block in answer.content if block.type == "text"]
    return _whole_input(answer.usage), answer.usage.output_tokens


async def _message_stream_async(url: str, model: str, texts: list[str]) -> Told:
    events = _Events(texts)
    async with _async_anthropic(url) as client:
        stream = await client.messages.create(
            model=model, messages=[_TO_CLAUDE], max_tokens=_MAX_TOKENS, stream=True
        )
        async with stream:
            async for event in stream:
                events.add(event)
    return events.told


async def _message_helper_async(url: str, model: str, texts: list[str]) -> Told:
    async with (
        _async_anthropic(url) as client,
        client.messages.stream(
            model=model, messages=[_TO_CLAUDE], max_tokens=_MAX_TOKENS
        ) as stream,
    ):
        async for text in stream.text_stream:
            texts.append(text)
        usage = (await stream.get_final_message()).usage
    return _whole_input(usage), usage.output_tokens


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask: its dialect as rows name it, and what the SDK raises for an error."""

    name: str
    dialect: str
    stream: bool
    ask: Ask

    @property
    def error(self) -> type[Exception]:
        """The base class of the SDK's errors."""
        return openai.APIError if self.dialect == "openai_chat" else anthropic.APIError


def _blocking(ask: Callable[[str, str, list[str]], object]) -> Ask:
    def blocking(url: str, model: str, texts: list[str]) -> Told:
        return asyncio.run(ask(url, model, texts))  # type: ignore[arg-type]

    return blocking


WAYS: Final = (
    Way("openai", "openai_chat", False, _chat),
    Way("openai-stream", "openai_chat", True, _chat_stream),
    Way("openai-helper", "openai_chat", True, _chat_helper),
    Way("openai-async", "openai_chat", False, _blocking(_chat_async)),
    Way("openai-async-stream", "openai_chat", True, _blocking(_chat_stream_async)),
    Way("openai-async-helper", "openai_chat", True, _blocking(_chat_helper_async)),
    Way("anthropic", "anthropic", False, _message),
    Way("anthropic-stream", "anthropic", True, _message_stream),
    Way("anthropic-helper", "anthropic", True, _message_helper),
    Way("anthropic-async", "anthropic", False, _blocking(_message_async)),
    Way("anthropic-async-stream", "anthropic", True, _blocking(_message_stream_async)),
    Way("anthropic-async-helper", "anthropic", True, _blocking(_message_helper_async)),
)
STREAMS: Final = tuple(way for way in WAYS if way.stream)
