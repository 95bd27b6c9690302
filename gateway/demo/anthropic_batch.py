"""Anthropic's message batches, as "Message Batches" of its API reference has them.

A batch has ended as soon as it was created.  Its results come line by line, and the fetch of them
goes as the model of its first request does: those of ``demo-cut`` break off in the middle.
Requests that a real server would refuse, and those of models that answer with an error, errored.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from .answers import Answer, Prompt, answer
from .anthropic import Anthropic, CreateMessage
from .dialect import Asked, Body, Dialect, Json, Refusal, decode, json_body
from .models import MODELS

#: Batches that are kept, and requests that one may have.
_KEPT: Final = 20
_MOST: Final = 1000

_CREATED: Final = "2026-01-01T00:00:00Z"


class _One(msgspec.Struct):
    custom_id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    params: msgspec.Raw


class _Request(msgspec.Struct):
    requests: Annotated[list[_One], msgspec.Meta(min_length=1, max_length=_MOST)]


@dataclass(frozen=True, slots=True)
class _Batch:
    id: str
    results: tuple[tuple[str, Answer | Refusal], ...]

    @property
    def model(self) -> str:
        """That of the first request that has one."""
        answers = (result for _, result in self.results if isinstance(result, Answer))
        return next((one.model.name for one in answers), "demo")


class BatchStore:
    """The last batches."""

    def __init__(self) -> None:
        self._batches: dict[str, _Batch] = {}

    def keep(self, batch: _Batch) -> None:
        """Keep one, and forget the oldest if there are too many."""
        self._batches[batch.id] = batch
        if len(self._batches) > _KEPT:
            del self._batches[next(iter(self._batches))]

    def get(self, id: str) -> _Batch:
        """The batch of that id; raises `Refusal` if there is none."""
        batch = self._batches.get(id)
        if batch is None:
            raise Refusal(404, "There is no batch of that id, or it has been forgotten.")
        return batch


class _Batches(Anthropic):
    """The part that all of its endpoints share: `Answer.id` is the batch's."""

    def __init__(self, store: BatchStore) -> None:
        self._store = store

    def read(self, asked: Asked) -> Prompt:
        """Nothing: it is not a prompt."""
        return Prompt(model="demo", stream=False, input_tokens=0)

    def answer(self, asked: Asked) -> Answer:
        """What is known of the batch that the path names."""
        return _about(self._store.get(asked.name).id, self.read(asked))

    def whole(self, answer: Answer) -> Body:
        """The batch, without its results."""
        batch = self._store.get(answer.id)
        errored = sum(isinstance(result, Refusal) for _, result in batch.results)
        path = f"/v1/messages/batches/{batch.id}"
        return json_body(
            {
                "id": batch.id,
                "type": "message_batch",
                "processing_status": "ended",
                "request_counts": {
                    "processing": 0,
                    "succeeded": len(batch.results) - errored,
                    "errored": errored,
                    "canceled": 0,
                    "expired": 0,
                },
                "created_at": _CREATED,
                "ended_at": _CREATED,
                "expires_at": _CREATED,
                "archived_at": None,
                "cancel_initiated_at": None,
                # Relative, so that clients fetch them where they fetched this.
                "results_url": f"{path}/results",
            }
        )


class RetrieveBatch(_Batches):
    """``GET /v1/messages/batches/{}``."""


class CreateBatch(_Batches):
    """``POST /v1/messages/batches``."""

    def __init__(self, store: BatchStore) -> None:
        super().__init__(store)
        self._messages = CreateMessage()

    def answer(self, asked: Asked) -> Answer:
        """Answer all requests of a new batch; raises `Refusal` if it is none."""
        request = decode(asked.body, _Request)
        results = tuple((one.custom_id, self._result(one)) for one in request.requests)
        if len({custom_id for custom_id, _ in results}) < len(results):
            raise Refusal(400, "Invalid request body: each custom_id must be unique.")
        batch = _Batch(f"msgbatch_{uuid.uuid4().hex}", results)
        self._store.keep(batch)
        return _about(batch.id, self.read(asked))

    def _result(self, one: _One) -> Answer | Refusal:
        try:
            result = self._messages.answer(Asked(bytes(one.params)))
        except Refusal as refusal:
            return refusal
        if result.model.instead is not None:
            return Refusal(500, "The simulated provider had an error, as this model always has.")
        return result


class BatchResults(_Batches):
    """``GET /v1/messages/batches/{}/results``."""

    def answer(self, asked: Asked) -> Answer:
        """As many parts as there are results."""
        batch = self._store.get(asked.name)
        return _about(batch.id, Prompt(model=batch.model, stream=True, input_tokens=0))

    def stream_type(self, prompt: Prompt) -> str:
        """Lines of JSON."""
        return "application/x-jsonl"

    def parts(self, answer: Answer) -> list[bytes]:
        """Line by line."""
        return [
            msgspec.json.encode({"custom_id": custom_id, "result": self._told(result)}) + b"\n"
            for custom_id, result in self._store.get(answer.id).results
        ]

    def whole(self, answer: Answer) -> Body:
        """All lines at once."""
        return Body(b"".join(self.parts(answer)), self.stream_type(answer.prompt))

    def _told(self, result: Answer | Refusal) -> Json:
        if isinstance(result, Refusal):
            return {"type": "errored", "error": self.refusal(result, "")}
        message = msgspec.json.decode(CreateMessage().whole(result).content, type=Json)
        usage = message["usage"]
        assert isinstance(usage, dict)
        usage["service_tier"] = "batch"
        return {"type": "succeeded", "message": message}


def _about(id: str, prompt: Prompt) -> Answer:
    """What is said of a batch, in the manner of the prompt's model."""
    return answer(prompt, MODELS[prompt.model], id, 0)


def endpoints() -> tuple[tuple[str, str, Dialect], ...]:
    """Paths, methods and dialects, with a store of their own."""
    store = BatchStore()
    return (
        ("/v1/messages/batches", "POST", CreateBatch(store)),
        ("/v1/messages/batches/{}", "GET", RetrieveBatch(store)),
        ("/v1/messages/batches/{}/results", "GET", BatchResults(store)),
    )
