"""Proxies for Node: Portkey's gateway (https://github.com/Portkey-AI/gateway)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from ..proxy import Place, Proxy
from ..works import OPENAI
from .install import HERE, node, node_packages

_PACKAGE: Final = "@portkey-ai/gateway"


def _version(_: Path) -> str:
    wanted = json.loads((HERE / "portkey" / "package.json").read_text())
    return f"{_PACKAGE} {wanted['dependencies'][_PACKAGE]}"


def _command(place: Place) -> list[str]:
    script = place.cache / "portkey" / "node_modules" / _PACKAGE / "build" / "start-server.js"
    return [node(), str(script), f"--port={place.port}", "--headless"]


def _environ(place: Place) -> Mapping[str, str]:
    return {"NODE_ENV": "production", "NODE_EXTRA_CA_CERTS": str(place.ca)}


def _header(place: Place) -> Mapping[str, str]:
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{place.url}/v1"}


PORTKEY: Final = Proxy(
    "portkey",
    "Portkey's gateway with the simulated provider as ``x-portkey-custom-host``; with the release "
    "1.13 of ``@hono/node-server``, because with 1.19 every stream is answered 500.",
    _version,
    _command,
    partial(node_packages, "portkey"),
    environ=_environ,
    header=_header,
    loose=True,
    slow=True,
    restless=True,
    paths=(OPENAI,),
    bodies=False,
)
