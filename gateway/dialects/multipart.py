"""Finding ``model`` and ``stream`` in a form that is passed on while it comes.

Uploads are not held, so that a `MultipartPeek` sees each piece as it goes by, and keeps of it no
more than a part's head or a short field.  What it has found so far is in `MultipartPeek.peek`.
Clients put the fields before the files or after them: whoever depends on a field waits for
`MultipartPeek.settled`, or for the end of the body, before it takes silence for a no.

The wire's rules are RFC 7578 and, for the delimiters, RFC 2046, section 5.1.1.  A body that keeps
to neither is the upstream's to refuse: here, nothing more is found in it.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from .base import UNSEEN, Peek
from .request import NAME_LIMIT

#: The longest head of a part that is read, in bytes.
_HEAD_LIMIT: Final = 8192
#: How much of a field's value is kept, in bytes: the line's end before it, and a name of
#: characters that UTF-8 needs four bytes for.
_VALUE_LIMIT: Final = 2 + 4 * NAME_LIMIT
#: RFC 2046 allows a boundary of 70 bytes; some clients write more.
_BOUNDARY_LIMIT: Final = 256

_PARAMETER: Final = re.compile(rb';[ \t]*([^\s=;]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_QUOTED_PAIR: Final = re.compile(rb"\\(.)")
_DISPOSITION: Final = re.compile(rb"^content-disposition[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)
_TRUE: Final = frozenset({b"true", b"1"})


class MultipartPeek:
    """Reads a ``multipart/form-data`` body.  Of a field that is told twice, the first counts.

    `content_type` is the request's whole ``Content-Type``; `known` what its target told.
    """

    def __init__(self, content_type: bytes, known: Peek = UNSEEN) -> None:
        #: What has been found so far.
        self.peek: Peek = known
        #: Whether nothing more can be found, so that the rest need not be fed.
        self.settled = False
        self._wanted = {b"model", b"stream"}
        self._field: bytes | None = None  # the wanted field whose value goes by
        self._value = b""
        self._in_head = False
        self._kept = b"\r\n"  # a delimiter begins with a line's end; the first line has none
        boundary = _parameters(content_type).get(b"boundary", b"")
        self._delimiter = b"\r\n--" + boundary
        if not 0 < len(boundary) <= _BOUNDARY_LIMIT:
            self.settled = True

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        if self.settled:
            return
        data = self._kept + data
        at = 0
        while not self.settled:
            step = self._head(data, at) if self._in_head else self._body(data, at)
            if step is None:
                return
            at = step
        self._kept = b""

    def _body(self, data: bytes, at: int) -> int | None:
        """Go on to behind the next delimiter; None if it has not come."""
        end = data.find(self._delimiter, at)
        if end < 0:
            # All but what may be the beginning of a delimiter belongs to the part.
            end = max(at, len(data) - len(self._delimiter) + 1)
            self._collect(data, at, end)
            self._kept = data[end:]
            return None
        self._collect(data, at, end)
        if self._field is not None:
            self._found(self._field, self._value)
            self._field, self._value = None, b""
        self._in_head = True
        return end + len(self._delimiter)

    def _head(self, data: bytes, at: int) -> int | None:
        """Go on to behind a part's head; None if it has not come whole."""
        if data.startswith(b"--", at):
            self.settled = True  # the last delimiter
            return None
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            self._kept = data[at:]
            self.settled = len(self._kept) > _HEAD_LIMIT
            return None
        disposition = _DISPOSITION.search(data[at:end].replace(b"\r\n", b"\n"))
        told = {} if disposition is None else _parameters(disposition[1])
        name = told.get(b"name")
        self._field = name if name in self._wanted and b"filename" not in told else None
        self._in_head = False
        return end + 2  # its last line's end may begin the next delimiter, if the part is empty

    def _collect(self, data: bytes, begin: int, end: int) -> None:
        if self._field is not None and len(self._value) < _VALUE_LIMIT:
            self._value += data[begin : min(end, begin + _VALUE_LIMIT)]

    def _found(self, field: bytes, value: bytes) -> None:
        value = value[2:]  # the line's end that belongs to the head
        if field == b"model":
            self.peek = replace(self.peek, model=value.decode("utf-8", "replace")[:NAME_LIMIT])
        else:
            self.peek = replace(self.peek, stream=value.strip().lower() in _TRUE)
        self._wanted.discard(field)
        self.settled = not self._wanted


def _parameters(field: bytes) -> dict[bytes, bytes]:
    """The parameters of a field's value, names in lower case."""
    found: dict[bytes, bytes] = {}
    for name, value in _PARAMETER.findall(field):
        if value.startswith(b'"'):
            value = _QUOTED_PAIR.sub(rb"\1", value[1:-1])
        found.setdefault(name.lower(), value)
    return found
