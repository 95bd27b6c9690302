"""What a file without problems becomes, and what stands where it says nothing."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.config import (
    Config,
    Durability,
    Family,
    Gateway,
    KeepaliveMode,
    LogFormat,
    Pattern,
    Route,
    Upstream,
    Url,
    builtin,
    load,
    with_demo,
)
from gateway.config.route_keys import POLICY
from gateway.config.schema import SECTIONS

from .conftest import HOME, UPSTREAM, Read


def route(config: Config, name: str) -> Route:
    """The one route of this name."""
    (found,) = [route for route in config.routes if route.name == name]
    return found


def test_a_whole_file_becomes_what_it_says(read: Read, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = f"""
[gateway]
listen =
    tcp:8080:interface=127.0.0.1
    unix:/run/gateway/socket
state_dir = /srv/state
drain_timeout = off
workers = 2
max_draining = 3
demo = on
max_streams = 5
max_buffered = 1MiB
trusted_proxies = 10.0.0.0/8
    unix
allowed_hosts = localhost *.example.com
admin = unix:/run/gateway/admin
max_head = 16KiB
max_headers = 50
client_head_timeout = 5s
client_idle_timeout = 1m
client_body_grace = 2s
client_body_rate = off
log = systemd

[ledger]
url = sqlite:///srv/rows.sqlite
durability = power

[upstream own]
url: https://llm.example.com:8443/base/
dialect: anthropic
ca = {tmp_path}/ca.pem
pool_size = 0
pool_idle_timeout = 0
connect_timeout = 500ms

[route r]
path = /a/* /b
    /c/*:x
header = x-team
upstream = own
"""
    config = read(text)
    assert config.source == "gateway.ini"
    assert config.gateway == Gateway(
        listen=("tcp:8080:interface=127.0.0.1", "unix:/run/gateway/socket"),
        state_dir=Path("/srv/state"),
        drain_timeout=0.0,
        workers=2,
        max_draining=3,
        demo=True,
        max_streams=5,
        max_buffered=1024**2,
        trusted_proxies=(ip_network("10.0.0.0/8"), "unix"),
        allowed_hosts=("localhost", "*.example.com"),
        admin="unix:/run/gateway/admin",
        admin_asked=True,
        max_head=16 * 1024,
        max_headers=50,
        client_head_timeout=5.0,
        client_idle_timeout=60.0,
        client_body_grace=2.0,
        client_body_rate=0,
        log=LogFormat.SYSTEMD,
    )
    assert (config.ledger.path, config.ledger.durability) == (
        Path("/srv/rows.sqlite"),
        Durability.POWER,
    )
    own = Upstream(
        name="own",
        url=Url("https", "llm.example.com", 8443, "/base"),
        family=Family.ANTHROPIC,
        api_key_header="x-api-key",
        ca=tmp_path / "ca.pem",
        pool_size=0,
        pool_idle_timeout=0.0,
        connect_timeout=0.5,
    )
    assert config.upstreams == {"own": own}
    assert config.routes == (
        Route("r", (Pattern("/a/*"), Pattern("/b"), Pattern("/c/*:x")), own, header="x-team"),
        Route("own", (Pattern("/own/*"),), own, strip_prefix="/own"),
    )


def test_a_file_with_indented_keys_and_windows_line_ends_reads_the_same(read: Read) -> None:
    indented = "\r\n".join(f"  {line}" if "=" in line else line for line in UPSTREAM.splitlines())
    assert read("\ufeff" + indented) == read(UPSTREAM)


def test_the_source_is_the_name_of_the_file_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "g.ini").write_text(UPSTREAM)
    assert load(tmp_path / "g.ini", HOME).source == str(tmp_path / "g.ini")


def test_the_environment_is_the_process_s_own_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/elsewhere")
    (tmp_path / "g.ini").write_text(UPSTREAM)
    assert load(tmp_path / "g.ini").gateway.state_dir == Path("/var/lib/elsewhere")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/gateway", **HOME}, "/var/lib/gateway"),
        ({"STATE_DIRECTORY": "/var/lib/gateway:/var/lib/other"}, "/var/lib/gateway"),
        ({"XDG_STATE_HOME": "/xdg", **HOME}, "/xdg/gateway"),
        ({"XDG_STATE_HOME": "relative", **HOME}, "/home/someone/.local/state/gateway"),
        (HOME, "/home/someone/.local/state/gateway"),
    ],
)
def test_state_is_kept_where_the_environment_says(
    environ: Mapping[str, str], folder: str, read: Read
) -> None:
    config = read(UPSTREAM, environ)
    assert config.gateway.state_dir == Path(folder)
    assert config.ledger.path == Path(folder) / "ledger.sqlite"


def test_the_ledger_is_in_the_state_dir_of_the_file(read: Read) -> None:
    config = read(f"{UPSTREAM}[gateway]\nstate_dir = /srv/state")
    assert config.ledger.path == Path("/srv/state/ledger.sqlite")


def test_without_a_gateway_section_only_this_machine_is_listened_to(read: Read) -> None:
    assert read(UPSTREAM).gateway.listen == ("tcp:8080:interface=127.0.0.1",)


@pytest.mark.parametrize(
    ("kind", "model"),
    [("gateway", Gateway), ("defaults", Route), ("upstream", Upstream), ("route", Route)],
)
def test_the_model_s_own_defaults_are_those_of_the_schema(kind: str, model: type) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(model)}
    schema = {
        key.field or name: key.default_value
        for name, key in SECTIONS[kind].items()
        if key.default is not None and defaults[key.field or name] is not dataclasses.MISSING
    }
    assert schema == {name: defaults[name] for name in schema}
    assert len(schema) >= 3


def test_a_route_s_policy_is_its_own_else_that_of_defaults_else_built_in(read: Read) -> None:
    config = read(
        f"{UPSTREAM}[defaults]\nkeepalive_after = 3s\nhead_timeout = off\n"
        "[route r]\npath = /x\nupstream = a\nkeepalive_after = 4s\nidle_timeout = 0"
    )
    own = route(config, "r")
    assert (own.keepalive_after, own.head_timeout, own.idle_timeout, own.keepalive_interval) == (
        4.0,
        None,
        None,
        15.0,
    )


def test_off_in_a_route_overrides_a_duration_in_defaults(read: Read) -> None:
    config = read(
        f"{UPSTREAM}[defaults]\ntotal_timeout = 5m\n"
        "[route r]\npath = /x\nupstream = a\ntotal_timeout = off"
    )
    assert route(config, "r").total_timeout is None
    assert route(config, "a").total_timeout == 300.0


@pytest.mark.parametrize("word", ["off", "0"])
def test_keepalives_are_switched_off_by_off_and_by_0(word: str, read: Read) -> None:
    """K6: 0/off disables."""
    config = read(f"{UPSTREAM}[defaults]\nkeepalive = {word}")
    assert [route.keepalive for route in config.routes] == [KeepaliveMode.OFF]


def test_a_route_can_look_into_less_than_it_takes(read: Read) -> None:
    config = read(
        f"{UPSTREAM}[defaults]\ninspect_limit = 1MiB\n"
        "[route r]\npath = /x\nupstream = a\nmax_body = 1GiB"
    )
    assert [(r.max_body, r.inspect_limit) for r in config.routes] == [
        (1024**3, 1024**2),
        (32 * 1024**2, 1024**2),
    ]


def test_every_upstream_has_a_prefix_route_with_the_policy_of_defaults(read: Read) -> None:
    config = read(f"{UPSTREAM}[defaults]\nmax_body = 1MiB")
    assert config.routes == (
        Route(
            "a",
            (Pattern("/a/*"),),
            config.upstreams["a"],
            strip_prefix="/a",
            max_body=1024**2,
        ),
    )


def test_a_route_may_have_the_name_and_the_path_of_an_upstream(read: Read) -> None:
    config = read(f"{UPSTREAM}[route a]\npath = /a/*\nupstream = a\nmax_body = 5")
    assert [route.max_body for route in config.routes] == [5, 32 * 1024**2]


def test_nothing_of_a_configuration_can_be_changed(read: Read) -> None:
    config = read(UPSTREAM)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.gateway.demo = True  # type: ignore[misc]
    for mapping in (config.upstreams, config.defaults):
        with pytest.raises(TypeError):
            mapping["b"] = None  # type: ignore[index]


def test_the_built_in_configuration_is_the_public_apis_and_the_demo() -> None:
    config = builtin(HOME)
    assert config.source == "built-in"
    assert config.gateway.demo
    assert {name: upstream.url.authority for name, upstream in config.upstreams.items()} == {
        "openai": "api.openai.com",
        "anthropic": "api.anthropic.com",
        "gemini": "generativelanguage.googleapis.com",
    }
    assert all(upstream.api_key is None for upstream in config.upstreams.values())


def test_the_demo_s_route_follows_defaults(read: Read) -> None:
    config = with_demo(read(f"{UPSTREAM}[defaults]\nmax_body = 7\nkeepalive_after = 9s"), 12345)
    demo = route(config, "demo")
    assert demo.upstream is config.upstreams["demo"]
    assert demo.upstream.url == Url("http", "127.0.0.1", 12345, "")
    assert demo.upstream.family is Family.GENERIC
    assert (demo.patterns, demo.strip_prefix) == ((Pattern("/demo/*"),), "/demo")
    assert (demo.max_body, demo.keepalive_after, demo.keepalive_interval) == (7, 9.0, 2.0)


def test_the_demo_shows_keepalives_within_seconds_if_nothing_else_was_asked_for() -> None:
    demo = route(with_demo(builtin(HOME), 1), "demo")
    assert (demo.keepalive_after, demo.keepalive_interval) == (2.0, 2.0)


def test_the_demo_leaves_the_rest_as_it_was() -> None:
    config = builtin(HOME)
    demo = with_demo(config, 1)
    assert demo.routes[:-1] == config.routes
    assert dataclasses.replace(demo, upstreams=config.upstreams, routes=config.routes) == config


def test_reading_a_configuration_brings_in_nothing_of_twisted() -> None:
    code = "import sys, gateway.config, gateway.routing; print([*filter(" + (
        "lambda name: name.startswith('twisted'), sys.modules)])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_every_key_of_defaults_is_a_key_of_routes() -> None:
    assert set(POLICY) < set(SECTIONS["route"])
