"""Looking into a request's body for the model and for whether it asks for a stream.

The body goes on to the upstream as it came: this only reads.  What the upstream might accept is
not refused here, so a byte order mark (RFC 8259, section 8.1, lets parsers ignore one), unknown
members and what `mended` mends all pass, and a body that does not even begin as JSON passes unseen:
it may be a form, or compressed, under a media type that tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from .base import UNSEEN, BadRequest, Peek
from .jsonpick import UNREADABLE, mended, picked

#: How much of a model's name the records keep, in characters.
NAME_LIMIT: Final = 256

#: The longest body, in bytes, that is looked at a second time where strict JSON was not read.
_MENDED_LIMIT: Final = 4 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_WHITE: Final = b" \t\r\n"


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    stream_options: msgspec.Raw = msgspec.Raw()  # whatever it is: the upstream's to judge


class _Options(msgspec.Struct):
    include_usage: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Body).decode
_decode_options = msgspec.json.Decoder(_Options).decode


def peek(body: Sequence[bytes], known: Peek = UNSEEN) -> Peek:
    """What a request body, given as a list of chunks, adds to what is known of its request.

    Raises `BadRequest` if it is not a JSON object though it begins as JSON, or ``model`` is not a
    string or ``stream`` not a boolean.  The error tells where, and nothing of what the body says.
    """
    data = body[0] if len(body) == 1 else b"".join(body)
    data = data.removeprefix(_BOM)
    if data.lstrip(_WHITE)[:1] not in (b"{", b"["):
        return known
    try:
        fields = _decode(data)
    except UNREADABLE:
        if len(data) > _MENDED_LIMIT:
            return known  # its API may read it, or not; to find out here would take too long
        fields = _second_opinion(data)
    told = fields.stream_options
    options = picked(_decode_options, told) if told else None
    return Peek(
        model=known.model if fields.model is None else fields.model[:NAME_LIMIT],
        stream=known.stream or bool(fields.stream),
        events=known.events,
        include_usage=options is not None and bytes(options.include_usage) == b"true",
        replay=known.replay,
        results_of=known.results_of,
    )


def _second_opinion(data: bytes) -> _Body:
    """Read what was refused: it may be JSON after all."""
    try:
        return _decode(mended(data))
    except msgspec.ValidationError as error:
        raise BadRequest(f"the request body is not as it has to be: {error}") from None
    except ValueError as error:
        raise BadRequest(f"the request body cannot be read as JSON: {error}") from None
    except RecursionError:
        raise BadRequest("the request body cannot be read: it is nested too deeply") from None
