"""Which route a request takes, and the path with which its upstream is asked.

Both work on the raw bytes of the path, as they came in and without the query: nothing is decoded,
normalised or put together from text, so that the gateway and an upstream can never see two paths.

The rules:

- ``*`` in a pattern is any run of bytes, an empty one too, within a segment.
- ``/*`` at the end is any rest: ``/x/*`` takes ``/x``, ``/x/`` and everything below.
- The pattern with the most literal bytes wins (the last ``/*`` counts none); of equal ones, one
  whose route has a ``header`` before one without; then one without the last ``/*`` before one with
  it; then the route that stands first.
- A path with a dot segment (RFC 3986, 3.3) takes no route at all, in whatever way dots and slashes
  are written: an upstream that resolved it could serve something outside of what the pattern names.

`Router` is made once from a configuration; `Router.match` runs once a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .config.model import Pattern, Route

#: A segment "." or "..", whole or up to a ";" (which some servers cut off), between anything that a
#: server could take for a slash.
_DOT_SEGMENT = re.compile(
    rb"(?:/|\\|%2f|%5c)(?:\.|%2e){1,2}(?:/|\\|;|%2f|%5c|%3b|\Z)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A pattern of a route, ready to be tried."""

    route: Route
    header: bytes | None  #: in lower case
    fits: Callable[[bytes], re.Match[bytes] | None]


class Router:
    """The routes of a configuration, in the order in which they are tried."""

    def __init__(self, routes: Iterable[Route]) -> None:
        pairs = [(pattern, route) for route in routes for pattern in route.patterns]
        pairs.sort(key=lambda pair: _rank(*pair))
        self._candidates = tuple(
            _Candidate(
                route,
                route.header.lower().encode("ascii") if route.header else None,
                re.compile(_expression(pattern), re.DOTALL).fullmatch,
            )
            for pattern, route in pairs
        )

    def match(self, path: bytes, has_header: Callable[[bytes], bool]) -> Route | None:
        """The route of a request, or None if there is none.

        `path` is the raw path without its query; `has_header` tells whether the request has a
        header, by its name in lower case.
        """
        if _DOT_SEGMENT.search(path):
            return None
        for candidate in self._candidates:
            if candidate.fits(path) and (candidate.header is None or has_header(candidate.header)):
                return candidate.route
        return None


def upstream_path(route: Route, path: bytes) -> bytes:
    """The path with which the upstream is asked for a `path` that took `route`.

    It is the upstream's base path and what is left of `path` without the route's ``strip_prefix``;
    ``/`` where nothing is left.
    """
    prefix = (route.strip_prefix or "").encode("ascii")
    rest = path.removeprefix(prefix)
    return route.upstream.url.base_path.encode("ascii") + (rest or b"/")


def _split(pattern: Pattern) -> tuple[str, bool]:
    """A pattern without its last ``/*``, and whether it had one."""
    return pattern.text.removesuffix("/*"), pattern.text.endswith("/*")


def _rank(pattern: Pattern, route: Route) -> tuple[int, bool, bool]:
    """What sorts a pattern before those that it wins over."""
    head, takes_rest = _split(pattern)
    return -len(head.replace("*", "")), route.header is None, takes_rest


def _expression(pattern: Pattern) -> bytes:
    """A regular expression that needs time linear in the path, whoever wrote the path."""
    head, takes_rest = _split(pattern)
    segments = b"/".join(_segment(segment) for segment in head.encode("ascii").split(b"/"))
    return segments + (rb"(?:/.*)?" if takes_rest else b"")


def _segment(text: bytes) -> bytes:
    """One segment's expression.

    The first place where a literal after a ``*`` fits is as good as any later one, but for the last
    literal, which has to end the segment.  The atomic groups keep `re` from trying others.
    """
    first, *literals = text.split(b"*")
    expression = re.escape(first)
    if literals:
        *inner, last = literals
        for literal in inner:
            expression += rb"(?>[^/]*?" + re.escape(literal) + rb")"
        expression += rb"[^/]*" + re.escape(last)
    return expression
