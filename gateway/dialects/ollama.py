"""Ollama's own API: ``/api/chat``, ``/api/generate`` and the embeddings.

A request streams unless it says ``"stream":false``; a stream is lines, each a JSON object
(``application/x-ndjson``), and the error in one is a line ``{"error":…}``, as the body of an error
response is.

Nothing is said into silences: Ollama's client for Python fails at a blank line, and whoever reads
an answer piece by piece at a piece that is only white space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec
from msgspec.structs import replace

from ..sse import BOM
from .base import FRESH, UNSEEN, Dialect, Meter, Peek, Standing, StreamKind, Trouble
from .jsonpick import picked
from .ollama_meter import OllamaBodyMeter, OllamaStreamMeter
from .openai import json_text, plain
from .request import peek

_LINES: Final = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl"})


def error_body(trouble: Trouble) -> bytes:
    """The JSON body of an error response."""
    return json_text({"error": plain(trouble.message)})


def error_event(trouble: Trouble) -> bytes:
    """The line that ends a stream which failed."""
    return error_body(trouble) + b"\n"


class _Asked(msgspec.Struct):
    stream: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Asked).decode


class Ollama(Dialect):
    """The dialect of ``/api/chat`` and ``/api/generate``."""

    name: ClassVar[str] = "ollama"

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """Model and stream flag; raises `BadRequest`."""
        seen = peek(body, known)
        fields = picked(_decode, b"".join(body).removeprefix(BOM))
        asked = fields is not None and bytes(fields.stream) != b"false"
        return replace(seen, stream=asked, events=False)

    def stream_kind(self, media_type: bytes, peek: Peek) -> StreamKind | None:
        """Lines, by their media type."""
        return StreamKind.LINES if media_type in _LINES else None

    def error_body(self, trouble: Trouble) -> bytes:
        """The JSON body of an error response."""
        return error_body(trouble)

    def error_event(self, trouble: Trouble, standing: Standing = FRESH) -> bytes:
        """The line that ends a stream which failed."""
        return error_event(trouble)

    def keepalive(self, standing: Standing = FRESH) -> bytes:
        """Nothing: there is no line that every client passes over."""
        return b""

    def stream_meter(self, kind: StreamKind = StreamKind.LINES) -> Meter:
        """A meter for a stream of lines."""
        return OllamaStreamMeter()

    def body_meter(self) -> Meter:
        """A meter for an answer, or an error, as one JSON object."""
        return OllamaBodyMeter()


class OllamaEmbeddings(Ollama):
    """The dialect of ``/api/embed`` and ``/api/embeddings``, which never stream."""

    name: ClassVar[str] = "ollama_embeddings"

    def peek(self, body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
        """The model; raises `BadRequest`."""
        return replace(peek(body, known), stream=False)
