"""Host headers: a listener answers to the names it goes by, and a web page cannot lend it one."""

from __future__ import annotations

import pytest

from gateway.hosts import AllowedHosts, hosts_for

LOOPBACK = "tcp:8080:interface=127.0.0.1"


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"localhost:8080",
        b"LocalHost:8080",
        b"localhost.",
        b"localhost.:8080",
        b"127.0.0.1",
        b"127.0.0.1:8080",
        b"[::1]",
        b"[::1]:8080",
        b"[0:0:0:0:0:0:0:1]:8080",
    ],
)
def test_on_loopback_this_machine_s_own_names_are_answered_to(host: bytes) -> None:
    assert hosts_for(LOOPBACK, None).permits(host)


@pytest.mark.parametrize(
    "host",
    [
        b"rebound.example",
        b"rebound.example:8080",
        b"localhost.rebound.example",
        b"127.0.0.1.rebound.example",
        b"rebound.localhost",
        b"xlocalhost",
        b"localhost..",
        b"10.0.0.5",
        b"127.0.0.2",
        b"2130706433",
        b"[::2]",
        b"[::ffff:127.0.0.1]",
        b"[1.2.3.4]",
        b"[:::]",
        b":8080",
    ],
)
def test_on_loopback_a_name_that_was_made_to_point_here_is_not_answered_to(host: bytes) -> None:
    """H10: DNS rebinding."""
    assert not hosts_for(LOOPBACK, None).permits(host)


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("tcp:8080:interface=127.0.0.2", b"127.0.0.2:8080"),
        (r"tcp6:8080:interface=\:\:1", b"[::1]:8080"),
        ("tcp:8080:interface=localhost", b"localhost"),
    ],
)
def test_on_loopback_the_address_that_is_listened_on_is_answered_to(
    listen: str, host: bytes
) -> None:
    assert hosts_for(listen, None).permits(host)
    assert not hosts_for(listen, None).permits(b"rebound.example")


@pytest.mark.parametrize(
    "listen",
    ["tcp:8080", "tcp:8080:interface=10.0.0.1", "unix:/run/gateway", "systemd:domain=INET:index=0"],
)
def test_elsewhere_any_name_is_answered_to(listen: str) -> None:
    assert hosts_for(listen, None).permits(b"llm.example.org")


@pytest.mark.parametrize("listen", [LOOPBACK, "tcp:8080", "unix:/run/gateway"])
def test_what_is_configured_holds_on_every_listener(listen: str) -> None:
    """H10: DNS rebinding."""
    hosts = hosts_for(listen, ["llm.example.org"])
    assert hosts.permits(b"LLM.example.org:443")
    assert not hosts.permits(b"localhost")


@pytest.mark.parametrize(
    ("host", "permitted"),
    [
        (b"a.example.org", True),
        (b"a.b.example.org:80", True),
        (b"A.Example.Org.", True),
        (b"example.org", False),
        (b"badexample.org", False),
        (b"a.example.org.evil.test", False),
    ],
)
def test_a_wildcard_is_every_name_below_and_not_the_name_itself(
    host: bytes, permitted: bool
) -> None:
    assert AllowedHosts(["*.example.org"]).permits(host) is permitted


def test_a_star_is_any_host() -> None:
    assert AllowedHosts(["llm.example.org", "*"]).permits(b"whatever.test")


def test_a_request_of_http_1_0_without_a_host_is_let_through() -> None:
    assert AllowedHosts(["llm.example.org"]).permits(None)


def test_the_configuration_s_own_words_for_a_star_are_not_a_host() -> None:
    assert not AllowedHosts(["*.example.org"]).permits(b"*.example.net")
