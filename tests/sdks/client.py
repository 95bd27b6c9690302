"""Asks with the vendors' SDKs and prints what they made of the answers.

    PYTHON tests/sdks/client.py < ASKS

A program of its own, so that the tests can run it under another Python that has other releases of
the SDKs: it imports nothing but them.  Its standard input is a JSON array of asks, each with a
``way`` (a name in `WAYS`), a ``url`` and a ``model``; it prints one JSON object with the releases
it found (null: not installed) under ``versions`` and, under ``heard``, for each ask in its order:

- ``texts``: all texts in the order in which they came, before an error too;
- ``tokens``: in and out, as the SDK tells them, once it has told both;
- ``events``: how many things the SDK handed out;
- ``raised``: the class of what was raised and its bases, null for nothing; ``message``: its text;
- ``sdks_own``: whether that is one of the SDK's own errors.

No client retries: what the gateway does to a request is seen once.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

TIMEOUT: Final = 60.0  #: seconds; hundreds ask at once, on a machine that may be busy
#: Asks at a time: most of the time they wait for a silent upstream.
AT_ONCE: Final = 24

_KEY: Final = "sk-not-a-real-key"
_MAX_TOKENS: Final = 5
_QUESTION: Final = "What is it?"
_ASKED: Final[Any] = [{"role": "user", "content": _QUESTION}]
_WITH_USAGE: Final[Any] = {"include_usage": True}


@dataclass
class Heard:
    """What a way of asking has heard so far."""

    texts: list[str] = field(default_factory=list)
    tokens: tuple[int, int] | None = None
    events: int = 0


# OpenAI.


def _openai(url: str) -> Any:
    import openai

    return openai.OpenAI(base_url=f"{url}/v1", api_key=_KEY, max_retries=0, timeout=TIMEOUT)


def _async_openai(url: str) -> Any:
    import openai

    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=_KEY, max_retries=0, timeout=TIMEOUT)


def _chat_chunk(heard: Heard, chunk: Any) -> None:
    heard.events += 1
    # None, though it is typed otherwise, where an event was none of the endpoint's own.
    heard.texts += [choice.delta.content or "" for choice in chunk.choices or ()]
    _prompt_usage(heard, chunk.usage)


def _prompt_usage(heard: Heard, usage: Any) -> None:
    if usage is not None:
        heard.tokens = usage.prompt_tokens, usage.completion_tokens


def _chat_asked(model: str) -> dict[str, Any]:
    return {"model": model, "messages": _ASKED, "max_completion_tokens": _MAX_TOKENS}


def _chat_answer(heard: Heard, answer: Any) -> None:
    heard.texts.append(answer.choices[0].message.content or "")
    _prompt_usage(heard, answer.usage)


def chat(url: str, model: str, heard: Heard) -> None:
    with _openai(url) as client:
        _chat_answer(heard, client.chat.completions.create(**_chat_asked(model)))


async def chat_async(url: str, model: str, heard: Heard) -> None:
    async with _async_openai(url) as client:
        _chat_answer(heard, await client.chat.completions.create(**_chat_asked(model)))


def chat_raw(url: str, model: str, heard: Heard) -> None:
    with (
        _openai(url) as client,
        client.chat.completions.create(
            **_chat_asked(model), stream=True, stream_options=_WITH_USAGE
        ) as stream,
    ):
        for chunk in stream:
            _chat_chunk(heard, chunk)


async def chat_raw_async(url: str, model: str, heard: Heard) -> None:
    async with _async_openai(url) as client:
        stream = await client.chat.completions.create(
            **_chat_asked(model), stream=True, stream_options=_WITH_USAGE
        )
        async with stream:
            async for chunk in stream:
                _chat_chunk(heard, chunk)


def chat_helper(url: str, model: str, heard: Heard) -> None:
    # Its final completion is left out: that is no matter of the wire, and raises for "length".
    with (
        _openai(url) as client,
        client.chat.completions.stream(**_chat_asked(model), stream_options=_WITH_USAGE) as stream,
    ):
        for event in stream:
            if event.type == "chunk":
                _chat_chunk(heard, event.chunk)


async def chat_helper_async(url: str, model: str, heard: Heard) -> None:
    async with (
        _async_openai(url) as client,
        client.chat.completions.stream(**_chat_asked(model), stream_options=_WITH_USAGE) as stream,
    ):
        async for event in stream:
            if event.type == "chunk":
                _chat_chunk(heard, event.chunk)


def completions_raw(url: str, model: str, heard: Heard) -> None:
    with (
        _openai(url) as client,
        client.completions.create(
            model=model, prompt=_QUESTION, stream=True, stream_options=_WITH_USAGE
        ) as stream,
    ):
        for chunk in stream:
            heard.events += 1
            heard.texts += [choice.text for choice in chunk.choices or ()]
            _prompt_usage(heard, chunk.usage)


def _response_event(heard: Heard, event: Any) -> None:
    heard.events += 1
    if event.type == "response.output_text.delta":
        heard.texts.append(event.delta)
    elif event.type == "response.completed":
        _input_usage(heard, event.response.usage)


def _input_usage(heard: Heard, usage: Any) -> None:
    if usage is not None:
        heard.tokens = usage.input_tokens, usage.output_tokens


def responses_raw(url: str, model: str, heard: Heard) -> None:
    with (
        _openai(url) as client,
        client.responses.create(model=model, input=_QUESTION, stream=True) as stream,
    ):
        for event in stream:
            _response_event(heard, event)


async def responses_raw_async(url: str, model: str, heard: Heard) -> None:
    async with _async_openai(url) as client:
        stream = await client.responses.create(model=model, input=_QUESTION, stream=True)
        async with stream:
            async for event in stream:
                _response_event(heard, event)


def responses_helper(url: str, model: str, heard: Heard) -> None:
    with (
        _openai(url) as client,
        client.responses.stream(model=model, input=_QUESTION) as stream,
    ):
        for event in stream:
            _response_event(heard, event)
        _input_usage(heard, stream.get_final_response().usage)


async def responses_helper_async(url: str, model: str, heard: Heard) -> None:
    async with (
        _async_openai(url) as client,
        client.responses.stream(model=model, input=_QUESTION) as stream,
    ):
        async for event in stream:
            _response_event(heard, event)
        _input_usage(heard, (await stream.get_final_response()).usage)


def images_raw(url: str, model: str, heard: Heard) -> None:
    with (
        _openai(url) as client,
        client.images.generate(
            model=model, prompt=_QUESTION, stream=True, partial_images=1
        ) as stream,
    ):
        for event in stream:
            heard.events += 1
            heard.texts.append(getattr(event, "b64_json", None) or "")
            _input_usage(heard, getattr(event, "usage", None))


def transcription_raw(url: str, model: str, heard: Heard) -> None:
    with (
        _openai(url) as client,
        client.audio.transcriptions.create(
            model=model, file=("speech.wav", b"RIFF"), stream=True
        ) as stream,
    ):
        for event in stream:
            heard.events += 1
            if event.type == "transcript.text.delta":
                heard.texts.append(event.delta)
            _input_usage(heard, getattr(event, "usage", None))


# Anthropic.


def _anthropic(url: str) -> Any:
    import anthropic

    return anthropic.Anthropic(base_url=url, api_key=_KEY, max_retries=0, timeout=TIMEOUT)


def _async_anthropic(url: str) -> Any:
    import anthropic

    return anthropic.AsyncAnthropic(base_url=url, api_key=_KEY, max_retries=0, timeout=TIMEOUT)


def _messages_asked(model: str) -> dict[str, Any]:
    return {"model": model, "messages": _ASKED, "max_tokens": _MAX_TOKENS}


def _whole_input(usage: Any) -> int:
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return int(usage.input_tokens + cached)


def _message(heard: Heard, answer: Any, *, texts: bool) -> None:
    if texts:
        heard.texts += [block.text for block in answer.content if block.type == "text"]
    heard.tokens = _whole_input(answer.usage), answer.usage.output_tokens


class _MessageEvents:
    """Adds up the events of a message: of the output's counts, the last one is the whole."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._input = 0

    def add(self, event: Any) -> None:
        self._heard.events += 1
        if event.type == "message_start":
            self._input = _whole_input(event.message.usage)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            self._heard.texts.append(event.delta.text)
        elif event.type == "message_delta":
            self._heard.tokens = self._input, event.usage.output_tokens


def messages(url: str, model: str, heard: Heard) -> None:
    with _anthropic(url) as client:
        _message(heard, client.messages.create(**_messages_asked(model)), texts=True)


async def messages_async(url: str, model: str, heard: Heard) -> None:
    async with _async_anthropic(url) as client:
        _message(heard, await client.messages.create(**_messages_asked(model)), texts=True)


def messages_raw(url: str, model: str, heard: Heard) -> None:
    events = _MessageEvents(heard)
    with (
        _anthropic(url) as client,
        client.messages.create(**_messages_asked(model), stream=True) as stream,
    ):
        for event in stream:
            events.add(event)


async def messages_raw_async(url: str, model: str, heard: Heard) -> None:
    events = _MessageEvents(heard)
    async with _async_anthropic(url) as client:
        stream = await client.messages.create(**_messages_asked(model), stream=True)
        async with stream:
            async for event in stream:
                events.add(event)


def messages_helper(url: str, model: str, heard: Heard) -> None:
    with _anthropic(url) as client, client.messages.stream(**_messages_asked(model)) as stream:
        for text in stream.text_stream:
            heard.events += 1
            heard.texts.append(text)
        _message(heard, stream.get_final_message(), texts=False)


async def messages_helper_async(url: str, model: str, heard: Heard) -> None:
    async with (
        _async_anthropic(url) as client,
        client.messages.stream(**_messages_asked(model)) as stream,
    ):
        async for text in stream.text_stream:
            heard.events += 1
            heard.texts.append(text)
        _message(heard, await stream.get_final_message(), texts=False)


# Google.


def _google(url: str) -> Any:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(
        base_url=url,
        timeout=round(TIMEOUT * 1000),
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return genai.Client(api_key=_KEY, http_options=options)


def _gemini_part(heard: Heard, part: Any) -> None:
    heard.events += 1
    heard.texts.append(part.text or "")
    usage = part.usage_metadata
    if usage is not None and usage.candidates_token_count is not None:
        heard.tokens = usage.prompt_token_count, usage.candidates_token_count


def gemini_raw(url: str, model: str, heard: Heard) -> None:
    client = _google(url)
    for part in client.models.generate_content_stream(model=model, contents=_QUESTION):
        _gemini_part(heard, part)


async def gemini_raw_async(url: str, model: str, heard: Heard) -> None:
    client = _google(url)
    stream = await client.aio.models.generate_content_stream(model=model, contents=_QUESTION)
    async for part in stream:
        _gemini_part(heard, part)


Way = Callable[[str, str, Heard], Awaitable[None] | None]

WAYS: Final[dict[str, Way]] = {
    way.__name__: way
    for way in (
        chat,
        chat_async,
        chat_raw,
        chat_raw_async,
        chat_helper,
        chat_helper_async,
        completions_raw,
        responses_raw,
        responses_raw_async,
        responses_helper,
        responses_helper_async,
        images_raw,
        transcription_raw,
        messages,
        messages_async,
        messages_raw,
        messages_raw_async,
        messages_helper,
        messages_helper_async,
        gemini_raw,
        gemini_raw_async,
    )
}

#: The SDKs, with the name of the module and the class from which its errors come.
SDKS: Final = {
    "openai": ("openai", "OpenAIError"),
    "anthropic": ("anthropic", "AnthropicError"),
    "google-genai": ("google.genai.errors", "APIError"),
}


def versions() -> dict[str, str | None]:
    """The release of each SDK."""
    found: dict[str, str | None] = {}
    for name in SDKS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def ask(asked: dict[str, str]) -> dict[str, Any]:
    """Ask once, and tell what was heard."""
    heard = Heard()
    raised: Exception | None = None
    try:
        waiting = WAYS[asked["way"]](asked["url"], asked["model"], heard)
        if waiting is not None:
            asyncio.run(_awaited(waiting))
    except Exception as error:
        raised = error
    bases = [] if raised is None else type(raised).__mro__[:-1]
    own = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in bases]
    return {
        "texts": heard.texts,
        "tokens": heard.tokens,
        "events": heard.events,
        "raised": [kind.__name__ for kind in bases] or None,
        "message": None if raised is None else str(raised),
        "sdks_own": any(
            f"{module.partition('.')[0]}.{base}" in own for module, base in SDKS.values()
        ),
    }


async def _awaited(waiting: Awaitable[None]) -> None:
    await waiting


def main() -> None:
    """See the module's text."""
    found = versions()
    # Imported here, one after the other: threads that import the same package wait for each other.
    for name, (module, _) in SDKS.items():
        if found[name] is not None:
            importlib.import_module(module)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        heard = list(pool.map(ask, json.load(sys.stdin)))
    json.dump({"versions": found, "heard": heard}, sys.stdout)


if __name__ == "__main__":
    main()
