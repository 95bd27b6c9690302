"""Bodies that come compressed (Content-Encoding), decoded for a look and for nothing else.

What is passed on is what came.  Decoding is bounded: a few bytes can stand for a terabyte, so no
more than a limit is ever produced.  gzip and deflate are always known, zstd where Python or
the ``zstandard`` package has it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Final, Protocol

#: Bytes produced at a time.
_STEP: Final = 64 * 1024


class CodingError(ValueError):
    """The body is not what its Content-Encoding says; the text is for the client."""


class TooLarge(ValueError):
    """The body decodes to more than the limit."""


class UnknownCoding(ValueError):
    """The coding is not known here: the body cannot be looked into."""


class _Decompressor(Protocol):
    """What zlib's and zstd's objects have in common, as it is used here."""

    @property
    def eof(self) -> bool:
        """Whether the coded data has come to its end."""

    @property
    def unused_data(self) -> bytes:
        """What was given behind that end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes of what `data` and what was kept stand for."""


class _Zlib:
    """zlib keeps what it has not used where others keep it to themselves."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        """See `_Decompressor`."""
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        """See `_Decompressor`."""
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """See `_Decompressor`."""
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _zstd() -> _Decompressor:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            module: Any = import_module(name)
        except ImportError:
            continue
        decompressor: _Decompressor = module.ZstdDecompressor()
        return decompressor
    raise UnknownCoding("zstd is not installed")


_DECODERS: Final[dict[bytes, Callable[[], _Decompressor]]] = {
    b"gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    b"x-gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    b"deflate": lambda: _Zlib(zlib.MAX_WBITS),
    b"zstd": _zstd,
}


class Decoder:
    """Decodes a body while it comes, each piece of it within a bound."""

    def __init__(self, codings: list[bytes]) -> None:
        """Raises `UnknownCoding` for a coding that is not known, or several."""
        if len(codings) != 1 or codings[0] not in _DECODERS:
            raise UnknownCoding("this content coding is not known here")
        self._decompressor = _DECODERS[codings[0]]()
        self._name = codings[0].decode("ascii")

    def feed(self, data: bytes, limit: int) -> Iterator[bytes]:
        """What `data`, the next piece, stands for, in pieces of 64 KiB at most.

        Raises `TooLarge` beyond `limit` bytes, and `CodingError`; nothing more is to be had then.
        """
        size = 0
        if self._decompressor.eof and data:
            raise CodingError("something follows the end of what is compressed")
        while True:
            try:
                piece = self._decompressor.decompress(data, _STEP)
            except Exception as error:
                raise CodingError(f"the body is not {self._name}") from error
            data = b""
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the body decodes to more than {limit} bytes")
            if piece:
                yield piece
            if len(piece) < _STEP or self._decompressor.eof:
                break
        if self._decompressor.unused_data:
            raise CodingError("something follows the end of what is compressed")

    def end(self) -> None:
        """The body has ended; raises `CodingError` if what is compressed has not."""
        if not self._decompressor.eof:
            raise CodingError(f"the body is not whole {self._name}")


def decoded(body: Iterable[bytes], codings: list[bytes], limit: int) -> bytes:
    """What `body` (a list of chunks) says under one coding, at most `limit` bytes of it.

    Raises `UnknownCoding` for a coding that is not known, or several; `TooLarge`; `CodingError`.
    """
    decoder = Decoder(codings)
    pieces: list[bytes] = []
    size = 0
    for chunk in body:
        for piece in decoder.feed(chunk, limit):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the body decodes to more than {limit} bytes")
    decoder.end()
    return b"".join(pieces)
