"""Decoders that take a body out of its framing, fed in pieces cut anywhere.

Each has `feed`, which returns the body bytes of one read; `done`, True at the end of the body;
`excess`, what came behind that end; and `eof`, to be called when the peer ends its connection.
They hold a bounded number of bytes whatever comes.
"""

from __future__ import annotations

from typing import Final, Protocol

from . import grammar
from .errors import RemoteError, Truncated
from .framing import UNKNOWN_LENGTH, Framing, FramingKind

_CR: Final = 0x0D

#: The size lines of most chunks, read beforehand: of events one at a time, without extensions.
_SIZES: Final = {b"%x" % size: size for size in range(1, 1024)}

#: Bytes of one chunk's size line, extensions included, and of a whole trailer section.
MAX_SIZE_LINE = 1024
MAX_TRAILERS = 16 * 1024
#: What the framing of a body may cost: so many bytes, and beyond them so many times the body.
FREE_OVERHEAD = 64 * 1024
MAX_OVERHEAD_SHARE = 4


class BodyDecoder(Protocol):
    """What the three decoders have in common."""

    done: bool
    excess: bytes

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`.

        Raises `RemoteError` where the framing is broken; its `before` is the body up to there.
        """

    def eof(self) -> None:
        """The peer ended its connection.  Raises `Truncated` if the body is not whole."""


class LengthDecoder:
    """A body of a told number of bytes; 0 for messages without a body."""

    __slots__ = ("_left", "done", "excess")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.excess = b""

    def feed(self, data: bytes) -> bytes:
        """See `BodyDecoder.feed`."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data
        self.excess += data[self._left :]
        data = data[: self._left]
        self._left = 0
        self.done = True
        return data

    def eof(self) -> None:
        """See `BodyDecoder.eof`."""
        if not self.done:
            raise Truncated(f"the body ended {self._left} bytes short of its Content-Length")


class UntilCloseDecoder:
    """A body that ends with its connection, so that nobody can tell an end from a cut."""

    __slots__ = ("done", "excess")

    def __init__(self) -> None:
        self.done = False
        self.excess = b""

    def feed(self, data: bytes) -> bytes:
        """See `BodyDecoder.feed`."""
        return data

    def eof(self) -> None:
        """See `BodyDecoder.eof`; here it is the end of the body."""
        self.done = True


class ChunkedDecoder:
    """The chunked coding (RFC 9112, 7.1); extensions and trailers are checked and dropped.

    A `lean` decoder refuses a body that is mostly framing: chunks of a byte cost the reader far
    more than the sender.
    """

    __slots__ = (
        "_framing",
        "_in_trailers",
        "_lean",
        "_left",
        "_line",
        "_need_crlf",
        "_size",
        "_trailer_bytes",
        "done",
        "excess",
    )

    def __init__(self, *, lean: bool = False) -> None:
        self._lean = lean
        self._framing = 0  # bytes of size lines so far
        self._size = 0  # bytes of data that they announced
        self._left = 0  # bytes to come of the chunk's data
        self._need_crlf = False  # the chunk's data is through, its CRLF is not
        self._line = b""  # an unfinished line
        self._in_trailers = False
        self._trailer_bytes = 0
        self.done = False
        self.excess = b""

    def feed(self, data: bytes) -> bytes:
        """See `BodyDecoder.feed`.

        Called for every read of a stream, which nearly always is one whole chunk: hence one loop
        that calls little, and takes a chunk that is there whole at once.
        """
        if self.done:
            self.excess += data
            return b""
        if self._line:
            data, self._line = self._line + data, b""
        pieces: list[bytes] = []
        position, end = 0, len(data)
        try:
            while position < end:
                if self._left:
                    piece = data[position : position + self._left]
                    pieces.append(piece)
                    position += len(piece)
                    self._left -= len(piece)
                    self._need_crlf = not self._left
                elif self._need_crlf:
                    crlf = data[position : position + 2]
                    if crlf != b"\r\n":
                        if crlf == b"\r":
                            self._line = crlf
                            break
                        raise RemoteError("a chunk's data is not followed by CRLF")
                    position += 2
                    self._need_crlf = False
                else:
                    newline = data.find(b"\n", position)
                    if newline < 0:
                        self._keep_line(data[position:])
                        break
                    if newline == position or data[newline - 1] != _CR:
                        raise RemoteError("a line of the chunked coding ends in LF without CR")
                    if self._in_trailers:
                        self._take_trailer(data[position : newline - 1])
                    else:
                        self._take_size(data[position : newline - 1])
                    position = newline + 1
                    stop = position + self._left
                    if self._left and data[stop : stop + 2] == b"\r\n":
                        pieces.append(data[position:stop])
                        position = stop + 2
                        self._left = 0
                    elif self.done:
                        self.excess = data[position:]
                        break
        except RemoteError as error:
            error.before = b"".join(pieces)
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def eof(self) -> None:
        """See `BodyDecoder.eof`."""
        if not self.done:
            raise Truncated("the chunked body ended without its last chunk")

    def _keep_line(self, line: bytes) -> None:
        limit = MAX_TRAILERS if self._in_trailers else MAX_SIZE_LINE
        if len(line) > limit:
            raise RemoteError(f"a line of the chunked coding is longer than {limit} bytes")
        self._line = line

    def _take_size(self, line: bytes) -> None:
        size = _SIZES.get(line)
        if size is None:
            match = grammar.CHUNK_SIZE.fullmatch(line) if len(line) <= MAX_SIZE_LINE else None
            if match is None:
                raise RemoteError("a chunk's size line is malformed")
            size = int(match[1], 16)
        self._left = size
        self._in_trailers = not size
        self._size += size
        self._framing += len(line) + 4
        if self._lean and self._framing > FREE_OVERHEAD + MAX_OVERHEAD_SHARE * self._size:
            raise RemoteError("the chunks are too small: the body is mostly framing")

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > MAX_TRAILERS:
            raise RemoteError(f"the trailers are longer than {MAX_TRAILERS} bytes", 431)
        name, colon, value = line.partition(b":")
        if not colon or not grammar.is_token(name) or grammar.CONTROL.search(value):
            raise RemoteError("a trailer line is not 'Name: value'")


def decoder_for(framing: Framing, *, lean: bool = False) -> BodyDecoder:
    """The decoder of a body that is framed so; `lean`: see `ChunkedDecoder`."""
    if framing.kind not in UNKNOWN_LENGTH:
        return LengthDecoder(framing.length)
    if framing.kind is FramingKind.CHUNKED:
        return ChunkedDecoder(lean=lean)
    return UntilCloseDecoder()
