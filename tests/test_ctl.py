"""gatewayctl, as its users type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config.model import Durability
from gateway.ctl import main
from gateway.ledger.rows import intent_values, record_values
from gateway.ledger.store import Store
from gateway.record import COLUMNS, ErrorCode, Intent, Outcome, Record, Usage
from tests.ledger.helpers import BEGAN, a_record, an_intent

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A good configuration file; its ledger does not exist yet."""
    file = tmp_path / "gateway.ini"
    file.write_text(
        f"[gateway]\nstate_dir = {tmp_path}\n\n"
        f"[ledger]\nurl = sqlite://{tmp_path}/ledger.sqlite\n\n"
        "[upstream local]\nurl = http://127.0.0.1:11434\ndialect = ollama\n\n"
        "[route all]\npath = /*\nupstream = local\n"
    )
    return str(file)


@pytest.fixture
def run(config: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs gatewayctl on the configuration: exit status, lines of output, standard error."""

    def run(*argv: str) -> tuple[int, list[str], str]:
        status = main([*argv, "--config", config])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Puts records, and intents that are still open, into the configuration's ledger."""

    def write(*told: Record | Intent) -> None:
        store = Store(tmp_path / "ledger.sqlite", Durability.PROCESS, "test")
        store.open("")
        store.write(
            [intent_values(item) for item in told if isinstance(item, Intent)],
            [record_values(item) for item in told if isinstance(item, Record)],
        )
        store.close()

    return write


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What gatewayctl says of wrong arguments."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    return capsys.readouterr().err


# check


def test_check_says_that_a_good_file_is_ok(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", config]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{config}: ok (upstreams: local; routes: ")
    assert out.count("\n") == 1


def test_check_says_that_the_simulated_provider_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: with the route that it has."""
    file = tmp_path / "demo.ini"
    file.write_text(f"[gateway]\ndemo = on\nstate_dir = {tmp_path}\n")
    assert main(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{file}: ok (upstreams: demo (simulated); routes: 1; ")


def test_check_gives_the_advice_that_a_start_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: and says ok all the same."""
    file = tmp_path / "demo.ini"
    text = "[gateway]\ndemo = on\nstate_dir = {}\n[defaults]\nhook_events = on\n"
    file.write_text(text.format(tmp_path))
    assert main(["check", str(file)]) == 0
    advice, ok = capsys.readouterr().out.splitlines()
    assert advice.startswith(f"{file}: hook_events is on, but no hook sees events")
    assert ok.startswith(f"{file}: ok (")


def test_check_prints_every_problem_on_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: each with file and line, and the exit status is 1."""
    file = tmp_path / "bad.ini"
    file.write_text("[gateway]\ndrain_timeout = soon\n\n[upstream a]\nurl = nowhere\n")
    assert main(["check", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2
    assert lines[0].startswith(f"{file}:2: [gateway] drain_timeout: ")
    assert all(line.startswith(f"{file}:") for line in lines)


def test_check_takes_the_file_from_config_as_well(run: Run, config: str) -> None:
    status, out, _ = run("check")
    assert (status, out[0].startswith(f"{config}: ok")) == (0, True)


def test_check_without_a_file_checks_the_built_in_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith("built-in: ok")


def test_check_of_a_missing_file_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: a file that is not there is a problem like others."""
    assert main(["check", str(tmp_path / "none.ini")]) == 1
    assert "none.ini:1: the file cannot be read" in capsys.readouterr().out


# requests


def test_requests_are_one_json_object_a_line_with_the_names_of_the_columns(
    run: Run, write: Callable[..., None]
) -> None:
    record = a_record()
    write(record)
    status, out, _ = run("requests", "--json")
    assert status == 0
    assert [json.loads(line) for line in out] == [record.as_row()]
    assert tuple(json.loads(out[0])) == COLUMNS


def test_requests_show_the_last_ones_and_the_newest_at_the_end(
    run: Run, write: Callable[..., None]
) -> None:
    intents = [an_intent(started_at=BEGAN + second) for second in range(30)]
    write(*intents)
    _, default, _ = run("requests", "--json")
    assert [json.loads(line)["id"] for line in default] == [i.id for i in intents[-20:]]
    _, last, _ = run("requests", "--last", "2", "--json")
    assert [json.loads(line)["id"] for line in last] == [i.id for i in intents[-2:]]


def test_requests_are_picked_by_outcome(run: Run, write: Callable[..., None]) -> None:
    gone = a_record(outcome=Outcome.CLIENT_GONE)
    write(a_record(), gone, an_intent())
    _, out, _ = run("requests", "--outcome", "client_gone", "--json")
    assert [json.loads(line)["id"] for line in out] == [gone.intent.id]
    _, out, _ = run("requests", "--outcome", "open", "--json")
    assert [json.loads(line)["outcome"] for line in out] == [None]


def test_the_table_of_requests_tells_unknown_from_none(
    run: Run, write: Callable[..., None]
) -> None:
    """A8: tokens that nobody told are a question mark, those told to be none are 0."""
    write(
        a_record(),
        a_record(
            an_intent(started_at=BEGAN + 1),
            outcome=Outcome.UPSTREAM_FAILED,
            error=ErrorCode.RESET,
            usage=Usage(),
        ),
        a_record(
            an_intent(started_at=BEGAN + 2),
            outcome=Outcome.REJECTED,
            error=ErrorCode.OVERLOADED,
            status_sent=503,
            model_served=None,
            usage=Usage(),
        ),
        an_intent(started_at=BEGAN + 3),
    )
    _, out, _ = run("requests")
    titles, *lines = (line.split() for line in out)
    assert titles == ["TIME", "(UTC)", "OUTCOME", "STATUS", "MODEL", "IN", "OUT", "TOOK", "ERROR"]
    assert [line[2:] for line in lines] == [
        ["finished", "200", "gpt-small-2026", "10", "0", "2.50s", "-"],
        ["upstream_failed", "200", "gpt-small-2026", "?", "?", "2.50s", "reset"],
        ["rejected", "503", "gpt-small", "-", "-", "2.50s", "overloaded"],
        ["open", "-", "gpt-small", "?", "?", "?", "-"],
    ]
    assert out[1].startswith("09-21 14:13:20  ")


@pytest.mark.parametrize(("columns", "widest"), [("20", 80), ("100", 100)])
def test_a_table_fits_the_terminal(
    run: Run,
    write: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    widest: int,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write(a_record(model_served="m" * 300, error=ErrorCode.CLIENT_WRITE_TIMEOUT))
    _, out, _ = run("requests")
    assert max(map(len, out)) == widest


def test_a_narrow_terminal_costs_the_date_before_the_model_and_the_error(
    run: Run, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "84")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    error, gone = ErrorCode.CLIENT_WRITE_TIMEOUT, Outcome.UPSTREAM_FAILED
    write(a_record(model_served="m" * 16, error=error, outcome=gone))
    _, out, _ = run("requests", "--tz", "Europe/Berlin")
    told = out[1].split()
    assert told[:2] == ["16:13:20", "upstream…"]
    assert (told[3], told[-1]) == ("m" * 16, "client_write_timeout")


def test_what_is_no_terminal_gets_every_cell_whole(
    run: Run, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    write(a_record(model_served="m" * 300))
    for command in ("requests", "usage"):
        _, out, _ = run(command)
        assert "m" * 300 in out[1]


def test_what_a_client_sent_does_not_steer_the_terminal(
    run: Run, write: Callable[..., None]
) -> None:
    write(a_record(model_served="a\x1b[2J\nb"))
    for command in ("requests", "usage"):
        _, out, _ = run(command)
        assert len(out) == 2
        assert "\x1b" not in out[1]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["requests"], "no requests yet"),
        (["requests", "--outcome", "drained", "--json"], "no such requests"),
        (["usage"], "no requests"),
        (["usage", "--since", "7d"], "no requests in that time"),
    ],
)
def test_nothing_found_is_a_sentence_on_standard_error(
    run: Run, write: Callable[..., None], argv: list[str], said: str
) -> None:
    write()
    status, out, err = run(*argv)
    assert (status, out) == (0, [])
    assert err.endswith(f": {said}\n")


@pytest.mark.parametrize("command", ["requests", "usage"])
def test_no_ledger_yet_is_told_with_its_place(run: Run, tmp_path: Path, command: str) -> None:
    status, out, err = run(command)
    assert (status, out) == (1, [])
    assert err.startswith(f"{tmp_path / 'ledger.sqlite'}: there is no ledger yet")


def test_a_bad_configuration_is_told_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1: what is wrong with the file is said, whatever it was needed for."""
    file = tmp_path / "bad.ini"
    file.write_text("[nonsense]\n")
    for command in ("requests", "usage"):
        assert main([command, "--config", str(file)]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"{file}:1: [nonsense]")


def test_the_built_in_configuration_has_its_own_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert main(["requests"]) == 1
    assert str(tmp_path) in capsys.readouterr().err


# usage


def test_usage_is_one_json_object_a_line(run: Run, write: Callable[..., None]) -> None:
    """A8: a sum says how many rows it lacks."""
    write(a_record(), a_record(usage=Usage()), a_record(an_intent(), model_served="other"))
    status, out, _ = run("usage", "--json")
    assert status == 0
    found: list[dict[str, Any]] = [json.loads(line) for line in out]
    told = [
        (row["model"], row["requests"], row["input_tokens"], row["unknown_usage"]) for row in found
    ]
    assert told == [("gpt-small-2026", 2, 10, 1), ("other", 1, 10, 0)]


def test_the_table_of_usage_tells_unknown_from_none(run: Run, write: Callable[..., None]) -> None:
    """A8: a sum of nothing known is a question mark."""
    write(a_record(), a_record(usage=Usage(), model_served="other", cost_usd=0.25))
    _, out, _ = run("usage")
    titles, *lines = (line.split() for line in out)
    assert titles == ["MODEL", "REQUESTS", "IN", "CACHED", "OUT", "UNKNOWN", "USD", "SAVED"]
    assert lines == [
        ["gpt-small-2026", "1", "10", "?", "0", "0", "?", "-"],
        ["other", "1", "?", "?", "?", "1", "0.2500", "-"],
        ["total", "2", "10", "?", "0", "1", "0.2500+", "-"],
    ]


def test_what_was_never_sent_used_nothing_and_cost_nothing(
    run: Run, write: Callable[..., None]
) -> None:
    """A8: that is known; the same signs stand in every table."""
    refused = a_record(an_intent(id="0a"), outcome=Outcome.REJECTED, attempts=0, usage=Usage())
    write(refused, a_record(an_intent(id="0b"), attempts=1, usage=Usage(), model_served="other"))
    _, out, _ = run("usage")
    assert [line.split()[2:] for line in out[1:3]] == [
        ["-", "-", "-", "0", "-", "-"],
        ["?", "?", "?", "1", "?", "-"],
    ]
    names = "input_tokens,cost_usd,cache_read_tokens,request_bytes,error"
    _, out, _ = run("requests", "--columns", names)
    assert [line.split() for line in out[1:]] == [
        ["-", "-", "-", "321", "-"],
        ["?", "?", "?", "321", "-"],
    ]
    for beginning, sign in (("0a", "-"), ("0b", "?")):
        _, out, _ = run("requests", "--show", beginning, "--columns", names)
        assert [line.split()[1] for line in out] == [sign, sign, sign, "321", "-"]


def test_saved_is_not_told_where_no_price_is_known(run: Run, write: Callable[..., None]) -> None:
    write(a_record(usage=Usage(10, 0, 0, 0, 5)))
    _, out, _ = run("usage")
    assert out[1].split()[-2:] == ["?", "-"]


@pytest.mark.parametrize(
    ("by", "title", "key"),
    [
        ("tenant", "TENANT", "alice"),
        ("route", "ROUTE", "chat"),
        ("outcome", "OUTCOME", "finished"),
        ("day", "DAY (UTC)", "2026-09-21"),
    ],
)
def test_usage_is_told_by_what_is_asked_for(
    run: Run, write: Callable[..., None], by: str, title: str, key: str
) -> None:
    write(a_record())
    _, out, _ = run("usage", "--by", by)
    assert out[0].startswith(f"{title} ")
    assert out[1].split()[0] == key


@pytest.mark.parametrize(
    ("since", "found"), [("30m", 1), ("1h30m", 2), ("3h", 3), ("7d", 4), ("1d 3h", 4), ("60s", 0)]
)
def test_usage_since_counts_back_from_now(
    run: Run, write: Callable[..., None], since: str, found: int
) -> None:
    record = a_record()
    ages = (600, 4000, 9000, 90_000)
    write(
        *(
            replace(record, intent=an_intent(started_at=time.time() - age, route=str(age)))
            for age in ages
        )
    )
    _, out, _ = run("usage", "--since", since, "--by", "route", "--json")
    assert len(out) == found


# the command line


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["requests", "--last", "none"], "'none' is not a number of rows, write one such as 20"),
        (["requests", "--last", "0"], "'0' is not a number of rows"),
        (["requests", "--outcome", "fine"], "invalid choice: 'fine'"),
        (["usage", "--since", "7 days"], "--since: '7 days' is neither a duration such as 7d,"),
        (["usage", "--since", "7"], "'7' is neither a duration"),
        (["usage", "--until", "then"], "argument --until: 'then' is neither"),
        (
            ["usage", "--tz", "Mars"],
            "'Mars' is no time zone that this system knows, write one such",
        ),
        (["usage", "--tz", "../UTC"], "'../UTC' is no time zone"),
        (["usage", "--tz", "Europe"], "'Europe' is no time zone"),
        (["usage", "--json", "--csv"], "not allowed with argument --json"),
        (["usage", "--tz", "UTC", "--local"], "not allowed with argument --tz"),
        (["requests", "--columns", "id,pth"], "there is no column 'pth', did you mean path?"),
        (["requests", "--follow", "--show", "0"], "--show shows one request, leave one of the two"),
        (["requests", "-f", "--outcome", "open"], "what is followed has ended"),
        (["requests", "--status", "40"], "'40' is no status, write a number such as 429, or 4xx"),
        (["requests", "--status", "9xx"], "'9xx' is no status"),
        (["requests", "--error", "oops"], "invalid choice: 'oops'"),
        (["reprice"], "the following arguments are required: --since"),
        (["reconcile", "f", "--tolerance", "x"], "'x' is not a percentage, write one such as 0.5"),
        (["usage", "--by", "client"], "invalid choice: 'client'"),
    ],
)
def test_wrong_arguments_are_named(
    capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert said in refused(capsys, *argv)


def test_config_is_taken_before_the_command_too(
    config: str, write: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    write(a_record())
    assert main(["--config", config, "requests", "--json"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("last", ["1", "2000"])
def test_a_reader_that_goes_away_is_not_an_error(
    config: str, write: Callable[..., None], last: str
) -> None:
    write(*(an_intent() for _ in range(2000)))
    reading, writing = os.pipe()
    os.close(reading)
    command = ["requests", "--last", last, "--json", "--config", config]
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from gateway.ctl import main; sys.exit(main())",
            *command,
        ],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_no_reactor_is_imported() -> None:
    program = "import sys, gateway.ctl; sys.exit('twisted.internet.reactor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
