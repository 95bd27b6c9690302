"""OpenAI's embeddings, images, transcriptions and speech, as "Embeddings", "Images" and "Audio" of
its API reference describe them.
"""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec

from . import samples
from .answers import Answer, Prompt
from .dialect import EVENT_STREAM, Asked, Body, Json, Limit, decode, event, for_vectors, json_body
from .forms import Form, read_form
from .models import count_input
from .openai import OpenAI, input_usage, server_error
from .openai_chat import count_texts

#: Tokens of an image that is given, of one that is made, and of one on the way to it.
_IMAGE_IN, _IMAGE_OUT, _PARTIAL = 256, 272, 100
_MOST_IMAGES, _MOST_PARTIALS = 10, 3


class _EmbeddingsRequest(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: str = "float"
    dimensions: Limit = 16


class Embeddings(OpenAI):
    """``POST /v1/embeddings``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request: one text or several, or their tokens."""
        request = decode(asked.body, _EmbeddingsRequest)
        several = isinstance(request.input, list) and not any(
            isinstance(item, int) for item in request.input
        )
        return for_vectors(
            Prompt(
                model=request.model,
                stream=False,
                input_tokens=count_texts(request.input),
                form=request.encoding_format,
                count=len(request.input) if several else 1,
                dimensions=request.dimensions,
            )
        )

    def whole(self, answer: Answer) -> Body:
        """A list of vectors."""
        prompt = answer.prompt
        make = samples.vector_base64 if prompt.form == "base64" else samples.vector
        vector = make(prompt.dimensions)
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index in range(prompt.count)
        ]
        usage = {"prompt_tokens": prompt.input_tokens, "total_tokens": prompt.input_tokens}
        return json_body({"object": "list", "data": data, "model": prompt.model, "usage": usage})


class _ImageRequest(msgspec.Struct):
    model: str
    prompt: str
    stream: bool | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=_MOST_IMAGES)] | None = None
    partial_images: Annotated[int, msgspec.Meta(ge=0, le=_MOST_PARTIALS)] | None = None


class Images(OpenAI):
    """``POST /v1/images/generations`` and, as a form, ``/v1/images/edits``.

    `kind` is what the types of its events begin with.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; with each image in a form its tokens come."""
        if asked.content_type.lower().startswith("multipart/"):
            form = read_form(asked)
            request = _ImageRequest(
                form.required("model"),
                form.required("prompt"),
                form.flag("stream"),
                form.number("n", 1, 1, _MOST_IMAGES),
                form.number("partial_images", 0, 0, _MOST_PARTIALS),
            )
            given = len(form.files) * _IMAGE_IN
        else:
            request, given = decode(asked.body, _ImageRequest), 0
        return Prompt(
            model=request.model,
            stream=bool(request.stream),
            input_tokens=count_input([request.prompt]) + given,
            count=request.n or 1,
            partials=request.partial_images or 0,
            image_tokens=given,
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """The images on the way, then each image with the usage that is its own."""
        partial = [
            self._event(answer, "partial_image", partial_image_index=index)
            for index in range(answer.prompt.partials)
        ]
        usage = _image_usage(answer, images=1)
        return partial + [
            self._event(answer, "completed", usage=usage) for _ in range(answer.prompt.count)
        ]

    def failure(self, answer: Answer, given: int) -> bytes:
        """An ``error`` event."""
        return event({"type": "error", "error": server_error()}, "error")

    def whole(self, answer: Answer) -> Body:
        """A list of images."""
        image = {"b64_json": _image(answer)}
        return json_body(
            {
                "created": answer.created,
                **_LOOK,
                "data": [image] * answer.prompt.count,
                "usage": _image_usage(answer, images=answer.prompt.count),
            }
        )

    def _event(self, answer: Answer, what: str, **members: object) -> bytes:
        kind = f"{self._kind}.{what}"
        data = {"type": kind, "b64_json": _image(answer), "created_at": answer.created}
        return event(data | _LOOK | members, kind)


_LOOK: Json = {
    "background": "opaque",
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
}


def _image(answer: Answer) -> str:
    return samples.image(answer.text)


def _image_usage(answer: Answer, images: int) -> Json:
    prompt = answer.prompt
    made = images * _IMAGE_OUT + prompt.partials * _PARTIAL
    return {
        "input_tokens": prompt.input_tokens,
        "output_tokens": made,
        "total_tokens": prompt.input_tokens + made,
        "input_tokens_details": {
            "text_tokens": prompt.input_tokens - prompt.image_tokens,
            "image_tokens": prompt.image_tokens,
        },
    }


class Transcription(OpenAI):
    """``POST /v1/audio/transcriptions`` and ``/v1/audio/translations``."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request; its tokens follow the length of the file."""
        form = read_form(asked)
        return Prompt(
            model=form.required("model"),
            stream=form.flag("stream"),
            input_tokens=_heard(form),
            form=form.fields.get("response_format", "json"),
        )

    def parts(self, answer: Answer) -> list[bytes]:
        """Token by token, and the whole text with the usage."""
        deltas = [event({"type": "transcript.text.delta", "delta": t}) for t in answer.tokens]
        done: Json = {"type": "transcript.text.done", "text": answer.text}
        return [*deltas, event(done | {"usage": _transcript_usage(answer)})]

    def whole(self, answer: Answer) -> Body:
        """The text, alone or in an object with the usage."""
        if answer.prompt.form == "text":
            return Body(answer.text.encode() + b"\n", "text/plain; charset=utf-8")
        return json_body({"text": answer.text, "usage": _transcript_usage(answer)})


def _heard(form: Form) -> int:
    return 1 + sum(form.files) // 1000


def _transcript_usage(answer: Answer) -> Json:
    details = {"text_tokens": 0, "audio_tokens": answer.prompt.input_tokens}
    return {"type": "tokens", **input_usage(answer), "input_token_details": details}


class _SpeechRequest(msgspec.Struct):
    model: str
    input: str
    response_format: str = "wav"
    stream_format: str = "audio"


class Speech(OpenAI):
    """``POST /v1/audio/speech``.  It is silence, and but for ``pcm`` a WAV file."""

    def read(self, asked: Asked) -> Prompt:
        """Understand a request: even one for plain audio is answered as it is spoken."""
        request = decode(asked.body, _SpeechRequest)
        form = request.stream_format
        if form != "sse":
            form = "audio/pcm" if request.response_format == "pcm" else "audio/wav"
        tokens = count_input([request.input])
        return Prompt(model=request.model, stream=True, input_tokens=tokens, form=form)

    def stream_type(self, prompt: Prompt) -> str:
        """Events, or sound."""
        return EVENT_STREAM if prompt.form == "sse" else prompt.form

    def parts(self, answer: Answer) -> list[bytes]:
        """Token by token; events end with one that has the usage."""
        pieces = [samples.sound(token) for token in answer.tokens]
        if answer.prompt.form != "audio/pcm":
            pieces = [samples.sound_head() + pieces[0], *pieces[1:]]
        if answer.prompt.form != "sse":
            return pieces
        deltas: list[Json] = [
            {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
            for piece in pieces
        ]
        done: Json = {"type": "speech.audio.done", "usage": input_usage(answer)}
        return [event(data) for data in (*deltas, done)]

    def failure(self, answer: Answer, given: int) -> bytes:
        """An error event; into sound nothing can be said."""
        return super().failure(answer, given) if answer.prompt.form == "sse" else b""

    def whole(self, answer: Answer) -> Body:
        """The sound in one piece."""
        sound = b"".join(samples.sound(token) for token in answer.tokens)
        if answer.prompt.form == "audio/pcm":
            return Body(sound, "audio/pcm")
        return Body(samples.sound_head() + sound, "audio/wav")
