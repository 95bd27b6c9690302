"""The log: one line for a request, escaped; priorities under systemd; nothing fed back."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from msgspec.structs import replace
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from gateway.config.model import LogFormat
from gateway.journal import (
    JsonObserver,
    LossyObserver,
    NativeObserver,
    StreamObserver,
    escape,
    log_record,
    observer,
)
from gateway.record import ErrorCode, Outcome, Phase, Record, Usage
from tests.journal.fakes import FINISHED, INTENT, Journal


def lines(*, priorities: bool, record: Record) -> list[str]:
    stream = io.StringIO()
    write = StreamObserver(stream, priorities=priorities)
    globalLogPublisher.addObserver(write)
    try:
        log_record(record)
    finally:
        globalLogPublisher.removeObserver(write)
    return stream.getvalue().splitlines()


def test_a_finished_request_is_one_line() -> None:
    """Zero is told as zero, unknown as unknown."""
    assert lines(priorities=True, record=FINISHED) == [
        "<6>finished 200 POST /v1/chat/completions model=m tokens=9/0 events=5 head=0.012s "
        "first=0.020s total=1.234s upstream=up id=id-1"
    ]
    unknown = replace(FINISHED, usage=Usage())
    assert "tokens=?/?" in lines(priorities=True, record=unknown)[0]


def test_a_failed_request_says_where_and_why_and_weighs_more() -> None:
    failed = replace(
        FINISHED,
        outcome=Outcome.UPSTREAM_FAILED,
        phase=Phase.HEAD,
        error=ErrorCode.TLS,
        error_detail="the certificate is not for this host",
    )
    (line,) = lines(priorities=True, record=failed)
    assert line.startswith("<4>upstream_failed ")
    assert "phase=head error=tls (the certificate is not for this host)" in line


def test_an_answer_that_was_given_again_names_its_request() -> None:
    """C3: it used no tokens, and went as it should."""
    given = replace(
        FINISHED,
        intent=replace(INTENT, answer_of="id-0"),
        outcome=Outcome.REPLAYED,
        phase=Phase.DONE,
        attempts=0,
        usage=Usage(),
    )
    assert lines(priorities=True, record=given) == [
        "<6>replayed 200 POST /v1/chat/completions model=m tokens=-/- events=5 head=0.012s "
        "first=0.020s total=1.234s upstream=up answer_of=id-0 id=id-1"
    ]


def test_a_refused_request_used_no_tokens() -> None:
    """A8: as the reports tell it."""
    refused = replace(FINISHED, outcome=Outcome.REJECTED, phase=Phase.REQUEST, usage=Usage())
    (line,) = lines(priorities=True, record=refused)
    assert " tokens=-/- " in line
    assert " phase=request " in line


def test_what_comes_from_outside_cannot_make_lines_or_colours() -> None:
    """One record is one line, whatever a client or an upstream put into it."""
    nasty = "x\n<2>forged\x1b[2J\u202e"
    record = replace(FINISHED, intent=replace(INTENT, model_requested=nasty), error_detail=nasty)
    (line,) = lines(priorities=True, record=record)
    assert line.isprintable()
    assert escape("Grüße") == "Grüße"


def test_a_traceback_carries_the_priority_on_every_line() -> None:
    stream = io.StringIO()
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        failure = Failure()
    StreamObserver(stream, priorities=True)(
        {
            "log_level": LogLevel.critical,
            "log_format": "it broke",
            "log_failure": failure,
            "log_namespace": "gateway",
        }
    )
    written = stream.getvalue().splitlines()
    assert len(written) > 3
    assert all(line.startswith("<2>") for line in written)


def test_text_on_a_terminal_has_a_time_and_no_priority() -> None:
    (line,) = lines(priorities=False, record=FINISHED)
    assert "finished 200 POST" in line
    assert line[:4].isdigit()


def test_auto_is_systemds_form_only_where_the_journal_reads(tmp_path: Path) -> None:
    """O6: the journal's own protocol if it listens, and lines with priorities if it does not."""
    reading, writing = os.pipe()
    there, away = Journal(tmp_path / "socket"), str(tmp_path / "away")
    with os.fdopen(writing, "w") as stream:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

        def auto(stream: TextIO, environ: Mapping[str, str], journal: str) -> LossyObserver:
            return observer(LogFormat.AUTO, stream, environ, journal=journal)

        assert isinstance(auto(stream, environ, there.path), NativeObserver)
        for text in (auto(stream, {}, there.path), auto(io.StringIO(), environ, there.path)):
            assert isinstance(text, StreamObserver)
            assert not text._priorities
        lines = auto(stream, environ, away)
        assert isinstance(lines, StreamObserver)
        assert lines._priorities
    there.close()
    os.close(reading)


def test_json_is_written_where_it_is_asked_for() -> None:
    made = observer(LogFormat.JSON, io.StringIO(), {}, labels={"worker": "1"})
    assert isinstance(made, JsonObserver)


def test_a_worker_is_in_front_of_each_of_its_lines() -> None:
    stream = io.StringIO()
    write = StreamObserver(stream, priorities=True, labels={"worker": "g3w1", "generation": 3})
    Logger(namespace="gateway", observer=write).info("hello")
    assert stream.getvalue() == "<6>g3w1 hello\n"


def test_a_stream_that_is_gone_is_no_error() -> None:
    stream = io.StringIO()
    write = StreamObserver(stream, priorities=False)
    stream.close()
    Logger(namespace="gateway", observer=write).info("nobody hears this")
    assert write.dropped == 1  # and nothing was raised
