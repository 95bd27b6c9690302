"""Usage that the client did not ask for: asked of the upstream, and taken out again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.usage_injection import ask, without_usage_chunk

from .dialects.streams import DONE, USAGE, chunk, event, usage_chunk

WANTED = {"include_usage": True}


# ---- the request ----


@pytest.mark.parametrize("lead", [b"", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("step", [1, 5, 1000])
def test_the_options_are_put_before_everything_else(lead: bytes, step: int) -> None:
    """A14: not a byte of what was there changes, in one chunk or in many."""
    body = lead + b'{ "model" : "m","stream":true, "p": "{\\"stream_options\\": {}}" }\n'
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    asked = ask(pieces)
    assert asked is not None
    added = b'"stream_options":{"include_usage":true},'
    assert b"".join(asked) == body.replace(b"{", b"{" + added, 1)
    assert b"".join(pieces) == body


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage":false}', b'{"include_usage":true}'),
        (b'{"include_usage" : null }', b'{"include_usage":true}'),
        (
            b'{"continuous_usage_stats":false, "x":{"y": [1.50]}}',
            b'{"continuous_usage_stats":false,"x":{"y": [1.50]},"include_usage":true}',
        ),
    ],
)
@pytest.mark.parametrize(
    "around", [b'{"stream_options": %b, "a":1}', b'\xef\xbb\xbf{"a":1,"stream_options" :%b}']
)
def test_options_that_are_there_are_added_to(around: bytes, options: bytes, wanted: bytes) -> None:
    """A14: and all that stands around them stays."""
    asked = ask([around % options])
    assert asked is not None
    assert b"".join(asked) == around % wanted


def test_options_further_in_are_left_alone() -> None:
    """A14: the client's own text may hold the same words."""
    body = b'{"m":[{"stream_options":{"a":1}}],"stream_options":%b,"n":{"stream_options":{"a":1}}}'
    asked = ask([body % b'{"a":1}'])
    assert asked is not None
    assert b"".join(asked) == body % b'{"a":1,"include_usage":true}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"not JSON",
        b'{"stream":true',
        b'{"stream_options":7}',
        b'{"stream_options":[{}]}',
        b'{"stream_options":"x"}',
    ],
)
def test_what_cannot_be_asked_is_not_asked(body: bytes) -> None:
    """A14: the upstream judges the request as the client wrote it."""
    assert ask([body]) is None


_KEYS = ["stream_options", "model", "a"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*_KEYS, "include_usage", "é"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(_KEYS), _JSON, min_size=1, max_size=3),
    st.sampled_from([None, 1]),
)
def test_only_the_one_option_changes_whatever_the_body_is(
    body: dict[str, object], indent: int | None
) -> None:
    """A14: as JSON reads it."""
    asked = ask([json.dumps(body, indent=indent).encode()])
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        assert asked is None
    else:
        assert asked is not None
        wanted = {**body, "stream_options": {**(options or {}), **WANTED}}
        assert json.loads(b"".join(asked)) == wanted


# ---- the answer ----

EXTRA = usage_chunk(USAGE)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    "extra",
    [
        EXTRA,
        b"id: 7\n" + EXTRA,
        event({"usage": USAGE, "choices": [], "timings": {"prompt_n": 1}, "obfuscation": "xx"}),
        b'data:{"choices" : [ ],\ndata: "usage":{}}\n\n',
    ],
    ids=["as OpenAI has it", "with an id", "foreign members", "white space"],
)
def test_the_extra_chunk_is_taken_out_and_nothing_else(extra: bytes, end: bytes) -> None:
    """A14: byte for byte, whether it came alone or among others."""
    parts = (chunk("a") + chunk(reason="stop"), extra, b": x\n\n" + DONE)
    before, extra, after = (part.replace(b"\n", end) for part in parts)
    assert without_usage_chunk(before + extra + after) == before + after
    assert without_usage_chunk(extra) == b""
    assert without_usage_chunk(extra + after) == after
    assert without_usage_chunk(before + extra) == before


@pytest.mark.parametrize(
    "block",
    [
        chunk("a", usage=USAGE),
        chunk(reason="stop", usage=USAGE) + DONE,
        usage_chunk(None),
        event({"choices": [], "prompt_filter_results": [{}]}),
        event({"choices": [], "usage": USAGE, "error": {"message": "no"}}),
        chunk('{"choices":[],"usage":{}}'),
        event({"inner": {"choices": [], "usage": USAGE}}),
        event([{"choices": [], "usage": USAGE}]),
        b'data: {"choices":[],"usage":{}\n\n',
        b': {"choices":[],"usage":{}}\n\n',
        b'{"choices":[]}',
        b"",
    ],
)
def test_every_other_event_stays(block: bytes) -> None:
    """A14: Azure's first chunk has no choices, some servers' usage comes with them."""
    assert without_usage_chunk(block) == block
