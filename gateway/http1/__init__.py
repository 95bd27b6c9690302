"""HTTP/1.1 heads and framing, sans I/O: bytes in, values out, for both directions.

`grammar` says which bytes may stand where, `buffer` cuts heads out of a stream, `head` reads,
`repeats` knows again and `write` writes them, `framing` decides where a message ends, `body` takes
message bodies out of their framing, and `fields` holds the rules for fields that are not passed on.
Nothing here knows of sockets or of Twisted.

A peer that breaks the rules raises `RemoteError`; code of ours that does raises `LocalError`.
Nothing is repaired: what two parsers could read differently is refused.
"""

from .body import BodyDecoder, ChunkedDecoder, LengthDecoder, UntilCloseDecoder
from .buffer import HeadBuffer
from .errors import LocalError, ProtocolError, RemoteError
from .fields import NO_FIELDS, Fields
from .framing import Framing, FramingKind, request_framing, response_framing
from .head import HeadLimits, RequestHead, ResponseHead
from .repeats import RequestHeads
from .write import LAST_CHUNK, chunk, reason_phrase, request_bytes, response_bytes

__all__ = [
    "LAST_CHUNK",
    "NO_FIELDS",
    "BodyDecoder",
    "ChunkedDecoder",
    "Fields",
    "Framing",
    "FramingKind",
    "HeadBuffer",
    "HeadLimits",
    "LengthDecoder",
    "LocalError",
    "ProtocolError",
    "RemoteError",
    "RequestHead",
    "RequestHeads",
    "ResponseHead",
    "UntilCloseDecoder",
    "chunk",
    "reason_phrase",
    "request_bytes",
    "request_framing",
    "response_bytes",
    "response_framing",
]
