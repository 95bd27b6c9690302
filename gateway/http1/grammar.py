"""Which bytes may stand where in a head (RFC 9110 section 5, RFC 9112 sections 2 to 5)."""

from __future__ import annotations

import re
from typing import Final

#: Every byte of a token (RFC 9110, 5.6.2): method names, field names, codings.
TCHAR: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_CONTROLS: Final = bytes((*range(0x09), *range(0x0A, 0x20), 0x7F))

#: Control bytes, none of which but HTAB may stand in a head once its lines have been taken apart.
#: Bytes from 0x80 are "obs-text" and allowed in field values alone.
CONTROL: Final = re.compile(b"[" + re.escape(_CONTROLS) + b"]")

#: The same in a head that is not taken apart yet: a control byte, or half of a line end.  A CR that
#: is the last byte so far may still get its LF.  RFC 9112, 2.2, lets a server refuse a bare LF.
MISPLACED: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")

#: A line of a field behind the end of the line before it, its value without the blanks around it,
#: in a head without misplaced control bytes (RFC 9112, 5): a CR is the end of a line.
FIELD_LINE: Final = re.compile(
    rb"\r\n([" + re.escape(TCHAR) + rb"]++):[ \t]*+((?:[^\r]*[^ \t\r])?)"
)

#: Origin form of a request target: what RFC 3986 allows in a path and a query, and nothing else, so
#: that no two parsers can see different targets.
ORIGIN_FORM: Final = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]]*")

#: What leads to the path in the absolute form of a request target (RFC 9112, 3.2.2).
ABSOLUTE_FORM: Final = re.compile(rb"(?i:https?)://(?P<authority>[^/?]*)(?P<rest>.*)")

#: The name of a host, an IPv4 address or a bracketed IPv6 one, and a port (RFC 9110, 7.2).  RFC
#: 3986, 3.2.2, allows escapes and punctuation too, which no name of a host has.
HOST: Final = re.compile(
    rb"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?))"
    rb"(?::(?P<port>[0-9]{1,5}))?"
)

#: A chunk's size line without its CRLF (RFC 9112, 7.1): up to 15 digits, so that no size overflows
#: 63 bits, and extensions, which are checked and ignored.
CHUNK_SIZE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})"
    rb"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"|\"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*\"))?)*"
)


def is_token(data: bytes) -> bool:
    """Whether `data` is a token: not empty, and nothing but `TCHAR`."""
    return bool(data) and not data.translate(None, TCHAR)


def controls(data: bytes) -> int:
    """How many bytes of `data` are control bytes but HTAB: two for each line end, in a sound head.

    Counting them all is several times as quick as a search for one that is in no line end.
    """
    return len(data) - len(data.translate(None, _CONTROLS))
