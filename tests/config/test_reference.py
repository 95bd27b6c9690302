"""``conf/gateway.ini`` is the reference of all keys, and is used as it is by the systemd unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.config import ConfigError, builtin, load
from gateway.config.problem import Report
from gateway.config.route_keys import MATCHING
from gateway.config.schema import SECTIONS
from gateway.routing import Router

from .conftest import HOME, Read

FILE = Path(__file__).parents[2] / "conf" / "gateway.ini"

#: Where each key is documented: a route's policy is under [defaults].
DOCUMENTED = {
    (kind, name): key
    for kind, keys in {**SECTIONS, "route": MATCHING}.items()
    for name, key in keys.items()
}


@dataclass(frozen=True)
class Shown:
    """A key as the file shows it."""

    active: bool
    value: str
    prose: str  #: what stands in comments above it


def shown() -> Iterator[tuple[tuple[str, str], Shown]]:
    """The keys with their kind of section; a section may be commented out as a key may be."""
    kind = ""
    prose: list[str] = []
    reference, _, _ = FILE.read_text().partition("\n# Examples.")
    for line in reference.splitlines():
        if header := re.fullmatch(r"#?\[(\w+)[^\]]*\]", line):
            kind = header[1]
        elif (key := re.fullmatch(r"(#?)(\w+) =(?: (.*))?", line)) and kind:
            yield (kind, key[2]), Shown(not key[1], key[3] or "", " ".join(prose))
        prose = [*prose, line[2:]] if line.startswith("# ") else []


FIRST: dict[tuple[str, str], Shown] = {}
for place, key_as_shown in shown():
    FIRST.setdefault(place, key_as_shown)

#: What the unit has otherwise than it is by default.
ACTIVE = {("gateway", "workers"): (True, "auto")}


def test_every_key_is_in_it_and_no_other() -> None:
    policy_of_routes = {place for place in FIRST if place[0] == "route"} - DOCUMENTED.keys()
    assert FIRST.keys() - policy_of_routes == DOCUMENTED.keys()
    assert {name for _, name in policy_of_routes} <= SECTIONS["defaults"].keys()


@pytest.mark.parametrize("place", DOCUMENTED, ids=" ".join)
def test_every_key_is_explained_in_the_schema_s_words(place: tuple[str, str]) -> None:
    assert FIRST[place].prose.startswith(DOCUMENTED[place].doc)


@pytest.mark.parametrize(
    "place", [place for place, key in DOCUMENTED.items() if not key.required], ids=" ".join
)
def test_every_key_is_shown_with_its_default_or_else_its_example(place: tuple[str, str]) -> None:
    key = DOCUMENTED[place]
    assert (FIRST[place].active, FIRST[place].value) == ACTIVE.get(
        place, (False, key.default or key.example)
    )


@pytest.mark.parametrize("place", DOCUMENTED, ids=" ".join)
def test_every_key_is_short_enough_to_be_named_in_a_problem(place: tuple[str, str]) -> None:
    report = Report("gateway.ini")
    report.add(1, place[0], place[1], "wrong")
    with pytest.raises(ConfigError, match=re.escape(f"[{place[0]}] {place[1]}: wrong")):
        report.raise_problems()


@pytest.mark.parametrize("place", DOCUMENTED, ids=" ".join)
def test_every_key_has_a_default_or_an_example_that_is_valid(place: tuple[str, str]) -> None:
    key = DOCUMENTED[place]
    (text,) = {key.default, key.example} - {None}
    assert text is not None
    key.parse(text)


def test_it_serves_what_is_served_without_a_file_but_for_the_demo() -> None:
    config, without = load(FILE, HOME), builtin(HOME)
    assert config.upstreams == without.upstreams
    assert sorted(config.routes, key=str) == sorted(without.routes, key=str)
    assert config.ledger == without.ledger
    assert not config.gateway.demo


def test_its_examples_are_valid(read: Read, tmp_path: Path) -> None:
    (tmp_path / "private-ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    for name in ("inside-key", "anthropic", "alice-key"):
        (tmp_path / name).write_text(f"secret-{name}")
    text = FILE.read_text()
    before, examples = text.split("# Examples.")
    examples = re.sub(r"^#(?=\[|\w+ = )", "", examples, flags=re.MULTILINE)
    text = f"{before}#{examples}".replace("/etc/gateway", str(tmp_path))
    config = read(text, {**HOME, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.upstreams.keys() >= {"vllm", "claude", "inside"}
    assert [client.name for client in config.clients] == ["alice", "barbara"]


def test_its_client_can_be_taken_into_use(read: Read) -> None:
    text = FILE.read_text().replace("#[client", "[client", 1).replace("\n#key = ", "\nkey = ", 1)
    config = read(text, {**HOME, "TEAM_A_KEY": "secret"})
    assert [client.name for client in config.clients] == ["team-a"]


@pytest.mark.parametrize(
    ("path", "header", "family", "megabytes"),
    [
        ("/v1/files", None, "openai", 512),
        ("/v1/files/file-1/content", None, "openai", 512),
        ("/v1/files", b"anthropic-version", "anthropic", 512),
        ("/v1/uploads/upload_1/parts", None, "openai", 512),
        ("/v1/audio/transcriptions", None, "openai", 512),
        ("/v1/images/edits", None, "openai", 512),
        ("/v1/images/variations", None, "openai", 512),
        ("/v1/images/generations", None, "openai", 32),
        ("/v1/messages/batches", b"anthropic-version", "anthropic", 512),
        ("/v1/messages", b"anthropic-version", "anthropic", 32),
        ("/v1/chat/completions", None, "openai", 32),
    ],
)
def test_uploads_may_be_larger_than_prompts(
    path: str, header: bytes | None, family: str, megabytes: int
) -> None:
    route = Router(builtin(HOME).routes).match(path.encode(), lambda name: name == header)
    assert route is not None
    assert (route.upstream.family, route.max_body) == (family, megabytes * 1024**2)
