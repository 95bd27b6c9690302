"""Cuts heads out of a byte stream; `gateway.http1.head` reads them.

What comes in pieces is looked at as it comes, so that a peer that speaks something else (TLS,
HTTP/2, HTTP/0.9, noise) is answered at once instead of being waited for.  No byte is looked at
more than a few times, however small the pieces are: a head that drips in costs no more than one
that comes whole.

Used by `gateway.front.channel` for requests and by `gateway.upstream.connection` for responses.
"""

from __future__ import annotations

from collections.abc import Callable

from . import grammar
from .errors import RemoteError
from .head import HeadLimits


class HeadBuffer:
    """Collects bytes until a whole head is there; at most `limits.total` of them are kept.

    `check_line` is given the first line as soon as that is there, if the rest of the head is not,
    and raises `RemoteError` if there is no use in waiting for it.  With `tolerate_blank_line`, one
    empty line is forgiven before each head (RFC 9112, 2.2).
    """

    __slots__ = (
        "_blank_allowed",
        "_check_line",
        "_forgiving",
        "_held",
        "_limits",
        "_line_checked",
        "_looked_at",
        "_rest",
    )

    def __init__(
        self,
        limits: HeadLimits,
        check_line: Callable[[bytes], object],
        *,
        tolerate_blank_line: bool = False,
    ) -> None:
        self._limits = limits
        self._check_line = check_line
        self._forgiving = tolerate_blank_line
        self._rest = b""  # what came behind the last head
        self._begin()

    def __len__(self) -> int:
        return len(self._held)

    def _begin(self) -> None:
        self._held: bytes | bytearray = b""  # what came of a head
        self._looked_at = 0  # so many bytes of what is held are known to be no head's end
        self._line_checked = False
        self._blank_allowed = self._forgiving

    def feed(self, data: bytes) -> bytes | None:
        """Add `data`; the lines of the head without the blank one, once they are whole.

        Afterwards `take_rest` has what followed the head.  Raises `RemoteError`: 400, 414, 431, or
        what `check_line` raises.
        """
        held = self._held
        if held:
            held += data
        else:
            held = data  # nearly always the whole head: not copied but to be cut
        if self._blank_allowed and held.startswith((b"\r", b"\n")):
            if held == b"\r":
                self._held = held
                return None
            if held[:2] != b"\r\n":
                raise RemoteError("a request line was expected")
            held = held[2:]
            self._blank_allowed = False
        # The end may have begun in the last three bytes that were looked at.
        end = held.find(b"\r\n\r\n", max(self._looked_at - 3, 0), self._limits.total + 4)
        if end < 0:
            if held is not self._held:
                self._held = held = bytearray(held)
            self._check_unfinished(held)
            self._looked_at = len(held)
            return None
        head, self._rest = bytes(held[:end]), bytes(held[end + 4 :])
        if held is not data:
            self._begin()
        self._blank_allowed = self._forgiving
        return head

    def take_rest(self) -> bytes:
        """What came behind the head, given out once."""
        rest, self._rest = self._rest, b""
        return rest

    def _check_unfinished(self, held: bytes | bytearray) -> None:
        limits = self._limits
        since = max(self._looked_at - 1, 0)  # a CR that came last may be only now without its LF
        if grammar.MISPLACED.search(held, since, limits.total):
            raise RemoteError("a control character, or CR or LF alone, stands in the head")
        if not self._line_checked:
            end = held.find(b"\r\n", since, limits.line + 2)
            if end >= 0:
                self._line_checked = True
                self._check_line(bytes(held[:end]))
            elif len(held) > limits.line + 1:
                raise RemoteError(f"the first line is longer than {limits.line} bytes", 414)
        if len(held) > limits.total:
            raise RemoteError(f"the head is longer than {limits.total} bytes", 431)
