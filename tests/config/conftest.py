"""The way in which these tests make a configuration of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from gateway.config import Config, ConfigError, load

#: Enough of an environment for a state directory.
HOME = {"HOME": "/home/someone"}

#: A file without problems, of four lines.
UPSTREAM = "[upstream a]\nurl = http://localhost:8000\ndialect = generic\n\n"


class Read(Protocol):
    """Loads a text, or bytes, as the file ``gateway.ini``."""

    def __call__(self, text: str | bytes, environ: Mapping[str, str] = HOME) -> Config:
        """The configuration; raises `ConfigError`."""


class Problems(Protocol):
    """Loads a text that has problems."""

    def __call__(self, text: str | bytes, environ: Mapping[str, str] = HOME) -> list[str]:
        """The problems, each as it is printed."""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """A `Read` in a folder of its own, so that the file's name is the same everywhere."""
    monkeypatch.chdir(tmp_path)

    def read(text: str | bytes, environ: Mapping[str, str] = HOME) -> Config:
        data = text.encode() if isinstance(text, str) else text
        Path("gateway.ini").write_bytes(data)
        return load("gateway.ini", environ)

    return read


@pytest.fixture
def problems(read: Read) -> Problems:
    """A `Problems` that fails the test if there are none."""

    def problems(text: str | bytes, environ: Mapping[str, str] = HOME) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text, environ)
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return [str(problem) for problem in caught.value.problems]

    return problems
