"""The journal's own protocol: what an entry holds, and a journal that is full or away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from gateway.journal import Kind, NativeObserver
from gateway.journal.native import entry
from gateway.record import Record
from tests.journal.fakes import FAILED, FINISHED, INTENT, SECRET, Journal, parse, settle, through


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "socket")
    yield journal
    journal.close()


def fill(journal: Journal, observer: NativeObserver) -> int:
    """Log until one record has been lost; how many were not."""
    for sent in range(100_000):
        through(observer).info("filling")
        if observer.dropped:
            return sent
    raise AssertionError("the journal takes everything")


def test_a_request_is_found_by_every_column_of_its_row(journal: Journal) -> None:
    """O6: names are the columns' in capitals, and what is not known is left out."""
    settle(NativeObserver(journal.path), FINISHED)
    (found,) = journal.entries()
    message = found.pop("MESSAGE")
    assert message.startswith("finished 200 POST /v1/chat/completions ")
    assert found.pop("SYSLOG_IDENTIFIER") == "gateway"
    assert found.pop("PRIORITY") == "6"
    assert found.pop("MESSAGE_ID") == Kind.REQUEST.value
    assert found == {
        f"GATEWAY_{name.upper()}": str(int(value) if isinstance(value, bool) else value)
        for name, value in FINISHED.as_row().items()
        if value is not None
    }
    assert found["GATEWAY_STREAM"] == "1"
    assert found["GATEWAY_OUTPUT_TOKENS"] == "0"
    assert found["GATEWAY_STARTED_AT"] == "1970-01-01T00:00:01.000000Z"


def test_a_request_that_failed_is_of_another_kind_and_weighs_more(journal: Journal) -> None:
    """O6: so that they are found by one id."""
    settle(NativeObserver(journal.path), FAILED)
    (found,) = journal.entries()
    assert found["PRIORITY"] == "4"
    assert found["MESSAGE_ID"] == Kind.REQUEST_FAILED.value
    assert found["GATEWAY_OUTCOME"] == "upstream_failed"
    assert found["GATEWAY_ERROR"] == "tls"


def test_an_error_shows_its_traceback_and_where_it_came_from(journal: Journal) -> None:
    """O6: and the request that it happened to."""
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        failure = Failure()
    log = through(NativeObserver(journal.path))
    log.failure("request {id}: it broke", failure, id="id-7", kind=Kind.INTERNAL_ERROR)
    (found,) = journal.entries()
    first, *rest = found["MESSAGE"].splitlines()
    assert first == "request id-7: it broke"
    assert rest[-1] == "builtins.ZeroDivisionError: on purpose"
    assert found["PRIORITY"] == "2"
    assert found["MESSAGE_ID"] == Kind.INTERNAL_ERROR.value
    assert found["GATEWAY_ID"] == "id-7"
    assert found["CODE_FILE"] == __file__
    assert found["CODE_FUNC"] == "test_an_error_shows_its_traceback_and_where_it_came_from"
    assert (
        'raise ZeroDivisionError("on purpose")'
        in (Path(__file__).read_text().splitlines()[int(found["CODE_LINE"]) - 1])
    )


def test_an_error_without_a_traceback_has_no_place(journal: Journal) -> None:
    log = through(NativeObserver(journal.path))
    log.failure("it broke", Failure(ValueError("never raised")))
    (found,) = journal.entries()
    assert "never raised" in found["MESSAGE"]
    assert "CODE_FILE" not in found


def test_no_field_holds_a_key(journal: Journal) -> None:
    """H8: nor does a traceback, wherever in a record the key turns up."""
    observer = NativeObserver(journal.path)
    intent = replace(INTENT, path=f"/{SECRET}", model_requested=SECRET, user_agent=SECRET)
    settle(observer, replace(FAILED, intent=intent, error_detail=SECRET, tags=SECRET))
    try:
        raise ValueError(SECRET)
    except ValueError:
        through(observer).failure("{what}", what=SECRET, id=SECRET, worker=SECRET)
    told = [journal.read(), journal.read()]
    assert journal.read() is None
    for data in told:
        assert data is not None
        assert SECRET.encode() not in data
        assert b"[redacted]" in data


def test_what_comes_from_outside_makes_no_fields(journal: Journal) -> None:
    """O6: a line break in a value would begin a field, if it were written as it is."""
    nasty = "m\nPRIORITY=0\nMESSAGE=forged"
    settle(NativeObserver(journal.path), replace(FINISHED, model_served=nasty))
    (found,) = journal.entries()
    assert found["GATEWAY_MODEL_SERVED"] == nasty
    assert found["PRIORITY"] == "6"


@given(st.text(), st.text(), st.text())
def test_any_text_arrives_as_it_is(message: str, model: str, worker: str) -> None:
    """O6: what is no Unicode (half of a pair) arrives escaped."""
    record = Record(INTENT, 2.0, FINISHED.outcome, None, model_served=model)
    event = {"log_format": "{line}", "line": message, "record": record}
    found = parse(entry(event, {"worker": worker}))
    shown = [text.encode("utf-8", "backslashreplace").decode() for text in (message, model, worker)]
    assert [
        dict(found)[name] for name in ("MESSAGE", "GATEWAY_MODEL_SERVED", "GATEWAY_WORKER")
    ] == (shown)
    assert len(dict(found)) == len(found)


def test_a_worker_is_in_each_of_its_records(journal: Journal) -> None:
    observer = NativeObserver(journal.path, {"worker": "2", "generation": 3})
    settle(observer, FINISHED)
    through(observer).info("about another one", worker="1")
    request, other = journal.entries()
    assert (request["GATEWAY_WORKER"], request["GATEWAY_GENERATION"]) == ("2", "3")
    assert (other["GATEWAY_WORKER"], other["GATEWAY_GENERATION"]) == ("1", "3")


def test_an_entry_that_no_datagram_holds_comes_in_a_sealed_file(journal: Journal) -> None:
    """O6: nothing is cut, and the journal may trust that it stays as it is."""
    observer = NativeObserver(journal.path)
    through(observer).warn("{long}", long="x" * 5_000_000)
    (found,) = journal.entries()
    assert found["MESSAGE"] == "x" * 5_000_000
    assert found["PRIORITY"] == "4"
    assert observer.dropped == 0


def test_a_full_journal_loses_records_and_is_told_how_many(journal: Journal) -> None:
    """O6: nothing waits; what could not be written is counted."""
    observer = NativeObserver(journal.path)
    sent = fill(journal, observer)
    through(observer).info("lost, too")
    assert observer.dropped == 2
    assert [found["MESSAGE"] for found in journal.entries()] == ["filling"] * sent
    through(observer).info("there again")
    lost, again = journal.entries()
    assert lost["MESSAGE"].startswith("2 log records were lost")
    assert lost["MESSAGE_ID"] == Kind.LOG_LOST.value
    assert lost["PRIORITY"] == "4"
    assert again["MESSAGE"] == "there again"
    through(observer).info("and on")
    assert len(journal.entries()) == 1  # told once


def test_a_large_entry_for_a_full_journal_is_lost(journal: Journal) -> None:
    """O6: a descriptor waits no more than a datagram does."""
    observer = NativeObserver(journal.path)
    fill(journal, observer)
    through(observer).warn("{long}", long="x" * 5_000_000)
    assert observer.dropped == 2


def test_a_journal_that_was_away_gets_the_next_record(journal: Journal) -> None:
    """O6: another socket at the same place, as after a restart of the journal."""
    observer = NativeObserver(journal.path)
    through(observer).info("before")
    assert len(journal.entries()) == 1
    journal.close()
    through(observer).emit(LogLevel.error, "nobody hears this")
    assert observer.dropped == 1
    journal.reopen()
    through(observer).info("after")
    told = [found["MESSAGE"].split(":")[0] for found in journal.entries()]
    assert told == ["1 log records were lost", "after"]
