"""Who is at the other end: believed from trusted proxies alone, told in one voice."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.network import proxies as read_proxies
from gateway.forwarded import (
    LOCAL,
    MOST_PROXIES,
    Origin,
    TrustedProxies,
    is_loop,
    origin_of,
    pseudonym,
    via_value,
)
from gateway.http1 import Fields

TRUSTED = TrustedProxies(read_proxies("10.0.0.0/8 fd00::/8"))
HOST = (b"Host", b"gw.example:8080")


def origin(peer: str | None, *pairs: tuple[str, str], trusted: TrustedProxies = TRUSTED) -> Origin:
    """The origin of a request over HTTP with a Host and these fields."""
    sent = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    return origin_of(peer, Fields([HOST, *sent]), b"http", trusted)


def told(found: Origin) -> dict[str, str]:
    """What the upstream is told, by name."""
    return {name.decode(): value.decode() for name, value in found.pairs}


def test_a_direct_client_is_told_as_it_came() -> None:
    found = origin("192.0.2.1")
    assert found.client == "192.0.2.1"
    assert told(found) == {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "gw.example:8080",
        "Forwarded": 'for=192.0.2.1;host="gw.example:8080";proto=http',
    }


def test_what_a_direct_client_claims_is_replaced() -> None:
    """H11: from a peer that is not trusted nothing is believed."""
    found = origin(
        "192.0.2.1",
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "elsewhere.test"),
        ("Forwarded", "for=10.0.0.1;proto=https"),
    )
    assert (found.client, told(found)) == ("192.0.2.1", told(origin("192.0.2.1")))


def test_nothing_that_an_untrusted_peer_claims_goes_on() -> None:
    """H11: nor does what an upstream could take for a proxy's word."""
    assert origin("192.0.2.1").drop == {
        b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded",
        b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server", b"x-real-ip",
    }  # fmt: skip


def test_a_trusted_proxy_s_other_claims_go_on() -> None:
    assert origin("10.0.0.1").drop == {
        b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded",
    }  # fmt: skip


def test_without_trusted_proxies_no_peer_is_believed() -> None:
    """H11: that is the default."""
    found = origin("127.0.0.1", ("X-Forwarded-For", "192.0.2.1"), trusted=TrustedProxies())
    assert found.client == "127.0.0.1"


def test_a_trusted_proxy_tells_who_the_client_is() -> None:
    found = origin(
        "10.0.0.1",
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "HTTPS"),
        ("X-Forwarded-Host", "llm.example"),
        ("Forwarded", "for=198.51.100.9"),
    )
    assert found.client == "192.0.2.1"
    assert told(found) == {
        "X-Forwarded-For": "192.0.2.1, 10.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "llm.example",
        "Forwarded": "for=192.0.2.1;host=llm.example;proto=https, for=10.0.0.1",
    }


@pytest.mark.parametrize(
    ("header", "client", "chain"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("192.0.2.1, 10.0.0.2", "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
        ("10.9.9.9, 192.0.2.1", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("192.0.2.1, 198.51.100.2, 10.0.0.2", "198.51.100.2", "198.51.100.2, 10.0.0.2, 10.0.0.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
        ("192.0.2.1,, \t10.0.0.2 ,", "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
        ("192.0.2.1:51234", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("2001:DB8:0:0::1", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("[2001:db8::1]", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("[2001:db8::1]:443", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("192.0.2.1, fd00::7", "192.0.2.1", "192.0.2.1, fd00::7, 10.0.0.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    header: str, client: str, chain: str
) -> None:
    """H11: what stands left of it was written by the client, and no upstream sees it."""
    found = origin("10.0.0.1", ("X-Forwarded-For", header))
    assert (found.client, told(found)["X-Forwarded-For"]) == (client, chain)


@pytest.mark.parametrize(
    "bad",
    ["unknown", "_hidden", "300.1.1.1", "1.2.3", "192.0.2.010", "[192.0.2.1", "[::1]x", "a::b::c",
     "fe80::1%eth0", '"192.0.2.1"', "192.0.2.1 10.0.0.2", "for=192.0.2.1", "\xb9.2.3.4", "1" * 999],
)  # fmt: skip
@pytest.mark.parametrize(
    ("around", "client"),
    [("{}", "10.0.0.1"), ("192.0.2.1, {}", "10.0.0.1"), ("192.0.2.1, {}, 10.0.0.2", "10.0.0.2")],
)
def test_what_is_no_address_ends_what_is_believed(bad: str, around: str, client: str) -> None:
    """H11: nobody can say what a proxy meant by it."""
    found = origin("10.0.0.1", ("X-Forwarded-For", around.format(bad)))
    assert found.client == client
    assert told(found)["X-Forwarded-For"].startswith(client)


def test_several_lines_are_one_list() -> None:
    found = origin(
        "10.0.0.1", ("X-Forwarded-For", "198.51.100.1, 192.0.2.1"), ("x-forwarded-for", "10.0.0.2")
    )
    assert told(found)["X-Forwarded-For"] == "192.0.2.1, 10.0.0.2, 10.0.0.1"


@pytest.mark.parametrize("proxies", [MOST_PROXIES, 200])
def test_only_so_many_proxies_are_looked_through(proxies: int) -> None:
    """H11: the list for the upstream has a bounded length."""
    addresses = [f"10.0.1.{n}" for n in range(proxies)]
    found = origin("10.0.0.1", ("X-Forwarded-For", ", ".join(["192.0.2.1", *addresses])))
    assert found.client == f"10.0.1.{proxies - MOST_PROXIES}"
    assert told(found)["X-Forwarded-For"].count(",") == MOST_PROXIES


@pytest.mark.parametrize(
    "pairs",
    [
        [("X-Forwarded-Proto", "https, http")],
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
        [("X-Forwarded-Proto", "gopher")],
        [("X-Forwarded-Proto", "")],
        [("X-Forwarded-Host", "a.test, b.test")],
        [("X-Forwarded-Host", "a.test"), ("X-Forwarded-Host", "b.test")],
        [("X-Forwarded-Host", 'a";for=10.0.0.9;x="')],
        [("X-Forwarded-Host", "")],
    ],
)
def test_a_claim_that_could_mean_two_things_means_nothing(pairs: list[tuple[str, str]]) -> None:
    assert told(origin("10.0.0.1", *pairs)) == told(origin("10.0.0.1"))


def test_an_ipv6_address_is_quoted_in_forwarded() -> None:
    """RFC 7239, 6.1."""
    found = origin("2001:db8::1", ("X-Forwarded-For", "192.0.2.1"))
    assert told(found)["X-Forwarded-For"] == "2001:db8::1"
    assert told(found)["Forwarded"] == 'for="[2001:db8::1]";host="gw.example:8080";proto=http'


@pytest.mark.parametrize(
    ("peer", "client"), [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1")]
)
def test_a_peer_is_named_in_the_plain_form_of_its_address(peer: str, client: str) -> None:
    assert origin(peer).client == client


def test_a_peer_inside_ipv6_is_trusted_like_the_same_in_ipv4() -> None:
    found = origin("::ffff:10.0.0.1", ("X-Forwarded-For", "192.0.2.1"))
    assert found.client == "192.0.2.1"


def test_a_unix_socket_s_other_end_has_no_address() -> None:
    found = origin(None, ("X-Forwarded-For", "192.0.2.1"))
    assert found.client == LOCAL
    assert "X-Forwarded-For" not in told(found)
    assert told(found)["Forwarded"] == 'for=unknown;host="gw.example:8080";proto=http'


def test_a_unix_socket_s_other_end_can_be_trusted() -> None:
    trusted = TrustedProxies(read_proxies("10.0.0.0/8 unix"))
    found = origin(None, ("X-Forwarded-For", "192.0.2.1, 10.0.0.2"), trusted=trusted)
    assert found.client == "192.0.2.1"
    assert told(found)["X-Forwarded-For"] == "192.0.2.1, 10.0.0.2"


def test_a_request_without_host_has_none_to_tell() -> None:
    """HTTP/1.0 allows it."""
    found = origin_of("192.0.2.1", Fields([]), b"https", TRUSTED)
    assert told(found) == {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=192.0.2.1;proto=https",
    }


ELEMENTS = st.sampled_from(
    ["10.0.0.2", "192.0.2.1", "fd00::2", "2001:db8::1", "[fd00::3]:80", "unknown", "", "10.0.0.4:9",
     "::ffff:10.0.0.5", "for=x"]
) | st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=8)  # fmt: skip
NETWORKS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
FORWARDED = re.compile(
    r'for=(?:[0-9.]+|"\[[0-9a-f:.]+\]")(?:;host="?[^"]+"?)?(?:;proto=https?)?'
    r'(?:, for=(?:[0-9.]+|"\[[0-9a-f:.]+\]"))*'
)


@given(st.sampled_from(["10.0.0.1", "192.0.2.9", "fd00::1"]), st.lists(ELEMENTS, max_size=30))
@settings(max_examples=300, deadline=None)
def test_whatever_is_claimed_only_trusted_proxies_stand_behind_the_client(
    peer: str, elements: list[str]
) -> None:
    """H11: an address is told only if the next one is a trusted proxy's."""
    found = origin(peer, ("X-Forwarded-For", ",".join(elements)))
    chain = told(found)["X-Forwarded-For"].split(", ")
    assert (chain[0], chain[-1]) == (found.client, peer)
    assert all(any(ip_address(hop) in network for network in NETWORKS) for hop in chain[1:])
    assert len(chain) <= MOST_PROXIES + 1
    assert FORWARDED.fullmatch(told(found)["Forwarded"])


# Via.

OWN = pseudonym(b"k" * 32)


def test_a_pseudonym_is_the_same_for_the_same_instance_and_tells_nothing_of_its_key() -> None:
    assert pseudonym(b"k" * 32) == OWN
    assert pseudonym(b"j" * 32) != OWN
    assert re.fullmatch(rb"txgateway-[0-9a-f]{8}", OWN)


def test_via_has_the_version_that_the_request_came_with() -> None:
    """RFC 9110, 7.6.3."""
    assert via_value(OWN, 0) == b"1.0 " + OWN
    assert via_value(OWN, 1) == b"1.1 " + OWN


@pytest.mark.parametrize(
    "lines",
    [
        [via_value(OWN, 1)],
        [b"HTTP/1.1 " + OWN],
        [b"1.1 " + OWN.upper() + b" (once)"],
        [b"1.0 other, 1.1 front, 1.1\t" + OWN + b",2 edge"],
        [b"1.1 other", via_value(OWN, 0)],
    ],
)
def test_a_request_that_has_been_here_before_is_a_loop(lines: list[bytes]) -> None:
    """H12: so that it does not come around for ever."""
    assert is_loop(Fields([(b"Via", line) for line in lines]), OWN)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b"1.1"],
        [via_value(pseudonym(b"j" * 32), 1)],
        [b"1.1 " + OWN + b"0"],
        [b"1.1 other (not " + OWN + b")"],
        [OWN],
    ],
)
def test_a_chain_of_other_gateways_is_no_loop(lines: list[bytes]) -> None:
    """H12: gateways may stand in a row."""
    assert not is_loop(Fields([(b"Via", line) for line in lines]), OWN)
