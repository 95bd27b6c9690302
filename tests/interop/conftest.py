"""The Go program, built once, and the rows of servers, each shared by the tests of one module.

The program is begun to be built as soon as it is known that a test needs it, beside the tests that
run before that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.chain import LAYOUTS, Chain, chain
from tests.interop.servers import PeerBuild, found, program

_build = pytest.StashKey[PeerBuild]()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine uses, loopback is reached without it."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build the program if a test wants it and Go is there."""
    wanted = any("peer" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly and found("go") is not None:
        session.config.stash[_build] = build = PeerBuild()
        session.config.add_cleanup(build.close)


@pytest.fixture(scope="session")
def peer(pytestconfig: pytest.Config) -> Path:
    """The program in ``go``."""
    program("go")
    return pytestconfig.stash[_build].wait()


@pytest.fixture(scope="module", params=LAYOUTS)
def module_row(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, peer: Path
) -> Iterator[Chain]:
    """A row for each layout."""
    with chain(tmp_path_factory.mktemp("row"), peer, request.param) as row:
        yield row


@pytest.fixture
def row(module_row: Chain) -> Iterator[Chain]:
    """A row; a server in it that finds something wrong fails the test."""
    module_row.gateway.forget_rows()
    before = module_row.complaints()
    yield module_row
    assert module_row.complaints() == before
