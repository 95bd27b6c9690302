"""What is answered where no text is asked for: a vector, an image, a piece of sound.

All of it is made up here, the same every time, and valid for what it is.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Final

#: Samples a second and bytes a sample of the sound, which has one channel.
_RATE, _WIDTH = 24_000, 2
#: A token is spoken as long as it takes to come: 25 ms.
_SPOKEN: Final = _RATE * _WIDTH // 40

#: A length that is not known when a file's head is written.
_UNKNOWN: Final = 0xFFFFFFFF


def vector(dimensions: int) -> list[float]:
    """A vector of length 1."""
    return [dimensions**-0.5] * dimensions


def vector_base64(dimensions: int) -> str:
    """The same as OpenAI's SDK for Python asks for it: little-endian floats of four bytes."""
    return base64.b64encode(struct.pack(f"<{dimensions}f", *vector(dimensions))).decode()


def image(text: str) -> str:
    """A PNG of one grey pixel, in base64, that is longer than the text that it carries."""
    words = b"Comment\0" + text.encode("latin-1", "replace")
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        + _chunk(b"tEXt", words)
        + _chunk(b"IDAT", zlib.compress(b"\0\x80"))
        + _chunk(b"IEND", b"")
    ).decode()


def sound(token: str) -> bytes:
    """A token as samples of silence; a longer one than there are is as long as its text."""
    return bytes(max(_SPOKEN, len(token) & ~1))


def sound_head() -> bytes:
    """What a WAV file begins with whose length is not known yet."""
    return (
        struct.pack("<4sI4s4sI", b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", 16)
        + struct.pack("<HHIIHH", 1, 1, _RATE, _RATE * _WIDTH, _WIDTH, 8 * _WIDTH)
        + struct.pack("<4sI", b"data", _UNKNOWN)
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
