"""What a route says of the requests that it takes: path patterns, a header, a prefix to remove.

Only the text is checked here; `gateway.routing` gives it its meaning.
"""

from __future__ import annotations

import re

from .model import Pattern
from .problem import BadValue

_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def patterns(text: str) -> tuple[Pattern, ...]:
    """One or more patterns with white space between them."""
    return tuple(_pattern(word) for word in text.split())


def _pattern(text: str) -> Pattern:
    _check_path("a pattern", text)
    if "**" in text:
        raise BadValue("a pattern has **, write * for within a segment and /* at its end for all")
    return Pattern(text)


def prefix(text: str) -> str:
    """The beginning of a path, whole segments of it, that is removed."""
    _check_path("the prefix", text)
    if "*" in text or text.endswith("/"):
        raise BadValue("the prefix ends in / or has a *, write whole segments such as /openai")
    return text


def header_name(text: str) -> str:
    """The name of a header (RFC 9110, 5.1)."""
    if not _TOKEN.fullmatch(text):
        raise BadValue("not the name of a header, write a name alone such as anthropic-version")
    return text


def _check_path(what: str, text: str) -> None:
    """Refuse what cannot be, or cannot be matched as, the raw path of a request."""
    if not text.startswith("/"):
        raise BadValue(f"{what} does not begin with /, write it as in a URL's path")
    if "?" in text or "#" in text:
        raise BadValue(f"{what} has a query, leave it out: queries pass through in any case")
    if not _PATH.fullmatch(text):
        raise BadValue(f"{what} has a character that no path has, write it percent-encoded")
    if "//" in text or _DOTS.search(text):
        raise BadValue(f"{what} has an empty or a dot segment, write a plain path")
