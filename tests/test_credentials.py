"""Credentials: found wherever they are, nobody's where they differ, and kept from strangers."""

from __future__ import annotations

import base64
import hashlib
import pickle
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.callers import Caller
from gateway.config import Client, Family
from gateway.config.model import Upstream, Url
from gateway.credentials import (
    CARRIERS,
    Clients,
    ConflictingCredentials,
    credential_of,
    credentials_in,
    redacted_target,
    tenant_name,
    withheld,
    without_key,
)
from gateway.exchange.forward import Outbound
from gateway.forwarded import Origin
from gateway.http1 import Fields

KEY = b"sk-canary-cr3d3nt1al"
TARGET = b"/v1/messages?beta=true"


def fields(*pairs: tuple[str, bytes]) -> Fields:
    """Fields of a request, with those that every request has."""
    return Fields([(b"Host", b"h"), *((name.encode(), value) for name, value in pairs)])


# The resolver.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", b"Bearer " + KEY),
        ("authorization", b"bearer   " + KEY),
        ("AUTHORIZATION", KEY),
        ("x-api-key", KEY),
        ("X-Goog-Api-Key", KEY),
        ("api-key", KEY),
    ],
)
def test_a_credential_is_found_in_every_field_that_can_carry_one(name: str, value: bytes) -> None:
    assert credential_of(fields((name, value)), TARGET) == KEY


@pytest.mark.parametrize(
    "query",
    [
        b"key=" + KEY,
        b"alt=sse&key=" + KEY,
        b"key=" + KEY + b"&alt=sse",
        b"%6bey=sk%2Dcanary%2dcr3d3nt1al",
        b"&&key=&key=" + KEY,
    ],
)
def test_a_credential_is_found_in_the_query(query: bytes) -> None:
    assert credential_of(fields(), b"/v1beta/models/m:generateContent?" + query) == KEY


@pytest.mark.parametrize("target", [b"/", b"/x?", b"/key=a", b"/x?Key=a&keys=b&xkey=c&k=key=d"])
def test_without_a_credential_there_is_none(target: bytes) -> None:
    assert credential_of(fields(("Cookie", b"key=a"), ("x-api-keys", b"a")), target) is None


@pytest.mark.parametrize(
    "pair", [("Authorization", b""), ("Authorization", b"Bearer"), ("x-api-key", b"")]
)
def test_an_empty_credential_is_none(pair: tuple[str, bytes]) -> None:
    assert credential_of(fields(pair), b"/x?key=&key") is None


def test_the_same_credential_may_come_in_several_ways() -> None:
    """H8: also with the word Bearer, and percent-encoded."""
    several = fields(("x-api-key", KEY), ("Authorization", b"Bearer " + KEY), ("x-api-key", KEY))
    target = b"/x?key=" + quote(KEY.decode(), safe="").replace("-", "%2D").encode()
    assert credential_of(several, target) == KEY


@pytest.mark.parametrize(
    ("pairs", "target"),
    [
        ([("x-api-key", KEY), ("Authorization", b"Bearer other")], TARGET),
        ([("Authorization", b"Bearer " + KEY), ("authorization", b"Bearer other")], TARGET),
        ([("x-api-key", KEY)], b"/x?key=other"),
        ([], b"/x?key=other&key=" + KEY),
        ([("x-api-key", KEY), ("Authorization", b"Basic " + KEY)], TARGET),
    ],
)
def test_different_credentials_are_refused_without_showing_them(
    pairs: list[tuple[str, bytes]], target: bytes
) -> None:
    """H8: the gateway and an upstream could read different ones, and an error shows none."""
    with pytest.raises(ConflictingCredentials) as caught:
        credential_of(fields(*pairs), target)
    assert "differ" in str(caught.value)
    assert "canary" not in repr(caught.value)
    assert len(credentials_in(fields(*pairs), target)) == 2


def test_a_credential_of_another_scheme_is_no_token() -> None:
    """H8: what is told of a password is nobody's key."""
    password = base64.b64encode(b"user:" + KEY)
    assert credential_of(fields(("Authorization", b"Basic " + password)), TARGET) == (
        b"basic " + password
    )


@pytest.mark.parametrize(
    "value",
    [
        b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261101/us-east-1/bedrock/aws4_request, "
        b"SignedHeaders=host;x-amz-date, Signature=" + signature
        for signature in (b"0" * 64, b"1" * 64)
    ]
    + [
        b"aws4-hmac-sha256 SignedHeaders=host,Signature=00,"
        b"Credential=AKIDEXAMPLE/20261101/us-east-1/bedrock/aws4_request"
    ],
)
def test_a_signature_s_credential_is_the_name_of_its_key(value: bytes) -> None:
    assert credential_of(fields(("Authorization", value)), TARGET) == b"aws4 AKIDEXAMPLE"


visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)


@given(visible)
@settings(max_examples=200, deadline=None)
@example("a+b=c&d%20?#")
def test_a_token_is_the_same_wherever_it_is_carried(token: str) -> None:
    target = b"/x?a=b&key=" + quote(token, safe="").encode()
    several = [(name.decode(), token.encode()) for name in CARRIERS[1:]]
    several.append(("Authorization", b"Bearer " + token.encode()))
    assert credential_of(fields(*several), target) == token.encode()


# Whose it is.


def clients(process_key: bytes = b"p" * 32) -> Clients:
    """Two clients."""
    known = {"alice": KEY, "bob": b"another-key"}
    return Clients(
        [Client(name, hashlib.sha256(key).digest()) for name, key in known.items()], process_key
    )


def test_a_client_is_known_by_its_key() -> None:
    assert clients().identify(KEY) == "alice"
    assert clients().identify(b"another-key") == "bob"
    assert len(clients()) == 2


@pytest.mark.parametrize(
    "credential",
    [b"", KEY[:-1], KEY + b"x", KEY.upper(), b"bearer " + KEY, hashlib.sha256(KEY).digest()],
)
def test_anything_but_a_whole_key_is_nobody_s(credential: bytes) -> None:
    assert clients().identify(credential) is None


def test_a_digest_from_the_configuration_s_file_opens_nothing() -> None:
    """H8: who reads the file cannot use the gateway."""
    assert clients().identify(hashlib.sha256(KEY).hexdigest().encode()) is None


def test_the_look_up_is_by_a_hash_under_the_process_s_own_key() -> None:
    """H8: how long a look-up takes tells nothing of how much was right."""
    places = [set(clients(process_key)._names) for process_key in (b"p" * 32, b"q" * 32)]
    assert places[0].isdisjoint(places[1])
    assert hashlib.sha256(KEY).digest() not in places[0]


def test_the_table_shows_names_and_no_key_or_digest() -> None:
    """H8: a key reaches no repr."""
    assert repr(clients()) == "<Clients alice bob>"
    held = pickle.dumps(vars(clients()))
    assert KEY not in held
    assert hashlib.sha256(KEY).digest() not in held


def test_no_clients_are_false() -> None:
    assert not Clients([], b"p")


def test_a_tenant_s_name_is_short_and_tells_nothing_of_the_credential() -> None:
    """H8: a key reaches no row."""
    name = tenant_name(KEY, b"k" * 32)
    assert name == tenant_name(KEY, b"k" * 32)
    assert len(name) == 12
    assert "canary" not in name
    assert name != tenant_name(KEY + b"x", b"k" * 32)
    assert name != tenant_name(KEY, b"j" * 32)


# Where it may go.


@pytest.mark.parametrize(
    ("family", "passed", "query_key"),
    [
        (Family.OPENAI, {b"authorization", b"api-key"}, False),
        (Family.ANTHROPIC, {b"authorization", b"x-api-key"}, False),
        (Family.GEMINI, {b"authorization", b"x-goog-api-key"}, True),
        (Family.OLLAMA, {b"authorization"}, False),
        (Family.BEDROCK, set(CARRIERS), True),
        (Family.GENERIC, set(CARRIERS), True),
    ],
)
def test_a_client_s_credential_goes_only_to_the_family_that_it_is_for(
    family: Family, passed: set[bytes], query_key: bool
) -> None:
    """H8: never forwarded to another family of upstream."""
    taken_out = withheld(family, has_own_key=False, clients_configured=False)
    assert taken_out.fields == set(CARRIERS) - passed
    assert taken_out.query_key is not query_key


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize(("own", "clients"), [(True, False), (False, True), (True, True)])
def test_a_credential_meant_for_the_gateway_goes_nowhere(
    family: Family, own: bool, clients: bool
) -> None:
    """H8: replaced where the upstream has a key, and dropped where it is the gateway's own."""
    taken_out = withheld(family, has_own_key=own, clients_configured=clients)
    assert (set(taken_out.fields), taken_out.query_key) == (set(CARRIERS), True)


@pytest.mark.parametrize(
    ("target", "rest"),
    [
        (b"/x", b"/x"),
        (b"/x?", b"/x?"),
        (b"/x?key=a", b"/x"),
        (b"/x?key", b"/x"),
        (b"/x?key=a&key=b", b"/x"),
        (b"/x?alt=sse&key=a", b"/x?alt=sse"),
        (b"/x?key=a&alt=sse", b"/x?alt=sse"),
        (b"/x?a&key=k&b=%zz&&c=?", b"/x?a&b=%zz&&c=?"),
        (b"/x?%6B%65y=a&keys=b&Key=c", b"/x?keys=b&Key=c"),
        (b"/key=a?b", b"/key=a?b"),
        (b"*", b"*"),
    ],
)
def test_a_target_loses_its_key_and_nothing_else(target: bytes, rest: bytes) -> None:
    """H8: ?key= goes on to no other family of upstream."""
    assert without_key(target) == rest


parameters = st.lists(
    st.text("abkey%=6B5+;?/.~", max_size=8).map(str.encode)
    | st.sampled_from([b"key=canary", b"%6bey=canary", b"key", b"alt=sse", b""]),
    max_size=6,
)


@given(parameters)
@settings(max_examples=300, deadline=None)
def test_what_is_left_of_a_target_has_no_key_and_keeps_its_order(query: list[bytes]) -> None:
    """H8: ?key= goes on to no other family of upstream."""
    rest = without_key(b"/x?" + b"&".join(query))
    assert credentials_in(fields(), rest) == ()
    assert without_key(rest) == rest
    left = rest.partition(b"?")[2].split(b"&")
    remaining = iter(query or [b""])
    assert left == [b""] or all(parameter in remaining for parameter in left)


@given(parameters)
@settings(max_examples=300, deadline=None)
def test_a_target_that_is_shown_has_no_key(query: list[bytes]) -> None:
    """H8: a key reaches no log."""
    shown = redacted_target(b"/x?" + b"&".join(query))
    assert "canary" not in shown
    assert shown.count("&") == max(len(query) - 1, 0)


def test_a_target_that_is_shown_is_otherwise_as_it_came() -> None:
    assert redacted_target(b"/x?a=b&key=canary&%6bey=canary&c") == (
        "/x?a=b&key=[redacted]&%6bey=[redacted]&c"
    )
    assert redacted_target(b"/x") == "/x"


def test_what_is_known_of_a_request_at_its_head_shows_no_credential() -> None:
    """Neither who sent it nor how it goes on: both are at hand where errors are logged."""
    origin = Origin("192.0.2.1", (), frozenset())
    assert repr(Caller("alice", origin, (b"canary",))) == "<Caller alice at 192.0.2.1>"
    upstream = Upstream("up", Url("http", "127.0.0.1", 9, ""), Family.GEMINI)
    outbound = Outbound(upstream, b"gateway", clients_configured=False)
    forward = outbound.forward(b"/v1beta/models?key=canary", origin)
    assert forward.target == b"/v1beta/models?key=canary"
    assert repr(forward) == "<Forward /v1beta/models>"
