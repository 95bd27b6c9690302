"""Which requests can have an answer in common: those that ask a model, with a body that is held.

A client keeps out by ``Cache-Control`` (RFC 9111, 5.2.1): whoever says how old an answer may be, or
that it is not to be kept, gets its own.
"""

from __future__ import annotations

from typing import Final

from ..dialects.base import Dialect
from ..front.request import Request
from ..http1 import Fields

#: Directives of requests that ask for an answer of their own.
_OWN: Final = (b"no-store", b"no-cache", b"max-age", b"min-fresh")


def is_eligible(request: Request, dialect: Dialect) -> bool:
    """Whether the answer of `request`, whose body is there or on its way, may be shared."""
    return (
        request.method == b"POST"
        and request.takes_chunks
        and request.upload is None
        and dialect.inspects  # not batches, files and whatever else is only passed through
        and b"range" not in request.head.fields
        and not _wants_its_own(request.head.fields)
    )


def _wants_its_own(fields: Fields) -> bool:
    directives = [element.partition(b"=")[0] for element in fields.elements(b"cache-control")]
    return any(name in directives for name in _OWN) or b"no-cache" in fields.elements(b"pragma")
