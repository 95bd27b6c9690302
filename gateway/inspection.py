"""The look into a request: what its target tells, and its body where that is kept or goes by."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from .coding import UnknownCoding, decoded
from .dialects.base import Peek
from .dialects.multipart import MultipartPeek
from .front.request import Request
from .match import Match
from .usage_injection import ask

#: A body may decode to so many times its size, and to so many bytes in any case.  Prompts, base64
#: or text, become a third; bombs a thousandth.
_MOST_FOLD: Final = 100
_LEAST_DECODED: Final = 1024 * 1024


class Inspection(Struct, frozen=True):
    """What was seen."""

    peek: Peek
    #: The upstream is asked for usage that the client did not ask for.
    asks_usage: bool = False
    #: What will find out more while the body is passed on.
    form: MultipartPeek | None = None


def inspect(request: Request, match: Match) -> Inspection:
    """Look into a request whose head, and body if that is kept, are there.

    Asking for usage replaces `Request.body`.  Raises `BadRequest`, `CodingError` or `TooLarge`.
    """
    head, dialect = request.head, match.dialect
    known = dialect.peek_target(head.method, head.target)
    if request.upload is not None:
        return Inspection(known, form=_form(request, match, known))
    if head.method != b"POST" or not dialect.inspects:
        return Inspection(known)
    codings = head.fields.elements(b"content-encoding")
    if codings not in ([], [b"identity"]):
        try:
            body = decoded(request.body, codings, _decoded_limit(request, match))
        except UnknownCoding:
            return Inspection(known)
        return Inspection(dialect.peek([body], known))
    peek = dialect.peek(request.body, known)
    if not (match.route.usage_injection and dialect.injects_usage and peek.stream):
        return Inspection(peek)
    asking = None if peek.include_usage else ask(request.body)
    if asking is None:
        return Inspection(peek)
    request.replace_body(asking)
    return Inspection(replace(peek, include_usage=True), asks_usage=True)


def _decoded_limit(request: Request, match: Match) -> int:
    """How large a body may become: in proportion to what was sent, so that the work is, too."""
    return min(match.route.inspect_limit, max(_LEAST_DECODED, _MOST_FOLD * request.body_size))


def _form(request: Request, match: Match, known: Peek) -> MultipartPeek | None:
    fields = request.head.fields
    content_type = fields.get(b"content-type") or b""
    is_form = content_type.lower().startswith(b"multipart/form-data")
    if not (match.dialect.reads_forms and is_form and request.head.method == b"POST"):
        return None
    return None if b"content-encoding" in fields else MultipartPeek(content_type, known)
