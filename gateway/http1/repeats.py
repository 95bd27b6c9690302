"""The heads of one connection's requests, of which most say the same again.

A client that keeps its connection sends one head after the other that differ in nothing, or in
nothing but the length of the body.  Such a head is not taken apart again: byte for byte, what is
the same means the same.  `gateway.front.channel` asks, and passes on what else has been found out
about the head before.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from .fields import Fields
from .head import HeadLimits, RequestHead, parse_request

#: Longer heads, in bytes, are not kept: what is known of one lasts as long as its connection.
LONGEST: Final = 4096

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*(?=\r\n|\Z)", re.IGNORECASE)


class RequestHeads:
    """Reads them, each given without its blank line."""

    __slots__ = ("_around", "_block", "_head", "_limits", "repeated")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._block = b""  # the last head
        self._head: RequestHead | None = None  # what was read in it
        self._around: tuple[bytes, bytes] | None = None  # it, before and behind the body's length
        #: Whether the last head differs from the one before it in the length of the body at most.
        self.repeated = False

    def read(self, block: bytes) -> RequestHead:
        """Read a head.  Raises `RemoteError`, as `parse_request` does."""
        head = self._head
        if head is None or block != self._block:
            head = self._relengthened(block)
        self.repeated = head is not None
        if head is None:
            head = parse_request(block, self._limits)
            self._around = None
            self._block, self._head = (block, head) if len(block) <= LONGEST else (b"", None)
        return head

    def forget(self) -> None:
        """Know nothing of the last head."""
        self._block, self._head, self._around = b"", None, None

    def _relengthened(self, block: bytes) -> RequestHead | None:
        """The last head with the length that `block` tells, if all else is the same."""
        head = self._head
        if head is None:
            return None
        if self._around is None and len(head.fields.get_all(b"content-length")) == 1:
            self._around = _around_length(self._block)
        if self._around is None:
            return None
        before, behind = self._around
        length = block[len(before) : len(block) - len(behind)]
        if not (length.isdigit() and block.startswith(before) and block.endswith(behind)):
            return None
        fields = head.fields
        return replace(head, fields=Fields([_with_length(pair, length) for pair in fields]))


def _around_length(block: bytes) -> tuple[bytes, bytes] | None:
    found = _LENGTH.search(block)
    return None if found is None else (block[: found.start(1)], block[found.end(1) :])


def _with_length(pair: tuple[bytes, bytes], length: bytes) -> tuple[bytes, bytes]:
    return (pair[0], length) if pair[0].lower() == b"content-length" else pair
