"""The Pythons that have releases of the vendors' SDKs: the tests' own, and one for the older ones.

The older ones are installed by ``make test`` into a virtual environment inside the tests' own.
Where an SDK is missing, its tests are skipped, and the reason says what was left out; in CI
(``CI=true``, as ``.ci/run`` has it) they fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from tests.process.gateway_process import Row
from tests.sdks.ways import Way

CLIENT: Final = Path(__file__).with_name("client.py")
OLDER: Final = Path(__file__).with_name("older.txt")

#: The Python of each.
PYTHONS: Final = {
    "newest": Path(sys.executable),
    "older": Path(sys.prefix) / "older-sdks" / "bin" / "python",
}
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
        self.versions: Mapping[str, str | None] = told["versions"]
        self._asked = asked

    def asked(self, way: Way, situation: str) -> Asked:
        """What came of asking in this way in this situation; skips if the SDK is missing."""
        if self.versions[way.sdk] is None:
            left_out(f"the {self.name} release of {way.sdk}", f"{PYTHONS[self.name]} has none")
        return self._asked[way.name, situation]


def ask(release: str, asks: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What ``client.py`` prints under the release's Python."""
    python = PYTHONS[release]
    if not python.exists():
        left_out(f"the {release} releases of the SDKs", f"there is no {python}")
    done = subprocess.run(
        [python, CLIENT],
        input=json.dumps(asks),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def pinned() -> dict[str, str]:
    """The older releases, as they are to be installed."""
    lines = OLDER.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.strip(): version.strip() for name, version in pairs}
