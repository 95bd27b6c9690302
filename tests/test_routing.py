"""Which route a request takes, and what its upstream is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Family, Pattern, Route, Upstream, Url, builtin
from gateway.routing import Router, upstream_path

UPSTREAM = Upstream("u", Url("http", "localhost", 80, ""), Family.GENERIC)


def route(name: str, *patterns: str, header: str | None = None) -> Route:
    """A route of which nothing else matters."""
    return Route(name, tuple(map(Pattern, patterns)), UPSTREAM, header=header)


def taken(routes: list[Route], path: bytes, *headers: bytes) -> str | None:
    """The name of the route that a request takes."""
    found = Router(routes).match(path, headers.__contains__)
    return found.name if found else None


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v1/models", b"/v1/models", True),
        ("/v1/models", b"/v1/models/", False),
        ("/v1/models", b"/v1/model", False),
        ("/v1/models", b"/v1/modelss", False),
        ("/v1/models", b"/V1/models", False),
        ("/v1/models", b"/v1/%6dodels", False),
        ("/v1/models", b"v1/models", False),
        ("/v1/models", b"/v1/models\n", False),
        ("/v1.0/(x)", b"/v1.0/(x)", True),
        ("/v1.0/(x)", b"/v1x0/(x)", False),
        ("/", b"/", True),
        ("/", b"/x", False),
        ("/*", b"/", True),
        ("/*", b"/x/y", True),
        ("/*", b"*", False),
        ("/x/*", b"/x", True),
        ("/x/*", b"/x/", True),
        ("/x/*", b"/x/y/z", True),
        ("/x/*", b"/x//y", True),
        ("/x/*", b"/x/\xff\n", True),
        ("/x/*", b"/xy", False),
        ("/x/*", b"/x%2fy", False),
        ("/*/y", b"/x/y", True),
        ("/*/y", b"//y", True),
        ("/*/y", b"/x/z/y", False),
        ("/*/y", b"/x%2fz/y", True),
        ("/a*", b"/a", True),
        ("/a*", b"/abc", True),
        ("/a*", b"/ab/c", False),
        ("/*a", b"/bab", False),
        ("/*a", b"/baba", True),
        ("/*a/*", b"/bab", False),
        ("/*a/*", b"/baba", True),
        ("/*a/*", b"/baba/x", True),
        ("/*a/x", b"/aba/x", True),
        ("/*a*b*c", b"/aXbXbXc", True),
        ("/*a*b*c", b"/aXcXb", False),
        ("/*ab*ab", b"/ab", False),
        ("/*ab*ab", b"/abab", True),
        ("/*:*", b"/m:f", True),
        ("/*:*", b"/m", False),
        ("/*:*", b"/m/x:f", False),
        ("/*/x:*/*", b"/p/x:f/rest/of/it", True),
    ],
)
def test_a_pattern_fits_exactly_what_it_says(pattern: str, path: bytes, fits: bool) -> None:
    assert taken([route("r", pattern)], path) == ("r" if fits else None)


SEGMENT = st.text("ab:", max_size=4)


@given(
    st.lists(st.text("ab*", max_size=5).filter(lambda s: s != "*"), min_size=1, max_size=3),
    st.lists(SEGMENT, min_size=1, max_size=3),
)
@settings(max_examples=500, deadline=None)
def test_a_pattern_fits_what_trying_every_split_says(pattern: list[str], path: list[str]) -> None:
    expected = len(pattern) == len(path) and all(map(_fits, pattern, path))
    text, raw = "/" + "/".join(pattern), "/" + "/".join(path)
    assert (taken([route("r", text)], raw.encode()) is not None) == expected


def _fits(pattern: str, segment: str) -> bool:
    """Whether a segment fits, slowly and plainly."""
    if not pattern:
        return not segment
    if pattern[0] == "*":
        return any(_fits(pattern[1:], segment[n:]) for n in range(len(segment) + 1))
    return segment[:1] == pattern[0] and _fits(pattern[1:], segment[1:])


@pytest.mark.parametrize(
    ("routes", "path", "headers", "name"),
    [
        # the longest literal part
        ([route("all", "/*"), route("v1", "/v1/*")], b"/v1/x", (), "v1"),
        ([route("all", "/*"), route("v1", "/v1/*")], b"/v2/x", (), "all"),
        ([route("rest", "/m/*"), route("colon", "/m/*:*")], b"/m/a:b", (), "colon"),
        ([route("rest", "/m/*"), route("colon", "/m/*:*")], b"/m/a", (), "rest"),
        ([route("star", "/v1/*/x"), route("exact", "/v1/a/x")], b"/v1/a/x", (), "exact"),
        # a header before none
        ([route("no", "/m"), route("yes", "/m", header="A")], b"/m", (b"a",), "yes"),
        ([route("no", "/m"), route("yes", "/m", header="A")], b"/m", (), "no"),
        ([route("no", "/m/x"), route("yes", "/m/*", header="a")], b"/m/x", (b"a",), "no"),
        ([route("yes", "/m", header="a")], b"/m", (b"b",), None),
        # exact before the rest
        ([route("rest", "/m/*"), route("exact", "/m")], b"/m", (), "exact"),
        ([route("rest", "/m/*"), route("exact", "/m")], b"/m/", (), "rest"),
        # the order in which they stand
        ([route("first", "/m/*"), route("second", "/m/*")], b"/m", (), "first"),
        ([route("first", "/a", "/b"), route("second", "/b")], b"/b", (), "first"),
    ],
)
def test_of_several_patterns_the_most_exact_one_wins(
    routes: list[Route], path: bytes, headers: tuple[bytes, ...], name: str | None
) -> None:
    assert taken(routes, path, *headers) == name


@pytest.mark.parametrize(
    ("path", "headers", "upstream", "asked"),
    [
        (b"/v1/messages", (), "anthropic", b"/v1/messages"),
        (b"/v1/messages/count_tokens", (), "anthropic", b"/v1/messages/count_tokens"),
        (b"/v1/chat/completions", (), "openai", b"/v1/chat/completions"),
        (b"/v1/completions", (), "openai", b"/v1/completions"),
        (b"/v1/responses", (), "openai", b"/v1/responses"),
        (b"/v1/responses/resp_1/cancel", (), "openai", b"/v1/responses/resp_1/cancel"),
        (b"/v1/embeddings", (), "openai", b"/v1/embeddings"),
        (b"/v1/images/generations", (), "openai", b"/v1/images/generations"),
        (b"/v1/audio/transcriptions", (), "openai", b"/v1/audio/transcriptions"),
        (b"/v1/models", (), "openai", b"/v1/models"),
        (b"/v1/models", (b"anthropic-version",), "anthropic", b"/v1/models"),
        (b"/v1/models/gpt-4.1", (), "openai", b"/v1/models/gpt-4.1"),
        (b"/v1/models/claude", (b"anthropic-version",), "anthropic", b"/v1/models/claude"),
        (b"/v1/models/g:generateContent", (), "gemini", b"/v1/models/g:generateContent"),
        (b"/v1beta/models/g:countTokens", (), "gemini", b"/v1beta/models/g:countTokens"),
        (b"/anthropic/v1/messages", (), "anthropic", b"/v1/messages"),
        (b"/openai/v1/models", (b"anthropic-version",), "openai", b"/v1/models"),
        (b"/openai", (), "openai", b"/"),
        (b"/openai/", (), "openai", b"/"),
        (b"/gemini/v1beta/openai/x", (), "gemini", b"/v1beta/openai/x"),
        (b"/v1/other", (), None, None),
        (b"/", (), None, None),
        (b"/openaix/v1", (), None, None),
    ],
)
def test_without_a_file_the_public_apis_are_found_by_their_paths(
    path: bytes, headers: tuple[bytes, ...], upstream: str | None, asked: bytes | None
) -> None:
    found = Router(builtin({"HOME": "/home/x"}).routes).match(path, headers.__contains__)
    assert (found.upstream.name if found else None) == upstream
    assert (upstream_path(found, path) if found else None) == asked


@pytest.mark.parametrize(
    "tail",
    [
        b"/..",
        b"/../",
        b"/../admin",
        b"/./x",
        b"/x/..",
        b"/x/../../admin",
        b"/%2e%2e/admin",
        b"/%2E./admin",
        b"/.%2e",
        b"/..%2fadmin",
        b"/x%2F..%2F..%2Fadmin",
        b"/..%5cadmin",
        b"/..\\admin",
        b"\\..\\admin",
        b"/..;x=1/admin",
        b"/..%3bx/admin",
    ],
)
@pytest.mark.parametrize("prefix", [b"/a", b"/a/b", b""])
def test_a_path_that_could_lead_out_of_its_prefix_takes_no_route(
    prefix: bytes, tail: bytes
) -> None:
    """H9: an upstream is asked only for what the configuration lets through."""
    assert taken([route("all", "/*"), route("a", "/a/*")], prefix + tail) is None


@pytest.mark.parametrize(
    "path", [b"/a/...", b"/a/.x", b"/a/x.", b"/a/..x", b"/a/gpt-4.1", b"/a/%2ex", b"/a/.well-known"]
)
def test_a_dot_within_a_segment_is_only_a_dot(path: bytes) -> None:
    assert taken([route("a", "/a/*")], path) == "a"


@pytest.mark.parametrize(
    ("base", "strip", "path", "asked"),
    [
        ("", None, b"/v1/x", b"/v1/x"),
        ("/base", None, b"/v1/x", b"/base/v1/x"),
        ("/base/more", "/u", b"/u/v1/x", b"/base/more/v1/x"),
        ("", "/u", b"/u", b"/"),
        ("/base", "/u", b"/u", b"/base/"),
        ("", "/u", b"/u/", b"/"),
        ("", "/u", b"/u/u/x", b"/u/x"),
        ("", "/u", b"/u//x", b"//x"),
        ("", "/u/v", b"/u/v/x%2Fy%20z", b"/x%2Fy%20z"),
        ("", "/u", b"/u/\xc3\xbc", b"/\xc3\xbc"),
    ],
)
def test_an_upstream_is_asked_for_its_base_path_and_the_rest_of_the_path(
    base: str, strip: str | None, path: bytes, asked: bytes
) -> None:
    upstream = Upstream("u", Url("http", "localhost", 80, base), Family.GENERIC)
    assert upstream_path(Route("r", (), upstream, strip_prefix=strip), path) == asked


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_byte_of_the_rest_is_changed(rest: bytes) -> None:
    path = b"/u/" + rest
    found = Router([Route("u", (Pattern("/u/*"),), UPSTREAM, strip_prefix="/u")]).match(
        path, lambda name: False
    )
    if found:
        assert upstream_path(found, path) == path.removeprefix(b"/u")
