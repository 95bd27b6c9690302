"""Reading a few values out of JSON without building the rest, in bounded memory.

`lenient` and `members` read a document; `Windows` keeps the beginning and the end of a body of any
length and makes documents of them that hold what stands at their outermost level.  Nothing here
raises on any input.  The dialects' meters call it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

#: What decoding bytes that are not JSON, or are nested too deeply, may raise.
UNREADABLE: Final = (ValueError, RecursionError)

#: How many places are tried for a key, so that a body made of keys costs no more than any other.
_TRIES: Final = 16

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode
_raw_decode = json.JSONDecoder().raw_decode


def lenient(data: bytes | msgspec.Raw) -> object:
    """The value of a JSON document; None if it cannot be read."""
    try:
        return _decode_any(data)
    except UNREADABLE:
        pass
    try:
        return _decode_any(mended(bytes(data)))
    except UNREADABLE:
        return None


def picked(decode: Callable[[bytes | msgspec.Raw], T], data: bytes | msgspec.Raw) -> T | None:
    """What `decode`, a decoder for few members, makes of a document; None if it cannot be read.

    Nothing else of the document is built.
    """
    try:
        return decode(data)
    except UNREADABLE:
        pass
    try:
        return decode(mended(bytes(data)))
    except UNREADABLE:
        return None


def mended(data: bytes) -> bytes:
    """JSON with U+FFFD for what msgspec refuses though it can stand in a JSON text.

    That is half a surrogate pair as an escape, which RFC 8259 (section 8.2) lets pass and which
    comes of cutting text by UTF-16 units, and bytes that are not UTF-8.  Where only the first is
    found, the length stays, so that positions in error messages hold.
    """
    return _SURROGATE.sub(rb"\\ufffd", data).decode("utf-8", "replace").encode()


def text(value: object) -> bytes:
    """A value that `lenient` returned as compact JSON again; ``null`` if it is too deep."""
    try:
        return msgspec.json.encode(value)
    except UNREADABLE:
        return b"null"


def members(data: bytes) -> Mapping[str, bytes | msgspec.Raw] | None:
    """The members of a JSON object, their values undecoded; None if it is not a JSON object."""
    for attempt in (bytes, mended):
        try:
            return _members(attempt(data))
        except UNREADABLE:
            continue
    return None


class Windows:
    """Keeps a body whole while it is short, else its first and last `size` bytes, or more."""

    def __init__(self, size: int = 65536) -> None:
        self._size = size
        self._kept = bytearray()
        self._gap = False  # whether bytes are missing after the first `size`

    def feed(self, piece: bytes) -> None:
        """Take the body's next bytes.  At most three times `size` are kept, and the piece."""
        self._kept += piece
        if len(self._kept) > 3 * self._size:
            del self._kept[self._size : -self._size]
            self._gap = True

    def documents(
        self, head: Iterable[str], tail: Mapping[str, bytes], *, inner: Iterable[str] = ()
    ) -> list[bytes]:
        """JSON documents that tell what the body tells: the body itself if it was kept whole.

        Else one for each key in `head` that is found at the outermost level of the body's
        beginning: all up to its value, closed; for each key in `inner`, the same one level deeper.
        And one for each key of `tail` that is found near the end: all from that key on, after the
        opening that `tail` gives for it.  ``{`` finds keys of the outermost level only, since the
        rest has to close exactly what was opened.
        """
        if not self._gap:
            return [bytes(self._kept)]
        first, last = bytes(self._kept[: self._size]), bytes(self._kept[self._size :])
        found = [_closed(first, key, b"}") for key in head]
        found += [_closed(first, key, b"}}") for key in inner]
        found += [_opened(last, key, opening) for key, opening in tail.items()]
        return [document for document in found if document is not None]


def _key(name: str) -> str:
    """A pattern for a key.  A quote within a JSON string is escaped, so this is never text."""
    return rf'(?<!\\)"{name}"\s*:\s*'


def _opened(tail: bytes, key: str, opening: bytes) -> bytes | None:
    """The end of a body from the first `key` on that `opening` makes a JSON object of."""
    places = [match.start() for match in re.finditer(_key(key).encode(), tail)]
    for place in places[-_TRIES:]:
        document = opening + tail[place:]
        if members(document) is not None:
            return document
    return None


def _closed(head: bytes, key: str, closing: bytes) -> bytes | None:
    """The beginning of a body up to the value of the first `key` that `closing` makes an object."""
    for beginning in _beginnings(head.decode("utf-8", "replace"), key):
        document = beginning + closing
        if members(document) is not None:
            return document
    return None


def _beginnings(text: str, key: str) -> Iterator[bytes]:
    for tried, match in enumerate(re.finditer(_key(key), text)):
        if tried == _TRIES:
            return
        try:
            _, end = _raw_decode(text, match.end())
        except UNREADABLE:
            continue
        yield text[:end].encode()
