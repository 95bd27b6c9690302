"""Asking an OpenAI-like upstream for a stream's usage that the client did not ask for.

`ask` puts ``stream_options.include_usage`` into the request, after which the upstream ends its
stream with one more chunk that has usage and no choices; clients that did not ask for it would
stumble over that, so `without_usage_chunk` takes it out again.  Everything else stays byte for
byte.  Only for dialects that say `Dialect.injects_usage`, requests that `Peek.stream` but not
`Peek.include_usage`, and bodies that are not compressed.  Both functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from .dialects.jsonpick import lenient, members
from .sse import parse

_BOM: Final = b"\xef\xbb\xbf"
_OPTIONS: Final = "stream_options"
_WANTED: Final = b'{"include_usage":true}'

#: Brackets and strings; possessive, so that each byte is looked at once.
_TOKEN: Final = re.compile(rb'[{}\[\]]|"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_COLON: Final = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
#: An edited body is handed on in pieces of so many bytes, as it would have come.
_PIECE: Final = 65536
_NO_CHOICES: Final = re.compile(rb'"choices"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*\]')
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


def ask(body: Sequence[bytes]) -> list[bytes] | None:
    """The request body, a JSON object as a list of chunks, with ``include_usage`` set.

    None if it cannot be put there: the body is no such object, or has ``stream_options`` that are
    none.  Members that are there stay, and so does all that stands around them.
    """
    data = body[0] if len(body) == 1 else b"".join(body)
    fields = members(data.removeprefix(_BOM))
    if not fields:
        return None
    if _OPTIONS not in fields:
        return _opened(body)
    told = bytes(fields[_OPTIONS])
    options = members(told) if told != b"null" else {}
    if options is None:
        return None
    begin = _outermost(data)
    if begin is None or data[begin : begin + len(told)] != told:
        return None
    edited = data[:begin] + _with_usage(options) + data[begin + len(told) :]
    return [edited[at : at + _PIECE] for at in range(0, len(edited), _PIECE)]


def _outermost(data: bytes) -> int | None:
    """Where in an object the value of its own ``stream_options`` begins: of several, the last."""
    found = None
    depth = 0
    for token in _TOKEN.finditer(data):
        sign = token[0][:1]
        if sign in b"{[":
            depth += 1
        elif sign in b"}]":
            depth -= 1
        elif depth == 1 and token[0] == b'"stream_options"':
            colon = _COLON.match(data, token.end())
            found = found if colon is None else colon.end()
    return found


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
            first = b'{"%b":%b,' % (_OPTIONS.encode(), _WANTED)
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
