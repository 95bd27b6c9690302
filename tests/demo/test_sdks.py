"""The vendors' own SDKs, the best judges of the shapes, over a real socket to the provider itself.

What they make of it through the gateway is seen elsewhere; here each way in which they can ask is
asked once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import anthropic
import openai
import pytest
from anthropic.types import MessageParam
from openai.types.chat import ChatCompletionUserMessageParam
from twisted.internet.threads import deferToThread

from gateway.demo import demo_site
from gateway.demo.models import TEXT

#: The answer to a request that allows five tokens.
FIVE = "I am a simulated model"

QUESTION: ChatCompletionUserMessageParam = {"role": "user", "content": "hello"}
TO_CLAUDE: MessageParam = {"role": "user", "content": "hello"}


def _chat(client: openai.OpenAI) -> object:
    answer = client.chat.completions.create(model="demo", max_tokens=5, messages=[QUESTION])
    assert answer.usage is not None
    return answer.choices[0].message.content, answer.usage.completion_tokens


def _chat_stream(client: openai.OpenAI) -> object:
    chunks = list(
        client.chat.completions.create(
            model="demo",
            stream=True,
            max_tokens=5,
            messages=[QUESTION],
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].usage is not None
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    return text, chunks[-1].usage.completion_tokens


def _chat_helper(client: openai.OpenAI) -> object:
    with client.chat.completions.stream(model="demo", messages=[QUESTION]) as stream:
        return stream.get_final_completion().choices[0].message.content


def _completions(client: openai.OpenAI) -> object:
    chunks = client.completions.create(model="demo", prompt="hello", stream=True, max_tokens=5)
    return "".join(chunk.choices[0].text for chunk in chunks)


def _response(client: openai.OpenAI) -> object:
    answer = client.responses.create(model="demo", input="hello", max_output_tokens=5)
    assert answer.incomplete_details is not None
    return answer.output_text, answer.status, answer.incomplete_details.reason


def _response_helper(client: openai.OpenAI) -> object:
    with client.responses.stream(model="demo", input="hello") as stream:
        last = stream.get_final_response()
    assert last.usage is not None
    return last.output_text, last.usage.total_tokens - last.usage.input_tokens


def _response_taken_up(client: openai.OpenAI) -> object:
    """A stream that is cut, and gone on with behind the last event that came."""
    id, last, texts = "", -1, []
    try:
        for event in client.responses.create(model="demo-cut", input="hello", stream=True):
            last = event.sequence_number
            if event.type == "response.created":
                id = event.response.id
            elif event.type == "response.output_text.delta":
                texts.append(event.delta)
    except openai.APIConnectionError:
        texts.append("|")
    for event in client.responses.retrieve(id, stream=True, starting_after=last):
        if event.type == "response.output_text.delta":
            texts.append(event.delta)
    return "".join(texts).count("|"), "".join(texts).replace("|", "")


def _error_event(client: openai.OpenAI) -> object:
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model="demo-error-event", input="hello", stream=True))
    return caught.value.code


def _embeddings(client: openai.OpenAI) -> object:
    answer = client.embeddings.create(model="demo", input=["a", "b"], dimensions=4)
    return [item.embedding for item in answer.data], answer.usage.prompt_tokens


def _images(client: openai.OpenAI) -> object:
    answer = client.images.generate(model="demo", prompt="hello", n=2)
    assert answer.data is not None
    assert answer.usage is not None
    return len(answer.data), answer.usage.output_tokens


def _edit(client: openai.OpenAI) -> object:
    events = client.images.edit(
        model="demo", prompt="hello", image=b"\x89PNG", stream=True, partial_images=1
    )
    return [event.type for event in events]


def _transcript(client: openai.OpenAI) -> object:
    events = client.audio.transcriptions.create(model="demo", file=b"x", stream=True)
    return [event.text for event in events if event.type == "transcript.text.done"]


def _speech(client: openai.OpenAI) -> object:
    with client.audio.speech.with_streaming_response.create(
        model="demo", input="hello", voice="echo"
    ) as response:
        return response.read()[:4]


def _models(client: openai.OpenAI) -> object:
    return next(iter(client.models.list())).id


OPENAI: list[tuple[Callable[[openai.OpenAI], object], object]] = [
    (_chat, (FIVE, 5)),
    (_chat_stream, (FIVE, 5)),
    (_chat_helper, TEXT),
    (_completions, FIVE),
    (_response, (FIVE, "incomplete", "max_output_tokens")),
    (_response_helper, (TEXT, 74)),
    (_response_taken_up, (1, TEXT)),
    (_error_event, "server_error"),
    (_embeddings, ([[0.5] * 4] * 2, 10)),
    (_images, (2, 544)),
    (_edit, ["image_edit.partial_image", "image_edit.completed"]),
    (_transcript, [TEXT]),
    (_speech, b"RIFF"),
    (_models, "demo"),
]


def _message(client: anthropic.Anthropic) -> object:
    answer = client.messages.create(model="demo", max_tokens=5, messages=[TO_CLAUDE])
    assert answer.content[0].type == "text"
    return answer.content[0].text, answer.stop_reason


def _message_helper(client: anthropic.Anthropic) -> object:
    with client.messages.stream(
        model="demo",
        max_tokens=40,
        messages=[TO_CLAUDE],
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        last = stream.get_final_message()
    details = last.usage.output_tokens_details
    assert details is not None
    return last.stop_reason, last.usage.output_tokens, details.thinking_tokens


def _count(client: anthropic.Anthropic) -> object:
    return client.messages.count_tokens(model="demo", messages=[TO_CLAUDE]).input_tokens


def _overloaded(client: anthropic.Anthropic) -> object:
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="demo-overloaded", max_tokens=5, messages=[TO_CLAUDE])
    return caught.value.status_code, caught.value.response.headers["retry-after"]


def _models_of_anthropic(client: anthropic.Anthropic) -> object:
    return next(iter(client.models.list())).display_name


ANTHROPIC: list[tuple[Callable[[anthropic.Anthropic], object], object]] = [
    (_message, (FIVE, "max_tokens")),
    (_message_helper, ("max_tokens", 40, 32)),
    (_count, 6),
    (_overloaded, (529, "2")),
    (_models_of_anthropic, "demo: answers as it should"),
]


class Hurried:
    """The reactor's clock for a provider that speaks a hundred times as fast.

    Longer delays are limits of its connections, which stay as they are.
    """

    def __init__(self, reactor: Any) -> None:
        self.seconds = reactor.seconds
        self._reactor = reactor

    def callLater(self, delay: float, call: Callable[..., Any], *args: object) -> object:  # noqa: N802
        """Call what is due after `delay` seconds."""
        return self._reactor.callLater(delay / 100 if delay < 10 else delay, call, *args)


async def _served(ask: Callable[[str], object]) -> object:
    """What a blocking client hears that is given the provider's URL."""
    from twisted.internet import reactor

    internet = cast(Any, reactor)
    port = internet.listenTCP(0, demo_site(cast(Any, Hurried(internet))), interface="127.0.0.1")
    try:
        return await deferToThread(ask, f"http://127.0.0.1:{port.getHost().port}")
    finally:
        await port.stopListening()


@pytest.mark.parametrize(("ask", "heard"), OPENAI)
async def test_openais_sdk_understands(
    ask: Callable[[openai.OpenAI], object], heard: object
) -> None:
    def asked(root: str) -> object:
        with openai.OpenAI(base_url=f"{root}/v1", api_key="none", max_retries=0) as client:
            return ask(client)

    assert await _served(asked) == heard


@pytest.mark.parametrize(("ask", "heard"), ANTHROPIC)
async def test_anthropics_sdk_understands(
    ask: Callable[[anthropic.Anthropic], object], heard: object
) -> None:
    def asked(root: str) -> object:
        with anthropic.Anthropic(base_url=root, api_key="none", max_retries=0) as client:
            return ask(client)

    assert await _served(asked) == heard
