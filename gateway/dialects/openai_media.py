"""OpenAI's endpoints for embeddings, images and audio.

The request of a transcription, and mostly of an image's edit, is a form with ``model`` and
``stream`` among its fields.  Speech is streamed as events only with ``"stream_format": "sse"``;
some servers know a ``stream`` there that answers with audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec
from msgspec.structs import replace

from ..sse import BOM
from .base import UNSEEN, Meter, Peek, StreamKind
from .generic import NullMeter
from .jsonpick import picked
from .openai import OpenAIEndpoint
from .openai_events import TypedStreamMeter, UsageBodyMeter
from .request import peek

_IMAGE: Final = frozenset({"image_generation.completed", "image_edit.completed"})
_TRANSCRIPT: Final = frozenset({"transcript.text.done"})
_SPEECH: Final = frozenset({"speech.audio.done"})


class OpenAIEmbeddings(OpenAIEndpoint):
    """The dialect of ``/v1/embeddings``, which never streams."""

    name: ClassVar[str] = "openai_embeddings"

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """The model; raises `BadRequest`."""
        return replace(peek(body, known), stream=False)

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """Nothing is known of such a stream."""
        return NullMeter()

    def body_meter(self) -> Meter:
        """A meter for a list of embeddings."""
        return UsageBodyMeter()


class OpenAIImages(OpenAIEndpoint):
    """The dialect of ``/v1/images/generations`` and ``/v1/images/edits``."""

    name: ClassVar[str] = "openai_images"
    reads_forms: ClassVar[bool] = True

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of images."""
        return TypedStreamMeter(_IMAGE, several=True)

    def body_meter(self) -> Meter:
        """A meter for a list of images."""
        return UsageBodyMeter()


class OpenAITranscription(OpenAIEndpoint):
    """The dialect of ``/v1/audio/transcriptions`` and ``/v1/audio/translations``."""

    name: ClassVar[str] = "openai_transcription"
    reads_forms: ClassVar[bool] = True

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a transcript as it grows."""
        return TypedStreamMeter(_TRANSCRIPT)

    def body_meter(self) -> Meter:
        """A meter for a transcript; as plain text or subtitles it tells nothing."""
        return UsageBodyMeter()


class _Speech(msgspec.Struct):
    stream_format: msgspec.Raw = msgspec.Raw()


_decode_speech = msgspec.json.Decoder(_Speech).decode


class OpenAISpeech(OpenAIEndpoint):
    """The dialect of ``/v1/audio/speech``."""

    name: ClassVar[str] = "openai_speech"

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """Model, and whether events were asked for; raises `BadRequest`."""
        seen = peek(body, known)
        fields = picked(_decode_speech, b"".join(body).removeprefix(BOM))
        return replace(seen, stream=fields is not None and bytes(fields.stream_format) == b'"sse"')

    def stream_meter(self, kind: StreamKind = StreamKind.EVENTS) -> Meter:
        """A meter for a stream of pieces of audio."""
        return TypedStreamMeter(_SPEECH)

    def body_meter(self) -> Meter:
        """A meter that reads nothing: audio tells no usage."""
        return NullMeter()
