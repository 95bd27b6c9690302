"""Every way of asking in every situation, asked once for each release of the SDKs.

One gateway, one upstream and one client program a release: the tests look at what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.process.gateway_process import GatewayProcess
from tests.process.scripted_upstream import ScriptedUpstream
from tests.sdks import situations
from tests.sdks.beats import SilentUpstream
from tests.sdks.releases import Release, ask_all
from tests.sdks.ways import streams


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> Iterator[None]:
    """Whatever proxy this machine uses, loopback is reached without it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[GatewayProcess, ScriptedUpstream]]:
    """The gateway, and the upstream in which the situations play."""
    upstream = SilentUpstream()
    folder = tmp_path_factory.mktemp("sdks")
    options = f"admin = tcp:{upstream.beats.port}:interface=127.0.0.1\ndemo = on"
    with GatewayProcess(folder, situations.sections(upstream.port), options) as gateway:
        yield gateway, upstream
    upstream.close()


@pytest.fixture(scope="session")
def releases(stage: tuple[GatewayProcess, ScriptedUpstream]) -> Callable[[str], Release]:
    """By the name of a release, everything that was asked with it; it is asked once."""
    gateway, upstream = stage

    @cache
    def release(name: str) -> Release:
        upstream.play(situations.play)
        asks = [(way, situation) for way in streams(name) for situation in situations.met(way)]
        return ask_all(name, gateway, upstream, asks)

    return release
