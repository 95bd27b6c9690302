"""Gateways and upstreams that the tests of one module share, each left ready for the next test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.gateway_process import GatewayProcess
from tests.process.scripted_upstream import ScriptedUpstream
from tests.process.workers_gateway import Manager, WorkersGateway


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine uses, loopback is reached without it."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the module's tests share."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def module_upstream() -> Iterator[ScriptedUpstream]:
    """The upstream of a module's gateway."""
    upstream = ScriptedUpstream()
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(module_upstream: ScriptedUpstream) -> Iterator[ScriptedUpstream]:
    """The module's upstream; a step that went wrong fails the test that played it."""
    module_upstream.errors.clear()
    yield module_upstream
    assert module_upstream.errors == []


@pytest.fixture(scope="module")
def module_gateway(
    module_folder: Path, module_upstream: ScriptedUpstream
) -> Iterator[GatewayProcess]:
    """The gateway of a module, with the module's upstream under ``/v1``."""
    with GatewayProcess(module_folder, module_upstream.sections(), "demo = on") as gateway:
        yield gateway


@pytest.fixture
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    """The module's gateway, with the rows of other tests forgotten."""
    module_gateway.forget_rows()
    return module_gateway


@pytest.fixture
def start_workers(
    tmp_path: Path, upstream: ScriptedUpstream
) -> Iterator[Callable[..., WorkersGateway]]:
    """Starts a gateway with two workers, which the test may do anything to; takes further keys of
    ``[gateway]``, and its environment."""
    started: list[WorkersGateway] = []

    def start(options: str = "", **environ: str) -> WorkersGateway:
        options = f"workers = 2\n{options}"
        # Whole generations start in the middle of some streams, however long that takes.
        sections = upstream.sections(keepalive="off")
        gateway = WorkersGateway(tmp_path, sections, options, environ)
        started.append(gateway)
        gateway.start()
        gateway.wait_for_log("generation 1 serves")
        return gateway

    yield start
    for gateway in started:
        gateway.kill()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """What stands in for systemd."""
    listening = Manager(tmp_path)
    yield listening
    listening.close()
