"""Single values: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from gateway.config import KeepaliveMode, Pattern, Url
from gateway.config import values as v
from gateway.config.endpoint import file_named, parse_endpoint
from gateway.config.matching import header_name, patterns, prefix
from gateway.config.network import hosts, proxies
from gateway.config.problem import BadValue
from gateway.config.url import ledger_url, upstream_url

MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

timeout = v.duration_or(None, "10ms", "24h")
after = v.duration("10ms", "10m", instead_of_off="write keepalive = off")
mode = v.choice(KeepaliveMode)
some = v.integer(1, 100)
megabytes = v.size("1MiB", "1GiB")


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (timeout, "250ms", 0.25),
        (timeout, "10s", 10.0),
        (timeout, "1.5s", 1.5),
        (timeout, "5m", 300.0),
        (timeout, "2h", 7200.0),
        (timeout, "1d", 86_400.0),
        (timeout, "1h30m", 5400.0),
        (timeout, "1h 30m 0.5s", 5400.5),
        (timeout, "off", None),
        (timeout, "0", None),
        (v.duration_or(0.0, "1s", "1h"), "off", 0.0),
        (megabytes, "32MiB", 32 * 1024**2),
        (megabytes, "1048576", 1024**2),
        (some, "100", 100),
        (v.size_or_off("1KiB", "1MiB"), "2KiB", 2048),
        (v.size_or_off("1KiB", "1MiB"), "off", 0),
        (v.size_or_off("1KiB", "1MiB"), "0", 0),
        (v.abort_or_drain("1s", "1h"), "abort", 0.0),
        (v.abort_or_drain("1s", "1h"), "drain:30s", 30.0),
        (v.switch, "on", True),
        (v.switch, "off", False),
        (v.switch, "0", False),
        (mode, "immediate", KeepaliveMode.IMMEDIATE),
        (mode, "0", KeepaliveMode.OFF),
        (v.absolute_path, "/a/b", Path("/a/b")),
        (upstream_url, "https://api.example.com", Url("https", "api.example.com", 443, "")),
        (upstream_url, "HTTPS://API.example.com/", Url("https", "api.example.com", 443, "")),
        (upstream_url, "http://h:8000/a/b//", Url("http", "h", 8000, "/a/b")),
        (upstream_url, "http://my_service", Url("http", "my_service", 80, "")),
        (upstream_url, "http://127.0.0.1:1", Url("http", "127.0.0.1", 1, "")),
        (upstream_url, "http://[::1]:65535/x", Url("http", "::1", 65535, "/x")),
        (ledger_url, "sqlite:///var/l.sqlite", Path("/var/l.sqlite")),
        (ledger_url, "sqlite:////var/l.sqlite", Path("/var/l.sqlite")),
        (patterns, "/v1/*  /a%2Fb/*:*", (Pattern("/v1/*"), Pattern("/a%2Fb/*:*"))),
        (header_name, "anthropic-version", "anthropic-version"),
        (prefix, "/team/a", "/team/a"),
        (proxies, "off", ()),
        (proxies, "10.0.0.5  fd00::1", (ip_network("10.0.0.5/32"), ip_network("fd00::1/128"))),
        (proxies, "10.0.0.0/8 unix", (ip_network("10.0.0.0/8"), "unix")),
        (proxies, "0.0.0.0/0 ::/0", (ip_network("0.0.0.0/0"), ip_network("::/0"))),
        (hosts, "localhost LLM.Example.org", ("localhost", "llm.example.org")),
        (hosts, "[::1] 0:0::2 127.0.0.1", ("[::1]", "[::2]", "127.0.0.1")),
        (hosts, "* *.example.org my_service", ("*", "*.example.org", "my_service")),
    ],
)
def test_a_value_means_what_it_says(parse: Callable[[str], Any], text: str, value: object) -> None:
    parsed = parse(text)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("parse", "text", "what"),
    [
        (timeout, "soon", "'soon' is not a duration, write one from 10ms to 24h or off"),
        (timeout, "-5s", "'-5s' is not a duration, write one from 10ms to 24h or off"),
        (timeout, "1h30", "'1h30' lacks a unit of time, write 30s (units are ms, s, m, h and d)"),
        (timeout, "1h and", "'1h and' is not a duration, write one from 10ms to 24h or off"),
        (timeout, "", "'' is not a duration, write one from 10ms to 24h or off"),
        (timeout, "10", "'10' lacks a unit of time, write 10s (units are ms, s, m, h and d)"),
        (timeout, "5 minutes", "'5 minutes' has an unknown unit, write 5m (units are ms, s, m"),
        (
            timeout,
            "1 hour",
            "'1 hour' has an unknown unit, write 1h (units are ms, s, m, h and d)",
        ),
        (timeout, "10sec", "'10sec' has an unknown unit, write 10s (units are ms, s, m, h and d)"),
        (timeout, "15S", "'15S' has an unknown unit, write 15s (units are ms, s, m, h and d)"),
        (timeout, "2 months", "'2 months' is not a duration, write one from 10ms to 24h or off"),
        (timeout, "1e3s", "'1e3s' is not a duration, write one from 10ms to 24h or off"),
        (after, "on", "'on' is not a duration, write one from 10ms to 10m"),
        (v.seconds, "on", "'on' is not a duration, write one such as 250ms, 10s, 5m or 7d"),
        (timeout, "5ms", "'5ms' is out of range, write 10ms to 24h or off"),
        (timeout, "25h", "'25h' is out of range, write 10ms to 24h or off"),
        (after, "off", "'off' is not possible here, write keepalive = off"),
        (after, "0", "'0' is not possible here, write keepalive = off"),
        (after, "11m", "'11m' is out of range, write 10ms to 10m"),
        (megabytes, "big", "'big' is not a size, write one such as 64KiB, 32MiB or 65536"),
        (megabytes, "1.5MiB", "'1.5MiB' is not a size, write one such as 64KiB, 32MiB or 65536"),
        (
            megabytes,
            "32MB",
            "'32MB' has an unknown unit, write 32MiB (units are KiB, MiB, GiB and TiB)",
        ),
        (
            megabytes,
            "3X",
            "'3X' has an unknown unit, write 32MiB (units are KiB, MiB, GiB and TiB)",
        ),
        (megabytes, "1KiB", "'1KiB' is out of range, write 1MiB to 1GiB"),
        (megabytes, "off", "'off' is not possible here, write 1MiB to 1GiB"),
        (
            v.size("1KiB", "1MiB", instead_of_off="x = off turns it off"),
            "0",
            "'0' is not possible here, write 1KiB to 1MiB; x = off turns it off",
        ),
        (
            v.size_or_off("1KiB", "1MiB"),
            "1",
            "'1' is out of range, write 1KiB to 1MiB or off",
        ),
        (proxies, "proxy.example.org", "'proxy.example.org' is not an address, write one such as"),
        (proxies, "10.0.0.1 10.0.0", "'10.0.0' is not an address"),
        (proxies, "10.0.0.0/33", "'10.0.0.0/33' is not an address"),
        (proxies, "off 10.0.0.1", "'off' is not an address"),
        (
            proxies,
            "10.0.0.5/8",
            "'10.0.0.5/8' names a machine and a network, write 10.0.0.0/8 for the latter",
        ),
        (
            proxies,
            "::ffff:10.0.0.0/104",
            "'::ffff:10.0.0.0/104' is an IPv4 address inside of IPv6, write 10.0.0.0/8",
        ),
        (hosts, "a.example:8080", "'a.example:8080' is not a host, write a name or an address"),
        (hosts, "http://a.example", "'http://a.example' is not a host"),
        (hosts, "*.*.example", "'*.*.example' is not a host"),
        (hosts, "a*", "'a*' is not a host"),
        (hosts, "[localhost]", "'[localhost]' is not a host"),
        (hosts, "[127.0.0.1]", "'[127.0.0.1]' is not a host"),
        (hosts, "fe80::1%eth0", "'fe80::1%eth0' is not a host"),
        (hosts, "127.1", "'127.1' is not a host"),
        (hosts, "a..b", "'a..b' is not a host"),
        (hosts, "bücher.example", "'bücher.example' is not a host"),
        (some, "ten", "'ten' is not a whole number, write 1 to 100"),
        (some, "0", "'0' is out of range, write 1 to 100"),
        (v.abort_or_drain("1s", "1h"), "drain", "'drain' is unknown, write abort or drain:30s"),
        (v.abort_or_drain("1s", "1h"), "drain:0s", "'0s' is out of range, write 1s to 1h"),
        (v.switch, "yes", "'yes' is neither of the two, write on or off"),
        (mode, "later", "'later' is unknown, write delayed, immediate or off"),
        (v.absolute_path, "a/b", "'a/b' is not an absolute path, write one that begins with /"),
        (header_name, "a b", "not the name of a header, write a name alone such as"),
        (header_name, "a: b", "not the name of a header, write a name alone such as"),
    ],
)
def test_a_value_that_means_nothing_is_told_what_would(
    parse: Callable[[str], Any], text: str, what: str
) -> None:
    with pytest.raises(BadValue) as caught:
        parse(text)
    assert str(caught.value).startswith(what)


@given(st.integers(1, 10**6), st.sampled_from(sorted(MILLISECONDS)))
@settings(max_examples=200, deadline=None)
def test_a_duration_is_exact_in_every_unit(number: int, unit: str) -> None:
    assert v.seconds(f"{number}{unit}") == float(Fraction(number * MILLISECONDS[unit], 1000))


@given(st.integers(1, 10**9), st.sampled_from(sorted(MILLISECONDS)))
@settings(max_examples=200, deadline=None)
def test_a_duration_that_is_written_in_a_unit_reads_as_itself(value: int, unit: str) -> None:
    whole, rest = divmod(value, MILLISECONDS[unit])
    written = f"{whole}{unit}" if rest == 0 else f"{value}ms"
    assert round(v.seconds(written) * 1000) == value


@given(st.integers(0, 10**12), st.sampled_from(sorted(BYTES)))
@settings(max_examples=200, deadline=None)
def test_a_size_that_is_written_in_a_unit_reads_as_itself(number: int, unit: str) -> None:
    assert v.byte_count(f"{number}{unit}") == number * BYTES[unit]


PARSERS: list[Callable[[str], Any]] = [
    timeout, after, megabytes, some, v.switch, mode, v.absolute_path, upstream_url, ledger_url,
    patterns, header_name, prefix, parse_endpoint, proxies, hosts,
]  # fmt: skip


@given(st.sampled_from(PARSERS), st.text(max_size=30))
@settings(max_examples=500, deadline=None)
def test_no_text_is_anything_but_a_value_or_bad(parse: Callable[[str], Any], text: str) -> None:
    told = "a value"
    try:
        parse(text)
    except BadValue as error:
        told = str(error)
    assert told
    assert told.isprintable()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("api.openai.com", "not a URL"),
        ("ftp://h", "the scheme is neither http nor https"),
        ("https://u:p@h", "a user or password stands in the URL"),
        ("https://h/v1?k=1", "the URL has a query or fragment, end it before the ?"),
        ("https://h#x", "the URL has a query or fragment, end it before the #"),
        ("https://", "the URL's host is not valid"),
        ("https://a..b", "the URL's host is not valid"),
        ("https://-a", "the URL's host is not valid"),
        ("https://bücher.example", "the URL's host is not valid"),
        ("https://a b", "the URL's host is not valid"),
        ("https://good\\.example", "the URL's host is not valid"),
        ("https://127.1", "the URL's host is not valid"),
        ("https://0x7f.1", "the URL's host is not valid"),
        ("https://::1", "the URL's host is not valid"),
        ("https://[fe80::1%25eth0]", "the URL's host is not valid"),
        ("https://[::1", "the URL's host is not valid"),
        ("https://h:", "the URL's port is not valid"),
        ("https://h:0", "the URL's port is not valid"),
        ("https://h:65536", "the URL's port is not valid"),
        ("https://h:8x", "the URL's port is not valid"),
        ("https://h/a//b", "the URL's path has an empty or a dot segment"),
        ("https://h/a/../b", "the URL's path has an empty or a dot segment"),
        ("https://h/%2E%2e", "the URL's path has an empty or a dot segment"),
        ("https://h/a b", "the URL's path has an empty or a dot segment, or a character"),
        ("https://h/a%zz", "the URL's path has an empty or a dot segment, or a character"),
    ],
)
def test_a_url_that_could_be_read_in_two_ways_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadValue) as caught:
        upstream_url(text)
    assert str(caught.value).startswith(what)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mysql://db", "not a URL of a ledger"),
        ("/var/lib/ledger.sqlite", "not a URL of a ledger"),
        ("sqlite://ledger.sqlite", "the URL does not name a file by its absolute path"),
        ("sqlite:///var/lib/", "the URL does not name a file by its absolute path"),
        ("sqlite:///l.sqlite?mode=ro", "the URL does not name a file by its absolute path"),
    ],
)
def test_a_url_that_names_no_ledger_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadValue) as caught:
        ledger_url(text)
    assert str(caught.value).startswith(f"{what}, write sqlite:///var/lib/gateway/ledger.sqlite")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("v1/messages", "a pattern does not begin with /"),
        ("*", "a pattern does not begin with /"),
        ("/v1 models", "a pattern does not begin with /"),
        ("/v1?x=1", "a pattern has a query"),
        ("/v1#x", "a pattern has a query"),
        ("/v1/ü", "a pattern has a character that no path has"),
        ("/v1/%zz", "a pattern has a character that no path has"),
        ("/v1/**", "a pattern has **"),
        ("/v1//x", "a pattern has an empty or a dot segment"),
        ("/v1/../x", "a pattern has an empty or a dot segment"),
        ("/v1/%2e%2E", "a pattern has an empty or a dot segment"),
    ],
)
def test_a_pattern_that_no_request_could_match_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadValue) as caught:
        patterns(text)
    assert str(caught.value).startswith(what)


@pytest.mark.parametrize("text", ["/", "/a/", "/a/*", "a"])
def test_a_prefix_that_is_not_whole_segments_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="the prefix"):
        prefix(text)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("tcp:8080:interface=127.0.0.1", True),
        ("tcp:8080:127.0.0.1", True),
        ("tcp:interface=localhost:port=8080", True),
        (r"tcp:8080:interface=\:\:1", True),
        (r"tcp6:8080:interface=\:\:1:backlog=10", True),
        ("unix:/run/gateway/socket:mode=660:lockfile=0", True),
        ("tcp:0", False),
        ("tcp:8080:interface=", False),
        ("tcp:8080:interface=10.0.0.1", False),
        ("tcp6:8080", False),
        ("ssl:443:privateKey=/k.pem", False),
        (r"ssl:443:/k.pem:/c\:1.pem:interface=127.0.0.1", True),
        ("tls:/etc/certificates", False),
        ("systemd:domain=INET:name=http", False),
        ("systemd:domain=INET6:index=0", False),
    ],
)
def test_an_endpoint_is_local_only_if_no_other_machine_can_reach_it(text: str, local: bool) -> None:
    assert parse_endpoint(text).local is local


@pytest.mark.parametrize(
    "text",
    [
        "tcp:8080:interface=127.0.0.1:backlog=10",
        r"tcp:8080:\:\:1:10",
        r"tcp6:8080:10:\:\:1",
        "unix:/run/gateway/socket:660:10:0",
        r"unix:address=/run/a\:b\=c",
    ],
)
def test_twisted_takes_an_endpoint_as_it_is_understood_here(text: str) -> None:
    arguments = parse_endpoint(text).arguments
    reactor = MemoryReactor()
    serverFromString(reactor, text).listen(Factory())
    if text.startswith("unix"):
        ((address, _, backlog, _, _),) = reactor.unixServers
        assert (address, backlog) == (arguments["address"], int(arguments.get("backlog", 50)))
    else:
        ((port, _, backlog, interface),) = reactor.tcpServers
        assert (port, interface) == (int(arguments["port"]), arguments["interface"])
        assert backlog == int(arguments["backlog"])


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("off", 0), ("3", 3)])
def test_workers_are_a_number(text: str, count: int) -> None:
    assert v.workers(text) == count


def test_as_many_workers_as_cores_may_be_asked_for() -> None:
    assert v.workers("auto") == len(os.sched_getaffinity(0))


def test_what_is_no_number_of_workers_is_refused() -> None:
    with pytest.raises(BadValue, match="write auto or 0 to 256"):
        v.workers("many")


def test_escapes_in_an_endpoint_are_resolved() -> None:
    endpoint = parse_endpoint(r"ssl:443:privateKey=/a\:b\=c\\d:certKey=/e=f")
    assert endpoint.files == ("/a:b=c\\d", "/e=f")


def test_a_file_of_an_endpoint_may_be_a_credential() -> None:
    (value,) = parse_endpoint(r"ssl:443:credential\:key.pem").files
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/gateway"}
    assert file_named(value, environ) == Path("/run/credentials/gateway/key.pem")
    assert file_named("/etc/key.pem", environ) == Path("/etc/key.pem")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("8080", "not a kind of endpoint (tcp, tcp6, unix, ssl, tls or systemd), write one such"),
        ("127.0.0.1:8080", "not a kind of endpoint"),
        ("haproxy:tcp:8080", "not a kind of endpoint"),
        ("tcp:", "the port is not valid, write 0 (any free port) to 65535"),
        ("tcp:http", "the port is not valid"),
        ("tcp:65536", "the port is not valid"),
        ("tcp", "tcp lacks its port, add it as port=…"),
        ("tcp:interface=127.0.0.1", "tcp lacks its port"),
        ("tcp:80:interfaces=::", "an argument that tcp does not have, write interface"),
        ("tcp:80:port=80", "port is given twice, write it once"),
        ("tcp:80:interface=::1", "interface is given twice"),
        ("tcp:80:::1", r"too many arguments for tcp, write a colon that is part of a value as \:"),
        ("tcp:80:interface=example.com", "the interface is not an address for tcp, write"),
        ("tcp6:80:interface=127.0.0.1", "the interface is not an address for tcp6, write"),
        ("tcp:80:backlog=0", "the backlog is not valid"),
        ("unix:socket", "address is not an absolute path"),
        ("unix:/s:mode=999", "the mode is not valid"),
        ("unix:/s:lockfile=no", "lockfile is not valid"),
        ("ssl:443", "ssl lacks its privateKey"),
        ("ssl:443:privateKey=/k:sslmethod=SSLv3_METHOD", "sslmethod is obsolete"),
        ("ssl:443:privateKey=server.pem", "privateKey is not an absolute path"),
        ("systemd:domain=INET", "systemd takes one of two"),
        ("systemd:domain=INET:index=0:name=x", "systemd takes one of two"),
        ("systemd:domain=inet:index=0", "the domain is not valid"),
        ("systemd:domain=INET:index=first", "the index is not valid"),
        ("tcp:80\\", r"the endpoint ends in a \, write \\ for the character itself"),
    ],
)
def test_an_endpoint_that_could_not_be_listened_on_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_endpoint(text)
    assert str(caught.value).startswith(what)
