"""The gateway's parser beside h11 and llhttp; `fuzz.py` does the same with many more examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.http1.allowed import OTHERWISE, REFUSED, TAKEN, Allowed
from tests.http1.differential import compare
from tests.http1.examples import Example, examples

ENTRIES = (*REFUSED, *TAKEN, *OTHERWISE)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "fuzzing.rst"


@settings(max_examples=4_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(example=examples())
def test_no_message_is_read_otherwise_than_by_others_for_no_known_reason(example: Example) -> None:
    assert compare(example).disallowed == []


@pytest.mark.parametrize(
    "example",
    [
        Example(b"GET /v1/models?limit=5 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\nGET / HT"),
        Example(b"POST / HTTP/1.1\r\nhost: a:80\r\ncontent-length: 3\r\n\r\nabc\r\n"),
        Example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab"),
        Example(
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'3;a="b"\r\nabc\r\n0\r\nX-Check: 1\r\n\r\nGET'
        ),
        Example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0", b"POST"),
        Example(b"HTTP/1.0 404\r\nX-Empty:\r\n\r\nuntil the end", b"GET"),
        Example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200", b"HEAD"),
        Example(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n", b"GET"),
    ],
)
def test_a_valid_message_is_read_alike_by_all(example: Example) -> None:
    comparison = compare(example)
    assert comparison.ours.verdict == "read"
    assert comparison.differences == ()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_each_difference_that_is_allowed_is_there(entry: Allowed) -> None:
    assert {difference.entry for difference in compare(entry.example).differences} == {entry}


def test_the_document_lists_each_difference_that_is_allowed() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [entry.name for entry in ENTRIES if f"- {entry.name}\n" not in text] == []
