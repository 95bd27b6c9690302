"""Which requests are the same, as a table of what may differ and what may not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dedup.key import key_of
from gateway.http1 import Fields, RequestHead

FIELDS = (
    (b"Host", b"gw.test"),
    (b"Authorization", b"Bearer k"),
    (b"Content-Type", b"application/json"),
    (b"anthropic-beta", b"a"),
    (b"anthropic-beta", b"b"),
)
IGNORED = (
    "User-Agent", "X-Stainless-Retry-Count", "x-stainless-read-timeout", "traceparent",
    "tracestate", "baggage", "X-Request-Id", "X-Client-Request-Id", "Content-Length", "Date",
    "Via", "Forwarded", "X-Forwarded-For", "Accept-Encoding", "Connection", "TE", "Keep-Alive",
)  # fmt: skip
COUNTED = (
    "anthropic-version", "OpenAI-Organization", "Accept", "X-Unheard-Of", "Cookie",
    "Idempotency-Key", "x-claude-code-session-id", "Content-Encoding", "X-Stainless",
)  # fmt: skip


def key(
    fields: tuple[tuple[bytes, bytes], ...] = FIELDS, secret: bytes = b"s", **changed: Any
) -> bytes:
    """The key of a request that differs from the usual one in what is `changed`."""
    said: dict[str, Any] = {
        "tenant": "t",
        "credentials": (b"k",),
        "route": "r",
        "body": [b'{"model":"m"}'],
        "method": b"POST",
        "target": b"/v1/messages?beta=true",
        **changed,
    }
    head = RequestHead(said.pop("method"), said.pop("target"), 1, Fields(fields))
    return key_of(secret, head=head, **said)


@pytest.mark.parametrize("name", IGNORED)
def test_a_field_that_changes_no_answer_does_not_count(name: str) -> None:
    """C1: in any case, with any value."""
    assert key((*FIELDS, (name.encode(), b"x"))) == key()
    assert key((*FIELDS, (name.upper().encode(), b"y"))) == key()


@pytest.mark.parametrize("name", COUNTED)
def test_any_other_field_counts(name: str) -> None:
    """C1: one that nobody knows as well; its value, too, but not the case of its name."""
    with_it = key((*FIELDS, (name.encode(), b"x")))
    assert with_it != key()
    assert with_it != key((*FIELDS, (name.encode(), b"y")))
    assert with_it == key((*FIELDS, (name.lower().encode(), b"x")))


def test_the_order_of_fields_counts_only_among_those_of_one_name() -> None:
    """C1: RFC 9110, 5.3."""
    first, second, *others, beta, gamma = FIELDS
    assert key((beta, gamma, *others, second, first)) == key()
    assert key((first, second, *others, gamma, beta)) != key()


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": "u"},
        {"tenant": None},
        {"tenant": ""},
        {"credentials": (b"l",)},
        {"credentials": ()},
        {"credentials": (b"k", b"l")},
        {"route": "q"},
        {"method": b"PUT"},
        {"target": b"/v1/messages"},
        {"target": b"/v1/messages?beta=false"},
        {"body": [b'{"model":"n"}']},
        {"body": [b'{"model": "m"}']},
        {"variant": b"v"},
    ],
    ids=str,
)
def test_whose_it_is_where_it_goes_and_what_it_says_counts(changed: dict[str, Any]) -> None:
    """C1: tenant, credential, route, method, path, query, body."""
    assert key(**changed) != key()


@given(body=st.binary(max_size=40), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_the_pieces_in_which_a_body_came_do_not_count(body: bytes, cuts: list[int]) -> None:
    """C1: only their bytes."""
    ends = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[begin:end] for begin, end in pairwise(ends)]
    assert key(body=pieces) == key(body=[body])


@given(
    one=st.tuples(st.binary(max_size=5), st.binary(max_size=5)),
    other=st.tuples(st.binary(max_size=5), st.binary(max_size=5)),
)
def test_no_part_passes_for_the_end_or_beginning_of_another(
    one: tuple[bytes, bytes], other: tuple[bytes, bytes]
) -> None:
    """C1: what stands in two credentials stands in no other two."""
    assert (key(credentials=one) == key(credentials=other)) == (one == other)


def test_a_key_tells_nothing_without_the_processs_own_secret() -> None:
    """C1, H8: the same request has another key in another process."""
    assert key(secret=b"t") != key()
    assert len(key()) == 32
