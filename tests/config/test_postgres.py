"""``[ledger] url = postgresql://…`` and its password: what is understood, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.model import Postgres
from gateway.config.problem import BadValue
from gateway.config.url import ledger_url
from gateway.redact import Redactor
from tests.canaries import OWN_KEY as KEY
from tests.config.conftest import HOME, Problems, Read

UPSTREAM = "[upstream a]\nurl = https://h\ndialect = openai\n"
LEDGER = f"{UPSTREAM}[ledger]\nurl = postgresql://gateway@db.example.org/gateway\n"


@pytest.mark.parametrize(
    ("text", "meant", "place"),
    [
        (
            "postgresql://gateway@db/ledger",
            Postgres("db", 5432, "ledger", "gateway"),
            "postgresql://db:5432/ledger",
        ),
        (
            "postgres://db.example.org:6432/ledger",
            Postgres("db.example.org", 6432, "ledger"),
            "postgresql://db.example.org:6432/ledger",
        ),
        (
            "postgresql://a%40b@[::1]:5433/my%20ledger?sslmode=verify-full&sslrootcert=system",
            Postgres(
                "::1",
                5433,
                "my ledger",
                "a@b",
                {"sslmode": "verify-full", "sslrootcert": "system"},
            ),
            "postgresql://[::1]:5433/my%20ledger",
        ),
        (
            "postgresql:///ledger?host=%2Frun/postgresql",
            Postgres("/run/postgresql", 5432, "ledger"),
            "postgresql:///ledger?host=/run/postgresql",
        ),
        (
            "postgresql://gateway@/ledger?host=/run/postgresql",
            Postgres("/run/postgresql", 5432, "ledger", "gateway"),
            "postgresql:///ledger?host=/run/postgresql",
        ),
    ],
)
def test_a_url_is_taken_apart(text: str, meant: Postgres, place: str) -> None:
    assert ledger_url(text) == meant
    assert meant.place == place


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("postgresql://", "the URL names no database"),
        ("postgresql://gateway@db/", "the URL names no database"),
        ("postgresql://gateway@db/a/b", "not a URL of a PostgreSQL database"),
        ("postgresql://gateway@db/a#b", "not a URL of a PostgreSQL database"),
        ("postgresql://gateway@/a", "the URL names no server"),
        ("postgresql:///a", "the URL names no server"),
        ("postgresql://db/a?host=/run", "the URL names a host and the folder of a Unix socket"),
        ("postgresql:///a?host=db", "the URL's host is not an absolute path"),
        ("postgresql:///a?host=/run,/var", "the URL's host is not an absolute path"),
        ("postgresql://a,b/c", "the URL's host is not valid"),
        ("postgresql://db:0/c", "the URL's port is not valid"),
        ("postgresql://db/a?sslmode=yes", "the URL's sslmode is unknown"),
        ("postgresql://db/a?sslrootcert=ca.pem", "the URL's sslrootcert is not an absolute path"),
        ("postgresql://db/a?sslmode=require&sslmode=prefer", "the URL has sslmode twice"),
        ("postgresql://db/a?password=x", "the URL has a parameter that is not possible here"),
        (
            "postgresql://db/a?options=-c%20fsync=off",
            "the URL has a parameter that is not possible",
        ),
        ("postgresql://db/a%00b", "the URL has a character that cannot be printed"),
        ("postgresql://gateway:secret@db/a", "a password stands in the URL, leave it out and say"),
        ("postgresql://gateway:s@cret@db/a", "not a URL of a PostgreSQL database"),
    ],
)
def test_a_url_with_what_is_not_possible_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadValue) as caught:
        ledger_url(text)
    assert str(caught.value).startswith(what)


def test_rows_wait_in_the_state_dir_for_the_database(read: Read) -> None:
    ledger = read(f"[gateway]\nstate_dir = /srv/state\n{LEDGER}").ledger
    assert ledger.path == Path("/srv/state/ledger.sqlite")
    assert ledger.postgres == Postgres("db.example.org", 5432, "gateway", "gateway")


def test_without_a_url_there_is_no_database(read: Read) -> None:
    assert read(UPSTREAM).ledger.postgres is None


def test_the_password_is_read_from_where_it_is_and_shown_nowhere(read: Read) -> None:
    """H8: it is in the object that connects, and in no text of it."""
    config = read(f"{LEDGER}password = env:PW\n", {**HOME, "PW": KEY})
    assert config.ledger.postgres is not None
    assert config.ledger.postgres.password is not None
    assert config.ledger.postgres.password.reveal() == KEY
    assert KEY not in repr(config)
    assert KEY not in config.ledger.postgres.place
    assert KEY not in Redactor.of(config).redact(f"password was {KEY}!")


@pytest.mark.parametrize("url", ["", "url = sqlite:///l.sqlite\n"])
def test_a_password_without_a_database_is_a_mistake(url: str, problems: Problems) -> None:
    text = f"{UPSTREAM}[ledger]\n{url}password = env:PW\n"
    assert problems(text, {**HOME, "PW": "x"}) == [
        f"gateway.ini:{5 + bool(url)}: [ledger] password: a SQLite file has no password, "
        "leave it out or write postgresql:// in url"
    ]


def test_a_password_that_is_missing_is_a_problem_at_its_line(problems: Problems) -> None:
    assert problems(f"{LEDGER}password = env:PW\n", HOME) == [
        "gateway.ini:6: [ledger] password: the environment variable is not set, "
        "set it or write file:/path"
    ]


def test_a_certificate_that_cannot_be_read_is_a_problem(problems: Problems, tmp_path: Path) -> None:
    url = f"postgresql://db/a?sslrootcert={tmp_path}/ca.pem"
    assert problems(f"{UPSTREAM}[ledger]\nurl = {url}\n", HOME) == [
        "gateway.ini:5: [ledger] url: the file of sslrootcert cannot be read "
        "(No such file or directory), make it readable or name another"
    ]
