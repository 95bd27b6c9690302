"""A file with problems: every one is told, with its line, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import ConfigError, Problem, load
from gateway.config.ini import read as read_ini
from gateway.config.problem import Report
from gateway.config.tables import read_tables

from .conftest import UPSTREAM, Problems

ROUTE = UPSTREAM + "[route r]\npath = /x\nupstream = a\n"

#: What follows a file of four lines (or seven, with a route), and the problems it then has.
BAD = {
    "unknown section": (
        UPSTREAM + "[foo]\nbar = 1",
        "5: [foo]: unknown section, write [gateway], [ledger], [hooks], [defaults], "
        "[client NAME], [upstream NAME], [prices NAME] or [route NAME]",
    ),
    "misspelt section": (
        UPSTREAM + "[Gatway]\nanything = 1",
        "5: [Gatway]: unknown section, did you mean [gateway]?",
    ),
    "configparser's own default section": (
        UPSTREAM + "[DEFAULT]\nkeepalive = off",
        "5: [DEFAULT]: unknown section, did you mean [defaults]?",
    ),
    "section without its name": (
        UPSTREAM + "[route]\npath = /x\nupstream = a",
        "5: [route]: the name is missing, write [route NAME]",
    ),
    "section with a name it does not have": (
        UPSTREAM + "[gateway main]\ndemo = on",
        "5: [gateway main]: this section has no name, write [gateway]",
    ),
    "bad name": (
        UPSTREAM + "[route a/b]\npath = /x\nupstream = a",
        "5: [route a/b]: not a valid name, write letters, digits, dots, dashes and underscores "
        "only",
    ),
    "name that stands for something else": (
        "[upstream v1]\nurl = http://h\ndialect = generic\n[route r]\npath = /x\nupstream = v1",
        "1: [upstream v1]: the path /v1/ has a meaning of its own, choose another name",
    ),
    "sections for the simulated provider": (
        "[gateway]\ndemo = on\n[upstream demo]\nurl = http://h\ndialect = generic",
        "3: [upstream demo]: the path /demo/ is that of the simulated provider, which demo = on in "
        "[gateway] serves with the policy of [defaults], choose another name",
    ),
    "sections that name the simulated provider": (
        "[gateway]\ndemo = on\n[route r]\npath = /x\nupstream = demo\n"
        "[prices p]\nmodel = m\nupstream = demo\ninput = 1\noutput = 1",
        *(
            f"{where} upstream: no section can name the simulated provider, which demo = on in "
            "[gateway] serves with the policy of [defaults], leave it out"
            for where in ("5: [route r]", "8: [prices p]")
        ),
    ),
    "doubled section": (
        UPSTREAM + "[gateway]\ndemo = on\n[ gateway ]\nlog = text",
        "7: [gateway]: this section stands on line 5 already, write all its keys there",
    ),
    "doubled section with a problem in it": (
        UPSTREAM + "[upstream  a]\nurl = nowhere",
        "5: [upstream a]: this section stands on line 1 already, write all its keys there",
        "6: [upstream a] url: not a URL, write one such as https://api.openai.com or "
        "http://127.0.0.1:8000",
    ),
    "text behind a header": (
        UPSTREAM + "[gateway] demo = on",
        "5: [gateway]: text follows the section's name, put keys and comments on lines of their "
        "own",
    ),
    "indented header": (
        UPSTREAM + "[gateway]\ndemo = on\n  [ledger]",
        "7: [gateway] demo: an indented header continues the value, start headers at the line's "
        "beginning",
    ),
    "key before the first section": (
        "demo = on\n" + UPSTREAM,
        "1: demo: stands before the first section, put it under a header such as [gateway]",
    ),
    "unknown key": (
        UPSTREAM + "[ledger]\ncolour = red",
        "6: [ledger] colour: unknown key, write url, password, durability or retention",
    ),
    "misspelt key": (
        UPSTREAM + "[defaults]\nKeepalive-After = 5s",
        "6: [defaults] Keepalive-After: unknown key, did you mean keepalive_after?",
    ),
    "key of another section": (
        UPSTREAM + "[gateway]\nmax_body = 5MiB",
        "6: [gateway] max_body: unknown key, it belongs into [defaults] or [route NAME]",
    ),
    "doubled key": (
        UPSTREAM + "[defaults]\nmax_body = 5MiB\nkeepalive = off\nmax_body = 6MB",
        "8: [defaults] max_body: this key stands on line 6 already, keep one of the two",
        "8: [defaults] max_body: '6MB' has an unknown unit, write 6MiB "
        "(units are KiB, MiB, GiB and TiB)",
    ),
    "missing keys": (
        UPSTREAM + "[upstream b]\n[route r]\nkeepalive = off",
        "5: [upstream b] url: this key is missing, write one such as url = https://api.openai.com",
        "5: [upstream b] dialect: this key is missing, write one such as dialect = openai",
        "6: [route r] path: this key is missing, write one such as path = /v1/chat/completions/*",
        "6: [route r] upstream: this key is missing, write one such as upstream = openai",
    ),
    "empty value": (
        UPSTREAM + "[defaults]\nmax_body =\n\n# why?",
        "6: [defaults] max_body: there is no value, write one or leave the key out",
    ),
    "line that is nothing": (
        UPSTREAM + "[gateway]\ndemo on\n= on\nde mo = on",
        *(
            f"{line}: this line cannot be read, write [section], key = value or a comment that "
            "begins with #"
            for line in (6, 7, 8)
        ),
    ),
    "comment behind a value": (
        UPSTREAM + "[gateway]\ndemo = on ; for now\nlog = # later",
        "6: [gateway] demo: a comment stands behind the value, put comments on lines of their own",
        "7: [gateway] log: a comment stands behind the value, put comments on lines of their own",
    ),
    "indented key": (
        UPSTREAM + "[gateway]\ndemo = on\n\n# deeper\n  log = text",
        "9: [gateway] demo: an indented line continues the value above, write the value on one "
        "line and begin the next key at the beginning of its own",
    ),
    "control character": (
        UPSTREAM + "[gateway]\nstate_dir = /a\x07b",
        "6: [gateway] state_dir: there is a control character in the value, write visible "
        "characters only",
    ),
    "values of several lines": (
        UPSTREAM + "[gateway]\nlisten = tcp:1:interface=127.0.0.1\n  # two\n  tcp:x\n\n  udp:1\n"
        "  tcp:1:interface=127.0.0.1",
        "8: [gateway] listen: the port is not valid, write 0 (any free port) to 65535",
        "10: [gateway] listen: not a kind of endpoint (tcp, tcp6, unix, ssl, tls or systemd), "
        "write one such as tcp:8080:interface=127.0.0.1",
        "11: [gateway] listen: this stands here twice, write it once",
    ),
    "the same line twice in a value": (
        UPSTREAM + "[route r]\nupstream = a\npath =\n  /a\n  /b\n  /a",
        "10: [route r] path: this stands here twice, write it once",
    ),
    "control character in a header": (
        UPSTREAM + "[gate\x00way]",
        "5: [gate?way]: unknown section, did you mean [gateway]?",
    ),
    "unknown upstream": (
        UPSTREAM + "[route r]\npath = /x\nupstream = aa\n[route s]\npath = /y\nupstream = z",
        "7: [route r] upstream: there is no upstream section of this name, did you mean a?",
        "10: [route s] upstream: there is no upstream section of this name, write a",
    ),
    "route without any upstream": (
        "[gateway]\ndemo = on\n[route r]\npath = /x\nupstream = a",
        "5: [route r] upstream: there is no upstream section of this name, add one",
    ),
    "the same pattern in two routes": (
        ROUTE + "[route s]\npath = /y /x\nupstream = a",
        "9: [route s] path: [route r] on line 5 has /x already, keep one of the two or tell them "
        "apart by a header",
    ),
    "the same pattern and header in two routes": (
        ROUTE + "header = X-A\n[route s]\npath = /x\nupstream = a\nheader = x-a",
        "10: [route s] path: [route r] on line 5 has /x already, keep one of the two or tell them "
        "apart by a header",
    ),
    "client without a key": (
        UPSTREAM + "[client c]",
        "5: [client c]: the client's key is missing, write key = env:NAME or key_sha256 = DIGEST",
    ),
    "client with two keys": (
        UPSTREAM + f"[client c]\nkey_sha256 = {'0' * 64}\nkey = env:HOME",
        "6: [client c] key_sha256: key is given as well, keep one of the two",
    ),
    "client without a name": (
        UPSTREAM + f"[client]\nkey_sha256 = {'0' * 64}",
        "5: [client]: the name is missing, write [client NAME]",
    ),
    "client with a name that no log can show": (
        UPSTREAM + f"[client team a]\nkey_sha256 = {'0' * 64}",
        "5: [client team a]: not a valid name, write letters, digits, dots, dashes and "
        "underscores only",
    ),
    "client with a name that is too long": (
        UPSTREAM + f"[client {'a' * 65}]\nkey_sha256 = {'0' * 64}",
        f"5: [client {'a' * 65}]: not a valid name, write letters, digits, dots, dashes and "
        "underscores only",
    ),
    "the same proxy twice": (
        UPSTREAM + "[gateway]\ntrusted_proxies = 10.0.0.1 10.0.0.1/32",
        "6: [gateway] trusted_proxies: this stands here twice, write it once",
    ),
    "prefix that is not in the patterns": (
        UPSTREAM + "[route r]\npath = /x/* /xy/z\nupstream = a\nstrip_prefix = /x",
        "8: [route r] strip_prefix: /xy/z does not begin with it, write a prefix that every "
        "pattern has",
    ),
    "nothing to serve": (
        "[gateway]\nlog = text",
        "1: [gateway]: there is nothing to serve, add an [upstream NAME] section or demo = on",
    ),
    "nothing to serve, perhaps": (
        "[gateway]\ndemo = maybe",
        "2: [gateway] demo: 'maybe' is neither of the two, write on or off",
    ),
    "relative path": (
        UPSTREAM + "[upstream b]\nurl = http://h\ndialect = openai\nca = ca.pem",
        "8: [upstream b] ca: 'ca.pem' is not an absolute path, write one that begins with /",
    ),
    "postgresql": (
        UPSTREAM + "[ledger]\nurl = postgresql://gateway@db",
        "6: [ledger] url: the URL names no database, "
        "write one such as postgresql://gateway@db.example.org/gateway",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_each_problem_is_told_with_its_place_and_what_would_be_right(
    name: str, problems: Problems
) -> None:
    """O1: all problems are listed with file and line."""
    text, *expected = BAD[name]
    assert problems(text) == [f"gateway.ini:{line}" for line in expected]


def test_many_problems_are_all_told_in_the_order_of_their_lines(problems: Problems) -> None:
    """O1: all problems are listed, whichever layer found them."""
    text = (
        b"[gateway]\n"
        b"demo = maybe\n"
        b"listen = tcp:80\n"
        b"\xff\xfe\n"
        b"[route r]\n"
        b"path = x\n"
        b"upstream = nowhere\n"
        b"what is this\n"
        b"[ledgr]\n"
        b"[upstream a]\n"
        b"url = gopher://h\n"
        b"api_key = env:MISSING\n"
        b"[gateway]\n"
    )
    found = problems(text)
    assert [int(line.split(":")[1]) for line in found] == [2, 4, 6, 7, 8, 9, 10, 11, 12, 12, 13]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keepalive_after", "5ms"),
        ("keepalive_after", "11m"),
        ("keepalive_after", "off"),
        ("keepalive_interval", "1ms"),
        ("keepalive_interval", "1h"),
        ("keepalive_interval", "0"),
        ("keepalive", "sometimes"),
        ("head_timeout", "25h"),
        ("first_event_timeout", "1ms"),
        ("idle_timeout", "100h"),
        ("total_timeout", "1ms"),
        ("client_write_timeout", "25h"),
        ("max_body", "0"),
        ("max_body", "2000TiB"),
        ("inspect_limit", "off"),
        ("inspect_limit", "1023"),
        ("inspect_limit", "2GiB"),
    ],
)
@pytest.mark.parametrize("section", ["[defaults]", "[route r]\npath = /x\nupstream = a"])
def test_a_policy_out_of_range_is_refused(
    section: str, key: str, value: str, problems: Problems
) -> None:
    """K6: values out of range are refused at start."""
    (problem,) = problems(f"{UPSTREAM}{section}\n{key} = {value}")
    assert f"] {key}: '{value}' is " in problem


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("gateway", "drain_timeout", "25h"),
        ("gateway", "workers", "257"),
        ("gateway", "max_draining", "0"),
        ("gateway", "max_draining", "65"),
        ("gateway", "max_streams", "0"),
        ("gateway", "max_streams", "1000001"),
        ("gateway", "max_buffered", "1KiB"),
        ("gateway", "max_buffered", "off"),
        ("gateway", "max_head", "4095"),
        ("gateway", "max_head", "2MiB"),
        ("gateway", "max_headers", "9"),
        ("gateway", "max_headers", "10001"),
        ("gateway", "client_head_timeout", "off"),
        ("gateway", "client_head_timeout", "11m"),
        ("gateway", "client_idle_timeout", "off"),
        ("gateway", "client_idle_timeout", "25h"),
        ("gateway", "client_body_grace", "off"),
        ("gateway", "client_body_grace", "2h"),
        ("gateway", "client_body_rate", "2GiB"),
        ("upstream b", "pool_size", "100001"),
        ("upstream b", "pool_idle_timeout", "2h"),
        ("upstream b", "connect_timeout", "off"),
        ("upstream b", "connect_timeout", "1h"),
    ],
)
def test_a_value_out_of_range_is_refused(
    section: str, key: str, value: str, problems: Problems
) -> None:
    """O1: ranges are checked at start."""
    url = "url = http://h\ndialect = generic\n" if section == "upstream b" else ""
    (problem,) = problems(f"{UPSTREAM}[{section}]\n{url}{key} = {value}")
    assert f"[{section}] {key}: '{value}' is " in problem


def test_a_ca_has_to_be_a_readable_file_with_certificates(
    problems: Problems, tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").touch()
    upstream = "[upstream {0}]\nurl = https://h\ndialect = openai\nca = {1}/{0}.pem\n"
    text = upstream.format("missing", tmp_path) + upstream.format("empty", tmp_path)
    assert problems(text) == [
        "gateway.ini:4: [upstream missing] ca: the file cannot be read (No such file or "
        "directory), make it readable or name another",
        "gateway.ini:8: [upstream empty] ca: there is no certificate in the file, name one with "
        "certificates in PEM format",
    ]


def test_a_ca_for_an_upstream_without_tls_is_refused(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = f"[upstream a]\nurl = http://h\ndialect = openai\nca = {tmp_path}/ca.pem"
    assert problems(text) == [
        "gateway.ini:4: [upstream a] ca: the upstream is asked without TLS, write https:// in url "
        "or leave ca out"
    ]


def test_a_certificate_to_listen_with_has_to_be_readable(
    problems: Problems, tmp_path: Path
) -> None:
    """O7: an unreadable certificate is told clearly."""
    text = f"{UPSTREAM}[gateway]\nlisten = ssl:443:privateKey={tmp_path}/key.pem"
    assert problems(text) == [
        f"gateway.ini:6: [gateway] listen: {tmp_path}/key.pem cannot be read (No such file or "
        "directory), make it readable or name another"
    ]


def test_a_state_dir_that_is_a_file_is_refused(problems: Problems, tmp_path: Path) -> None:
    text = f"{UPSTREAM}[gateway]\nstate_dir = {tmp_path}/gateway.ini"
    assert problems(text) == [
        "gateway.ini:6: [gateway] state_dir: this is not a directory, name one"
    ]


def test_without_any_place_for_state_one_is_asked_for(problems: Problems) -> None:
    assert problems(f"{UPSTREAM}[gateway]\n", {"XDG_STATE_HOME": "relative"}) == [
        "gateway.ini:5: [gateway] state_dir: none of $STATE_DIRECTORY, $XDG_STATE_HOME and $HOME "
        "is set, write one such as state_dir = /var/lib/gateway"
    ]


def test_bytes_that_are_not_utf8_are_told_line_by_line(problems: Problems) -> None:
    text = UPSTREAM.encode() + b"# gr\xfcn\n[gateway]\nlog = text\nstate_dir = /\xff"
    assert problems(text) == [
        f"gateway.ini:{line}: this line is not UTF-8, save the file as UTF-8" for line in (5, 8)
    ]


@pytest.mark.parametrize(
    ("name", "reason"), [("none.ini", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_one_problem(name: str, reason: str, tmp_path: Path) -> None:
    """O1: also where there is no file."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path / name}:1: the file cannot be read ({reason}), "
        "name one that exists and is readable"
    )


def test_a_problem_is_printed_with_file_line_section_and_key() -> None:
    problem = Problem("g.ini", 3, "route r", "path", "this is wrong, that is right")
    assert str(problem) == "g.ini:3: [route r] path: this is wrong, that is right"


LINES = st.sampled_from(
    [
        "[gateway]", "[upstream a]", "[route r]", "[x", "[]", "  [y]", "demo = on", "path =",
        "  /v1/*", "\t/v1/*", "url: http://h", "  url = x", "=", ":", "# c", "  ; c", "", "  ",
        "\ufeff", "\x00", "listen =", "  tcp:1", "dialect", "key = a = b", "[a] b", "\x0c[gateway]",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(LINES, st.text(max_size=12)), max_size=15))
@settings(max_examples=400, deadline=None)
def test_whatever_stands_in_a_file_every_problem_has_a_line_of_it(lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    report = Report("g.ini")
    sections = read_ini(data, report)
    read_tables(sections, report)
    last = data.count(b"\n") + 1
    assert all(1 <= section.line <= last for section in sections)
    told = _told(report)
    assert told == sorted(told)
    assert all(1 <= line <= last for line in told)


def _told(report: Report) -> list[int]:
    """The lines of the problems, as they are printed."""
    try:
        report.raise_problems()
    except ConfigError as error:
        return [int(line.split(":")[1]) for line in str(error).split("\n")]
    return []
