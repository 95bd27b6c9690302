"""What is read of the results of Anthropic's batches, and which endpoints are theirs."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.anthropic_batch import BatchResultsMeter
from gateway.dialects.base import Meter, Peek, Result, ResultsMeter
from gateway.record import Usage, derived_id

from .streams import START_USAGE

RESULTS = for_request(Family.ANTHROPIC, b"/v1/messages/batches/msgbatch_1/results")
KNOWN = Usage(
    input_tokens=255,
    cache_read_tokens=200,
    cache_write_tokens=30,
    cache_write_1h_tokens=10,
    output_tokens=12,
)


def line(custom_id: str, kind: str = "succeeded", **message: Any) -> bytes:
    """A line of results; those that succeeded have a message."""
    result: dict[str, Any] = {"type": kind}
    if kind == "succeeded":
        result["message"] = {
            "id": "msg_7",
            "type": "message",
            "model": "large-2",
            "content": [{"type": "text", "text": '{"custom_id": "no"}\\n Grüße'}],
            "stop_reason": "end_turn",
            "usage": {**START_USAGE, "output_tokens": 12, "service_tier": "batch"},
            **message,
        }
    elif kind == "errored":
        result["error"] = {"type": "error", "error": {"type": "api_error", "message": "oh"}}
    return json.dumps({"custom_id": custom_id, "result": result}, ensure_ascii=False).encode()


def read(meter: Meter, *pieces: bytes, whole: bool = True) -> list[Result]:
    """The results of a body that comes in these pieces."""
    assert isinstance(meter, ResultsMeter)
    found: list[Result] = []
    for piece in pieces:
        meter.feed(piece)
        found += meter.take()
    if whole:
        meter.end()
        found += meter.take()
    return found


BODY = b"\n".join(
    (
        line("a"),
        line("b", "errored"),
        b"\r",
        line("c", usage={"input_tokens": 1, "output_tokens": 0}, stop_reason=None),
        line("d", "expired"),
        b"nonsense",
        line("e", "canceled"),
        line("ß", model=None),
    )
)


def test_each_result_that_succeeded_tells_what_an_answer_of_its_own_would() -> None:
    """A8: the others have no usage and are not billed."""
    meter = RESULTS.body_meter()
    a, c, last = read(meter, BODY)
    assert [a.key, c.key, last.key] == ["a", "c", "ß"]
    assert (a.reading.model, a.reading.stop_reason) == ("large-2", "end_turn")
    assert a.reading.usage == last.reading.usage == KNOWN
    assert json.loads(a.reading.usage_raw or "")["service_tier"] == "batch"
    assert (c.reading.usage, c.reading.stop_reason) == (Usage(1, output_tokens=0), None)
    assert last.reading.model is None
    assert meter.complete
    problem = "lines that were not counted: 1 not readable as results"
    assert (meter.reading().usage_problem, meter.reading().usage) == (problem, Usage())


@given(st.lists(st.integers(0, len(BODY)), max_size=20))
@settings(max_examples=300, deadline=None)
def test_wherever_results_are_split_they_tell_the_same(cuts: list[int]) -> None:
    """A9: in a character, in an escape, at a line's end."""
    places = [0, *sorted(cuts), len(BODY)]
    pieces = [BODY[begin:end] for begin, end in itertools.pairwise(places)]
    assert read(BatchResultsMeter(), *pieces) == read(BatchResultsMeter(), BODY)


@given(st.integers(0, len(BODY)))
@settings(max_examples=200, deadline=None)
def test_a_cut_fetch_tells_the_lines_that_came_whole(cut: int) -> None:
    """A8: the next fetch tells the rest."""
    whole = read(BatchResultsMeter(), BODY)
    found = read(BatchResultsMeter(), BODY[:cut], whole=False)
    assert found == whole[: len(found)]
    ends = (len(line("a")) + 1, BODY.index(line("d", "expired")))
    assert len(found) == sum(end <= cut for end in ends)


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_a_line_over_the_limit_is_passed_over_and_told_of(size: int) -> None:
    """A8: nothing of it is held, and those around it are read."""
    body = b"\n".join((line("a"), line("b", content="x" * 5000), line("c")))
    meter = BatchResultsMeter(limit=2000)
    found = read(meter, *(body[at : at + size] for at in range(0, len(body), size)))
    assert [result.key for result in found] == ["a", "c"]
    problem = "lines that were not counted: 1 longer than 2000 bytes"
    assert meter.reading().usage_problem == problem


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"input_tokens": -1}, "input_tokens is negative"),
        ([1], "usage of message is not an object"),
        (None, None),
    ],
)
def test_a_usage_that_cannot_be_believed_is_told_of(usage: object, problem: str | None) -> None:
    """A10: with its result, of which no count is kept."""
    (found,) = read(BatchResultsMeter(), line("a", usage=usage))
    assert found.reading.usage == Usage()
    assert found.reading.usage_problem == problem


@given(st.lists(st.binary(max_size=30) | st.just(b"\n") | st.just(line("a")), max_size=20))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_meter_raise(pieces: list[bytes]) -> None:
    """A9: whatever comes is read or passed over."""
    assert {result.key for result in read(BatchResultsMeter(), *pieces)} <= {"a"}


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (b"GET", b"/v1/messages/batches/msgbatch_1/results", "msgbatch_1"),
        (b"GET", b"/base/v1/messages/batches/msgbatch%5F1/results/?a=b", "msgbatch_1"),
        (b"HEAD", b"/v1/messages/batches/msgbatch_1/results", None),
        (b"GET", b"/v1/messages/batches/%s/results" % (b"x" * 1000), None),
    ],
)
def test_the_target_names_the_batch(method: bytes, target: bytes, expected: str | None) -> None:
    """A8: by one name, however it is written."""
    dialect = for_request(Family.ANTHROPIC, target)
    assert dialect.name == "anthropic_batches"
    assert dialect.peek_target(method, target) == Peek(results_of=expected)


@pytest.mark.parametrize("path", [b"", b"/msgbatch_1", b"/msgbatch_1/cancel"])
@pytest.mark.parametrize("family", [Family.ANTHROPIC, Family.GENERIC])
def test_what_else_is_done_with_batches_is_passed_through(family: Family, path: bytes) -> None:
    """A8: it uses no tokens, and its bodies of up to 256 MB are not looked into."""
    dialect = for_request(family, b"/v1/messages/batches" + path)
    assert (dialect.name, dialect.inspects) == ("anthropic_batches", False)
    assert dialect.peek_target(b"POST", b"/v1/messages/batches" + path) == Peek()
    meter = dialect.body_meter()
    meter.feed(b'{"id":"msgbatch_1","usage":{"input_tokens":7,"output_tokens":7}}')
    assert meter.reading().usage == Usage()


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
@settings(max_examples=300, deadline=None)
def test_a_derived_id_is_a_uuid_of_its_own_kind(one: list[str], other: list[str]) -> None:
    """A8: version 8 of RFC 9562; the same names give the same, others another."""
    id = derived_id(*one)
    assert [len(part) for part in id.split("-")] == [8, 4, 4, 4, 12]
    assert id[14] == "8"
    assert id[19] in "89ab"
    assert (derived_id(*other) == id) == (other == one)
