"""Reading the frames of an AWS event stream (``application/vnd.amazon.eventstream``) on the side.

Amazon's documentation ("Event stream encoding"): a frame is its length, its headers' length and a
CRC32 of both, then headers, payload and a CRC32 of all that.  Nothing is held back from a client
for this, since nothing can be said into such a stream; the meters alone feed it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple
from zlib import crc32

_PRELUDE: Final = struct.Struct(">III")
_PRELUDE_AND_CRC: Final = 16  #: the least length of a frame: the prelude and the last CRC

#: Lengths of header values by type, in bytes; those of types 6 and 7 lead with their own.
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_STRING: Final = 7


class Frame(NamedTuple):
    """A frame: those of its headers that are text, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class FrameReader:
    """Cuts frames, wherever reads split them.  Frames longer than `limit` bytes are passed over.

    What is no event stream (an error as JSON, say) is given up at its first bytes.  Of a stream, a
    frame that its CRC does not prove is passed over, and nothing is read behind a prelude that its
    CRC does not prove: `problem` tells.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        """`limit`: a frame of usage is some hundred bytes, but may bring a guardrail's trace."""
        self.problem: str | None = None  #: the first thing that was wrong with the stream
        self._limit = limit
        self._buffer = bytearray()  # at most `limit` bytes and a read
        self._skip = 0  # bytes of a long frame still to come
        self._number = 0  # of frames that have begun
        self._broken = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the body; return the frames that end in them."""
        if self._broken:
            return []
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        buffer = self._buffer
        buffer += data[skipped:]
        frames: list[Frame] = []
        while len(buffer) >= _PRELUDE.size:
            length, headers_length, crc = _PRELUDE.unpack_from(buffer)
            if crc != crc32(buffer[:8]) or length < _PRELUDE_AND_CRC + headers_length:
                if self._is_stream:
                    self._note("has a prelude that cannot be true, and nothing behind it was read")
                self._broken = True
                buffer.clear()
            elif length > self._limit:
                self._number += 1
                self._skip = max(length - len(buffer), 0)
                del buffer[:length]
            elif length > len(buffer):
                break
            else:
                frame = bytes(buffer[:length])
                del buffer[:length]
                if int.from_bytes(frame[-4:], "big") == crc32(frame[:-4]):
                    start = _PRELUDE.size + headers_length
                    headers = _headers(frame[_PRELUDE.size : start])
                    frames.append(Frame(headers, frame[start:-4]))
                else:
                    self._note("has a CRC that does not fit it, and was not read")
                self._number += 1
        return frames

    def end(self) -> None:
        """The body has ended; so should the last frame have."""
        if self._skip or (self._buffer and self._is_stream):
            self._note("has not come to its end")

    @property
    def _is_stream(self) -> bool:
        """Whether this is an event stream at all: frames below 16 MiB begin with a zero."""
        return self._number > 0 or self._buffer[:1] == b"\0"

    def _note(self, what: str) -> None:
        if self.problem is None:
            number = self._number - bool(self._skip)
            self.problem = f"frame {number + 1} of the event stream {what}"


def _headers(data: bytes) -> dict[str, str]:
    """The headers that are text; what follows one that cannot be read is left out."""
    found: dict[str, str] = {}
    at = 0
    while at + 2 <= len(data):
        name_end = at + 1 + data[at]
        if name_end >= len(data):
            break
        kind = data[name_end]
        start = name_end + 1
        length = _FIXED.get(kind)
        if length is None:
            length = int.from_bytes(data[start : start + 2], "big")
            start += 2
        if kind == _STRING:
            name = data[at + 1 : name_end].decode("utf-8", "replace")
            found[name] = data[start : start + length].decode("utf-8", "replace")
        at = start + length
    return found
