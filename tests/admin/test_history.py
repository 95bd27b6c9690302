"""The ledger asked over HTTP: gatewayctl's answers, within bounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute

from gateway.admin import history
from gateway.admin.history import MOST, WAITING, BadQuestion, Busy, History
from gateway.config.model import Config, Durability
from gateway.ctl import main
from gateway.ledger import LedgerError
from gateway.ledger.reading import reading
from gateway.ledger.rows import record_values
from gateway.ledger.store import Store
from gateway.record import Outcome, Record, Usage
from tests.admin.asked import a_config
from tests.ledger.helpers import BEGAN, a_record, an_intent


def write(folder: Path, records: Sequence[Record]) -> None:
    """Put records into the ledger in `folder`."""
    store = Store(folder / "ledger.sqlite", Durability.PROCESS, "test")
    store.open("")
    store.write([], [record_values(record) for record in records])
    store.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration whose ledger has requests of two routes, of which one was cached."""
    write(
        tmp_path,
        [
            a_record(
                an_intent(
                    id=f"{number:08x}-0000-7000-8000-000000000000", started_at=BEGAN + number
                ),
                outcome=Outcome.FINISHED if number % 3 else Outcome.TIMED_OUT,
                usage=Usage(10, number, None, None, 5),
                cost_usd=0.5,
            )
            for number in range(30)
        ],
    )
    return a_config(tmp_path)


def answer(deferred: Deferred[Any]) -> Any:
    """What has been answered at once; raises its error."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    [result] = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


def ask(config: Config, what: str, query: str) -> Any:
    asked = History(config, execute)
    question = asked.requests if what == "requests" else asked.usage
    return answer(Deferred.fromCoroutine(question(query.encode())))


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("requests", ""),
        ("requests", "last=3"),
        ("requests", "last=100&outcome=timed_out"),
        ("requests", "since=2026-01-01"),
        ("requests", "since=2026-09-21T14:13:25"),
        ("requests", "route=chat&tenant=alice&model=gpt-small&upstream=openai"),
        ("requests", "until=2020-01-01"),
        ("usage", ""),
        ("usage", "by=outcome"),
        ("usage", "by=day&tz=Europe/Berlin"),
        ("usage", "by=route&since=2026-09-21T14:13:25&outcome=finished"),
    ],
)
def test_the_answers_are_those_of_gatewayctl(
    config: Config, what: str, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--{part}" for part in query.split("&") if part]
    assert main([what, "--json", "--config", config.source, *options]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ask(config, what, query) == {what: lines, "truncated": False}


@pytest.mark.parametrize(
    ("what", "query", "message"),
    [
        ("requests", "last=0", "last: '0' is not a number of rows, write one such as 20"),
        ("requests", f"last={MOST + 1}", f"last: at most {MOST} rows are told here"),
        ("requests", "outcome=done", "outcome: invalid choice: 'done' (choose from"),
        ("requests", "since=yesterday", "since: 'yesterday' is neither a duration such as 7d"),
        ("requests", "upstream=opneai", "upstream: neither"),
        ("requests", "last=1&last=2", "last stands there twice, write it once"),
        ("requests", "sql=1", "'sql' cannot be asked for, there are: error, last, model"),
        ("requests", "local=1", "'local' cannot be asked for"),
        ("requests", "config=/etc/passwd", "'config' cannot be asked for"),
        ("usage", "by=week", "by: invalid choice: 'week'"),
        ("usage", "tz=Nowhere/There", "tz: 'Nowhere/There' is no time zone"),
        ("usage", "last=5", "'last' cannot be asked for, there are: by, error"),
        ("usage", "a=1&" * 60, "the query cannot be read"),
    ],
)
def test_what_means_nothing_is_told_what_would_be_right(
    config: Config, what: str, query: str, message: str
) -> None:
    with pytest.raises(BadQuestion) as caught:
        ask(config, what, query)
    assert message in str(caught.value)
    assert "--" not in str(caught.value)


@given(st.binary(max_size=60))
def test_no_query_is_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, query: bytes
) -> None:
    asked = History(a_config(tmp_path_factory.mktemp("a")), execute)
    with pytest.raises((BadQuestion, LedgerError)):
        answer(Deferred.fromCoroutine(asked.requests(query)))


def test_no_answer_has_more_rows_than_it_may(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST", 7)
    told = ask(config, "requests", "since=2026-01-01")
    assert [row["id"][:8] for row in told["requests"]] == [f"{n:08x}" for n in range(23, 30)]
    assert told["truncated"]
    monkeypatch.setattr(history, "MOST", 1)
    told = ask(config, "usage", "by=outcome")
    assert [row["outcome"] for row in told["usage"]] == ["finished"]
    assert told["truncated"]


def test_a_question_that_takes_too_long_is_given_up(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = History(config, execute, seconds=-1.0)
    with pytest.raises(LedgerError) as caught:
        answer(Deferred.fromCoroutine(asked.requests(b"")))
    assert "ask for less (since, until)" in str(caught.value)


def test_sqlite_itself_is_interrupted_in_time(tmp_path: Path, config: Config) -> None:
    """A sum over everything has no row to look at the clock at."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    with (
        pytest.raises(LedgerError, match=r"no answer within 0\.05 s, ask for less"),
        reading(tmp_path / "ledger.sqlite", 0.05) as reader,
    ):
        list(reader.rows(endless))


def test_only_so_many_questions_wait(config: Config) -> None:
    held: list[Deferred[Any]] = []

    def hold(*_: object) -> Deferred[Any]:
        held.append(Deferred())
        return held[-1]

    asked = History(config, hold)
    waiting = [Deferred.fromCoroutine(asked.usage(b"")) for _ in range(1 + WAITING)]
    assert len(held) == 1, "they are answered one at a time"
    with pytest.raises(Busy):
        answer(Deferred.fromCoroutine(asked.usage(b"")))
    while held:
        held.pop().callback({"usage": []})
    assert all(deferred.called for deferred in waiting)


def test_a_ledger_that_another_process_writes_to_is_only_read(
    config: Config, tmp_path: Path
) -> None:
    before = (tmp_path / "ledger.sqlite").read_bytes()
    ask(config, "usage", "by=day")
    with closing((tmp_path / "ledger.sqlite").open("rb")) as file:
        assert file.read() == before
