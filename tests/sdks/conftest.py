"""Every way of asking in every situation, asked once for each release of the SDKs.

One gateway, one upstream and one client program a release: the tests look at what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.gateway_process import GatewayProcess, Row
from tests.process.scripted_upstream import ScriptedUpstream
from tests.sdks import situations
from tests.sdks.releases import PYTHONS, Asked, Release, ask
from tests.sdks.ways import STREAMS, Way


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
    upstream = ScriptedUpstream()
    folder = tmp_path_factory.mktemp("sdks")
    with GatewayProcess(folder, situations.sections(upstream.port), "demo = on") as gateway:
        yield gateway, upstream
    upstream.close()


@pytest.fixture(scope="session", params=PYTHONS)
def release(
    request: pytest.FixtureRequest, stage: tuple[GatewayProcess, ScriptedUpstream]
) -> Release:
    """Everything asked with one release of the SDKs."""
    gateway, upstream = stage
    upstream.play(situations.play)
    gateway.forget_rows()
    asks = [
        (way, situation)
        for way in STREAMS
        for situation in situations.SITUATIONS
        if way.meets(situation)
    ]
    told = ask(
        request.param,
        [
            {
                "way": way.name,
                "url": f"{gateway.url}/{situations.prefix(way.family, situation)}",
                "model": way.name,
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
    return Release(request.param, told, asked)


def _is(row: Row, way: Way, situation: str) -> bool:
    upstream = situations.prefix(way.family, situation)
    return (row["upstream"], row["model_requested"]) == (upstream, way.name)


def _is_request(raw: bytes, way: Way, situation: str) -> bool:
    path = f"/{situations.prefix(way.family, situation)}/".encode()
    # The model stands in the path at Google, else in a JSON body or a form.
    names = (f'"{way.name}"', f"/{way.name}:", f"\r\n{way.name}\r\n")
    return path in raw.partition(b"\r\n")[0] and any(name.encode() in raw for name in names)
