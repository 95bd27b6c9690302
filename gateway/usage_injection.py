"""Asking an OpenAI-like upstream for a stream's usage that the client did not ask for.

`ask` puts ``stream_options.include_usage`` into the request, after which the upstream ends its
stream with one more chunk that has usage and no choices; clients that did not ask for it would
stumble over that, so `without_usage_chunk` takes it out again.  Everything else stays byte for
byte.  Only for dialects that say `Dialect.injects_usage`, requests that `Peek.stream` but not
`Peek.include_usage`, and bodies that are not compressed.  Both functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from .dialects.jsonpick import lenient, members, picked
from .sse import BOM, parse

_WANTED: Final = b'{"include_usage":true}'

_EMPTY: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*\}")
_NAME: Final = b'"stream_options"'
_COLON: Final = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
#: How many places of the name are tried from each end, and how many bytes may be looked at for it:
#: each try is a look at the whole body.
_MOST_TRIES: Final = 64
_LEAST_TRIES: Final = 2
_LOOKS: Final = 8 * 1024 * 1024
_LONGEST_OPTIONS: Final = 4096
#: An edited body is handed on in pieces of so many bytes, as it would have come.
_PIECE: Final = 65536
_NO_CHOICES: Final = re.compile(rb'"choices"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*\]')
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


class _Body(msgspec.Struct):
    stream_options: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Body).decode


def ask(body: Sequence[bytes]) -> list[bytes] | None:
    """The request body, a JSON object as a list of chunks, with ``include_usage`` set.

    None if it cannot be put there: the body is no such object, or has ``stream_options`` that are
    none, or that stand where they are not soon found.  Members that are there stay, and so does all
    that stands around them.
    """
    data = body[0] if len(body) == 1 else b"".join(body)
    told = _told(data)
    if told is None:
        return None
    if not told:
        return None if _EMPTY.match(data) else _opened(body)
    options = members(told) if told != b"null" else {}
    if options is None or len(told) > _LONGEST_OPTIONS:
        return None
    wanted = _with_usage(options)
    for begin in _places(data):
        end = begin + len(told)
        if data[begin:end] == told:
            edited = data[:begin] + wanted + data[end:]
            # The same words may stand further in: only at the outermost level do they count.
            if _told(edited) == wanted:
                return [edited[at : at + _PIECE] for at in range(0, len(edited), _PIECE)]
    return None


def _told(data: bytes) -> bytes | None:
    """An object's ``stream_options`` as they are written; empty if it has none, None if it is none.

    Nothing else of the object is built: it may be anybody's, and have millions of members.
    """
    found = picked(_decode, data.removeprefix(BOM))
    return None if found is None else bytes(found.stream_options)


def _places(data: bytes) -> Iterator[int]:
    """Where the value may begin: behind the first places of its name, and the last ones."""
    tries = max(_LEAST_TRIES, min(_MOST_TRIES, _LOOKS // max(1, len(data))))
    at = -1
    for _ in range(tries):
        at = data.find(_NAME, at + 1)
        if at < 0:
            return
        if found := _COLON.match(data, at + len(_NAME)):
            yield found.end()
    end = len(data)
    for _ in range(tries):
        end = data.rfind(_NAME, at + 1, end)
        if end < 0:
            return
        if found := _COLON.match(data, end + len(_NAME)):
            yield found.end()


def without_usage_chunk(block: bytes) -> bytes:
    """A block of whole events without the one that has usage and no choices, if it is there."""
    if _NO_CHOICES.search(block) is None:
        return block
    kept = []
    begin = 0
    for end in _EVENT_END.finditer(block):
        event = block[begin : end.end()]
        begin = end.end()
        if not _is_usage_chunk(event):
            kept.append(event)
    kept.append(block[begin:])
    return b"".join(kept)


def _opened(body: Sequence[bytes]) -> list[bytes]:
    """The body with the options as its first member: there is another one behind it."""
    edited = list(body)
    for number, chunk in enumerate(edited):
        at = chunk.find(b"{")
        if at >= 0:
            first = b'{"%b":%b,' % (b"stream_options", _WANTED)
            edited[number : number + 1] = [chunk[:at] + first, chunk[at + 1 :]]
            break
    return edited


def _with_usage(options: Mapping[str, bytes | msgspec.Raw]) -> bytes:
    told = {name: msgspec.Raw(bytes(value)) for name, value in options.items()}
    return msgspec.json.encode({**told, "include_usage": True})


def _is_usage_chunk(event: bytes) -> bool:
    for _, data in parse(event):
        chunk = lenient(data)
        if isinstance(chunk, dict) and chunk.get("choices") == []:
            return isinstance(chunk.get("usage"), dict) and not chunk.get("error")
    return False
