"""The differences from h11 and llhttp that are meant to be, each with its rule and an example.

The gateway stands between two parties that may read the same bytes otherwise, so that it refuses
what another parser might repair; that is most of this table.  A `Refused` entry is recognised by
what the gateway says and, apart from that, by what can be seen in the bytes, so that a refusal for
the wrong reason is not excused.  `TAKEN` and `OTHERWISE` are short: what others refuse or frame in
another way is read only where the RFC says how.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.http1.examples import Example
from tests.http1.readers import LIMITS


@dataclass(frozen=True, slots=True)
class Allowed:
    """A kind of difference that may be."""

    name: str
    rule: str  #: the section that demands it or leaves it open
    why: str
    #: What the one that refuses says: the gateway in `REFUSED`, the other reader in `TAKEN`.
    says: str
    #: Whether the bytes show what the entry is about.
    shown: Callable[[Example], object]
    #: The smallest example of it.
    example: Example


def _request(*lines: bytes, body: bytes = b"") -> Example:
    return Example(b"\r\n".join((*lines, b"", body)))


def _get(*lines: bytes) -> Example:
    return _request(b"GET / HTTP/1.1", b"Host: a", *lines)


def _post(*lines: bytes, body: bytes = b"") -> Example:
    return _request(b"POST / HTTP/1.1", b"Host: a", *lines, body=body)


def _chunked(body: bytes) -> Example:
    return _post(b"Transfer-Encoding: chunked", body=body)


def _answer(*lines: bytes, body: bytes = b"") -> Example:
    return Example(b"\r\n".join((*lines, b"", body)), b"GET")


def _head(pattern: bytes) -> Callable[[Example], object]:
    """Whether the head has the pattern; `^` and `$` are its lines' ends."""
    compiled = re.compile(pattern, re.MULTILINE | re.IGNORECASE)
    return lambda example: compiled.search(example.head.replace(b"\r\n", b"\n"))


def _raw_head(pattern: bytes) -> Callable[[Example], object]:
    """Whether the head has the pattern, line ends as they came."""
    compiled = re.compile(pattern)
    return lambda example: compiled.search(example.head)


def _body(pattern: bytes) -> Callable[[Example], object]:
    """Whether what follows the head has the pattern."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda example: compiled.search(example.body)


def _values(example: Example, name: bytes) -> list[bytes]:
    pattern = rb"^%b[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$" % name
    return re.findall(pattern, example.head, re.MULTILINE | re.IGNORECASE)


def _first_line(example: Example) -> bytes:
    return example.head.lstrip(b"\r\n").partition(b"\r\n")[0]


#: What is surely a host: a name whose last label is no number, or an address of loopback.
_A_HOST: Final = re.compile(
    rb"(\[::1\]|127\.0\.0\.1|([a-z0-9_-]+\.)*[a-z_-][a-z0-9_-]*\.?)(:(?P<port>\d+))?",
    re.IGNORECASE,
)
#: RFC 3986, 3.3 and 3.4.
_A_PATH: Final = re.compile(
    rb"/([a-z0-9-._~!$&'()*+,;=:@/]|%[0-9a-f]{2})*(\?([a-z0-9-._~!$&'()*+,;=:@/?]|%[0-9a-f]{2})*)?",
    re.IGNORECASE,
)


def _odd_host(example: Example) -> bool:
    [value] = _values(example, b"host")
    return not _is_host(value)


def _is_host(value: bytes) -> bool:
    match = _A_HOST.fullmatch(value)
    return match is not None and int(match["port"] or 0) <= 65535


def _absolute(example: Example) -> bytes | None:
    """The authority of a target in absolute form."""
    match = re.match(rb"[^ ]+ https?://([^/? ]*)", _first_line(example), re.IGNORECASE)
    return None if match is None else match[1]


def _foreign_target(example: Example) -> bool:
    authority = _absolute(example)
    return authority is not None and (
        not _is_host(authority)
        or [authority.lower()] != [value.lower() for value in _values(example, b"host")]
    )


def _odd_target(example: Example) -> bool:
    parts = _first_line(example).split(b" ")
    return len(parts) == 3 and _A_PATH.fullmatch(parts[1]) is None


def _long_head(example: Example) -> bool:
    return len(example.head) > LIMITS.total or len(example.data) > LIMITS.total


_HEADER_LINE: Final = "a header line is not 'Name: value'"
_CONTROL: Final = "a control character(, or CR or LF alone,)? stands in the head"
_VERSION: Final = "the HTTP version must be 1.0 or 1.1|the (request|status) line is not .*"
_TARGET: Final = "the request target is not a path with an optional query"
_SIZE_LINE: Final = "a chunk's size line is malformed"
_TRAILER: Final = "a trailer line is not 'Name: value'"

#: What the gateway refuses and another reads.
REFUSED: Final = (
    Allowed(
        "blank lines before a message",
        "RFC 9112, 2.2",
        "One CRLF before a request line is forgiven, as servers should; no second one, no bare CR "
        "or LF, and nothing before a status line.",
        f"a request line was expected|the (request|status) line is .*|{_HEADER_LINE}|{_CONTROL}",
        lambda e: re.match(rb"\r\n[\r\n]|\n|\r(?!\n)" if e.asked is None else rb"[\r\n]", e.data),
        Example(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ),
    Allowed(
        "a bare LF in a head",
        "RFC 9112, 2.2",
        "Taking it as a line end is optional, and a reader that does not sees other fields.",
        _CONTROL,
        _raw_head(rb"(?<!\r)\n"),
        _get(b"A: b\nC: d"),
    ),
    Allowed(
        "a control character in a head",
        "RFC 9110, 5.5",
        "NUL must be refused or replaced; of the others, refusing is the safe choice.",
        _CONTROL,
        _raw_head(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
        _get(b"A: \x01"),
    ),
    Allowed(
        "a folded line",
        "RFC 9112, 5.2",
        "A server must refuse it or replace it, and a client may; a reader that does not know "
        "folding sees another field.",
        _HEADER_LINE,
        _head(rb"^[ \t]"),
        _get(b"A: b", b" c"),
    ),
    Allowed(
        "another protocol's request line",
        "RFC 9112, 3",
        "llhttp reads RTSP and ICE as well.",
        "the request line is not .*",
        _head(rb"\A\n*[^\n]* (RTSP|ICE)/[0-9]\.[0-9]$"),
        _request(b"SOURCE / ICE/1.0", b"Host: a"),
    ),
    Allowed(
        "several blanks in a request line",
        "RFC 9112, 3",
        "One each is the grammar; splitting at more is optional and has led to smuggling.",
        "the request line is not .*",
        _head(rb"\A\n*[^ \n]+ +[^ \n]+ +HTTP/[0-9.]+$"),
        _request(b"GET  / HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "another version",
        "RFC 9110, 2.5; RFC 9112, 2.3",
        "What is neither 1.0 nor 1.1 has no framing that we know.  llhttp reads HTTP/0.9, too, "
        "which tells no version.",
        _VERSION,
        lambda e: not re.search(rb"(\A| )HTTP/1\.[01]( |\Z)", _first_line(e)),
        _request(b"GET / HTTP/0.9", b"Host: a"),
    ),
    Allowed(
        "a status outside of 100 to 599",
        "RFC 9110, 15",
        "It is invalid.  A client may take it as a 5xx, which the gateway's 502 is.",
        "the status line is not .*",
        _head(rb"\AHTTP/1\.[01] ([06-9][0-9]{2}|[0-9]{1,2}|[0-9]{4,})\b"),
        _answer(b"HTTP/1.1 600 X"),
    ),
    Allowed(
        "CONNECT",
        "RFC 9110, 9.3.6; RFC 9112, 3.2.3",
        "Its target is an authority, and what follows it is no HTTP: this is no tunnel.",
        "CONNECT asks for .*|the request line is not .*",
        _head(rb"\A\n*CONNECT "),
        _request(b"CONNECT /a HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "a method of more than 32 bytes",
        "RFC 9110, 9.1 and 16.1",
        "Methods are an open list, but no registered one is half as long.",
        "the method is longer than 32 bytes",
        lambda e: re.match(rb"[^ ]{33}", _first_line(e)),
        _request(b"G" * 33 + b" / HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "a target in absolute form with another host than Host's, or none",
        "RFC 9112, 3.2.2; RFC 9110, 4.2.4",
        "A server is to believe the target; one behind it may believe Host.  Users in front of the "
        "host are to be taken as an error.",
        "the request target's host is not .*|the request target and the Host header name two hosts",
        _foreign_target,
        _request(b"GET http://b/ HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "a target in absolute form with another scheme",
        "RFC 9112, 3.2.2; RFC 9110, 4.2",
        "The gateway serves http and https.",
        _TARGET,
        lambda e: re.match(rb"[^ ]+ (?!https?:)[a-z][a-z0-9+.-]*://", _first_line(e).lower()),
        _request(b"GET ftp://a/ HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "an asterisk without OPTIONS",
        "RFC 9112, 3.2.4",
        "It is for a server-wide OPTIONS alone.",
        _TARGET,
        lambda e: re.match(rb"(?!OPTIONS )[^ ]+ \* ", _first_line(e)),
        _request(b"GET * HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "a target with what no path holds",
        "RFC 9112, 3.2; RFC 3986, 3.3",
        "Invalid request lines should be answered 400.  Fragments, quotes, backslashes and bytes "
        "beyond ASCII are read in several ways.",
        _TARGET,
        _odd_target,
        _request(b"GET /a#b HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "no Host, or several",
        "RFC 9112, 3.2",
        "It must be answered 400.",
        "there must be exactly one Host header",
        lambda e: len(_values(e, b"host")) != 1,
        _request(b"GET / HTTP/1.1"),
    ),
    Allowed(
        "a Host that is none",
        "RFC 9112, 3.2; RFC 9110, 7.2",
        "It must be answered 400.",
        "the Host header is not (a name or an address with .*|an address that there is)",
        _odd_host,
        _request(b"GET / HTTP/1.1", b"Host: u@a"),
    ),
    Allowed(
        "a first line beyond the limit",
        "RFC 9112, 3",
        "Limits are a server's own; ours are larger than the 8,000 bytes that are recommended.",
        f"the first line is longer than {LIMITS.line} bytes",
        lambda e: len(_first_line(e).partition(b"\n")[0]) > LIMITS.line or b"\n" in _first_line(e),
        _request(b"GET /" + b"a" * LIMITS.line + b" HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "a head beyond the limit",
        "RFC 9110, 5.4",
        "Limits are a server's own.",
        f"the head is longer than {LIMITS.total} bytes",
        _long_head,
        _get(*[b"A: " + b"b" * 500] * 10),
    ),
    Allowed(
        "too many fields",
        "RFC 9110, 5.4",
        "Limits are a server's own.",
        f"there are more than {LIMITS.fields} header fields",
        lambda e: e.head.count(b"\n") > LIMITS.fields,
        _get(*[b"A: b"] * (LIMITS.fields + 1)),
    ),
    Allowed(
        "a field name beyond the limit",
        "RFC 9110, 5.4",
        "Limits are a server's own.",
        f"a header's name is longer than {LIMITS.name} bytes",
        lambda e: re.search(rb"^[^:\r\n]{257}", e.head, re.MULTILINE),
        _get(b"A" * 257 + b": b"),
    ),
    Allowed(
        "Transfer-Encoding in HTTP/1.0",
        "RFC 9112, 6.1",
        "The framing must be taken as faulty, even with a Content-Length.",
        "Transfer-Encoding is not part of HTTP/1.0",
        lambda e: b"HTTP/1.0" in _first_line(e) and _values(e, b"transfer-encoding"),
        _answer(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    Allowed(
        "Transfer-Encoding beside Content-Length",
        "RFC 9112, 6.1 and 6.3",
        "It ought to be handled as an attempt at smuggling.",
        "Transfer-Encoding and Content-Length exclude each other",
        lambda e: _values(e, b"transfer-encoding") and _values(e, b"content-length"),
        _post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    Allowed(
        "several Transfer-Encoding lines",
        "RFC 9112, 6.1 and 7",
        "chunked twice is forbidden, and codings before it are not known here.",
        "there must be one Transfer-Encoding header at the most",
        lambda e: len(_values(e, b"transfer-encoding")) > 1,
        _post(
            b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
        ),
    ),
    Allowed(
        "a transfer coding other than chunked",
        "RFC 9112, 6.1",
        "What is not understood should be answered 501; llhttp reads such a response to its end.",
        "the only transfer coding here is 'chunked'",
        lambda e: _values(e, b"transfer-encoding")[0].lower() != b"chunked",
        _post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    ),
    Allowed(
        "several Content-Length lines",
        "RFC 9112, 6.3",
        "Equal ones may be refused or joined.",
        "there must be one Content-Length header at the most",
        lambda e: len(_values(e, b"content-length")) > 1,
        _post(*[b"Content-Length: 0"] * 2),
    ),
    Allowed(
        "a Content-Length that is not a number",
        "RFC 9112, 6.3; RFC 9110, 8.6",
        "A list of equal ones may be refused; all else must be.",
        "Content-Length is not a plain number",
        lambda e: not re.fullmatch(rb"[0-9]+", _values(e, b"content-length")[0]),
        _post(b"Content-Length: 3, 3", body=b"abc"),
    ),
    Allowed(
        "a Content-Length of more than 18 digits",
        "RFC 9110, 8.6",
        "Conversions must not overflow; no body is so long.",
        "Content-Length is not a plain number",
        lambda e: re.fullmatch(rb"[0-9]{19,}", _values(e, b"content-length")[0]),
        _post(b"Content-Length: 0000000000000000003", body=b"abc"),
    ),
    Allowed(
        "blanks behind a chunk's size",
        "RFC 9112, 7.1",
        "The grammar has none there.",
        _SIZE_LINE,
        _body(rb"[0-9A-Fa-f\"][ \t]+\r\n"),
        _chunked(b"0 \r\n\r\n"),
    ),
    Allowed(
        "a chunk of more than 15 digits",
        "RFC 9112, 7.1",
        "Conversions must not overflow; no chunk is so long.",
        _SIZE_LINE,
        _body(rb"[0-9A-Fa-f]{16}"),
        _chunked(b"0000000000000000\r\n\r\n"),
    ),
    Allowed(
        "a chunk extension that is none",
        "RFC 9112, 7.1.1",
        "What may stand there is told; h11 takes anything, llhttp empty names.",
        _SIZE_LINE,
        _body(rb"[0-9A-Fa-f];"),
        _chunked(b"0;\r\n\r\n"),
    ),
    Allowed(
        "a bare LF or CR in the chunked coding",
        "RFC 9112, 2.2 and 7.1",
        "Its lines end in CRLF.",
        f"a line of the chunked coding ends in LF without CR|{_SIZE_LINE}|{_TRAILER}",
        _body(rb"(?<!\r)\n|\r(?!\n)"),
        _chunked(b"0\r\nA: b\n\r\n"),
    ),
    Allowed(
        "a trailer that is none",
        "RFC 9112, 5.1, 5.2 and 7.1.2",
        "Trailers are fields: neither folded, nor with blanks before the colon or control bytes.",
        _TRAILER,
        _body(rb"\r\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
        _chunked(b"0\r\nA: b\r\n c\r\n\r\n"),
    ),
    Allowed(
        "trailers beyond the limit",
        "RFC 9110, 5.4",
        "Limits are a server's own.",
        "the trailers are longer than 16384 bytes|a line of the chunked coding is longer .*",
        lambda e: len(e.body) > 16384,
        _chunked(b"0\r\nA: " + b"b" * 16384 + b"\r\n\r\n"),
    ),
)  # fmt: skip

#: What the gateway reads and another refuses.
TAKEN: Final = (
    Allowed(
        "one blank line before a request",
        "RFC 9112, 2.2",
        "A server should ignore one; h11 does not.",
        "no request line received",
        lambda e: e.asked is None and re.match(rb"\r\n[^\r\n]", e.data),
        Example(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ),
    Allowed(
        "a method that llhttp does not know",
        "RFC 9110, 9.1 and 16.1",
        "Methods are an open list, and the gateway passes them on.",
        "Invalid method encountered|Expected HTTP/2 Connection Preface|Expected .* method.*",
        lambda e: e.asked is None and re.match(rb"[!-~]+ (/|(?i:http))", _first_line(e)),
        _request(b"FROB / HTTP/1.1", b"Host: a"),
    ),
    Allowed(
        "101 without an Upgrade",
        "RFC 9110, 15.2.2",
        "The reader of heads knows nothing of what was asked; the connection that does takes every "
        "101 for malformed, because the gateway never sends Upgrade.",
        "Received server _SWITCH_UPGRADE .*|Pause on CONNECT/Upgrade",
        _head(rb"\AHTTP/1\.[01] 101\b"),
        _answer(b"HTTP/1.1 101 Switching Protocols"),
    ),
    Allowed(
        "Content-Length or Transfer-Encoding among the trailers",
        "RFC 9112, 7.1.2; RFC 9110, 6.5.1",
        "Trailers are dropped, so that none of them can frame anything.",
        "Content-Length can't be present .*|Transfer-Encoding can't .*|Invalid `Transfer-Enc.*|"
        "Only Transfer-Encoding: chunked .*|(bad|conflicting) Content-Length.*",
        lambda e: re.search(rb"(?im)^(content-length|transfer-encoding):", e.body),
        _chunked(b"0\r\nContent-Length: 3\r\n\r\n"),
    ),
    Allowed(
        "blanks around a chunk extension's marks",
        "RFC 9112, 7.1.1; RFC 9110, 5.6.3",
        "Recipients must read them and take them away.  Extensions are dropped: nobody behind the "
        "gateway sees one.",
        "illegal chunk header: .*|Invalid character in chunk (size|extensions.*)",
        _body(rb"[ \t][;=]|[;=][ \t]"),
        _chunked(b"0 ;a\r\n\r\n"),
    ),
)  # fmt: skip

#: Where another frames the body otherwise: both read it, or one finds what it takes for the body
#: malformed.
OTHERWISE: Final = (
    Allowed(
        "HTTP/1.0 without Host and with a target in absolute form",
        "RFC 9112, 3.2.2",
        "The target's host is the request's: the gateway puts it where Host would be.",
        ".*",
        lambda e: _absolute(e) and b" HTTP/1.0" in _first_line(e) and not _values(e, b"host"),
        _request(b"GET http://a/ HTTP/1.0", b"A: b"),
    ),
    Allowed(
        "a body behind an Upgrade",
        "RFC 9110, 7.8; RFC 9112, 6.3",
        "httptools takes all behind the head for the other protocol.  A server may ignore Upgrade; "
        "the gateway does, does not pass it on, and reads the body by its framing.",
        ".*",
        lambda e: e.asked is None and _values(e, b"upgrade") and _values(e, b"connection"),
        _post(b"Connection: upgrade", b"Upgrade: x", b"Content-Length: 3", body=b"abc"),
    ),
    Allowed(
        "a body behind an interim response",
        "RFC 9112, 6.3",
        "It has none, whatever its fields say; llhttp reads one behind those from 104 on.",
        ".*",
        lambda e: re.match(rb"HTTP/1\.[01] 1", e.data),
        _answer(b"HTTP/1.1 120 X", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    Allowed(
        "a tab behind 'chunked'",
        "RFC 9110, 5.5 and 5.6.3",
        "Blanks around a value are not part of it, and HTAB is one; llhttp takes away spaces only, "
        "and then sees a coding that it does not know.",
        ".*",
        _head(rb"^transfer-encoding:.*chunked *\t"),
        _answer(b"HTTP/1.1 200 X", b"Transfer-Encoding: chunked\t", body=b"0\r\n\r\n"),
    ),
)  # fmt: skip
