"""Secrets: fetched from where a file says they are, and shown nowhere."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Client, Config, ConfigError, load
from gateway.config.model import Family
from gateway.config.secret import default_key_header, reference

from .conftest import HOME, UPSTREAM, Problems, Read

CANARY = "sk-canary-5up3r53cr3t"
KEY = UPSTREAM.rstrip() + "\napi_key = {}\n"


def api_key(config: Config) -> str:
    """The key of the only upstream."""
    key = config.upstreams["a"].api_key
    assert key is not None
    return key.reveal()


def test_a_secret_comes_from_the_environment(read: Read) -> None:
    assert api_key(read(KEY.format("env:THE_KEY"), {**HOME, "THE_KEY": CANARY})) == CANARY


def test_a_secret_comes_from_a_file_without_its_line_end(read: Read, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    assert api_key(read(KEY.format(f"file:{tmp_path}/key"))) == CANARY


def test_a_secret_comes_from_systemd_credentials(read: Read, tmp_path: Path) -> None:
    (tmp_path / "openai.key").write_text(CANARY)
    environ = {**HOME, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert api_key(read(KEY.format("credential:openai.key"), environ)) == CANARY


def test_without_a_reference_there_is_no_key(read: Read) -> None:
    assert read(UPSTREAM).upstreams["a"].api_key is None


REFERENCE = "write env:NAME, file:/path or credential:NAME"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (CANARY, "this is not a reference, and a key itself never goes into a file"),
        (f"Bearer {CANARY}", "this is not a reference, and a key itself never goes into a file"),
        (f"key:{CANARY}", "this is not a reference, and a key itself never goes into a file"),
        (f"env:{CANARY}", "what follows env: is not valid there"),
        (f"file:{CANARY}", "what follows file: is not valid there"),
        (f"credential:../{CANARY}", "what follows credential: is not valid there"),
        ("env:", "what follows env: is not valid there"),
    ],
)
def test_a_key_written_into_the_file_is_refused_and_not_repeated(
    value: str, what: str, problems: Problems
) -> None:
    """H8: a key reaches no error."""
    assert problems(KEY.format(value)) == [
        f"gateway.ini:4: [upstream a] api_key: {what}, {REFERENCE}"
    ]


def test_a_secret_that_is_not_there_is_told_without_what_was_written(
    problems: Problems, tmp_path: Path
) -> None:
    """H8: what looks like a reference can be a pasted key all the same."""
    upstream = "[upstream {0}]\nurl = http://h\ndialect = openai\napi_key = {1}\n"
    name = CANARY.replace("-", "_")
    text = (
        upstream.format("a", f"env:{name}")
        + upstream.format("b", f"file:{tmp_path}/{name}")
        + upstream.format("c", f"credential:{name}")
    )
    assert problems(text) == [
        "gateway.ini:4: [upstream a] api_key: the environment variable is not set, set it or "
        "write file:/path",
        "gateway.ini:8: [upstream b] api_key: the secret's file cannot be read (No such file or "
        "directory), make it readable or name another",
        "gateway.ini:12: [upstream c] api_key: there are no credentials ($CREDENTIALS_DIRECTORY "
        "is not set), write LoadCredential= into the systemd unit, or env:NAME or file:/path here",
    ]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (" \n", "the secret is empty, put the key there"),
        (f"{CANARY} {CANARY}", "the secret is not a single word of visible ASCII"),
        (f"{CANARY}\r\nX-Injected: 1", "the secret is not a single word of visible ASCII"),
        (f"{CANARY}\xfc", "the secret is not a single word of visible ASCII"),
        (CANARY * 1000, "the secret is not a single word of visible ASCII"),
    ],
)
@pytest.mark.parametrize("form", ["env", "file"])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_repeated(
    form: str, value: str, what: str, problems: Problems, tmp_path: Path
) -> None:
    """H8: a key reaches no error."""
    (tmp_path / "key").write_text(value, encoding="utf-8")
    written = {"env": "env:THE_KEY", "file": f"file:{tmp_path}/key"}[form]
    (problem,) = problems(KEY.format(written), {**HOME, "THE_KEY": value})
    assert problem.startswith(f"gateway.ini:4: [upstream a] api_key: {what}")
    assert CANARY not in problem


@pytest.mark.parametrize(
    "line",
    [
        "[client c]\nkey = {}",
        "[client c]\nkey_sha256 = {}",
        "[client c]\n{} = 1",
        "[gateway]\nallowed_hosts = {}!",
        "[gateway]\ntrusted_proxies = {}",
        "url = https://user:{}@h",
        "url = https://h/?key={}",
        "url = {}",
        "dialect = {}",
        "api_key = {}",
        "api_key = env:OK ; {}",
        "api_key = \n  {}",
        "api_key = env:OK\n  {}",
        "api_key_header = Authorization: {}",
        "api_key_header = Authorization: Bearer {}",
        "apikey = {}",
        "ca = {}",
        "pool_size = {}",
        "connect_timeout = {}",
        "{}",
        "{}=",
        "url = http://h\n{} = 1\n[gateway]",
        "Authorization: Bearer {}",
        "[ledger]\nurl = postgresql://gateway:{}@db/ledger",
        "[defaults]\nmax_body = {}",
        "[gateway]\nlisten = tcp:{}",
        "[gateway]\nlisten = tcp:80:{}=1",
        "[gateway]\nlog = {}",
        "[route r]\npath = {}\nheader = {}\nstrip_prefix = {}\nupstream = {}",
    ],
)
def test_a_key_in_the_wrong_place_is_not_repeated(line: str, problems: Problems) -> None:
    """H8: a key reaches no error, wherever it was pasted."""
    text = "[upstream a]\n" + line.replace("{}", CANARY)
    assert CANARY not in "\n".join(problems(text, {**HOME, "OK": "fine"}))


CLIENT = "[client {0}]\nkey = env:{1}\n"


def test_of_a_client_s_key_only_its_digest_is_kept(read: Read) -> None:
    """H8: what is not there cannot be shown."""
    digest = hashlib.sha256(CANARY.encode()).digest()
    config = read(UPSTREAM + CLIENT.format("c", "THE_KEY"), {**HOME, "THE_KEY": CANARY})
    assert config.clients == (Client("c", digest),)
    assert CANARY not in repr(config)
    assert repr(digest) not in repr(config)


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_client_s_key_can_be_given_as_its_digest(case: Callable[[str], str], read: Read) -> None:
    written = case(hashlib.sha256(CANARY.encode()).hexdigest())
    by_digest = read(f"{UPSTREAM}[client c]\nkey_sha256 = {written}")
    by_key = read(UPSTREAM + CLIENT.format("c", "THE_KEY"), {**HOME, "THE_KEY": CANARY})
    assert by_digest.clients == by_key.clients


@pytest.mark.parametrize("value", ["ab" * 31, "ab" * 33, "ag" * 32, CANARY])
def test_what_is_no_digest_is_refused_and_not_repeated(value: str, problems: Problems) -> None:
    """H8: it may be the key."""
    assert problems(f"{UPSTREAM}[client c]\nkey_sha256 = {value}") == [
        "gateway.ini:6: [client c] key_sha256: not a SHA-256 digest, and a key itself never goes "
        "into a file, write the 64 hexadecimal digits that `printf %s KEY | sha256sum` prints"
    ]


def test_two_clients_with_one_key_are_refused_without_showing_it(problems: Problems) -> None:
    """H8: a key reaches no error."""
    digest = hashlib.sha256(CANARY.encode()).hexdigest()
    text = (
        UPSTREAM
        + CLIENT.format("c", "ONE")
        + CLIENT.format("d", "TWO")
        + f"[client e]\nkey_sha256 = {digest}\n"
        + CLIENT.format("f", "OTHER")
    )
    environ = {**HOME, "ONE": CANARY, "TWO": CANARY, "OTHER": "another"}
    what = "[client c] on line 5 has the same key, give each client a key of its own"
    assert problems(text, environ) == [
        f"gateway.ini:8: [client d] key: {what}",
        f"gateway.ini:10: [client e] key_sha256: {what}",
    ]


def test_a_client_s_key_that_is_not_there_is_told(problems: Problems) -> None:
    assert problems(UPSTREAM + CLIENT.format("c", "NOWHERE")) == [
        "gateway.ini:6: [client c] key: the environment variable is not set, set it or write "
        "file:/path"
    ]


def test_a_secret_is_not_shown_by_anything_that_holds_it(read: Read) -> None:
    """H8: a key reaches no log: not by way of a repr."""
    config = read(KEY.format("env:THE_KEY"), {**HOME, "THE_KEY": CANARY})
    shown = f"{config!r} {config} {config.upstreams['a'].api_key}"
    assert CANARY not in shown
    assert "<Secret env:THE_KEY>" in shown


def test_a_reference_does_not_show_what_was_written() -> None:
    """H8: it may be the key."""
    assert CANARY not in repr(reference(f"file:/{CANARY}"))


def test_a_secret_is_not_pickled(read: Read) -> None:
    """H8: a key reaches no file."""
    key = read(KEY.format("env:THE_KEY"), {**HOME, "THE_KEY": CANARY}).upstreams["a"].api_key
    with pytest.raises(TypeError, match="not serialised"):
        pickle.dumps(key)


@pytest.mark.parametrize(
    ("family", "header"),
    [
        ("openai", "Authorization: Bearer"),
        ("anthropic", "x-api-key"),
        ("gemini", "x-goog-api-key"),
        ("ollama", "Authorization: Bearer"),
        ("bedrock", "Authorization: Bearer"),
        ("generic", "Authorization: Bearer"),
    ],
)
def test_the_header_of_a_key_is_the_one_that_the_api_looks_for(family: str, header: str) -> None:
    assert default_key_header(Family(family)) == header


@pytest.mark.parametrize("header", ["api-key", "Authorization: Api-Key", "X-Auth:Token"])
def test_the_header_of_a_key_can_be_another(header: str, read: Read) -> None:
    config = read(f"{UPSTREAM.rstrip()}\napi_key_header = {header}")
    assert config.upstreams["a"].api_key_header == header


@pytest.mark.parametrize(
    "listen",
    ["tcp:8080", "tcp:8080:interface=10.0.0.1", "systemd:domain=INET:name=http", "tcp6:8080"],
)
def test_a_key_that_anyone_could_spend_is_refused(listen: str, problems: Problems) -> None:
    """H8: no open relay."""
    text = f"{KEY.format('env:THE_KEY')}[gateway]\nlisten = unix:/run/x\n  {listen}"
    assert problems(text, {**HOME, "THE_KEY": CANARY}) == [
        "gateway.ini:4: [upstream a] api_key: whoever reaches the gateway could spend this key "
        "(see listen), add a [client NAME] section for each client or listen on loopback only "
        "(interface=127.0.0.1)"
    ]


def test_a_wrong_reference_does_not_hide_that_anyone_could_spend_the_key(
    problems: Problems,
) -> None:
    """O1: all problems are listed."""
    found = problems(f"{KEY.format(CANARY)}[gateway]\nlisten = tcp:80")
    assert [problem[:15] for problem in found] == ["gateway.ini:4: "] * 2


def test_a_key_is_fine_where_only_this_machine_can_spend_it(read: Read) -> None:
    text = f"{KEY.format('env:THE_KEY')}[gateway]\nlisten = tcp:80:interface=127.0.0.1\n  unix:/x"
    assert api_key(read(text, {**HOME, "THE_KEY": CANARY})) == CANARY


def test_any_listener_is_fine_where_only_known_clients_can_spend_the_key(read: Read) -> None:
    """H8: no open relay."""
    text = f"{KEY.format('env:THE_KEY')}[gateway]\nlisten = tcp:80\n{CLIENT.format('c', 'OTHER')}"
    config = read(text, {**HOME, "THE_KEY": CANARY, "OTHER": "theirs"})
    assert [client.name for client in config.clients] == ["c"]


def test_any_listener_is_fine_where_clients_bring_their_own_keys(read: Read) -> None:
    assert read(f"{UPSTREAM}[gateway]\nlisten = tcp:80").gateway.listen == ("tcp:80",)


def test_who_only_reads_the_ledger_needs_none_of_the_keys(tmp_path: Path) -> None:
    """H8, O1: an administrator's shell has no credentials of the unit's."""
    path = tmp_path / "gateway.ini"
    path.write_text(
        "[upstream a]\nurl = http://localhost:1\ndialect = openai\napi_key = credential:a\n"
        "[client c]\nkey = env:NOT_SET\n"
    )
    with pytest.raises(ConfigError):
        load(path, HOME)
    config = load(path, HOME, secrets=False)
    assert config.upstreams["a"].api_key is None
    assert config.clients == ()
