"""Heads: which are read, which are refused and with which status, and what is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1 import Fields, HeadLimits, LocalError, RemoteError
from gateway.http1.framing import FramingKind, request_framing, response_framing
from gateway.http1.head import parse_request, parse_response
from gateway.http1.write import chunk, request_bytes, response_bytes

LIMITS = HeadLimits(total=4096, line=1024, fields=20)


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([line, host, *fields] if host else [line, *fields])


REFUSED_REQUESTS = [
    ("no version", request(b"GET /"), 400),
    ("two blanks", request(b"GET  / HTTP/1.1"), 400),
    ("lower-case protocol", request(b"GET / http/1.1"), 400),
    ("HTTP/2", request(b"GET / HTTP/2.0"), 505),
    ("HTTP/1.2", request(b"GET / HTTP/1.2"), 505),
    ("method not a token", request(b"G(T / HTTP/1.1"), 400),
    ("CONNECT", request(b"CONNECT a:443 HTTP/1.1"), 501),
    ("CONNECT with a path", request(b"CONNECT / HTTP/1.1"), 501),
    ("method too long", request(b"G" * 33 + b" / HTTP/1.1"), 501),
    ("authority form", request(b"GET a:443 HTTP/1.1"), 400),
    ("absolute form of another host", request(b"GET http://b/ HTTP/1.1"), 400),
    ("absolute form of another port", request(b"GET http://a:1/ HTTP/1.1"), 400),
    ("absolute form with userinfo", request(b"GET http://u@a/ HTTP/1.1"), 400),
    ("absolute form without a host", request(b"GET http:///a HTTP/1.1"), 400),
    ("absolute form with a fragment", request(b"GET http://a#b HTTP/1.1"), 400),
    ("absolute form of another scheme", request(b"GET ftp://a/ HTTP/1.1"), 400),
    ("fragment", request(b"GET /#x HTTP/1.1"), 400),
    ("byte from 0x80 in the target", request(b"GET /\xe4 HTTP/1.1"), 400),
    ("DEL in the target", request(b"GET /\x7f HTTP/1.1"), 400),
    ("star without OPTIONS", request(b"GET * HTTP/1.1"), 400),
    ("no Host", request(host=b""), 400),
    ("two Hosts", request(b"GET / HTTP/1.1", b"host: b"), 400),
    ("empty Host", request(host=b"Host:"), 400),
    ("Host with userinfo", request(host=b"Host: u@a"), 400),
    ("Host with a path", request(host=b"Host: a/b"), 400),
    ("Host with a port too large", request(host=b"Host: a:99999"), 400),
    ("Host with a colon and no port", request(host=b"Host: a:"), 400),
    ("Host with a comma", request(host=b"Host: a,b"), 400),
    ("Host with a semicolon", request(host=b"Host: a;b"), 400),
    ("Host with an escape", request(host=b"Host: a%00"), 400),
    ("Host with an empty label", request(host=b"Host: a..b"), 400),
    ("Host of an IPv4 address that is none", request(host=b"Host: 1.2.3.256"), 400),
    ("Host of an IPv6 address that is none", request(host=b"Host: [:::::]"), 400),
    ("Host of an IPv6 address without brackets", request(host=b"Host: ::1"), 400),
    ("Host of an IPv6 address with a zone", request(host=b"Host: [::1%25lo]"), 400),
    ("blank before the colon", request(b"GET / HTTP/1.1", b"A : b"), 400),
    ("folded line", request(b"GET / HTTP/1.1", b"A: b", b" c"), 400),
    ("no colon", request(b"GET / HTTP/1.1", b"A"), 400),
    ("empty name", request(b"GET / HTTP/1.1", b": b"), 400),
    ("NUL in a value", request(b"GET / HTTP/1.1", b"A: b\x00"), 400),
    ("CR in a value", request(b"GET / HTTP/1.1", b"A: b\rc"), 400),
    ("name too long", request(b"GET / HTTP/1.1", b"A" * 257 + b": b"), 431),
    ("too many fields", request(b"GET / HTTP/1.1", *[b"A: b"] * 20), 431),
    ("first line too long", request(b"GET /" + b"a" * 1024 + b" HTTP/1.1"), 414),
]


@pytest.mark.parametrize(
    ("head", "status"), [c[1:] for c in REFUSED_REQUESTS], ids=[c[0] for c in REFUSED_REQUESTS]
)
def test_a_request_head_that_could_be_misread_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_request(head, LIMITS)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"http://a/b?c=d", b"/b?c=d"),
        (b"HTTPS://A/b", b"/b"),
        (b"http://a", b"/"),
        (b"http://a?c", b"/?c"),
        (b"http://a//b.test/", b"//b.test/"),
    ],
)
def test_a_target_in_absolute_form_is_read_in_origin_form(target: bytes, seen: bytes) -> None:
    head = parse_request(request(b"GET " + target + b" HTTP/1.1"), LIMITS)
    assert (head.target, head.fields.get_all(b"host")) == (seen, [b"a"])


def test_the_host_of_an_absolute_form_takes_the_place_of_one_that_http_1_0_left_out() -> None:
    head = parse_request(b"GET http://a:1/b HTTP/1.0\r\nX: y", LIMITS)
    assert head.fields.pairs == ((b"Host", b"a:1"), (b"X", b"y"))


@pytest.mark.parametrize(
    "host", [b"a", b"a_b.C-d.", b"127.0.0.1", b"[::1]", b"[2001:db8::1.2.3.4]:443", b"a:0"]
)
def test_a_host_is_a_name_or_an_address_with_an_optional_port(host: bytes) -> None:
    head = parse_request(request(host=b"Host: " + host), LIMITS)
    assert head.fields.get(b"host") == host


def test_a_request_head_keeps_order_case_and_duplicates() -> None:
    head = parse_request(
        request(b"POST /v1/x?y=%20 HTTP/1.1", b"X-b: 1", b"x-B:\t2 ", b"A:"), LIMITS
    )
    assert (head.method, head.target, head.path, head.minor) == (
        b"POST",
        b"/v1/x?y=%20",
        b"/v1/x",
        1,
    )
    assert head.fields.pairs == ((b"Host", b"a"), (b"X-b", b"1"), (b"x-B", b"2"), (b"A", b""))
    assert head.fields.get_all(b"x-b") == [b"1", b"2"]


@pytest.mark.parametrize(
    ("minor", "fields", "stays"),
    [
        (1, (), True),
        (1, (b"Connection: close",), False),
        (1, (b"Connection: x", b"Connection: Keep-Alive, CLOSE"), False),
        (0, (), False),
        (0, (b"Connection: keep-alive",), True),
    ],
)
def test_close_is_honoured_on_every_connection_line(
    minor: int, fields: tuple[bytes, ...], stays: bool
) -> None:
    head = parse_request(request(b"GET / HTTP/1.%d" % minor, *fields), LIMITS)
    assert head.persistent is stays


REFUSED_RESPONSES = [
    b"HTTP/1.1 2_00 OK",
    b"HTTP/1.1 +200 OK",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 000 OK",
    b"HTTP/1.1 600 OK",
    b"HTTP/2.0 200 OK",
    b"http/1.1 200 OK",
    b"ICY 200 OK",
    b"HTTP/1.1 200 O\x00K",
    b"HTTP/1.1 200 OK\r\n A: b",
    b"HTTP/1.1 200 OK\r\nA b: c",
]


@pytest.mark.parametrize("head", REFUSED_RESPONSES)
def test_a_response_head_that_could_be_misread_is_refused(head: bytes) -> None:
    with pytest.raises(RemoteError):
        parse_response(head, LIMITS)


def test_a_response_head_may_have_no_reason() -> None:
    assert parse_response(b"HTTP/1.1 200", LIMITS).reason == b""
    assert parse_response(b"HTTP/1.0 404 ", LIMITS).status == 404


def test_the_media_type_is_read_in_any_case_and_with_parameters() -> None:
    """D2: how an event stream is recognised."""
    head = parse_response(
        b"HTTP/1.1 200 OK\r\ncontent-TYPE: Text/Event-Stream ; charset=utf-8", LIMITS
    )
    assert head.media_type == b"text/event-stream"


FRAMINGS = [
    ((b"Content-Length: 5",), FramingKind.LENGTH),
    ((b"Content-Length: 0",), FramingKind.NONE),
    ((b"Transfer-Encoding: Chunked",), FramingKind.CHUNKED),
    ((), FramingKind.NONE),
]


@pytest.mark.parametrize(("fields", "kind"), FRAMINGS)
def test_the_framing_of_a_request(fields: tuple[bytes, ...], kind: FramingKind) -> None:
    """D2: chunked in any case."""
    head = parse_request(request(b"POST / HTTP/1.1", *fields), LIMITS)
    assert request_framing(head).kind is kind


AMBIGUOUS = [
    (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    (b"Content-Length: 5", b"Content-Length: 5"),
    (b"Content-Length: 5, 5",),
    (b"Content-Length: +5",),
    (b"Content-Length: 5_0",),
    (b"Content-Length: \xb2",),
    (b"Content-Length:",),
    (b"Content-Length: " + b"9" * 19,),
    (b"Transfer-Encoding: chunked, chunked",),
    (b"Transfer-Encoding: gzip, chunked",),
    (b"Transfer-Encoding: identity",),
    (b"Transfer-Encoding:",),
    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
]


@pytest.mark.parametrize("fields", AMBIGUOUS)
def test_a_framing_that_can_be_read_in_two_ways_is_refused(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(RemoteError):
        request_framing(parse_request(request(b"POST / HTTP/1.1", *fields), LIMITS))
    lines = b"\r\n".join((b"HTTP/1.1 200 OK", *fields))
    with pytest.raises(RemoteError):
        response_framing(parse_response(lines, LIMITS), b"GET")


def test_chunked_in_http_1_0_is_refused() -> None:
    head = parse_request(request(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"), LIMITS)
    with pytest.raises(RemoteError):
        request_framing(head)


@pytest.mark.parametrize(
    ("method", "head", "kind"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5", FramingKind.NONE),
        (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5", FramingKind.NONE),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", FramingKind.NONE),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5", FramingKind.LENGTH),
        (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", FramingKind.CHUNKED),
        (b"GET", b"HTTP/1.1 200 OK", FramingKind.UNTIL_CLOSE),
    ],
)
def test_the_framing_of_a_response(method: bytes, head: bytes, kind: FramingKind) -> None:
    """D9: HEAD, 204 and 304 have no body whatever their fields say."""
    assert response_framing(parse_response(head, LIMITS), method).kind is kind


def test_hop_by_hop_fields_and_what_connection_names_are_not_passed_on() -> None:
    fields = Fields(
        [
            (b"Host", b"a"),
            (b"Connection", b"X-Secret, host"),
            (b"connection", b"Keep-Alive, Content-Length, authorization"),
            (b"Connection", b"x-api-key, X-Goog-Api-Key"),
            (b"X-Secret", b"1"),
            (b"TE", b"trailers"),
            (b"Upgrade", b"h2c"),
            (b"HTTP2-Settings", b"AAMAAABk"),
            (b"Content-Length", b"5"),
            (b"Authorization", b"Bearer k"),
            (b"x-api-key", b"k"),
            (b"X-Goog-Api-Key", b"k"),
            (b"Set-Cookie", b"a"),
            (b"Set-Cookie", b"b"),
        ]
    )
    assert fields.end_to_end() == [
        (b"Host", b"a"),
        (b"Content-Length", b"5"),
        (b"Authorization", b"Bearer k"),
        (b"x-api-key", b"k"),
        (b"X-Goog-Api-Key", b"k"),
        (b"Set-Cookie", b"a"),
        (b"Set-Cookie", b"b"),
    ]


def test_a_name_that_some_servers_take_for_a_hop_by_hop_one_is_not_passed_on() -> None:
    """H1: to servers of the CGI family an underscore is a dash; other such names are harmless."""
    fields = Fields([(b"Transfer_Encoding", b"chunked"), (b"x_trace", b"1"), (b"Keep_Alive", b"2")])
    assert fields.end_to_end() == [(b"x_trace", b"1")]


def test_the_repr_of_fields_holds_no_values() -> None:
    assert "canary" not in repr(Fields([(b"Authorization", b"canary")]))


def test_a_head_that_would_split_is_not_written() -> None:
    for pair in ((b"A", b"b\r\nC: d"), (b"A\n", b"b"), (b"A", b"b\x00")):
        with pytest.raises(LocalError):
            response_bytes(200, b"OK", [pair])
    with pytest.raises(LocalError):
        request_bytes(b"GET", b"/ HTTP/1.1\r\nX: y", [])


def test_an_empty_chunk_is_nothing() -> None:
    """D4: an empty write must not become the last chunk."""
    assert chunk(b"") == b""
    assert chunk(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parsers_raise_anything_else(data: bytes) -> None:
    for parse in (parse_request, parse_response):
        status = 400
        try:
            parse(data, LIMITS)
        except RemoteError as error:
            status = error.status
        assert status in (400, 414, 431, 501, 505)
