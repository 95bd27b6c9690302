"""gatewayctl's reports: zones, columns, CSV, what caches saved, following, pricing again."""

from __future__ import annotations

import csv
import datetime
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config.model import Durability
from gateway.ctl import main
from gateway.ctl.follow import Follower
from gateway.ctl.output import count
from gateway.ledger import queries
from gateway.ledger.reading import reading
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.store import Store
from gateway.record import COLUMNS, ErrorCode, Intent, Outcome, Record, Usage
from tests.ledger.helpers import BEGAN, a_record, an_intent, rows

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., tuple[int, list[str], str]]
Write = Callable[..., None]

#: Dollars for a million: 2 in, 0.5 from the cache, 3 to it, 8 out; nothing else has a price.
CONFIG = """
[upstream openai]
url = http://127.0.0.1:9
dialect = openai
prices = off

[prices mine]
model = m-*
input = 2
cache_read = 0.5
cache_write = 3
output = 8
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with prices; its ledger does not exist yet."""
    file = tmp_path / "gateway.ini"
    file.write_text(f"[gateway]\nstate_dir = {tmp_path}\n{CONFIG}")
    return str(file)


@pytest.fixture
def run(config: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs gatewayctl: exit status, lines of output, standard error."""

    def run(*argv: str) -> tuple[int, list[str], str]:
        status = main([*argv, "--config", config])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The configuration's ledger."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def write(path: Path) -> Iterator[Write]:
    """Puts records, and intents that are still open, into the ledger, as a gateway that runs."""
    opened: list[Store] = []

    def write(*told: Record | Intent) -> None:
        if not opened:
            opened.append(Store(path, Durability.PROCESS, "test"))
            opened[0].open("")
        opened[0].write(
            [intent_values(item) for item in told if isinstance(item, Intent)],
            [record_values(item) for item in told if isinstance(item, Record)],
        )

    yield write
    for store in opened:
        store.close()


def at(moment: str, **changes: Any) -> Record:
    """A request that began at a moment, as ISO 8601 has it."""
    began = datetime.datetime.fromisoformat(moment).timestamp()
    return a_record(an_intent(started_at=began), **changes)


# zones


def days(run: Run, *argv: str) -> list[tuple[str, int]]:
    """Days and how many requests they had."""
    _, out, _ = run("usage", "--by", "day", "--json", *argv)
    return [(row["day"], row["requests"]) for row in map(json.loads, out)]


def test_days_are_those_of_the_zone_that_is_named(run: Run, write: Write) -> None:
    write(at("2026-11-01T23:30Z"), at("2026-11-02T00:30Z"))
    assert days(run) == [("2026-11-01", 1), ("2026-11-02", 1)]
    assert days(run, "--tz", "Europe/Berlin") == [("2026-11-02", 2)]
    assert days(run, "--tz", "America/New_York") == [("2026-11-01", 2)]
    assert days(run, "--tz", "Asia/Kathmandu") == [("2026-11-02", 2)]


@pytest.mark.parametrize(
    ("zone", "first", "last", "after"),
    [
        # 25 hours: clocks are set back from 3:00 to 2:00 on October 25.
        ("Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00Z"),
        # 23 hours: clocks are set forward on March 29.
        ("Europe/Berlin", "2026-03-28T23:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00Z"),
        # A day that begins at 1:00: there is no midnight in Beirut on March 29.
        ("Asia/Beirut", "2026-03-28T22:00Z", "2026-03-29T20:59:59Z", "2026-03-29T21:00Z"),
        # A midnight that comes twice: in Havana it is 0:00 again after 0:59 on November 1.
        ("America/Havana", "2026-11-01T04:00Z", "2026-11-02T04:59:59Z", "2026-11-02T05:00Z"),
    ],
)
def test_a_day_on_which_clocks_are_set_is_whole(
    run: Run, write: Write, zone: str, first: str, last: str, after: str
) -> None:
    write(*map(at, (first, last, after)))
    assert [requests for _, requests in days(run, "--tz", zone)] == [2, 1]


def test_the_header_names_the_zone(run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(at("2026-11-01T23:30Z"))
    for argv, title, moment in (
        ((), "TIME (UTC)", "11-01 23:30:00"),
        (("--tz", "Europe/Berlin"), "TIME (Europe/Berlin)", "11-02 00:30:00"),
    ):
        _, out, _ = run("requests", *argv)
        assert (out[0].split("  ")[0], out[1].split("  ")[0]) == (title, moment)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    _, out, _ = run("usage", "--by", "day", "--local")
    assert (out[0].split("  ")[0], out[1].split()[0]) == ("DAY (Asia/Tokyo)", "2026-11-02")


def test_json_and_csv_have_times_in_utc_whatever_the_zone(run: Run, write: Write) -> None:
    write(at("2026-11-01T23:30Z"))
    _, out, _ = run("requests", "--json", "--tz", "Asia/Tokyo")
    assert json.loads(out[0])["started_at"] == "2026-11-01T23:30:00.000000Z"
    _, out, _ = run("requests", "--csv", "--columns", "started_at", "--tz", "Asia/Tokyo")
    assert out == ["started_at", "2026-11-01T23:30:00.000000Z"]


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["--since", "2026-11-01"], 3),
        (["--since", "2026-11-01", "--tz", "Europe/Berlin"], 4),
        (["--since", "2026-11-01T12:00", "--until", "2026-11-01T12:01"], 1),
        (["--since", "2026-11-01T14:00+02:00", "--until", "2026-11-02"], 2),
        (["--until", "2026-11-01"], 1),
        # 2:30 comes twice on October 25 in Berlin; the first of the two is meant.
        (
            ["--since", "2026-10-25T02:30", "--until", "2026-10-25T02:31", "--tz", "Europe/Berlin"],
            0,
        ),
    ],
)
def test_since_and_until_are_read_in_the_zone(
    run: Run, write: Write, argv: list[str], found: int
) -> None:
    write(*map(at, ("2026-10-31T23:30Z", "2026-11-01T12:00Z", "2026-11-01T23:59Z", "2026-11-02")))
    _, out, _ = run("requests", "--json", *argv)
    assert len(out) == found


# which are meant


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("429", ["late", "passed"]),
        ("4xx", ["late", "passed", "refused"]),
        ("5xx", ["broken"]),
        ("error", ["broken", "late", "passed", "refused"]),
        ("2xx", ["fine", "late"]),
    ],
)
def test_requests_are_picked_by_the_status_of_either_answer(
    run: Run, write: Write, status: str, found: list[str]
) -> None:
    """The provider's counts although the gateway had begun the stream with 200 before it came."""
    write(
        a_record(an_intent(id="fine")),
        a_record(an_intent(id="passed"), status_upstream=429, status_sent=429),
        a_record(an_intent(id="late"), status_upstream=429, error=ErrorCode.HTTP_ERROR),
        a_record(an_intent(id="broken"), status_upstream=None, status_sent=502),
        a_record(an_intent(id="refused"), status_upstream=None, status_sent=401),
        an_intent(id="open"),
    )
    _, out, _ = run("requests", "--status", status, "--json")
    assert sorted(json.loads(line)["id"] for line in out) == found


@pytest.mark.parametrize("option", ["upstream", "route"])
@pytest.mark.parametrize(
    "command", [["requests"], ["usage"], ["reprice", "--since", "1d"], ["reconcile"]]
)
def test_a_name_that_nobody_has_heard_of_is_told(
    run: Run,
    write: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    option: str,
) -> None:
    """Those of the configuration and those of any row are good, whatever is found of them."""
    write(a_record(an_intent(upstream="gone", route="gone")))
    if command == ["reconcile"]:
        (tmp_path / "account.csv").write_text("day,requests\n2020-01-01,0\n")
        command = ["reconcile", str(tmp_path / "account.csv")]
    for known in ("openai", "gone"):
        assert run(*command, f"--{option}", known)[0] == 0
    with pytest.raises(SystemExit) as caught:
        run(*command, f"--{option}", "opnai")
    assert caught.value.code == 2
    said = f"argument --{option}: neither {tmp_path}/gateway.ini nor the ledger has 'opnai', did"
    assert said in capsys.readouterr().err


# what is shown


def test_with_since_all_requests_are_shown_and_last_limits_them(run: Run, write: Write) -> None:
    write(*(an_intent(started_at=BEGAN + second) for second in range(30)))
    for argv, found in (
        (("--since", "2020-01-01"), 30),
        (("--since", "2020-01-01", "--last", "3"), 3),
    ):
        _, out, _ = run("requests", "--json", *argv)
        assert len(out) == found


def test_columns_are_chosen_or_added(run: Run, write: Write) -> None:
    record = a_record()
    write(record)
    _, out, _ = run("requests", "--columns", "id,path,model,cost_usd")
    assert [line.split() for line in out] == [
        ["ID", "PATH", "MODEL", "USD"],
        [record.intent.id, "/v1/chat/completions", "gpt-small-2026", "?"],
    ]
    _, out, _ = run("requests", "--columns", "+tenant,+path")
    assert out[0].endswith("ERROR  TENANT  PATH")
    _, out, _ = run("requests", "--columns", "path,stream", "--json")
    assert json.loads(out[0]) == {"path": "/v1/chat/completions", "stream": True}


def test_one_request_is_shown_with_every_column(run: Run, write: Write) -> None:
    record = a_record(error_detail="what\nwent wrong")
    write(record, a_record())
    status, out, _ = run("requests", "--show", record.intent.id.upper(), "--tz", "Europe/Berlin")
    told = dict(line.split(maxsplit=1) for line in out)
    assert (status, tuple(told)) == (0, COLUMNS)
    assert told["started_at"] == "2026-09-21 16:13:20 Europe/Berlin"
    assert (told["session"], told["error_detail"]) == (
        "-",
        "what\N{REPLACEMENT CHARACTER}went wrong",
    )
    _, out, _ = run("requests", "--id", record.intent.id, "--json")
    assert json.loads(out[0]) == record.as_row()


@pytest.mark.parametrize(
    ("beginning", "said"),
    [
        ("01", "several ids begin with '01', write more of it:\n01a\n01b\n"),
        ("zz", "no request has the id 'zz'"),
    ],
)
def test_an_id_that_is_none_or_several_is_told(
    run: Run, write: Write, beginning: str, said: str
) -> None:
    write(an_intent(id="01a"), an_intent(id="01b"))
    status, out, err = run("requests", "--show", beginning)
    assert (status, out) == (1, [])
    assert said in err


def test_of_many_ids_that_begin_so_ten_are_listed(run: Run, write: Write) -> None:
    write(*(an_intent(id=f"0{number:x}") for number in range(11)))
    _, _, err = run("requests", "--show", "0")
    _, *ids, rest = err.splitlines()
    assert (ids, rest) == ([f"0{number:x}" for number in range(10)], "and others")


def test_csv_can_be_read_back(run: Run, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    record = a_record(error_detail='a "b", c\x1b[2J', model_served=None)
    write(record)
    _, out, _ = run("requests", "--csv")
    (row,) = csv.DictReader(out)
    assert tuple(row) == COLUMNS
    assert row["error_detail"] == 'a "b", c\N{REPLACEMENT CHARACTER}[2J'
    assert (row["stream"], row["model_served"], row["output_tokens"]) == ("true", "", "0")


def test_usage_as_csv_has_a_row_for_each_group(run: Run, write: Write) -> None:
    write(a_record(), a_record(model_served="a,b"))
    _, out, _ = run("usage", "--csv")
    told = list(csv.DictReader(out))
    assert [(row["model"], row["requests"]) for row in told] == [
        ("a,b", "1"),
        ("gpt-small-2026", "1"),
    ]
    assert {"cost_usd", "cache_saved_usd", "unknown_cost"} <= told[0].keys()


@pytest.mark.parametrize(
    "by", ["model", "tenant", "route", "upstream", "outcome", "day", "session"]
)
def test_usage_fits_eighty_columns(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    big = Usage(987_654_321_012, 987_654_321_000, 1, None, 987_654_321_012)
    name = "n" * 200
    intent = an_intent(tenant=name, route=name, upstream=name, session=name)
    write(a_record(intent, usage=big, cost_usd=123_456.789, model_served=name), a_record())
    _, out, _ = run("usage", "--by", by)
    assert max(map(len, out)) <= 80
    assert out[-1].startswith("total") or by in ("outcome", "day")


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0"), (999_999, "999999"), (1_234_567, "1.235M"), (12_345_678, "12.35M"),
     (999_999_999, "1000.0M"), (12_345_678_901, "12.35G"), (987_654_321_012, "987.7G"),
     (None, "?")],
)  # fmt: skip
def test_long_numbers_are_shortened(number: int | None, told: str) -> None:
    assert count(number) == told


# caches


def test_usage_tells_the_share_of_the_cache_and_what_it_saved(run: Run, write: Write) -> None:
    """A12: 400k read at 0.5 and not 2, 100k written at 3 and not 2: 0.6 less 0.1 dollars."""
    write(
        a_record(model_served="m-1", usage=Usage(1_000_000, 400_000, 100_000, None, 0)),
        a_record(model_served="m-1", usage=Usage(600_000, 0, 0, None, 0)),
        a_record(model_served="m-1", usage=Usage(5_000_000, output_tokens=0)),  # cache not told
        a_record(model_served="other", usage=Usage(100, 50, None, None, 0)),
    )
    _, out, _ = run("usage", "--json")
    first, second = map(json.loads, out)
    assert (first["cache_saved_usd"], first["unknown_saved"]) == (pytest.approx(0.5), 0)
    assert (first["cache_read_tokens"], first["cacheable_tokens"]) == (400_000, 1_600_000)
    assert (second["cache_saved_usd"], second["unknown_saved"]) == (None, 1)
    _, out, _ = run("usage")
    assert [line.split()[3] for line in out] == ["CACHED", "25.0%", "50.0%", "25.0%"]
    assert [line.split()[-1] for line in out] == ["SAVED", "0.5000", "-", "0.5000+"]


def test_the_cost_of_an_answer_given_again_hides_no_unknown_cost(run: Run, write: Write) -> None:
    """A8, C3: it is 0, which says nothing of what the answer itself cost."""
    given = a_record(
        an_intent(answer_of="x"),
        usage=Usage(),
        model_served="other",
        outcome=Outcome.REPLAYED,
        attempts=0,
        cost_usd=0.0,
    )
    usage = Usage(10, 0, None, None, 1)
    write(a_record(model_served="other", usage=usage, cost_usd=None, attempts=1), given)
    _, out, _ = run("usage")
    assert out[1].split() == ["other", "2", "10", "0.0%", "1", "0", "?", "-"]
    _, out, _ = run("usage", "--by", "outcome")
    assert [line.split()[-2:] for line in out[1:]] == [["?", "-"], ["-", "-"], ["?", "-"]]


def test_a_price_of_nothing_is_a_cost_of_nothing(run: Run, write: Write) -> None:
    """A8: beside one that is not known."""
    usage = Usage(10, 0, None, None, 1)
    for cost in (0.0, None):
        write(a_record(an_intent(), model_served="m-1", usage=usage, cost_usd=cost, attempts=1))
    _, out, _ = run("usage")
    assert out[1].split()[-2:] == ["0.0000+", "0.0000"]


def test_where_nothing_came_from_a_cache_nothing_was_saved(run: Run, write: Write) -> None:
    """A8: 0 where that is told, unknown where it is not."""
    write(
        a_record(model_served="told", usage=Usage(10, 0, None, None, 0)),
        a_record(model_served="untold", usage=Usage(10, output_tokens=0)),
    )
    _, out, _ = run("usage", "--json")
    told = {row["model"]: row["cache_saved_usd"] for row in map(json.loads, out)}
    assert told == {"told": 0.0, "untold": None}


def test_a_cache_that_is_written_and_never_read_costs_more(run: Run, write: Write) -> None:
    write(a_record(model_served="m-1", usage=Usage(1_000_000, None, 1_000_000, None, 0)))
    _, out, _ = run("usage", "--by", "day", "--json")
    assert json.loads(out[0])["cache_saved_usd"] == -1.0


# following


def test_what_ends_is_told_once_and_in_order(write: Write, path: Path) -> None:
    """Open rows are waited for, new ones found, those that have ended before are not told."""
    write(a_record(), opened := an_intent(started_at=BEGAN - 3600), late := an_intent())
    now = BEGAN + 1
    with reading(path) as reader:
        follower = Follower(reader, queries.ALL, wall=lambda: now)
        assert follower.poll() == []
        write(a_record(opened), fresh := a_record(an_intent(started_at=BEGAN + 1)))
        assert [row["id"] for row in follower.poll()] == [opened.id, fresh.intent.id]
        assert follower.poll() == []
        now = BEGAN + 1000
        write(a_record(late), soon := a_record(an_intent(started_at=now - 50)))
        assert [row["id"] for row in follower.poll()] == [late.id, soon.intent.id]
        now += 1000
        assert follower.poll() == []


def test_what_is_only_known_at_the_end_is_followed_too(write: Write, path: Path) -> None:
    write(first := an_intent(model_requested="alias"), second := an_intent(model_requested="alias"))
    which = queries.Filter(model="real", error="any", outcome="drained")
    with reading(path) as reader:
        follower = Follower(reader, which, wall=lambda: BEGAN)
        drained = {"outcome": Outcome.DRAINED, "error": ErrorCode.OPERATOR, "model_served": "real"}
        write(a_record(first, **drained), a_record(second, model_served="real"))
        assert [row["id"] for row in follower.poll()] == [first.id]


def test_following_prints_what_ends_until_it_is_interrupted(config: str, write: Write) -> None:
    intent = an_intent(started_at=time.time())
    write(a_record(), intent)
    process = gatewayctl("requests", "--follow", "--json", "--config", config)
    assert process.stdout is not None
    guard = threading.Timer(20, process.kill)
    guard.start()
    try:
        first = json.loads(process.stdout.readline())
        assert first["outcome"] == "finished"
        write(a_record(intent))
        assert json.loads(process.stdout.readline())["id"] == intent.id
        process.send_signal(2)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


# pricing again


def known(**changes: Any) -> Record:
    """A request of a million tokens in and a million out: 10 dollars by the prices here."""
    raw = json.dumps({"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000})
    usage = Usage(1_000_000, output_tokens=1_000_000)
    return a_record(**{"model_served": "m-1", "usage": usage, "usage_raw": raw, **changes})


def costs(path: Path) -> list[tuple[float | None, str | None]]:
    """What the rows say of their costs."""
    return [(row["cost_usd"], row["price_snapshot"]) for row in rows(path)]


def test_costs_are_computed_again_from_the_usage_as_it_was_sent(
    run: Run, write: Write, path: Path
) -> None:
    """A12: by the prices of now, from ``usage_raw``, whatever the columns had made of it."""
    write(
        known(), known(cost_usd=1.0, price_snapshot="old"), known(usage=Usage(7, output_tokens=7))
    )
    status, out, _ = run("reprice", "--since", "2020-01-01")
    assert status == 0
    assert out[0] == "3 requests with usage: 3 changed, 0 as before, 0 without a known price"
    assert out[1] == "US dollars: 1.0000 before, 30.0000 now"
    assert [cost for cost, _ in costs(path)] == [10.0, 10.0, 10.0]
    assert {str(snapshot)[:12] for _, snapshot in costs(path)} == {"mine/always/"}
    _, out, _ = run("reprice", "--since", "2020-01-01")
    assert out[0] == "3 requests with usage: 0 changed, 3 as before, 0 without a known price"


def test_a_row_without_a_known_price_keeps_what_it_has(run: Run, write: Write, path: Path) -> None:
    """A12: running it where fewer prices are known throws nothing away."""
    write(known(model_served="other", cost_usd=1.0, price_snapshot="old"))
    _, out, _ = run("reprice", "--since", "2020-01-01", "--json")
    assert json.loads(out[0])["unpriced"] == [
        {"upstream": "openai", "model": "other", "requests": 1}
    ]
    assert costs(path) == [(1.0, "old")]


def test_only_rows_that_are_meant_are_priced_again(run: Run, write: Write, path: Path) -> None:
    write(
        known(),
        known(intent=an_intent(tenant="bob")),
        known(intent=an_intent(started_at=BEGAN - 86400)),
        known(usage=Usage(), usage_raw=None),
        an_intent(),
    )
    _, out, _ = run("reprice", "--since", "2026-09-21", "--tenant", "alice")
    assert out[0].startswith("1 request with usage: 1 changed")
    assert [cost for cost, _ in costs(path)].count(10.0) == 1


def test_it_is_said_that_list_prices_are_not_installed(
    write: Write, run: Run, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A12: without the extra only own prices count, and nobody is left to wonder."""
    write(known())
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    Path(config).write_text(Path(config).read_text().replace("prices = off\n", ""))
    status, out, err = run("reprice", "--since", "2020-01-01")
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("no list prices: the extra prices (the package genai-prices) is not")
    assert out[0].startswith("1 request with usage: 1 changed")


def test_a_dry_run_changes_nothing(run: Run, write: Write, path: Path) -> None:
    write(known())
    _, out, _ = run("reprice", "--since", "2020-01-01", "--dry-run")
    assert out[0].startswith("1 request with usage: 1 would change")
    assert costs(path) == [(None, None)]


def test_many_rows_of_one_moment_are_all_priced_again(run: Run, write: Write, path: Path) -> None:
    write(*(known() for _ in range(1203)))
    run("reprice", "--since", "2020-01-01")
    assert {cost for cost, _ in costs(path)} == {10.0}


def test_a_gateway_may_go_on_writing_while_rows_are_priced_again(
    run: Run, write: Write, path: Path
) -> None:
    write(known())
    assert run("reprice", "--since", "2020-01-01")[0] == 0
    write(replace(known(), cost_usd=3.0))
    assert [cost for cost, _ in costs(path)] == [10.0, 3.0]


# a provider's own figures


def reconcile(run: Run, tmp_path: Path, text: str, *argv: str) -> tuple[int, list[str], str]:
    """Runs it with an account."""
    account = tmp_path / "account.csv"
    account.write_text(text)
    return run("reconcile", str(account), *argv)


def test_figures_that_agree_are_not_shown(run: Run, write: Write, tmp_path: Path) -> None:
    write(at("2026-11-01T12:00Z"), at("2026-11-01T13:00Z"))
    status, out, err = reconcile(
        run, tmp_path, "Date,model,input_tokens,note\n2026-11-01,gpt-small-2026,20,x\n"
    )
    assert (status, out, err) == (0, [], "1 of 1 figures agree\n")


def test_figures_that_differ_are_shown_with_both(run: Run, write: Write, tmp_path: Path) -> None:
    write(at("2026-11-01T12:00Z", cost_usd=0.5), at("2026-11-02T12:00Z"))
    text = "day,input_tokens,cost_usd\n2026-11-01,11,$0.50\n2026-11-02,10,\n2026-11-03,7,0\n"
    status, out, err = reconcile(run, tmp_path, text, "--json")
    told = [
        (row["day"], row["figure"], row["theirs"], row["ours"], row["difference"])
        for row in map(json.loads, out)
    ]
    assert (status, err) == (1, "4 of 6 figures agree\n")
    assert told == [
        ("2026-11-01", "input_tokens", 11, 10, -1),
        ("2026-11-03", "input_tokens", 7, 0, -7),
    ]
    assert reconcile(run, tmp_path, text, "--tolerance", "10%")[0] == 1
    assert reconcile(run, tmp_path, "day,requests\n2026-11-01,1\n", "--tolerance", "0")[0] == 0


def test_what_they_do_not_have_is_shown_too(run: Run, write: Write, tmp_path: Path) -> None:
    write(at("2026-11-01T12:00Z"), at("2026-11-01T12:00Z", model_served="more"))
    status, out, _ = reconcile(run, tmp_path, "day,model,requests\n2026-11-01,gpt-small-2026,1\n")
    assert (status, out[1].split()) == (1, ["2026-11-01", "more", "requests", "0", "1", "1"])


def test_what_was_never_sent_is_not_held_against_the_bill(
    run: Run, write: Write, tmp_path: Path
) -> None:
    write(
        at("2026-11-01T12:00Z", attempts=1),
        at("2026-11-01T12:00Z", attempts=0, outcome=Outcome.REJECTED, usage=Usage()),
        at("2026-11-01T12:00Z", attempts=0, outcome=Outcome.CLIENT_GONE, usage=Usage()),
        at("2026-11-01T12:00Z", attempts=None, outcome=Outcome.KILLED, usage=Usage()),
    )
    text = "day,requests\n2026-11-01,2\n"
    status, _, err = reconcile(run, tmp_path, text, "--tolerance", "0")
    assert (status, err) == (0, "1 of 1 figures agree\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "account.csv:1: a column day or date and one of requests, input_tokens"),
        ("day,requests\nsoon,2\n", "account.csv:2: 'soon' is not a date, write one such as"),
        ("day,requests\n2026-11-01,two\n", "account.csv:2: requests is 'two', write a number"),
        ("day,requests\n2026-11-01,-2\n", "account.csv:2: requests is '-2', write a number"),
    ],
)
def test_an_account_that_cannot_be_read_is_told(
    run: Run, write: Write, tmp_path: Path, text: str, said: str
) -> None:
    write()
    status, out, err = reconcile(run, tmp_path, text)
    assert (status, out) == (1, [])
    assert said in err


# the process


def gatewayctl(*argv: str, **kwargs: Any) -> subprocess.Popen[bytes]:
    """Starts gatewayctl as its users do."""
    program = "import sys; from gateway.ctl import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *argv],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs},
    )


@pytest.mark.parametrize(
    "argv", [["requests"], ["usage"], ["requests", "--csv"], ["--help"], ["--version"], ["check"]]
)
def test_output_that_cannot_be_written_is_told_in_a_line(
    config: str, write: Write, argv: list[str]
) -> None:
    write(a_record())
    told = argv if argv[0].startswith("--") else [*argv, "--config", config]
    with Path("/dev/full").open("wb") as full:
        process = gatewayctl(*told, stdout=full)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.decode()) == (
        1,
        "gatewayctl: the output cannot be written: No space left on device\n",
    )


def test_a_closed_standard_output_is_told_in_a_line(config: str, write: Write) -> None:
    write(a_record())
    process = gatewayctl("requests", "--config", config, preexec_fn=lambda: os.close(1))
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.count(b"\n")) == (1, 1)
    assert b"standard output is closed" in err


def test_the_version_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("gatewayctl ")


@pytest.mark.parametrize("command", ["check", "requests", "usage", "reprice", "reconcile"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "--config FILE" in capsys.readouterr().out
