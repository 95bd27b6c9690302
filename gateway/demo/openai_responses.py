"""OpenAI's responses, as "Responses" and "Streaming events" of its API reference describe them, and
how they are asked for again.

A stream is numbered from ``response.created`` on.  ``GET /v1/responses/{id}`` gives a response that
is still kept, and with ``?stream=true&starting_after=N`` the events after the one with that number.
However the model behaved at first, it behaves well then, so that a stream that broke off can be
taken up.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Final

import msgspec

from .answers import Answer, Prompt, effort
from .dialect import Asked, Body, Json, Limit, Part, Refusal, decode, event, json_body, text_of
from .models import MODELS, cached, count_input
from .openai import OpenAI, input_usage, server_error

#: How many responses are kept.
_KEPT: Final = 100


class ResponseStore:
    """The last responses by their ids.  Nothing of a prompt is in it."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Answer] = OrderedDict()

    def keep(self, answer: Answer) -> None:
        """Keep an answer, in the place of the oldest one if there are too many."""
        self._kept[_id(answer)] = answer
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def find(self, id: str) -> Answer:
        """The answer with that id; raises `Refusal` if it is not kept."""
        try:
            return self._kept[id]
        except KeyError:
            message = f"There is no response of that id; the last {self._most} are kept."
            raise Refusal(404, message, param="id") from None


class _Reasoning(msgspec.Struct):
    effort: str | None = None


class _Item(msgspec.Struct):
    content: str | list[Part] | None = None


class _Request(msgspec.Struct):
    """What is looked at of a request's body."""

    model: str
    input: str | list[_Item] = ""
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    max_output_tokens: Limit | None = None
    reasoning: _Reasoning | None = None


class Responses(OpenAI):
    """``POST /v1/responses``."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; instructions count as a text of the prompt."""
        request = decode(asked.body, _Request)
        said = [request.input] if isinstance(request.input, str) else _texts(request.input)
        tokens = count_input([*said, *([request.instructions] if request.instructions else [])])
        return Prompt(
            model=request.model,
            stream=bool(request.stream),
            input_tokens=tokens,
            max_tokens=request.max_output_tokens,
            cached_tokens=cached(tokens),
            reasoning_tokens=effort(request.reasoning.effort if request.reasoning else None),
            stored=request.store is not False,
        )

    def answer(self, asked: Asked) -> Answer:
        """What is said, which is kept unless the request forbids it."""
        answer = super().answer(asked)
        if answer.prompt.stored:
            self._store.keep(answer)
        return answer

    def parts(self, answer: Answer) -> list[bytes]:
        """What opens the response, its item and its part, with the first token; token by token;
        what closes them.
        """
        opening, closing = _opening(answer), _closing(answer)
        deltas = [
            _in_part(answer, "output_text.delta", delta=t, logprobs=[]) for t in answer.tokens
        ]
        groups = [opening + deltas[:1], *([delta] for delta in deltas[1:]), closing]
        parts: list[bytes] = []
        number = 0
        for group in groups:
            numbered = enumerate(group, number)
            number += len(group)
            parts.append(b"".join(_event(e, n) for n, e in numbered if n > answer.prompt.after))
        return [part for part in parts if part]

    def failure(self, answer: Answer, given: int) -> bytes:
        """An ``error`` event, as the API sends it, and ``response.failed``."""
        number = 0 if given == 0 else len(_opening(answer)) + given
        error = server_error()
        failed = _response(answer, "failed") | {
            "error": {"code": error["code"], "message": error["message"]}
        }
        return _event({"type": "error", "error": error}, number) + _event(
            {"type": "response.failed", "response": failed}, number + 1
        )

    def whole(self, answer: Answer) -> Body:
        """A ``response`` object."""
        return json_body(_finished(answer))


class Replay(Responses):
    """``GET /v1/responses/{id}``."""

    def answer(self, asked: Asked) -> Answer:
        """A response that is kept, from a model that behaves."""
        kept = self._store.find(asked.name)
        after = asked.query.get("starting_after", "-1")
        if not after.removeprefix("-").isdecimal():
            raise Refusal(400, "starting_after has to be a number.", param="starting_after")
        stream = asked.query.get("stream", "").lower() in ("true", "1")
        prompt = replace(kept.prompt, stream=stream, after=int(after))
        return replace(kept, prompt=prompt, model=MODELS["demo"])


def _texts(items: list[_Item]) -> list[str]:
    return [text_of(item.content) for item in items]


def _id(answer: Answer) -> str:
    return f"resp_{answer.id}"


def _event(data: Json, number: int) -> bytes:
    return event({**data, "sequence_number": number}, str(data["type"]))


def _opening(answer: Answer) -> list[Json]:
    response = _response(answer, "in_progress")
    return [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        _in_output(answer, "output_item.added", item=_item(answer, "in_progress", [])),
        _in_part(answer, "content_part.added", part=_part("")),
    ]


def _closing(answer: Answer) -> list[Json]:
    part = _part(answer.text)
    item = _item(answer, _status(answer), [part])
    return [
        _in_part(answer, "output_text.done", text=answer.text, logprobs=[]),
        _in_part(answer, "content_part.done", part=part),
        _in_output(answer, "output_item.done", item=item),
        {"type": f"response.{_status(answer)}", "response": _finished(answer)},
    ]


def _in_output(answer: Answer, kind: str, **members: object) -> Json:
    return {"type": f"response.{kind}", "output_index": 0, **members}


def _in_part(answer: Answer, kind: str, **members: object) -> Json:
    return _in_output(answer, kind, item_id=f"msg_{answer.id}", content_index=0, **members)


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _item(answer: Answer, status: str, content: list[Json]) -> Json:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _status(answer: Answer) -> str:
    return "incomplete" if answer.shortened else "completed"


def _finished(answer: Answer) -> Json:
    status = _status(answer)
    prompt = answer.prompt
    details = {"reason": "max_output_tokens"} if answer.shortened else None
    usage = input_usage(answer) | {
        "input_tokens_details": {"cached_tokens": prompt.cached_tokens, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }
    return _response(answer, status) | {
        "incomplete_details": details,
        "output": [_item(answer, status, [_part(answer.text)])],
        "usage": usage,
    }


def _response(answer: Answer, status: str) -> Json:
    return {
        "id": _id(answer),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": answer.prompt.max_tokens,
        "metadata": {},
        "model": answer.prompt.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": answer.prompt.stored,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    }
